"""Whether anything was left out of a prompt without being told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.traces import Trace
from core.types import Passage

Span = tuple[int, int]


def unaccounted(found: Sequence[Passage], kept: Sequence[Passage], trace: Trace) -> int:
    """How many cuts have no entry in the ledger: found passages of which a word was neither shown nor named as cut;
    one more when the engine read fewer tokens than the ledger says.

    `kept` are the passages in the prompt, with what was shown of them. Letters are looked at, not counts: neighbours
    are put together before they are cut, so one entry can tell of two passages.
    """
    told = list(_named(trace))
    return sum(_silent(passage, kept, told) for passage in found) + _fewer_read(trace)


def _silent(passage: Passage, kept: Sequence[Passage], told: Iterable[tuple[str, Span]]) -> bool:
    """Whether a letter of the passage is in no part that was shown, and in none that the ledger names."""
    shown = [(there.document_id, part) for there in kept for part in there.kept or ((there.start, there.end),)]
    spans = sorted(span for document_id, span in (*shown, *told) if document_id == passage.document_id)
    position = passage.start
    for start, end in (*spans, (passage.end, passage.end)):
        if passage.text[position - passage.start : max(position, start) - passage.start].strip():
            return True
        position = max(position, end)
    return False


def _named(trace: Trace) -> Iterator[tuple[str, Span]]:
    for cut in trace.ledger.get("cuts", ()):
        for start, end in cut["parts"]:
            yield cut["document_id"], (start, end)


def _fewer_read(trace: Trace) -> bool:
    read, told = trace.usage.prompt_tokens, trace.ledger.get("prompt", 0)
    return bool(read and told and read < int(told))
