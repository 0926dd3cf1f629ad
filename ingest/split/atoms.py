"""A text as atoms: sentences, lines, rows of tables and lines of code, finer only where one of them is too large."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from ingest.split.grouping import NEVER, SMALL, Atoms
from ingest.split.sizes import LETTERS_PER_TOKEN, Sizer, Sizes
from ingest.split.structure import Edge, Kind, Part
from ingest.split.tables import Headers

STRETCH = 200_000  # characters that are grouped at a time: memory does not grow with the document
TINY = 1 / 20  # of the room: smaller neighbours make one atom
FINE = 1 / 8  # of the room: what an atom that had to be cut becomes
LONGEST_GAP = 200  # blanks: no chunk spans more
MANY = 50_000  # pieces make a stretch as well, however short


class Place(Enum):
    """What kind of place it is behind an atom; the value is the cost of ending a chunk there."""

    edge = 0.0
    paragraph = 0.05
    row = 0.051
    symbol = 0.052  # of source code: behind it something begins at the left margin after an empty line
    sentence = 0.25
    empty_line = 0.251  # of source code
    line = 0.5
    announced = 0.55  # a line or paragraph that ends with a colon
    cell = 0.8
    clause = 0.801
    word = 1.5
    anywhere = 3.0


LONE_HEADING = 2.5  # the cost of a cut between a heading and its text
HEADER = 2.0  # of a cut between the header of a table and its first row
ACROSS = {Edge.section: 1.2, Edge.block: 0.6}  # of going on where one large part ends and another begins

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


@dataclass(slots=True)
class _Piece:
    """An atom in the making; `place` says what is behind it."""

    start: int
    end: int
    place: Place
    part: Part
    tokens: int = 0
    gap: bool = False  # no chunk may go on behind it


class AtomCutter:
    """Makes the atoms of a text."""

    def __init__(self, text: str, headings: Iterable[int], headers: Headers, sizes: Sizes, sizer: Sizer) -> None:
        self._text = text
        self._headings = frozenset(headings)
        self._headers = headers
        self._sizes = sizes
        self._sizer = sizer
        self._room = sizes.room

    def atoms(self, parts: Iterable[Part]) -> Iterator[Atoms]:
        """The atoms, as many stretches as it takes; a chunk never goes from one into the next."""
        for pieces in _stretches(self._pieces(parts)):
            yield self._priced(self._joined(self._sized(pieces)))

    def room(self, part: Part) -> int:
        """Tokens of a chunk that begins inside a part."""
        return self._sizes.room_beside(self._headers.reserve(part.table)) if part.table else self._room

    def _pieces(self, parts: Iterable[Part]) -> Iterator[_Piece]:
        for part in parts:
            start = part.start
            for end, place in _PLACES[part.kind](self._text, part.start, part.end):
                if start < end < part.end:
                    yield _Piece(start, end, place, part)
                    start = end
            if start < part.end:
                yield _Piece(start, part.end, Place.edge, part)

    def _sized(self, pieces: Sequence[_Piece]) -> Iterator[_Piece]:
        self._measure(pieces)
        for piece in pieces:
            room = self.room(piece.part)
            if piece.tokens <= room:
                yield piece
            else:
                yield from self._finer(piece, room, 0)

    def _measure(self, pieces: Sequence[_Piece]) -> None:
        texts = [self._text[piece.start : piece.end].rstrip() for piece in pieces]
        for piece, text, tokens in zip(pieces, texts, self._sizer.many(texts), strict=True):
            length = piece.end - piece.start
            piece.gap = length - len(text) > LONGEST_GAP
            piece.tokens = tokens if piece.gap else max(tokens, -(-length // LETTERS_PER_TOKEN))

    def _finer(self, piece: _Piece, room: int, step: int) -> Iterator[_Piece]:
        """A piece that is too large, cut at the best kind of place that makes it small enough."""
        finer = FINER[piece.part.kind]
        while True:
            pattern, place = finer[step]
            ends = [found.end() for found in pattern.finditer(self._text, piece.start, piece.end)]
            step += 1
            if step == len(finer) or [end for end in ends if end < piece.end]:
                break
        edges = [piece.start, *(end for end in ends if end < piece.end), piece.end]
        cut = [_Piece(start, end, place, piece.part) for start, end in pairwise(edges)]
        cut[-1].place = piece.place
        self._measure(cut)
        for each in _together(cut, max(1, int(room * FINE))):
            if each.tokens <= room or step == len(finer):
                yield each
            else:
                yield from self._finer(each, room, step)

    def _joined(self, pieces: Iterable[_Piece]) -> list[_Piece]:
        """Tiny pieces go with what follows them in the same part."""
        joined: list[_Piece] = []
        tiny = self._room * TINY
        for piece in pieces:
            last = joined[-1] if joined else None
            if (
                last is not None and last.tokens < tiny and not last.gap and last.part is piece.part
                and last.tokens + piece.tokens <= self.room(piece.part)
            ):  # fmt: skip
                last.end, last.place, last.gap = piece.end, piece.place, piece.gap
                last.tokens += piece.tokens
            else:
                joined.append(piece)
        return joined

    def _priced(self, pieces: Sequence[_Piece]) -> Atoms:
        """The pieces with the costs of cutting and of going on behind each."""
        atoms, weights = Atoms(), self._weights(pieces)
        for number, piece in enumerate(pieces):
            cut, crossing = piece.place.value, NEVER if piece.gap else 0.0
            if piece.place is Place.edge and number + 1 < len(pieces) and not piece.gap:
                if self._lone(piece.part):
                    cut = LONE_HEADING
                else:
                    after = pieces[number + 1].part
                    crossing = ACROSS[after.edge] * min(weights[piece.part.start], weights[after.start], 1)
            if piece.part.table and piece.end <= self._headers.body(piece.part.table):
                cut += HEADER
            whole = piece.part.table is not None and piece.start == piece.part.table.start
            room = self._room if whole else self.room(piece.part)
            atoms.add(piece.start, piece.end, piece.tokens, cut=cut, crossing=crossing, room=room)
        return atoms

    def _weights(self, pieces: Sequence[_Piece]) -> dict[int, float]:
        """How much each part counts as a part of its own, by its start: 1 from the size of a small chunk on."""
        totals: dict[int, int] = {}
        for piece in pieces:
            totals[piece.part.start] = totals.get(piece.part.start, 0) + piece.tokens
        known = {piece.part.start: piece.part for piece in pieces}
        small = max(1.0, self._room * SMALL)
        weights: dict[int, float] = {}
        below = 0
        for start in reversed(totals):
            below = totals[start] + (below if self._lone(known[start]) else 0)
            weights[start] = below / small
        return weights

    def _lone(self, part: Part) -> bool:
        """Whether a part is nothing but a heading, which belongs to what follows."""
        if part.start not in self._headings:
            return False
        line_end = self._text.find("\n", part.start, part.end)
        return line_end < 0 or self._text[line_end : part.end].isspace()


def _stretches(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    stretch: list[_Piece] = []
    for piece in pieces:
        stretch.append(piece)
        length = piece.end - stretch[0].start
        enough, full = (length >= STRETCH or len(stretch) >= MANY), (length >= 2 * STRETCH or len(stretch) >= 2 * MANY)
        if full or (enough and piece.place is not Place.edge):
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _together(pieces: Sequence[_Piece], most: int) -> Iterator[_Piece]:
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
