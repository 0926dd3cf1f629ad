"""The header of a table goes with every chunk of it, so that a row is found and understood by its column names."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from core.types import Table
from ingest.split.sizes import CONTEXT_TOKENS, LETTERS_PER_TOKEN, Sizer

_BETWEEN = re.compile(r" \| |\t")
_RULE = re.compile(r"\n[ \t|:+]*[=-][ \t|:+=-]*(?=\n|\Z)")  # the line below a header in Markdown
LONGEST = CONTEXT_TOKENS * LETTERS_PER_TOKEN
# Of a wider header no chunk can tell which of its columns it holds, and beyond this far in a row none are counted: for
# every chunk of a file that is one endless row, that would be all of the row before it.
WIDEST_HEADER, FURTHEST = 20_000, 100_000  # characters
ALL = 1 << 30


class Headers:
    """What a chunk that begins inside a table has to carry."""

    def __init__(self, text: str, tables: Sequence[Table], sizer: Sizer) -> None:
        self._text = text
        self._tables = sorted(tables, key=lambda table: table.start)
        self._starts = [table.start for table in self._tables]
        self._sizer = sizer
        self._bodies: dict[int, int] = {}  # by the start of the table
        self._tokens: dict[str, int] = {}
        self._fitted: dict[tuple[str, int, int], str] = {}

    def reserve(self, table: Table) -> int:
        """Tokens that are kept free for the header of a table."""
        header = _header(table)
        return min(CONTEXT_TOKENS, self._size(header)) if len(header) <= LONGEST else CONTEXT_TOKENS

    def body(self, table: Table) -> int:
        """Where the rows below the header begin."""
        if table.start not in self._bodies:
            self._bodies[table.start] = self._body(table)
        return self._bodies[table.start]

    def _body(self, table: Table) -> int:
        if not _header(table) or not self._text.startswith(table.header, table.start):
            return table.start
        end = table.start + len(table.header)
        rule = _RULE.match(self._text, end, table.end)
        return min(table.end, (rule.end() if rule else end) + 1)

    def context(self, start: int, end: int) -> str:
        """The header for a chunk, "" when it does not begin in a table or begins in the header itself."""
        above = bisect_right(self._starts, start) - 1
        if above < 0 or start >= self._tables[above].end:
            return ""
        table = self._tables[above]
        header = _header(table)
        if not header or start < self.body(table) or self._text.startswith(header, start, end):
            return ""
        if self._fits(header):
            return header
        if (place := self._columns(table, start, end)) is None:
            return ""
        columns = (header, *place)
        if columns not in self._fitted:
            self._fitted[columns] = self._fit(*columns)
        return self._fitted[columns]

    def _columns(self, table: Table, start: int, end: int) -> tuple[int, int] | None:
        """The columns that a chunk holds from its first row: of a row that had to be cut, not all. None: too far in."""
        first_looked = max(table.start, start - FURTHEST)
        above = self._text.rfind("\n", first_looked, start)
        if above < 0 and first_looked > table.start:
            return None
        row = max(table.start, above + 1)
        first = len(_BETWEEN.findall(self._text, row, start))
        if "\n" in self._text[start:end]:
            return first, ALL
        return first, first + len(_BETWEEN.findall(self._text, start, end)) + 1

    def _fit(self, header: str, first: int, last: int) -> str:
        """The names of columns from the first to before the last, as many as fit."""
        names = [name.strip(" |") for name in _BETWEEN.split(header)][first:last]
        for kept in range(min(len(names), CONTEXT_TOKENS), 0, -1):
            line = f"| {' | '.join(names[:kept])} |" + ("" if kept == len(names) else " …")
            if self._fits(line):
                return line
        name = names[0][: LONGEST - 1] if names else ""
        while name and not self._fits(f"{name}…"):
            name = name[: len(name) * 3 // 4]
        return f"{name.rstrip()}…" if name else ""

    def _fits(self, line: str) -> bool:
        return len(line) <= LONGEST and self._size(line) <= CONTEXT_TOKENS

    def _size(self, line: str) -> int:
        if line not in self._tokens:
            self._tokens[line] = self._sizer.exactly([line])[0] if line else 0
        return self._tokens[line]


def _header(table: Table) -> str:
    return table.header.strip() if len(table.header) <= WIDEST_HEADER else ""
