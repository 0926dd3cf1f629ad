"""Whether anything was left out of a prompt without being told."""

from __future__ import annotations

from collections.abc import Sequence

from core.chat.context import MARGIN
from core.traces import Trace
from core.types import Passage


def unaccounted(found: Sequence[Passage], kept: Sequence[Passage], left_out: Sequence[str], trace: Trace) -> int:
    """How many passages that were found are neither in the prompt nor in the ledger, one more when the prompt holds
    fewer tokens than the ledger says: then something was cut after it was counted."""
    lost = sum(not any(_covers(there, passage) for there in kept) for passage in found)
    return max(0, lost - len(left_out)) + _shortened(trace)


def _covers(there: Passage, passage: Passage) -> bool:
    """Neighbours are put together and long passages shortened, so a part of it is enough."""
    return there.document_id == passage.document_id and there.start < passage.end and passage.start < there.end


def _shortened(trace: Trace) -> bool:
    ledger, read = trace.ledger, trace.usage.prompt_tokens
    if not read or not ledger:
        return False
    parts = [ledger.get("frame", 0), ledger.get("history", 0), *ledger.get("passages", ())]
    counted = sum(part for part in parts if isinstance(part, int))
    return read < counted - MARGIN * len(parts)
