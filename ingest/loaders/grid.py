"""A sheet as blocks: its filled cells become tables with headers, titles above them, and single remarks.

Tables are told apart by empty rows. A stretch that has no header of its own and stands in the columns of the table
above it goes on with that table.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from core.errors import BadUpload
from ingest.loaders.draft import Block

MOST_CELLS = 2_000_000
LONGEST_REPEATED = 200  # characters of a merged cell that every row of it repeats
MOST_REPEATED = 1_000_000
# Below this share of filled cells a large stretch is a scatter, which is told cell by cell.
SCATTERED = 0.02
SMALL = 10_000
YEARS = range(1900, 2101)


class Cell(NamedTuple):
    """What people see in a cell; `names` says whether it can be the name of a column: a text, a date or a year."""

    text: str
    names: bool = True


Row = dict[int, Cell]


@dataclass(slots=True)
class _Stretch:
    """Rows without an empty one between them; `headers` of the first name the columns."""

    rows: list[tuple[int, Row]]
    headers: int = 0
    columns: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.columns = {column for _, row in self.rows for column in row}


class Grid:
    """The filled cells of one sheet, by row and column (from 1); `merged` has (top, left, bottom, right) of cells."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[int, Row] = {}
        self.merged: list[tuple[int, int, int, int]] = []
        self._cells = 0

    def put(self, row: int, column: int, cell: Cell) -> None:
        """Add a cell that is not empty. Raises BadUpload when there are too many."""
        self._cells += 1
        if self._cells > MOST_CELLS:
            raise BadUpload(f"{self.name} has a sheet of more than {MOST_CELLS:,} cells. Split it into smaller files.")
        self.rows.setdefault(row, {})[column] = cell

    def blocks(self) -> Iterator[Block]:
        filled = sorted(self.rows)
        across = self._spread(filled)
        last: _Stretch | None = None
        for stretch in _stretches(self.rows, filled):
            titles = _titles(stretch)
            body = _Stretch(stretch.rows[titles:]) if titles else stretch
            body.headers = _headers(body, across) if body.rows else 0
            alone = all(len(row) < 2 for _, row in body.rows)
            goes_on = last is not None and not (titles or body.headers or alone) and body.columns <= last.columns
            if goes_on and last is not None:
                last.rows += body.rows
                continue
            if last is not None:
                yield from _blocks(last, across)
            yield from (Block(cell.text) for _, row in stretch.rows[:titles] for cell in row.values())
            last = body if body.rows else None
        if last is not None:
            yield from _blocks(last, across)

    def _spread(self, filled: Sequence[int]) -> Mapping[int, Row]:
        """Write merged cells into every row that they span; returned is what would stand beside them in each row."""
        across: dict[int, Row] = {}
        left = MOST_REPEATED
        for top, first, bottom, last in self.merged:
            cell = self.rows.get(top, {}).get(first)
            if cell is None or len(cell.text) > LONGEST_REPEATED:
                continue
            for at in range(bisect_left(filled, top), bisect_right(filled, bottom)):
                left -= 1 + min(last - first, 1000)
                if left < 0:
                    return across
                self.rows[filled[at]].setdefault(first, cell)
                for column in range(first + 1, min(last, first + 1000) + 1):
                    across.setdefault(filled[at], {})[column] = cell
        return across


def _stretches(rows: Mapping[int, Row], filled: Iterable[int]) -> Iterator[_Stretch]:
    together: list[tuple[int, Row]] = []
    for number in filled:
        if together and number > together[-1][0] + 1:
            yield _Stretch(together)
            together = []
        together.append((number, rows[number]))
    if together:
        yield _Stretch(together)


def _titles(stretch: _Stretch) -> int:
    """How many rows at the top hold a single cell above a table of several columns."""
    if len(stretch.columns) < 2:
        return 0
    return next((n for n, (_, row) in enumerate(stretch.rows) if len(row) > 1), len(stretch.rows))


def _headers(stretch: _Stretch, across: Mapping[int, Row]) -> int:
    """How many of the first rows name columns: 0, 1, or 2 where a name spans several columns with own names."""
    if len(stretch.rows) < 2 or len(stretch.columns) < 2:
        return 0
    (number, first), (_, second) = stretch.rows[:2]
    if not _may_name(first) or _alike(first, second):
        return 0
    below = across.get(number, {}).keys() & second.keys()
    return 2 if below and len(stretch.rows) > 2 and _may_name(second) and not _alike(second, stretch.rows[2][1]) else 1


def _may_name(row: Row) -> bool:
    return len(row) > 1 and all(cell.names for cell in row.values())


def _alike(row: Row, below: Row) -> bool:
    """Whether two rows hold the same kinds of values, and not only words: then the upper one names nothing."""
    kinds = [{column: _kind(cell) for column, cell in one.items()} for one in (row, below)]
    return kinds[0] == kinds[1] and set(kinds[0].values()) != {"word"}


def _kind(cell: Cell) -> str:
    digits, letters = sum(map(str.isdigit, cell.text)), sum(map(str.isalpha, cell.text))
    return "word" if not digits or letters > digits else "name" if cell.names else "value"


def _blocks(stretch: _Stretch, across: Mapping[int, Row]) -> Iterator[Block]:
    columns = sorted(stretch.columns)
    area, filled = len(columns) * len(stretch.rows), sum(len(row) for _, row in stretch.rows)
    if area > SMALL and filled < area * SCATTERED:
        for number, row in stretch.rows:
            for column in sorted(row):
                yield Block(f"{column_name(column)}{number}: {row[column].text}", tight=True)
        return
    rows = []
    for n, (number, row) in enumerate(stretch.rows):
        beside = across.get(number, {}) if n < stretch.headers else {}
        rows.append([(row.get(column) or beside.get(column) or Cell("")).text for column in columns])
    yield Block(rows=rows, headers=stretch.headers)


def column_name(column: int) -> str:
    """The name of a column: 1 is A, 27 is AA."""
    name = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
