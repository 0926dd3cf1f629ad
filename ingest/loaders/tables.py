"""CSV and TSV: what separates the cells and whether the first row names the columns is found out from the rows."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from core.types import Document, Table
from ingest.loaders.clean import clean
from ingest.loaders.decode import decode
from ingest.loaders.draft import Draft
from ingest.loaders.textkinds import CSV

DELIMITERS = "\t;|,"
SAMPLE = 64 << 10  # characters
SAMPLE_ROWS = 200
LONGEST_HEADER = 1_000  # characters; what is wider is written as records, each value beside its name
LONGEST_ROW = 4_000
LONGEST_CELL = 20_000  # characters; a longer one means that a quotation mark was never closed
_VALUE = re.compile(r"[-+]?[$€£¥]?\s?\d[\d.,'’ :/T+-]*\s?[%€$£¥Z]?|true|false|yes|no|null|n/?a|-+|", re.I)
_YEAR = re.compile(r"(?:19|20)\d\d")
Row = list[str]


@dataclass(frozen=True, slots=True)
class CsvLoader:
    """Tables as text. Each row is one line; very wide ones are a line for each value, with the column's name."""

    version: int = 1
    library: str | None = "charset-normalizer"

    def load(self, path: Path, name: str) -> Document:
        decoded = decode(path.read_bytes())
        draft = Draft(name)
        warnings = decoded.warnings
        if not write_separated(draft, clean(decoded.text)):
            warnings.append("A quotation mark is never closed, so all of them were read as plain signs.")
        return draft.document(CSV, metadata={"encoding": decoded.encoding}, warnings=warnings)


def write_separated(draft: Draft, text: str) -> bool:
    """Write the table that a text holds; the answer is whether its quotation marks could be trusted."""
    text, delimiter = _delimiter(text)
    for quoting in (True, False):
        rows = _Rows(text, delimiter, quoting)
        above, header, body = _parts(rows)
        if header is None and rows.widest < 2:
            lines = [" ".join(row) for row in body]
            if rows.trusted:
                draft.write("\n".join([*above, *filter(None, lines)]))
                return quoting
            continue
        grid = _Grid(header, body)
        if rows.trusted:
            for line in above:
                draft.write(line)
            grid.write(draft)
            return quoting
    return False


