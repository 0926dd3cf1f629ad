"""The sheets of an OpenDocument spreadsheet, row by row: cells hold the text that people see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from ingest.loaders.draft import Block, Draft, listed
from ingest.loaders.grid import YEARS, Cell, Grid
from ingest.loaders.opendocument_body import BodyReader, Styles
from ingest.loaders.opendocument_names import OFFICE, STYLE, TABLE, TEXT

_LEFT_OUT = TABLE + "shapes"
_COLUMNS, _ROWS = TABLE + "number-columns-repeated", TABLE + "number-rows-repeated"
_ACROSS, _DOWN = TABLE + "number-columns-spanned", TABLE + "number-rows-spanned"
_CELL, _COVERED = TABLE + "table-cell", TABLE + "covered-table-cell"
_P, _H = TEXT + "p", TEXT + "h"
MOST_REPEATED = 1_000  # times that a filled cell or row may stand for itself and those beside it
MOST_ROWS = 1 << 24


def add_sheets(content: IO[bytes], styles: Styles, draft: Draft) -> list[str]:
    """Add the sheets in their order, each below its name; the warnings. Raises lxml's XMLSyntaxError, BadUpload."""
    reader = _SheetsReader(draft.name, styles)
    for block in reader.blocks(content):
        draft.add(block)
    return reader.warnings()


class _SheetsReader:
    def __init__(self, name: str, styles: Styles) -> None:
        self._name = name
        self._styles = styles
        self._text = BodyReader(styles)
        self._hidden: list[str] = []
        self._partly: list[str] = []
        self._cut = False
        self._unseen_columns: list[range] = []
        self._column = self._row = 1

    def warnings(self) -> list[str]:
        warnings = self._text.warnings()
        if self._hidden:
            sheets, verb = ("Sheet", "is hidden; its") if len(self._hidden) == 1 else ("Sheets", "are hidden; their")
            cells = "cells were left out"
            warnings.append(f"{sheets} {listed(self._hidden)} {verb} {cells}.")
        if self._partly:
            warnings.append(f"Hidden rows or columns were left out of {listed(self._partly)}.")
        if self._cut:
            warnings.append(
                f"Cells that repeat more than {MOST_REPEATED:,} times were taken in {MOST_REPEATED:,} times."
            )
        return warnings

    def blocks(self, content: IO[bytes]) -> Iterator[Block]:
        from lxml import etree

        depth, title, grid, hidden = 0, "", Grid(self._name), False
        tags = (TABLE + "table", TABLE + "table-row", TABLE + "table-column", STYLE + "style", _LEFT_OUT)
        skipped = 0
        for event, element in etree.iterparse(
            content, events=("start", "end"), tag=tags, resolve_entities=False, no_network=True, load_dtd=False
        ):
            if element.tag == _LEFT_OUT:
                skipped += 1 if event == "start" else -1
            elif skipped:
                continue
            elif event == "end" and element.tag == STYLE + "style":
                self._styles.read(element)
            elif element.tag == TABLE + "table":
                depth += 1 if event == "start" else -1
                if event == "start" and depth == 1:
                    title, grid = element.get(TABLE + "name") or "", Grid(self._name)
                    hidden = element.get(TABLE + "style-name") in self._styles.hidden_tables
                    self._column, self._row, self._unseen_columns = 1, 1, []
                elif event == "end" and depth == 0:
                    yield from self._sheet(title, grid, hidden)
                    element.clear()
            elif event == "end" and depth == 1:
                self._read(element, grid, title)
                element.clear()

    def _sheet(self, title: str, grid: Grid, hidden: bool) -> Iterator[Block]:
        """A hidden sheet leaves its name, so that it can be asked for; its cells are left out."""
        if hidden:
            self._hidden.append(title)
            yield Block(f"{title} (hidden)", level=1)
        elif grid.rows:
            yield Block(title, level=1)
            yield from grid.blocks()

    def _read(self, element: Any, grid: Grid, title: str) -> None:
        unseen = element.get(TABLE + "visibility") == "collapse"
        if element.tag == TABLE + "table-column":
            after = self._column + _count(element, _COLUMNS)
            if unseen:
                self._unseen_columns.append(range(self._column, after))
            self._column = after
            return
        times = _count(element, _ROWS)
        cells = list(self._cells(element, grid))
        seen = [] if unseen else [cell for cell in cells if not any(cell[0] in one for one in self._unseen_columns)]
        if len(seen) < len(cells) and title not in self._partly:
            self._partly.append(title)
        self._cut = self._cut or (bool(seen) and times > MOST_REPEATED)
        for row in range(self._row, self._row + min(times, MOST_REPEATED)) if seen else ():
            for column, cell in seen:
                grid.put(row, column, cell)
        self._row = min(self._row + times, MOST_ROWS)

    def _cells(self, row: Any, grid: Grid) -> Iterator[tuple[int, Cell]]:
        column = 1
        for element in row.iterchildren(_CELL, _COVERED):
            times = _count(element, _COLUMNS)
            text = " ".join(" ".join(self._text.text(part) for part in element.iterchildren(_P, _H)).split())
            if text and element.tag == _CELL:
                self._cut = self._cut or times > MOST_REPEATED
                shown = Cell(text, _may_name(element))
                for at in range(column, column + min(times, MOST_REPEATED)):
                    yield at, shown
                down, across = _count(element, _DOWN), _count(element, _ACROSS)
                if down > 1 or across > 1:
                    grid.merged.append((self._row, column, self._row + down - 1, column + across - 1))
            column = min(column + times, MOST_ROWS)


def _may_name(cell: Any) -> bool:
    kind, value = cell.get(OFFICE + "value-type"), cell.get(OFFICE + "value") or ""
    year = kind == "float" and value.isdecimal() and len(value) == 4 and int(value) in YEARS
    return kind in (None, "string", "date") or year


def _count(element: Any, attribute: str) -> int:
    text = element.get(attribute)
    if text is None:
        return 1
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 10 else 1
