"""Passages that follow one another in a document become one: the model reads them in order, and their place once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.types import Passage


def merged(passages: Sequence[Passage]) -> list[Passage]:
    """The passages, best first, with ranks from 1; neighbours of one section and page stand where the best stood."""
    joined: list[tuple[int, Passage]] = []
    in_order = sorted(enumerate(passages), key=lambda found: (found[1].document_id, found[1].start))
    for place, passage in in_order:
        before = joined[-1] if joined else None
        together = _together(before[1], passage) if before else None
        if before and together:
            joined[-1] = (min(before[0], place), together)
        else:
            joined.append((place, passage))
    joined.sort(key=lambda found: found[0])
    return [replace(passage, rank=rank) for rank, (_, passage) in enumerate(joined, 1)]


def _together(first: Passage, second: Passage) -> Passage | None:
    """Both as one passage, with the scores of the better; None when they are no neighbours."""
    same = ("document_id", "section", "section_start", "page", "heading")
    if not first.section or any(getattr(first, name) != getattr(second, name) for name in same):
        return None
    gap = first.section[first.end - first.section_start : second.start - first.section_start]
    if first.end > second.start or second.start - first.end != len(gap) or gap.strip():
        return None
    text = first.section[first.start - first.section_start : second.end - first.section_start]
    if not (text.startswith(first.text) and text.endswith(second.text)):
        return None
    best = min(first, second, key=lambda passage: passage.rank)
    return replace(best, text=text, start=first.start, end=second.end, context=first.context)
