"""CSV and TSV: what separates the cells and whether the first row names the columns is found out from the rows."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from core.types import Document, Table
from ingest.loaders.clean import clean
from ingest.loaders.decode import decode
from ingest.loaders.draft import MOST_CHARACTERS, Draft
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
    rows, quoted = _rows(text, delimiter)
    columns = Counter(sum(map(bool, row)) for row in rows[:SAMPLE_ROWS] if any(row)).most_common(1)
    if not columns or max(map(len, rows)) < 2:
        draft.write("\n".join(row[0] for row in rows if row and row[0]))
        return quoted
    # A title or a note may stand above the table.
    first = next((n for n, row in enumerate(rows) if sum(map(bool, row)) > 1), 0) if columns[0][0] > 1 else 0
    for row in rows[:first]:
        draft.write(" ".join(filter(None, row)))
    rows = [row for row in rows[first:] if any(row)]
    header = rows.pop(0) if _names_columns(rows) else None
    write_table(draft, header, rows)
    return quoted


def write_table(draft: Draft, header: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> None:
    """Write rows of cells that are clean and have no line ends; `header` names the columns, if they have names."""
    width = max((index + 1 for row in (header or (), *rows) for index in _last_filled(row)), default=0)
    top = _line(header[:width]) if header else ""
    lines = [_line(row[:width]) for row in rows]
    size = sum(map(len, lines))
    wide = len(top) > LONGEST_HEADER or size > LONGEST_ROW * max(1, len(lines))
    if wide and size + len(top) * len(lines) < MOST_CHARACTERS // 2:
        records = ["\n".join(_record(header or (), row[:width])) for row in rows]
        filled = {index for row in rows for index, cell in enumerate(row) if cell}
        if empty := [name for index, name in enumerate(header or ()) if name and index not in filled]:
            records.append(f"Columns without values: {', '.join(empty)}")
        draft.write("\n\n".join(record for record in records if record))
        return
    written = "\n".join([top, *lines] if top else lines)
    start = draft.write(written)
    draft.tables.append(Table(start, start + len(written), top))


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


def _last_filled(row: Sequence[str]) -> Iterator[int]:
    """The place of the last cell that is not empty, if there is one."""
    for index in range(len(row) - 1, -1, -1):
        if row[index]:
            yield index
            return


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _record(header: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    for index, cell in enumerate(row):
        if cell:
            named = index < len(header) and header[index]
            yield f"{header[index] if named else f'Column {index + 1}'}: {cell}"


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


def _rows(text: str, delimiter: str) -> tuple[list[Row], bool]:
    """All rows, their cells in one line each; read again without quotation marks where one is never closed."""
    csv.field_size_limit(max(len(text), 1))
    for quoting in (True, False):
        rows, longest, row = [], 0, Row()
        for row in _read(io.StringIO(text, newline=""), delimiter, quoting=quoting):
            longest = max(longest, max((len(cell) for cell in row if "\n" in cell), default=0))
            rows.append([flat(cell) for cell in row])
        swallowed = bool(row) and (delimiter in row[-1] or "\n" in row[-1]) and text.count('"') % 2
        if longest < LONGEST_CELL and not swallowed and (rows or not text.strip()):
            return rows, quoting
    return rows, False


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
