"""A text as atoms: sentences, lines, rows of tables and lines of code, finer only where one of them is too large."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from ingest.split.grouping import Atoms
from ingest.split.pricing import Piece, Place, Pricing
from ingest.split.sizes import LETTERS_PER_TOKEN, Sizer, Sizes
from ingest.split.structure import Kind, Part
from ingest.split.tables import Headers

STRETCH = 200_000  # characters that are grouped at a time: memory does not grow with the document
TINY = 1 / 20  # of the room: smaller neighbours make one atom
FINE = 1 / 8  # of the room: what an atom that had to be cut becomes
LONGEST_GAP = 200  # blanks: no chunk spans more
MANY = 50_000  # pieces make a stretch as well, however short

_SENTENCE = r"[.!?…]['\"”’)\]»]{0,3}\s+(?=[^\sa-z])|[。！？]['\"”’」』）]{0,3}"
_PROSE = re.compile(rf"(?P<paragraph>\n(?:[ \t]*\n)+)|(?P<sentence>{_SENTENCE})|(?P<line>\n)")
_LINES = re.compile(r"\n(?:[ \t]*\n)*")
_CELL, _CLAUSE = (re.compile(r" \| |\t"), Place.cell), (re.compile(r"[;:,、，；：]\s*"), Place.clause)
_STOP, _WORD = (re.compile(_SENTENCE), Place.sentence), (re.compile(r"\s+"), Place.word)
_ANYWHERE = [(re.compile(pattern), Place.anywhere) for pattern in (r"[\s\S]{64}", r"[\s\S]{8}", r"[\s\S]")]
FINER = {
    Kind.prose: [_CLAUSE, _WORD, *_ANYWHERE],
    Kind.table: [_CELL, _STOP, _CLAUSE, _WORD, *_ANYWHERE],
    Kind.code: [_CLAUSE, _WORD, *_ANYWHERE],
}


class AtomCutter:
    """Makes the atoms of a text."""

    def __init__(self, text: str, headings: Iterable[int], headers: Headers, sizes: Sizes, sizer: Sizer) -> None:
        self._text = text
        self._pricing = Pricing(text, frozenset(headings), headers, sizes)
        self._tiny = sizes.room * TINY
        self._sizer = sizer

    def atoms(self, parts: Iterable[Part]) -> Iterator[Atoms]:
        """The atoms, as many stretches as it takes; a chunk never goes from one into the next."""
        for pieces in _stretches(self._pieces(parts)):
            yield self._pricing.atoms(self._joined(self._sized(pieces)))

    def _pieces(self, parts: Iterable[Part]) -> Iterator[Piece]:
        for part in parts:
            start = part.start
            for end, place in _PLACES[part.kind](self._text, part.start, part.end):
                if start < end < part.end:
                    yield Piece(start, end, place, part)
                    start = end
            if start < part.end:
                yield Piece(start, part.end, Place.edge, part)

    def _sized(self, pieces: Sequence[Piece]) -> Iterator[Piece]:
        self._measure(pieces)
        for piece in pieces:
            room = self._pricing.room(piece.part)
            if piece.tokens <= room:
                yield piece
            else:
                yield from self._finer(piece, room, 0)

    def _measure(self, pieces: Sequence[Piece]) -> None:
        texts = [self._text[piece.start : piece.end].rstrip() for piece in pieces]
        for piece, text, tokens in zip(pieces, texts, self._sizer.many(texts), strict=True):
            length = piece.end - piece.start
            piece.gap = length - len(text) > LONGEST_GAP
            piece.tokens = tokens if piece.gap else max(tokens, -(-length // LETTERS_PER_TOKEN))

    def _finer(self, piece: Piece, room: int, step: int) -> Iterator[Piece]:
        """A piece that is too large, cut at the best kind of place that makes it small enough."""
        finer = FINER[piece.part.kind]
        while True:
            pattern, place = finer[step]
            ends = [found.end() for found in pattern.finditer(self._text, piece.start, piece.end)]
            step += 1
            if step == len(finer) or [end for end in ends if end < piece.end]:
                break
        edges = [piece.start, *(end for end in ends if end < piece.end), piece.end]
        cut = [Piece(start, end, place, piece.part) for start, end in pairwise(edges)]
        cut[-1].place = Place.record if piece.place is Place.row else piece.place
        self._measure(cut)
        for each in _together(cut, max(1, int(room * FINE))):
            if each.tokens <= room or step == len(finer):
                yield each
            else:
                yield from self._finer(each, room, step)

    def _joined(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Tiny pieces go with what follows them in the same part."""
        joined: list[Piece] = []
        for piece in pieces:
            last = joined[-1] if joined else None
            if (
                last is not None and last.tokens < self._tiny and not last.gap and last.part is piece.part
                and last.tokens + piece.tokens <= self._pricing.room(piece.part)
            ):  # fmt: skip
                last.end, last.place, last.gap = piece.end, piece.place, piece.gap
                last.tokens += piece.tokens
            else:
                joined.append(piece)
        return joined


def _stretches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    stretch: list[Piece] = []
    for piece in pieces:
        stretch.append(piece)
        length = piece.end - stretch[0].start
        enough, full = (length >= STRETCH or len(stretch) >= MANY), (length >= 2 * STRETCH or len(stretch) >= 2 * MANY)
        if full or (enough and piece.place is not Place.edge):
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _together(pieces: Sequence[Piece], most: int) -> Iterator[Piece]:
    """Neighbours put together up to a number of tokens."""
    last = pieces[0]
    for piece in pieces[1:]:
        if last.tokens + piece.tokens <= most and not last.gap:
            last.end, last.place, last.gap = piece.end, piece.place, piece.gap
            last.tokens += piece.tokens
        else:
            yield last
            last = piece
    yield last


def _prose(text: str, start: int, end: int) -> Iterator[tuple[int, Place]]:
    for found in _PROSE.finditer(text, start, end):
        if found.lastgroup == "sentence":
            yield found.end(), Place.paragraph if found[0].count("\n") > 1 else Place.sentence
        elif text[found.start() - 1 : found.start()] in (":", "："):
            yield found.end(), Place.announced
        else:
            yield found.end(), Place.paragraph if found.lastgroup == "paragraph" else Place.line


def _rows(text: str, start: int, end: int) -> Iterator[tuple[int, Place]]:
    return ((found.end(), Place.row) for found in _LINES.finditer(text, start, end))


def _code(text: str, start: int, end: int) -> Iterator[tuple[int, Place]]:
    for found in _LINES.finditer(text, start, end):
        indented = text[found.end() : found.end() + 1] in (" ", "\t", "}", ")", "]", "")
        empty = found.end() - found.start() > 1
        yield found.end(), (Place.empty_line if indented else Place.symbol) if empty else Place.line


_PLACES = {Kind.prose: _prose, Kind.table: _rows, Kind.code: _code}
