"""Sentences of documents that talk to the model are kept from it: the page shows them, no prompt holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.guard import data
from core.instructions import suspicions, trusted, without
from core.types import Passage


def wary(passages: Sequence[Passage]) -> list[Passage]:
    """The passages with such sentences outside of what is `kept`; one that holds nothing else is not among them.

    A passage of which it is settled what the model was shown stays as it is.
    """
    found = []
    for passage in passages:
        parts = () if passage.kept else trusted(passage.text)
        if passage.kept or parts == ((0, len(passage.text)),):
            found.append(passage)
        elif parts:
            kept = tuple((passage.start + start, passage.start + end) for start, end in parts)
            found.append(replace(passage, kept=kept))
    return found


def withheld(passage: Passage) -> tuple[tuple[int, int], ...]:
    """Such sentences of a passage that the model was not shown, as offsets into the document's text."""
    spans = ((passage.start + span.start, passage.start + span.end) for span in suspicions(passage.text))
    return tuple(
        (start, end) for start, end in spans if not any(start < last and end > first for first, last in passage.kept)
    )


def safe(text: str) -> str:
    """Words around a passage (its title, headings, the header of its table) as a prompt may hold them."""
    return data(without(text, suspicions(text)))
