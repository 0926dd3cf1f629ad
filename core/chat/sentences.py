"""Where the sentences of a text begin and end: offsets, so that what is shown is always the text's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator

SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?:\s*\[[\d,; ]+\])*(?=\s|$)|[。！？।؟]+|\n+")
# What a full stop ends without ending a sentence: an abbreviation, an initial, the number of a list's item.
ABBREVIATION = re.compile(
    r"(?:^\s*\d{1,3}|\b[A-Za-z]|\b(?:Mr|Mrs|Ms|Dr|St|No|Nr|vs|etc|Inc|Ltd|Jr|Sr|Prof|approx|Fig|Art))\.$"
)
# A line of a page that goes on in the next one: long, not ended, and not followed by a list, a table or a blank line.
FULL_LINE = 45
TERMINAL = re.compile(r"[.!?…:;|。！？।؟]$")
CONTINUES = re.compile(r"[ \t]*\n[ \t]*(?![-*•|#\n]|\d{1,3}[.)]\s)\S")
TABLE_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Offsets of the sentences of a text, markers behind their full stop included."""
    start = 0
    for found in SENTENCE_END.finditer(text):
        piece = text[start : found.end()]
        if found[0].startswith(".") and ABBREVIATION.search(text[start : found.start() + 1]):
            continue
        if piece.strip():
            yield start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
        start = found.end()
    rest = text[start:]
    if rest.strip():
        yield start + len(rest) - len(rest.lstrip()), start + len(rest.rstrip())


def units(text: str) -> Iterator[tuple[int, int]]:
    """What can be quoted of a passage: its sentences, and the rows of its tables as they are."""
    position = 0
    for row in TABLE_ROW.finditer(text):
        yield from ((position + start, position + end) for start, end in _unwrapped(text[position : row.start()]))
        yield row.span()
        position = row.end()
    yield from ((position + start, position + end) for start, end in _unwrapped(text[position:]))


def _unwrapped(text: str) -> Iterator[tuple[int, int]]:
    """The sentences of a text, put together again where only the width of its page broke the line."""
    start: int | None = None
    for begin, end in sentences(text):
        start = begin if start is None else start
        line = text[text.rfind("\n", 0, end) + 1 : end]
        wrapped = len(line) >= FULL_LINE and not TERMINAL.search(line) and CONTINUES.match(text, end)
        if not wrapped:
            yield start, end
            start = None
    if start is not None:
        yield start, len(text.rstrip())
