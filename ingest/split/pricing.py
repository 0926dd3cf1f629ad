"""What it costs to end a chunk behind a piece of the text, and what to go on: the taste of the splitter.

Measured on SQuAD articles: chunks that keep to paragraphs are found better than fewer, fuller ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, pairwise

from ingest.split.grouping import NEVER, SMALL, Atoms
from ingest.split.sizes import Sizes
from ingest.split.structure import Edge, Part
from ingest.split.tables import Headers


class Place(Enum):
    """What kind of place it is behind an atom; the value is the cost of ending a chunk there."""

    edge = 0.0
    paragraph = 0.05
    row = 0.051
    record = 0.053  # a row that is too large for a chunk
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
# Of going on where one large part, paragraph or definition ends and another begins.
# A chunk has one page, which is where its words are cited from.
ACROSS_PARTS = {Edge.page: 3.0, Edge.section: 1.2, Edge.block: 0.6}
ACROSS = {Place.paragraph: 0.6, Place.symbol: 0.6, Place.record: 1.2}


@dataclass(slots=True)
class Piece:
    """An atom in the making; `place` says what is behind it."""

    start: int
    end: int
    place: Place
    part: Part
    tokens: int = 0
    gap: bool = False  # no chunk may go on behind it


class Pricing:
    """Makes atoms of pieces."""

    def __init__(self, text: str, headings: frozenset[int], headers: Headers, sizes: Sizes) -> None:
        self._text = text
        self._headings = headings
        self._headers = headers
        self._room = sizes.room
        self._sizes = sizes
        self._small = max(1.0, sizes.room * SMALL)

    def room(self, part: Part) -> int:
        """Tokens of a chunk that begins inside a part."""
        return self._sizes.room_beside(self._headers.reserve(part.table)) if part.table else self._room

    def atoms(self, pieces: Sequence[Piece]) -> Atoms:
        """The pieces with the costs of cutting and of going on behind each."""
        atoms, crossings = Atoms(), self._crossings(pieces)
        for piece, crossing in zip(pieces, crossings, strict=True):
            cut = piece.place.value
            if piece.place is Place.edge and self._lone(piece.part):
                cut, crossing = LONE_HEADING, min(crossing, NEVER if piece.gap else 0.0)
            if piece.place is Place.row and piece.part.table and piece.end <= self._headers.body(piece.part.table):
                cut += HEADER
            whole = piece.part.table is not None and piece.start == piece.part.table.start
            room = self._room if whole else self.room(piece.part)
            atoms.add(piece.start, piece.end, piece.tokens, cut=cut, crossing=crossing, room=room)
        return atoms

    def _crossings(self, pieces: Sequence[Piece]) -> list[float]:
        """What going on behind each piece costs: less where what ends or begins there is small."""
        crossings = [NEVER if piece.gap else 0.0 for piece in pieces]
        ends = [n for n, piece in enumerate(pieces) if piece.place is Place.edge or piece.place in ACROSS]
        tokens = [0, *accumulate(piece.tokens for piece in pieces)]
        paragraphs = [tokens[end] - tokens[start] for start, end in pairwise([0, *(n + 1 for n in ends), len(pieces)])]
        weights = self._weights(pieces)
        for place, end in enumerate(ends):
            if end + 1 == len(pieces) or pieces[end].gap:
                continue
            if pieces[end].place is Place.edge:
                after = pieces[end + 1].part
                crossings[end] = ACROSS_PARTS[after.edge] * min(weights[pieces[end].part.start], weights[after.start])
            else:
                smaller = min(paragraphs[place], paragraphs[place + 1])
                crossings[end] = ACROSS[pieces[end].place] * min(1.0, smaller / self._small)
        return crossings

    def _weights(self, pieces: Sequence[Piece]) -> dict[int, float]:
        """How much each part counts as a part of its own, by its start: 1 from the size of a small chunk on."""
        totals: dict[int, int] = {}
        for piece in pieces:
            totals[piece.part.start] = totals.get(piece.part.start, 0) + piece.tokens
        known = {piece.part.start: piece.part for piece in pieces}
        weights: dict[int, float] = {}
        below = 0
        for start in reversed(totals):
            below = totals[start] + (below if self._lone(known[start]) else 0)
            weights[start] = min(1.0, below / self._small)
        return weights

    def _lone(self, part: Part) -> bool:
        """Whether a part is nothing but a heading, which belongs to what follows."""
        if part.start not in self._headings:
            return False
        line_end = self._text.find("\n", part.start, part.end)
        return line_end < 0 or self._text[line_end : part.end].isspace()
