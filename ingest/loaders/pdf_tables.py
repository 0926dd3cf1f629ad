"""Tables on a PDF page: by their ruling lines, else by numbers that stand in columns.

A table takes words out of the page's lines and gives each back once, cell by cell and row by row: no word is lost or
said twice, whatever is taken for a table.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.loaders.pdf_glyphs import Box, Word, extent

MOST_RULES = 4_000
THICKEST_RULE = 3.0  # points
SHORTEST_RULE = 8.0
SAME_LINE = 3.0  # two rules this near are one
MOST_CROSSING = 0.03  # of the words in a grid
CELL_GAP = 0.9  # of the height of a line: what is farther apart stands in two columns
LEAST_ROWS = 3
LEAST_FIGURES = 0.4  # of the cells beside the first column: with fewer numbers it may be prose in columns
LONGEST_CELL = 12  # words, on average: prose in a grid is layout
MOST_HEADER_ROWS = 4
_FIGURE = re.compile(r"^[($€£¥]{0,3}[-–—+]?\d[\d.,:/%)x×]*$|^[-–—]+$|^N/?[AM]$")
_YEAR = re.compile(r"^(19|20)\d\d[,:]?$")
_OPENING, _CLOSING = {"$", "€", "£", "¥", "(", "$(", "US$"}, {")", "%", ")%", "pts", "bps", "x"}
_LEADER = re.compile(r"\.{4,}|(?:\. ){3,}|…{2,}")


@dataclass(frozen=True, slots=True)
class FoundTable:
    """Rows of cells, how many of them are the header, and which words (by index) went into them."""

    rows: list[list[str]]
    header_rows: int
    words: frozenset[int]

    @property
    def first(self) -> int:
        return min(self.words)


def find_tables(words: Sequence[Word], rules: Sequence[Box]) -> list[FoundTable]:
    """The tables of a page, from its words and the boxes of thin shapes on it."""
    found = list(_ruled(words, rules))
    used = frozenset[int]().union(*(table.words for table in found))
    free = [index for index in range(len(words)) if index not in used]
    return found + list(_aligned(words, free))


# --- by ruling lines


@dataclass(frozen=True, slots=True)
class _Grid:
    rows: list[float]  # from the top down
    columns: list[float]  # from left to right


def _ruled(words: Sequence[Word], rules: Sequence[Box]) -> Iterable[FoundTable]:
    for grid in _grids(rules):
        cells: dict[tuple[int, int], list[int]] = {}
        falling = [-y for y in grid.rows]
        for index, word in enumerate(words):
            row = bisect_right(falling, -word.middle) - 1
            column = bisect_right(grid.columns, (word.left + word.right) / 2) - 1
            if 0 <= row < len(grid.rows) - 1 and 0 <= column < len(grid.columns) - 1:
                cells.setdefault((row, column), []).append(index)
        rows = sorted({row for row, _ in cells})
        columns = sorted({column for _, column in cells})
        long = sum(map(len, cells.values())) > LONGEST_CELL * len(cells)
        if len(rows) < 2 or len(columns) < 2 or len(cells) < len(rows) + 1 or long or _crossed(words, cells, grid):
            continue
        texts = [[" ".join(words[i].text for i in cells.get((row, c), ())) for c in columns] for row in rows]
        yield FoundTable(texts, 1, frozenset(index for cell in cells.values() for index in cell))


def _crossed(words: Sequence[Word], cells: Mapping[tuple[int, int], Sequence[int]], grid: _Grid) -> bool:
    """Whether words run across the lines between columns: then those lines are decoration."""
    inner = grid.columns[1:-1]
    inside = [words[index] for cell in cells.values() for index in cell]
    crossing = sum(any(word.left + 1 < x < word.right - 1 for x in inner) for word in inside)
    return crossing > MOST_CROSSING * len(inside)


def _grids(rules: Sequence[Box]) -> Iterable[_Grid]:
    """Grids of lines that cross: at least three of each direction, or the fields are no table."""
    flat, upright = _lines(rules)
    for group in _connected(flat, upright):
        across, down = [line for line in flat if line in group], [line for line in upright if line in group]
        # A table without an outer frame begins and ends where its lines do.
        rows = _merged([(top + bottom) / 2 for _, top, _, bottom in across] + _ends(down, 1, 3))
        columns = _merged([(left + right) / 2 for left, _, right, _ in down] + _ends(across, 0, 2))
        if across and down and len(rows) > 2 and len(columns) > 2:
            yield _Grid(rows[::-1], columns)


def _ends(lines: Sequence[Box], one: int, other: int) -> list[float]:
    return [edge for line in lines for edge in (line[one], line[other])]


def _lines(rules: Sequence[Box]) -> tuple[list[Box], list[Box]]:
    flat: list[Box] = []
    upright: list[Box] = []
    for left, top, right, bottom in rules:
        width, height = right - left, top - bottom
        if height <= THICKEST_RULE and width >= SHORTEST_RULE:
            flat.append((left, top, right, bottom))
        elif width <= THICKEST_RULE and height >= SHORTEST_RULE:
            upright.append((left, top, right, bottom))
        elif width > SHORTEST_RULE and height > SHORTEST_RULE:  # the frame of a cell
            flat += [(left, top, right, top), (left, bottom, right, bottom)]
            upright += [(left, top, left, bottom), (right, top, right, bottom)]
    return flat, upright


def has_grid(rules: Sequence[Box]) -> bool:
    """Whether lines cross to fields."""
    return next(iter(_grids(rules)), None) is not None


def _connected(flat: Sequence[Box], upright: Sequence[Box]) -> Iterable[set[Box]]:
    """Groups of lines that touch. Lines are swept from the top, so a page of separate tables costs little."""
    groups: list[tuple[Box, set[Box]]] = []
    for line in sorted({*flat, *upright}, key=lambda box: -box[1]):
        touching = [entry for entry in groups if _near(entry[0], line)]
        area, members = line, {line}
        for entry in touching:
            groups.remove(entry)
            other = entry[0]
            area = (
                min(area[0], other[0]), max(area[1], other[1]), max(area[2], other[2]), min(area[3], other[3])
            )  # fmt: skip
            members |= entry[1]
        groups.append((area, members))
    return [members for _, members in groups if len(members) > 5]


def _near(area: Box, line: Box) -> bool:
    across = line[0] <= area[2] + SAME_LINE and line[2] >= area[0] - SAME_LINE
    return across and line[3] <= area[1] + SAME_LINE and line[1] >= area[3] - SAME_LINE


def _merged(places: Iterable[float]) -> list[float]:
    kept: list[float] = []
    for place in sorted(places):
        if not kept or place - kept[-1] > SAME_LINE:
            kept.append(place)
    return kept


# --- by columns of numbers


@dataclass(slots=True)
class _Row:
    """Words side by side, grouped into cells by the gaps between them."""

    cells: list[list[int]]
    top: float
    bottom: float
    figures: int
    leaders: bool


def _aligned(words: Sequence[Word], free: Sequence[int]) -> Iterable[FoundTable]:
    rows = [_row(words, indexes) for indexes in _side_by_side(words, free)]
    for run in _runs(rows):
        table = _table(words, run)
        if table is not None:
            yield table


def _side_by_side(words: Sequence[Word], free: Sequence[int]) -> Iterable[list[int]]:
    """Words that stand on one line, from the top of the page down."""
    line: list[int] = []
    for index in sorted(free, key=lambda i: -words[i].middle):
        word = words[index]
        if line and words[line[0]].middle - word.middle > 0.5 * min(word.height, words[line[0]].height):
            yield line
            line = []
        line.append(index)
    if line:
        yield line


def _row(words: Sequence[Word], indexes: list[int]) -> _Row:
    ordered = sorted(indexes, key=lambda i: words[i].left)
    cells = [[ordered[0]]]
    for before, index in pairwise(ordered):
        one, other = words[before], words[index]
        apart = other.left - one.right > CELL_GAP * max(one.height, other.height)
        sign = words[cells[-1][0]].text in _OPENING and len(cells[-1]) == 1
        # "16,517 $ 20,779": the sign stands nearer to the number that it does not belong to.
        apart = apart or (other.text in _OPENING and bool(_FIGURE.match(one.text)))
        if apart and not sign and other.text not in _CLOSING:
            cells.append([index])
        else:
            cells[-1].append(index)
    figures = sum(_is_figure([words[i].text for i in cell]) for cell in cells[1:])
    _, top, _, bottom = extent([words[i] for i in indexes])
    return _Row(cells, top, bottom, figures, bool(_LEADER.search(" ".join(words[i].text for i in ordered))))


def _is_figure(texts: Sequence[str]) -> bool:
    plain = [text for text in texts if text not in _OPENING | _CLOSING]
    return bool(plain) and all(_FIGURE.match(text) for text in plain)


def _runs(rows: Sequence[_Row]) -> Iterable[list[_Row]]:
    """Rows that follow each other with two or more cells; a few with one cell may stand between them."""
    run: list[_Row] = []
    between: list[_Row] = []
    for row in rows:
        last = (run + between)[-1] if run or between else None
        far = last is not None and last.bottom - row.top > 2.0 * (row.top - row.bottom)
        if far or row.leaders or len(between) > 2:
            yield run
            run, between = [], (between if not run and not far else [])[-MOST_HEADER_ROWS:]
        if row.leaders:
            between = []
        elif len(row.cells) > 1:
            # Lines with one cell above the first row are a title, not part of the table.
            run += [*(between if run else []), row]
            between = []
        else:
            between.append(row)
    yield run


def _table(words: Sequence[Word], run: Sequence[_Row]) -> FoundTable | None:
    several = [row for row in run if len(row.cells) > 1]
    cells = sum(len(row.cells) - 1 for row in several)
    figures = sum(row.figures for row in several)
    if len(several) < LEAST_ROWS or figures < LEAST_FIGURES * cells or figures < LEAST_ROWS:
        return None
    columns = _columns(words, several)
    if len(columns) < 2:
        return None
    texts: list[list[str]] = []
    used: set[int] = set()
    for row in run:
        line: list[list[str]] = [[] for _ in columns]
        for cell in row.cells:
            left, _, right, _ = extent([words[i] for i in cell])
            best = max(range(len(columns)), key=lambda c: min(right, columns[c][1]) - max(left, columns[c][0]))
            line[best] += [words[i].text for i in cell]
            used.update(cell)
        texts.append([" ".join(cell) for cell in line])
    return FoundTable(texts, _header_rows(texts), frozenset(used))


def _columns(words: Sequence[Word], rows: Sequence[_Row]) -> list[tuple[float, float]]:
    """Where columns are: rows with figures decide, since what stands above several columns would join them."""
    cells = (cell for row in rows if row.figures for cell in row.cells)
    boxes = (extent([words[i] for i in cell]) for cell in cells)
    spans = sorted((left, right) for left, _, right, _ in boxes)
    columns: list[tuple[float, float]] = []
    for left, right in spans:
        if columns and left < columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _header_rows(rows: Sequence[Sequence[str]]) -> int:
    """How many rows at the top name columns: they hold no figures, years aside."""
    for number, row in enumerate(rows[: MOST_HEADER_ROWS + 1]):
        texts = [cell.split() for cell in row[1:] if cell]
        if any(_is_figure(cell) and not all(_YEAR.match(text) for text in cell) for cell in texts):
            return number
        if number and not texts:  # a label of the rows below
            return number
    return 1
