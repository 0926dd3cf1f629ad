"""What stands on one PDF page: lines, tables, and whether its picture says more than its text."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from ingest.loaders.pdf_glyphs import Box, Word, plain, read_words
from ingest.loaders.pdf_tables import SHORTEST_RULE, THICKEST_RULE, FoundTable, find_tables, has_grid
from ingest.loaders.text_quality import GOOD, quality

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

TEXT, PATH, IMAGE, FORM = 1, 2, 3, 5  # FPDF_PAGEOBJ_*
MOST_OBJECTS, MANY_OBJECTS = 50_000, 1_500
MOST_PATHS = 4_000
# A page is read word by word if it has that many lines with figures, or crossing rules.
LINES_WITH_FIGURES = 3
SAMPLED_PAGES = 5
MOST_REPAIRED = 0.012  # of the words: beyond, blanks are taken from the places of the letters
# A page whose picture covers this much and that has fewer letters than this is a scan with a stamp or a page number.
MOSTLY_PICTURE, FEW_LETTERS = 0.5, 200
DRAWN_LETTERS = 60  # so many shapes and no text: the letters may be drawn
# Two numbers in a line, one of them at its end.
_NUMBER = r"[($€£]{0,2}[-–]?\d[\d.,]*[)%]{0,2}"
_FIGURES = re.compile(rf"(?:^|\s){_NUMBER}[ \t](?:[^\n]*[ \t])?{_NUMBER}[ \r]*$", re.M)

Part = str | FoundTable


@dataclass(frozen=True, slots=True)
class PageParts:
    """Lines and tables of a page in reading order; `picture` when recognition should look at it."""

    parts: tuple[Part, ...]
    picture: bool = False


def joins_words(pdf: PdfDocument) -> bool:
    """Whether PDFium joins or splits many words of this document, seen on a few of its pages."""
    from pypdfium2 import PdfiumError

    words = repaired = 0
    for index in sorted({len(pdf) * n // SAMPLED_PAGES for n in range(SAMPLED_PAGES)}):
        try:
            with closing(pdf.get_page(index)) as page, closing(page.get_textpage()) as content:
                found = read_words(content, content.get_text_range())
        except PdfiumError:
            continue
        words += len(found.words)
        repaired += found.repaired
    return repaired > MOST_REPAIRED * max(words, 1)


def read_page(page: PdfPage, content: PdfTextPage, *, repair: bool) -> PageParts:
    """The text of a page in PDFium's order, tables as rows. Raises PdfiumError."""
    text = content.get_text_range()
    letters = sum(map(str.isalnum, text[:4000]))
    # Pages whose every letter is an object of its own have too many to look at; where there is text, nothing is missed.
    objects = _objects(page, most=MOST_OBJECTS if letters < FEW_LETTERS else MANY_OBJECTS)
    parts: tuple[Part, ...] = (text,)
    if page.get_rotation() == 0 and text.strip():
        rules = _rules([handle for handle, kind in objects if kind == PATH][:MOST_PATHS])
        tables_likely = _has_figures(text) or has_grid(rules)
        if repair or tables_likely:
            words = read_words(content, text, repair=repair).words
            tables = find_tables(words, rules)
            if tables or repair:
                parts = tuple(_parts(words, tables))
    return PageParts(parts, _is_picture(page, text, letters, objects))


def _has_figures(text: str) -> bool:
    return sum(1 for _ in zip(range(LINES_WITH_FIGURES), _FIGURES.finditer(text), strict=False)) == LINES_WITH_FIGURES


def _parts(words: Sequence[Word], tables: Sequence[FoundTable]) -> Iterator[Part]:
    """Words in lines, each table in the place of its first word."""
    starting = {table.first: table for table in tables}
    used = frozenset[int]().union(*(table.words for table in tables))
    lines: list[str] = []
    line: list[str] = []
    number = 0
    for index, word in enumerate(words):
        if word.line != number:
            lines.append(" ".join(line))
            line, number = [], word.line
        if index in starting:
            yield "\n".join([*lines, " ".join(line)])
            lines, line = [], []
            yield starting[index]
        if index not in used:
            line.append(word.text)
    yield "\n".join([*lines, " ".join(line)])


# --- shapes and pictures


class _Functions(NamedTuple):
    count: Callable[[int], int]
    item: Callable[[int, int], int]
    kind: Callable[[int], int]
    bounds: Callable[[int, int, int, int, int], int]
    mode: Callable[[int, int, int], int]


@cache
def _functions() -> _Functions:
    from pypdfium2 import raw

    any_pointer, number = ctypes.c_void_p, ctypes.c_int
    return _Functions(
        plain(raw.FPDFPage_CountObjects, any_pointer),
        plain(raw.FPDFPage_GetObject, any_pointer, number, result=any_pointer),
        plain(raw.FPDFPageObj_GetType, any_pointer),
        plain(raw.FPDFPageObj_GetBounds, *repeat(any_pointer, 5)),
        plain(raw.FPDFPath_GetDrawMode, *repeat(any_pointer, 3)),
    )


def _objects(page: PdfPage, *, most: int) -> list[tuple[int, int]]:
    """Handle and kind of everything that is drawn on a page; nothing when that is more than `most`."""
    library = _functions()
    handle = ctypes.cast(page.raw, ctypes.c_void_p).value or 0
    count = library.count(handle)
    if count > most:
        return []
    handles = [item for item in map(library.item, repeat(handle), range(count)) if item]
    return list(zip(handles, map(library.kind, handles), strict=True))


def _bounds(handles: Sequence[int]) -> Iterator[tuple[int, Box]]:
    library, sides = _functions(), (ctypes.c_float * 4)()
    first = ctypes.addressof(sides)
    for handle in handles:
        if library.bounds(handle, first, first + 4, first + 8, first + 12):
            left, bottom, right, top = sides
            yield handle, (left, top, right, bottom)


def _rules(paths: Sequence[int]) -> list[Box]:
    """The lines and frames among shapes; grounds of colour are none."""
    library, stroked = _functions(), ctypes.c_int()
    mode = ctypes.c_int()
    found: list[Box] = []
    for handle, box in _bounds(paths):
        width, height = box[2] - box[0], box[1] - box[3]
        thin = min(width, height) <= THICKEST_RULE and max(width, height) >= SHORTEST_RULE
        if not thin:
            library.mode(handle, ctypes.addressof(mode), ctypes.addressof(stroked))
        if thin or stroked.value:
            found.append(box)
    return found


def _is_picture(page: PdfPage, text: str, letters: int, objects: Sequence[tuple[int, int]]) -> bool:
    """Whether recognition may find text that the layer does not have, or has badly."""
    images = [handle for handle, kind in objects if kind == IMAGE]
    others = sum(kind in (PATH, FORM) for _, kind in objects)
    if not letters:
        return bool(images) or others >= DRAWN_LETTERS or any(kind == FORM for _, kind in objects)
    if quality(text) < GOOD and letters > FEW_LETTERS // 10:
        return True
    return letters < FEW_LETTERS and bool(images) and _covered(page, images) > MOSTLY_PICTURE


def _covered(page: PdfPage, images: Sequence[int]) -> float:
    """The share of the page under its pictures, as if they did not overlap."""
    width, height = page.get_size()
    area = sum(
        max(0.0, min(right, width) - max(left, 0.0)) * max(0.0, min(top, height) - max(bottom, 0.0))
        for _, (left, top, right, bottom) in _bounds(images)
    )
    return float(min(1.0, area / max(width * height, 1.0)))
