"""The words of a PDF page with their places, from PDFium's characters one by one.

This takes two to five times as long as asking PDFium for the text, so it is done only on pages that need it: where
PDFium joins or splits words, and where a table may stand.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pypdfium2 import PdfTextPage

MOST_CHARACTERS = 200_000  # on one page; beyond, nobody has laid out a table
HYPHENATED = (0x02, 0xFFFE)  # what PDFium puts in place of a hyphen at the end of a line, which it then joins
IDEOGRAPHS = 0x2E80  # scripts from here on write no blanks between words
BLANKS = (9, 10, 13, 32, 160)
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


def read_words(content: PdfTextPage, *, repair: bool = True) -> Words:
    """Every word of a page; with `repair` blanks are where the letters stand apart, not where PDFium guesses them."""
    count = min(content.count_chars(), MOST_CHARACTERS)
    if count <= 0:
        return Words([], 0)
    library, page = _functions(), _address(content.raw)
    boxes = ctypes.create_string_buffer(16 * count)
    first = ctypes.addressof(boxes)
    for _ in map(library.box, repeat(page), range(count), range(first, first + 16 * count, 16)):
        pass
    codes = list(map(library.code, repeat(page), range(count)))
    builder = _Builder(repair)
    for index, (code, box) in enumerate(zip(codes, struct.iter_unpack("<4f", boxes), strict=True)):
        if code in BLANKS:
            builder.blank(code, made_up=bool(library.made_up(page, index)))
        elif code:
            builder.letter(code, box)
    return builder.finished()


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


class _Builder:
    """Puts letters together to words, one after the other."""

    def __init__(self, repair: bool) -> None:
        self._repair = repair
        self._words: list[Word] = []
        self._repaired = 0
        self._letters: list[str] = []
        self._box: Box = (0, 0, 0, 0)
        self._last: Box | None = None
        self._last_code = 0
        self._line = 0
        self._waiting = 0  # a blank or line end that PDFium made up: it counts if the letters agree

    def blank(self, code: int, *, made_up: bool) -> None:
        if made_up and self._repair and self._letters:
            self._waiting = max(self._waiting, 1 if code in (9, 32, 160) else 2)
            return
        self._end_word()
        if code in (10, 13):
            self._end_line(code)

    def letter(self, code: int, box: Box) -> None:
        if self._waiting:
            if self._waiting == 1 and self._touches(box) and max(code, self._last_code) < IDEOGRAPHS:
                self._repaired += 1
            else:
                self._end_word()
                self._line += self._waiting == 2
            self._waiting = 0
        elif self._repair and self._letters and self._stands_apart(box) and max(code, self._last_code) < IDEOGRAPHS:
            self._end_word()
            self._repaired += 1
        if not self._letters:
            self._box = box
        elif not self._is_hyphenated():
            left, top, right, bottom = self._box
            self._box = (min(left, box[0]), max(top, box[1]), max(right, box[2]), min(bottom, box[3]))
        self._letters.append(chr(code))
        self._last, self._last_code = box, code

    def finished(self) -> Words:
        self._end_word()
        return Words(self._words, self._repaired)

    def _is_hyphenated(self) -> bool:
        """Whether the word has gone on to the next line: its place is that of its first part."""
        return self._last_code in HYPHENATED or chr(HYPHENATED[1]) in self._letters

    def _touches(self, box: Box) -> bool:
        last = self._last
        if last is None:
            return False
        height = max(last[1] - last[3], box[1] - box[3])
        same_type = abs(last[3] - box[3]) < ANOTHER_SIZE * height and abs(last[1] - box[1]) < 2 * ANOTHER_SIZE * height
        return same_type and -OVERLAP * height < box[0] - last[2] <= NARROWEST_BLANK * height

    def _stands_apart(self, box: Box) -> bool:
        last = self._last
        if last is None or self._last_code in HYPHENATED:
            return False
        height = min(last[1] - last[3], box[1] - box[3])
        beside = min(last[1], box[1]) - max(last[3], box[3]) > OVERLAP * height
        return beside and box[0] - last[2] > NARROWEST_BLANK * height > 0

    def _end_word(self) -> None:
        if self._letters:
            self._words.append(Word("".join(self._letters), *self._box, self._line))
            self._letters = []

    def _end_line(self, code: int) -> None:
        self._waiting = 0
        # A line ends with \r\n: only the second counts.
        if code == 10:
            self._line += 1


def vertical_overlap(one: Word, other: Word) -> float:
    return min(one.top, other.top) - max(one.bottom, other.bottom)


def extent(words: Sequence[Word]) -> Box:
    """The box around words."""
    return (
        min(word.left for word in words),
        max(word.top for word in words),
        max(word.right for word in words),
        min(word.bottom for word in words),
    )
