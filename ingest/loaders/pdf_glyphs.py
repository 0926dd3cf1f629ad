"""The words of a PDF page with their places, from PDFium's characters one by one.

This takes two to five times as long as asking PDFium for the text, so it is done only on pages that need it: where
PDFium joins or splits words, and where a table may stand.
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pypdfium2 import PdfTextPage

MOST_CHARACTERS = 200_000  # on one page; beyond, nobody has laid out a table
HYPHENATED, HYPHEN_MARKS = (
    (0x02, 0xFFFE),
    "\x02\ufffe",
)  # what PDFium puts in place of a hyphen at the end of a line, which it then joins
IDEOGRAPHS = 0x2E80  # scripts from here on write no blanks between words
BLANKS = (9, 10, 13, 32, 160)
_HALF = re.compile("[\ud800-\udfff]")  # of a letter that UTF-16 writes as two
# Shares of the height of a line: as wide as the narrowest blank, as deep as letters that overlap, as different as
# two sizes of type.
NARROWEST_BLANK = 0.1
OVERLAP = 0.3
ANOTHER_SIZE = 0.08

Box = tuple[float, float, float, float]  # left, top, right, bottom in points; the origin is at the bottom left


class Word(NamedTuple):
    """A word, or a run of letters without a blank; `line` counts the lines of the page as PDFium sees them."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    line: int

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def height(self) -> float:
        return self.top - self.bottom


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a page in reading order; `repaired` counts the blanks that were put in or taken out."""

    words: list[Word]
    repaired: int

    def lines(self) -> Iterator[str]:
        line: list[str] = []
        number = 0
        for word in self.words:
            while number < word.line:
                yield " ".join(line)
                line, number = [], number + 1
            line.append(word.text)
        yield " ".join(line)


def read_words(content: PdfTextPage, text: str, *, repair: bool = True) -> Words:
    """Every word of a page whose `text` PDFium gave; with `repair` blanks are where the letters stand apart, not where
    PDFium guesses them."""
    count = min(content.count_chars(), MOST_CHARACTERS)
    if count <= 0:
        return Words([], 0)
    library, page = _functions(), _address(content.raw)
    # PDFium leaves out of the text what it has no letter for, and joins halves of letters; else the two are the same.
    if len(text) == content.count_chars():
        codes = list(map(ord, text[:count]))
    else:
        codes = list(map(library.code, repeat(page), range(count)))
    blanks = [index for index, code in enumerate(codes) if code in BLANKS]
    if repair:
        needed: Sequence[int] = range(count)
    else:  # the first and the last letter of each word are enough
        edges = {0, count - 1, *(index + 1 for index in blanks), *(index - 1 for index in blanks)}
        needed = [index for index in edges if 0 <= index < count]
    places = dict(zip(needed, _boxes(page, needed), strict=True))
    return _Words(codes, blanks, places, partial(library.made_up, page), repair).read()


def _boxes(page: int, indexes: Sequence[int]) -> Iterator[Box]:
    size = 16 * len(indexes)
    space = ctypes.create_string_buffer(size)
    first = ctypes.addressof(space)
    for _ in map(_functions().box, repeat(page), indexes, range(first, first + size, 16)):
        pass
    yield from struct.iter_unpack("<4f", space)


class _Functions(NamedTuple):
    box: Callable[[int, int, int], int]
    code: Callable[[int, int], int]
    made_up: Callable[[int, int], int]


@cache
def _functions() -> _Functions:
    """PDFium's functions as plain as ctypes can call them: addresses instead of typed pointers, three times as fast."""
    from pypdfium2 import raw

    return _Functions(
        plain(raw.FPDFText_GetLooseCharBox, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p),
        plain(raw.FPDFText_GetUnicode, ctypes.c_void_p, ctypes.c_int),
        plain(raw.FPDFText_IsGenerated, ctypes.c_void_p, ctypes.c_int),
    )


def plain(function: Any, *arguments: Any, result: Any = ctypes.c_int) -> Any:
    """A function of PDFium that takes and returns bare numbers."""
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return ctypes.CFUNCTYPE(result, *arguments)(address)


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


