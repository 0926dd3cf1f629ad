"""Recognised pages go into their document: later offsets move along, what the layer had gives way only to better."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.types import Document, Heading, Page, Table
from ingest.loaders.clean import clean
from ingest.loaders.text_quality import quality
from ingest.ocr.engine import Recognised

# Below, recognition has made letters out of a photograph.
LEAST_CONFIDENCE = 0.4
_WORD = re.compile(r"\w+")


def with_recognised(document: Document, found: Mapping[int, Recognised]) -> Document:
    """The document with the text of pages that recognition read better than the file itself has them."""
    parts: list[str] = []
    pages: list[Page] = []
    shifts: list[tuple[int, int, int, int]] = []  # old start, old end, new start, new end of each page
    length = 0
    for page in document.pages:
        layer = document.text[page.start : page.end]
        text, confidence = _better(layer, found.get(page.number))
        start = length + (2 if pages else 0)
        parts.append(("\n\n" if pages else "") + text)
        length = start + len(text)
        pages.append(replace(page, start=start, end=length, confidence=confidence))
        shifts.append((page.start, page.end, start, length))
    moved = _Moved(shifts, [page.confidence is not None for page in pages])
    return replace(
        document,
        text="".join(parts),
        pages=tuple(pages),
        headings=tuple(Heading(h.level, h.title, moved.offset(h.start)) for h in document.headings),
        tables=tuple(
            Table(moved.offset(t.start), moved.offset(t.end), t.header)
            for t in document.tables
            if not moved.replaced(t.start)
        ),
        pictures=tuple(number for number in document.pictures if number not in found),
        instructions=None,  # it is another text now
    )


def _better(layer: str, recognised: Recognised | None) -> tuple[str, float | None]:
    """The text of a page and, where recognition gave it, its confidence."""
    if recognised is None:
        return layer, None
    text = "\n".join(line.rstrip() for line in clean(recognised.text).strip().split("\n"))
    if not text or recognised.confidence < LEAST_CONFIDENCE:
        return layer, None
    letters = sum(c.isalnum() for c in layer)
    if not letters:
        return text, recognised.confidence
    if quality(layer) * letters > quality(text) * sum(c.isalnum() for c in text):
        return layer, None
    # A stamp or a page number that recognition overlooked; of a broken layer only what is language.
    known = set(_WORD.findall(text.lower()))
    missed = [line for line in layer.split("\n") if quality(line) > 0.6 and set(_WORD.findall(line.lower())) - known]
    return "\n".join([*missed, text]), recognised.confidence


class _Moved:
    """Where an offset of the old text is in the new one."""

    def __init__(self, shifts: Sequence[tuple[int, int, int, int]], replaced: Sequence[bool]) -> None:
        self._shifts = shifts
        self._starts = [shift[0] for shift in shifts]
        self._replaced = replaced

    def _page(self, offset: int) -> int:
        return max(0, bisect_right(self._starts, offset) - 1)

    def replaced(self, offset: int) -> bool:
        return self._replaced[self._page(offset)]

    def offset(self, offset: int) -> int:
        number = self._page(offset)
        old, _, start, end = self._shifts[number]
        return start if self._replaced[number] else min(start + offset - old, end)