def write_table(draft: Draft, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows of cells that are clean and have no line ends below the names of their columns."""
    _Grid(header, iter(rows)).write(draft)


class _Rows:
    """The rows of a text that are not empty, their cells in one line each; rows are too many to be kept."""

    def __init__(self, text: str, delimiter: str, quoting: bool) -> None:
        self.widest = 0
        self.trusted = True  # until a quotation mark turns out to be never closed
        self._text = text
        self._delimiter = delimiter
        self._quoting = quoting

    def __iter__(self) -> Iterator[Row]:
        csv.field_size_limit(max(len(self._text), 1))
        row, count = Row(), 0
        for row in _read(io.StringIO(self._text, newline=""), self._delimiter, quoting=self._quoting):
            count += 1
            self.widest = max(self.widest, len(row))
            if any("\n" in cell and len(cell) > LONGEST_CELL for cell in row):
                self.trusted = not self._quoting
            if any(cells := [flat(cell) for cell in row]):
                yield cells
        if self._quoting and row:
            swallowed = self._delimiter in row[-1] or "\n" in row[-1]
            self.trusted = self.trusted and not (swallowed and self._text.count('"') % 2) and count > 0


def _parts(rows: Iterable[Row]) -> tuple[list[str], Row | None, Iterator[Row]]:
    """What stands above a table, the names of its columns if it has any, and its other rows."""
    rest = iter(rows)
    sample = list(islice(rest, SAMPLE_ROWS))
    columns = Counter(sum(map(bool, row)) for row in sample).most_common(1)
    # A title or a note may stand above the table.
    several = bool(columns) and columns[0][0] > 1
    first = next((n for n, row in enumerate(sample) if sum(map(bool, row)) > 1), 0) if several else 0
    above = [" ".join(filter(None, row)) for row in sample[:first]]
    body = sample[first:]
    header = body.pop(0) if several and _names_columns(body) else None
    return above, header, chain(body, rest)


class _Grid:
    """A table as lines: one for each row, or one for each value where a row would be too long to understand."""

    def __init__(self, header: Sequence[str] | None, rows: Iterator[Sequence[str]]) -> None:
        sample = list(islice(rows, SAMPLE_ROWS))
        self._names = header or ()
        self._width = max((_filled(row) for row in (self._names, *sample)), default=0)
        top = _line(self._names[: self._width]) if header else ""
        longest = sum(len(cell) for row in sample for cell in row)
        self._wide = len(top) > LONGEST_HEADER or longest > LONGEST_ROW * max(1, len(sample))
        self._top = "" if self._wide else top
        self._used: set[int] = set()
        self._lines = [self._written(row) for row in chain(sample, rows)]

    def write(self, draft: Draft) -> None:
        if self._wide:
            empty = [name for index, name in enumerate(self._names) if name and index not in self._used]
            last = [f"Columns without values: {', '.join(empty)}"] if empty else []
            draft.write("\n\n".join(filter(None, [*self._lines, *last])))
            return
        if self._top:
            self._lines.insert(0, self._top)
        written = "\n".join(self._lines)
        start = draft.write(written)
        draft.tables.append(Table(start, start + len(written), self._top))

    def _written(self, row: Sequence[str]) -> str:
        if not self._wide:
            return _line(row[: max(self._width, _filled(row))])
        filled = [(index, cell) for index, cell in enumerate(row) if cell]
        self._used.update(index for index, _ in filled)
        return "\n".join(f"{self._name(index)}: {cell}" for index, cell in filled)

    def _name(self, index: int) -> str:
        return (self._names[index] if index < len(self._names) else "") or f"Column {index + 1}"


def flat(cell: str) -> str:
    """A cell of clean text as one line."""
    return " ".join(cell.split()) if cell else ""


def looks_separated(text: str) -> bool:
    """Whether a text without a telling name is a table: five rows and more, of three columns and more, all alike."""
    for delimiter in DELIMITERS:
        lines = [line for line in text.split("\n")[:-1] if line.strip()][:SAMPLE_ROWS]
        try:
            rows = list(csv.reader(lines, delimiter=delimiter))
        except csv.Error:
            continue
        widths = {len(row) for row in rows}
        short = all(len(cell) < 80 for row in rows for cell in row)
        if len(rows) > 4 and len(widths) == 1 and widths.pop() > 2 and short:
            return True
    return False


def _filled(row: Sequence[str]) -> int:
    """The number of cells up to the last that is not empty."""
    return next((index + 1 for index in range(len(row) - 1, -1, -1) if row[index]), 0)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _delimiter(text: str) -> tuple[str, str]:
    """The text without a line that states the delimiter, and the one that cuts most rows into equally many cells."""
    if stated := re.match(r'"?sep=([^"\n])"?\n', text):
        return text[stated.end() :], stated[1]
    sample = text[:SAMPLE]
    lines = sample.split("\n")
    lines = lines[:-1] if len(text) > SAMPLE and len(lines) > 1 else lines
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        widths = Counter(len(row) for row in islice(_read(lines, delimiter, quoting=True), SAMPLE_ROWS) if any(row))
        filled = {width: count for width, count in widths.items() if width > 1}
        if not filled:
            continue
        width = max(filled, key=lambda width: (filled[width], width))
        score = (round(filled[width] / widths.total(), 1), width)
        if score > best_score:
            best, best_score = delimiter, score
    return text, best


def _read(lines: Iterable[str], delimiter: str, *, quoting: bool) -> Iterator[Row]:
    try:
        if quoting:
            yield from csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        else:
            yield from csv.reader(lines, delimiter=delimiter, skipinitialspace=True, quoting=csv.QUOTE_NONE)
    except csv.Error:
        return  # only in a sample, whose lines are not the whole text


def _names_columns(rows: Sequence[Row]) -> bool:
    """Whether the first row is a header: names, all different, or years over columns of other values."""
    if len(rows) < 2:
        return False
    first, below = rows[0], rows[1:SAMPLE_ROWS]
    named = [cell for cell in first if cell]
    if len(set(named)) < len(named) or len(named) < len(first) / 2:
        return False
    values = [cell for cell in named if _VALUE.fullmatch(cell)]
    years = [cell for cell in values if _YEAR.fullmatch(cell)]
    if values and (len(years) < len(values) or not named or first[0] in values):
        return False
    return not years or not all(_YEAR.fullmatch(row[-1]) for row in below if row)
