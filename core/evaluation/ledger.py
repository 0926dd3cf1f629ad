"""Whether anything was left out of a prompt without being told."""

from __future__ import annotations

from collections.abc import Sequence

from core.chat.context import MARGIN
from core.traces import Trace
from core.types import Passage


def unaccounted(found: Sequence[Passage], kept: Sequence[Passage], left_out: Sequence[str], trace: Trace) -> int:
    """How many cuts have no entry in the ledger: passages that were found and are not in the prompt, passages that are
    in it only in part; one more when the engine read fewer tokens than the ledger says."""
    lost = sum(not any(_covers(there, passage) for there in kept) for passage in found)
    shortened = sum(bool(getattr(passage, "kept", ())) for passage in kept)
    return max(0, lost + shortened - len(left_out)) + _fewer_read(trace)


def _covers(there: Passage, passage: Passage) -> bool:
    """Neighbours are put together and long passages shortened, so a part of it is enough."""
    return there.document_id == passage.document_id and there.start < passage.end and passage.start < there.end


def _fewer_read(trace: Trace) -> bool:
    ledger, read = trace.ledger, trace.usage.prompt_tokens
    if not read or not ledger:
        return False
    if told := ledger.get("prompt"):
        return read < int(told)
    parts = [ledger.get("frame", 0), ledger.get("history", 0), *ledger.get("passages", ())]
    counted = sum(part for part in parts if isinstance(part, int))
    return read < counted - MARGIN * len(parts)
