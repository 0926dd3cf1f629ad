"""The entries of a PDF's outline as headings, each at its line on its page."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from core.types import Document, Heading, Page
from ingest.loaders.clean import one_line
from ingest.loaders.draft import LONGEST_TITLE

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

MOST_HEADINGS = 5_000
# A heading of the outline may stand on the page behind its number: "Chapter 12. " or "A.3.1 ".
LONGEST_NUMBER = 12
_NO_LETTERS = re.compile(r"[\W_]+")


def outline(pdf: PdfDocument) -> list[tuple[int, str, int]]:
    """Level, title and page index of every entry of the outline that points to a page."""
    found: list[tuple[int, str, int]] = []
    for bookmark in pdf.get_toc(max_depth=6):
        if len(found) == MOST_HEADINGS:
            break
        try:
            title, target = one_line(bookmark.get_title())[:LONGEST_TITLE], bookmark.get_dest()
        except UnicodeDecodeError:
            continue
        index = target.get_index() if target else None
        if title and index is not None and 0 <= index < len(pdf):
            found.append((bookmark.level + 1, title, index))
    return found


def with_headings(document: Document, titles: list[tuple[int, str, int]]) -> Document:
    """The document with the entries of its outline as headings, each at its line on its page."""
    lines: dict[int, list[tuple[int, str]]] = {}
    headings: list[Heading] = []
    last: dict[int, int] = {}
    for level, title, index in titles:
        if index not in lines:
            lines[index] = _squeezed_lines(document.text, document.pages[index])
        start = _place(title, lines[index], after=last.get(index, 0))
        last[index] = start if start is not None else last.get(index, document.pages[index].start)
        headings.append(Heading(level, title, last[index]))
    return replace(document, headings=tuple(sorted(headings, key=lambda heading: heading.start)))


def _squeezed_lines(text: str, page: Page) -> list[tuple[int, str]]:
    """Offset and bare letters of each line of a page, for comparing without blanks and punctuation."""
    lines, start = [], page.start
    for line in text[page.start : page.end].split("\n"):
        lines.append((start, _squeezed(line)))
        start += len(line) + 1
    return lines


def _squeezed(text: str) -> str:
    return _NO_LETTERS.sub("", text.lower())


def _place(title: str, lines: list[tuple[int, str]], *, after: int) -> int | None:
    """The offset of the first line, not before `after`, from which on the title stands alone on one to three lines."""
    wanted = _squeezed(title)
    for position, (start, first) in enumerate(lines):
        if start < after:
            continue
        joined = ""
        for _, line in lines[position : position + 3]:
            joined += line
            number = len(joined) - len(wanted)
            if number > LONGEST_NUMBER:
                break
            if joined.endswith(wanted) and number < len(first):
                return start
    return None