class _Words:
    """Cuts the characters of a page into words; the work is done at blanks and gaps, not at every letter."""

    def __init__(
        self,
        codes: Sequence[int],
        blanks: Sequence[int],
        boxes: Mapping[int, Box],
        made_up: Callable[[int], int],
        repair: bool,
    ) -> None:
        self._codes = codes
        self._blanks = blanks
        self._text = "".join(map(chr, codes))
        self._cut_words = any(mark in self._text for mark in HYPHEN_MARKS)
        self._halves = _HALF.search(self._text) is not None
        self._boxes = boxes
        self._made_up = made_up
        self._repair = repair
        self._words: list[Word] = []
        self._runs: list[tuple[int, int]] = []  # of the word in the making

    def read(self) -> Words:
        codes, start, line, repaired = self._codes, 0, 0, 0
        for index, is_blank in self._cuts():
            end = index if is_blank else index + 1
            if start < end:
                self._runs.append((start, end))
            start = index + 1
            if is_blank and self._repair and self._is_inside_word(index):
                repaired += 1
                continue
            self._end_word(line)
            repaired += not is_blank
            line += is_blank and codes[index] == 10  # a line ends with \r\n: only the second counts
        if start < len(codes):
            self._runs.append((start, len(codes)))
        self._end_word(line)
        return Words(self._words, repaired)

    def _cuts(self) -> list[tuple[int, bool]]:
        """Blanks, and letters (False) that stand apart from the next one."""
        blanks = [(index, True) for index in self._blanks]
        if not self._repair:
            return blanks
        gaps = [
            index
            for index, (one, other) in enumerate(pairwise(self._boxes.values()))
            if other[0] - one[2] > NARROWEST_BLANK * (one[1] - one[3])
        ]
        return sorted([*blanks, *((index, False) for index in gaps if self._stands_apart(index))])

    def _stands_apart(self, index: int) -> bool:
        code, following = self._codes[index], self._codes[index + 1]
        if code in BLANKS or following in BLANKS or code in HYPHENATED or max(code, following) >= IDEOGRAPHS:
            return False
        one, other = self._boxes[index], self._boxes[index + 1]
        height = min(one[1] - one[3], other[1] - other[3])
        beside = min(one[1], other[1]) - max(one[3], other[3]) > OVERLAP * height
        return beside and other[0] - one[2] > NARROWEST_BLANK * height > 0

    def _is_inside_word(self, index: int) -> bool:
        """Whether a blank is PDFium's guess, and the letters on both sides touch."""
        if self._codes[index] in (10, 13) or not 0 < index < len(self._codes) - 1:
            return False
        before, after = self._codes[index - 1], self._codes[index + 1]
        if before in BLANKS or after in BLANKS or max(before, after) >= IDEOGRAPHS or not self._made_up(index):
            return False
        one, other = self._boxes[index - 1], self._boxes[index + 1]
        height = max(one[1] - one[3], other[1] - other[3])
        same_type = (
            abs(one[3] - other[3]) < ANOTHER_SIZE * height and abs(one[1] - other[1]) < 2 * ANOTHER_SIZE * height
        )
        return same_type and -OVERLAP * height < other[0] - one[2] <= NARROWEST_BLANK * height

    def _end_word(self, line: int) -> None:
        if not self._runs:
            return
        runs, self._runs = self._runs, []
        first, last = runs[0][0], runs[-1][1] - 1
        text = self._text[first : last + 1] if len(runs) == 1 else "".join([self._text[a:b] for a, b in runs])
        if self._cut_words:
            # A word that goes on in the next line has the place of its first part.
            cut = next((text.index(mark, 1) for mark in HYPHEN_MARKS if mark in text[1:]), 0)
            last = first + cut - 1 if cut else last
        if self._halves:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
        left, top, right, bottom = self._boxes[first]
        other = self._boxes.get(last)
        if other is not None:
            left, top = min(left, other[0]), max(top, other[1])
            right, bottom = max(right, other[2]), min(bottom, other[3])
        self._words.append(Word(text, left, top, right, bottom, line))


def extent(words: Sequence[Word]) -> Box:
    """The box around words."""
    return (
        min(word.left for word in words),
        max(word.top for word in words),
        max(word.right for word in words),
        min(word.bottom for word in words),
    )
