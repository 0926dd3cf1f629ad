"""Where words stand on a PDF page: stored words are found again among PDFium's characters, however both are spelled.

The stored text was cleaned, its tables were put into rows and its cut words were made whole; so only letters and digits
are compared, and where a quotation as a whole is not found, its lines and cells are looked for one by one.
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

MOST_CHARACTERS = 200_000
MOST_BOXES = 400
LEAST_LETTERS = 3  # of a line or cell that is looked for alone
LEAST_FOUND = 0.6  # share of a quotation's letters: with less, nothing is marked rather than something else
APART = 2.5  # heights between two letters of a line that are marked as one stretch
_PIECE = re.compile(r"[^|\n]+")

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Wanted:
    """Words to be found; `share` says how far down the page they stood in the stored text, from 0 to 1."""

    words: str
    share: float


def letters(text: str) -> tuple[str, list[int]]:
    """The letters and digits of a text in one spelling, and for each the index of the sign that it comes from."""
    kept: list[str] = []
    places: list[int] = []
    for index, sign in enumerate(text):
        if sign.isascii():
            if sign.isalnum():
                kept.append(sign.lower())
                places.append(index)
            continue
        for part in unicodedata.normalize("NFKD", sign).casefold():
            if part.isalnum():
                kept.append(part)
                places.append(index)
    return "".join(kept), places


def find(page_text: str, wanted: Sequence[Wanted]) -> list[int]:
    """The indexes of the signs of a page that make up the wanted words, in order; empty when they are not there."""
    page, places = letters(page_text)
    found: set[int] = set()
    asked = 0
    for one in wanted:
        quoted, _ = letters(one.words)
        asked += len(quoted)
        spans = _spans(page, one, quoted)
        found.update(index for start, end in spans for index in range(start, end))
    if not asked or len(found) < LEAST_FOUND * asked:
        return []
    return sorted({places[index] for index in found})


def boxes(page: PdfPage, content: PdfTextPage, indexes: Sequence[int], width: int, height: int) -> list[Box]:
    """A box for each stretch of a line that these characters make up, in pixels of a picture of this size."""
    from pypdfium2 import raw

    drawn: list[Box] = []
    sides = [ctypes.c_double() for _ in range(4)]
    left, right, bottom, top = sides
    x, y = ctypes.c_int(), ctypes.c_int()
    for index in indexes:
        if not raw.FPDFText_GetCharBox(content, index, left, right, bottom, top):
            continue
        corners = []
        for across, up in ((left.value, top.value), (right.value, bottom.value)):
            raw.FPDF_PageToDevice(page, 0, 0, width, height, 0, across, up, x, y)
            corners.append((x.value, y.value))
        (x1, y1), (x2, y2) = corners
        box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        if box[2] > box[0] and box[3] > box[1]:
            drawn.append(box)
    return list(_lines(drawn))[:MOST_BOXES]


def characters(content: PdfTextPage) -> str:
    """The signs of a page, one for each index that PDFium counts."""
    from pypdfium2 import raw

    count = min(content.count_chars(), MOST_CHARACTERS)
    codes = [raw.FPDFText_GetUnicode(content, index) for index in range(count)]
    return "".join(chr(code) if code < 0x110000 else " " for code in codes)


def _spans(page: str, wanted: Wanted, quoted: str) -> Iterator[tuple[int, int]]:
    expected = int(wanted.share * len(page))
    start = _nearest(page, quoted, expected) if quoted else -1
    if start >= 0:
        yield start, start + len(quoted)
        return
    for piece in _PIECE.findall(wanted.words):
        part, _ = letters(piece)
        if len(part) < LEAST_LETTERS:
            continue
        start = _nearest(page, part, expected)
        if start >= 0:
            yield start, start + len(part)
            expected = start + len(part)


def _nearest(page: str, part: str, expected: int) -> int:
    """Where the part begins that is nearest to the expected place; -1 when it is nowhere."""
    after = page.find(part, max(0, expected))
    before = page.rfind(part, 0, max(0, expected) + len(part))
    if after < 0 or before < 0:
        return max(after, before)
    return after if after - expected <= expected - before else before


def _lines(drawn: Sequence[Box]) -> Iterator[Box]:
    """Boxes of letters put together where they stand side by side in a line."""
    line: Box | None = None
    for box in drawn:
        if line is not None:
            height = max(line[3] - line[1], box[3] - box[1])
            beside = min(line[3], box[3]) - max(line[1], box[1]) > 0.3 * min(line[3] - line[1], box[3] - box[1])
            if beside and -height <= box[0] - line[2] <= APART * height:
                line = (min(line[0], box[0]), min(line[1], box[1]), max(line[2], box[2]), max(line[3], box[3]))
                continue
            yield line
        line = box
    if line is not None:
        yield line
