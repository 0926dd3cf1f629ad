"""XLSX: openpyxl reads the workbook's strings, formats and cells one by one; what people see in them becomes tables.

Read are the cells that are stored, never the area that a sheet claims to have. Formulas give the result that was
stored with them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from core.types import Document
from ingest.loaders.detect import XLSX
from ingest.loaders.draft import Block, Draft, listed
from ingest.loaders.grid import YEARS, Cell, Grid
from ingest.loaders.number_format import shown_moment, shown_number
from ingest.loaders.package import check_package, damaged, opened, properties

if TYPE_CHECKING:
    from openpyxl import Workbook

_FORMULA = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}f"
_COMMENTS = ("xl/comments", "xl/threadedComments")
_YES = ("1", "true")
_EMPTY = Cell("")
_NUMBERS = (int, float)
_MOMENTS = (datetime, date, time, timedelta)


@dataclass(slots=True)
class _Told:
    """What a person should know about a workbook beside its text."""

    hidden: list[str] = field(default_factory=list)
    partly: list[str] = field(default_factory=list)
    uncalculated: int = 0
    comments: bool = False

    def warnings(self) -> list[str]:
        warnings = []
        if self.hidden:
            sheets = "Sheet" if len(self.hidden) == 1 else "Sheets"
            verb = "is hidden; its cells were" if len(self.hidden) == 1 else "are hidden; their cells were"
            warnings.append(f"{sheets} {listed(self.hidden)} {verb} left out.")
        if self.partly:
            warnings.append(f"Hidden rows or columns were left out of {listed(self.partly)}.")
        if self.uncalculated:
            formulas = "formula has" if self.uncalculated == 1 else "formulas have"
            warnings.append(f"{self.uncalculated:,} {formulas} no stored result: open the file, save it, add it again.")
        if self.comments:
            warnings.append("Comments on cells were left out.")
        return warnings


@dataclass(frozen=True, slots=True)
class SheetsLoader:
    """Excel workbooks and templates in the format of 2007 and later."""

    version: int = 1
    library: str | None = "openpyxl"

    def load(self, path: Path, name: str) -> Document:
        check_package(path, name)
        draft, told = Draft(name), _Told()
        with opened(path, name) as package:
            told.comments = any(part.startswith(_COMMENTS) for part in package.namelist())
        with path.open("rb") as file:
            for block in _blocks(file, name, told):
                draft.add(block)
        about = properties(path, name)
        title = about.pop("title", "") or PurePosixPath(name).stem  # the name of its only sheet says less
        return draft.document(XLSX, title=title, metadata=about, warnings=told.warnings())


def _blocks(file: Any, name: str, told: _Told) -> Iterator[Block]:
    """The sheets in their order, each below its name. Raises BadUpload when the workbook is damaged."""
    import warnings
    from xml.etree.ElementTree import ParseError

    from lxml.etree import LxmlError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of extensions that hold no cells
            book = _open(file)
            for sheet in book._sheets:
                if hasattr(sheet, "_get_source"):  # a sheet of cells, not one that is a chart
                    yield from _sheet(book, sheet, name, told)
    except (LxmlError, ParseError, KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise damaged(name, "Excel") from error
    except (OSError, zipfile.BadZipFile) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise damaged(name, "Excel") from error


def _open(file: Any) -> Workbook:
    from openpyxl import load_workbook

    return load_workbook(file, read_only=True, data_only=True, keep_links=False)


def _sheet(book: Workbook, sheet: Any, name: str, told: _Told) -> Iterator[Block]:
    """A hidden sheet leaves its name, so that it can be asked for; its cells are left out."""
    title = str(sheet.title)
    if sheet.sheet_state != "visible":
        told.hidden.append(title)
        yield Block(f"{title} (hidden)", level=1)
        return
    grid = Grid(name)
    with sheet._get_source() as source:
        _fill(grid, book, sheet, source, title, told)
    if grid.rows:
        yield Block(title, level=1)
        yield from grid.blocks()


def _fill(grid: Grid, book: Workbook, sheet: Any, source: Any, title: str, told: _Told) -> None:
    parser = _parser(book, sheet, source, told)
    formats = _Formats(sheet)
    hidden_rows: list[int] = []
    for number, cells in parser.parse():
        hidden = _hidden_row(parser.row_dimensions.pop(str(number), {}))
        for cell in cells:
            shown = _shown(cell["value"], formats, cell)
            if shown.text:
                grid.put(cell["row"], cell["column"], shown)
        if hidden and number in grid.rows:
            hidden_rows.append(number)
    if getattr(parser, "auto_filter", None) is not None and parser.auto_filter.filterColumn:
        hidden_rows = []  # a filter hides for the moment; what it hides belongs to the table
    if _leave_out(grid, hidden_rows, _hidden_columns(parser.column_dimensions)):
        told.partly.append(title)
    for merge in parser.merged_cells.mergeCell if parser.merged_cells else ():
        left, top, right, bottom = merge.bounds
        grid.merged.append((top, left, bottom, right))


def _parser(book: Workbook, sheet: Any, source: Any, told: _Told) -> Any:
    """openpyxl's reader of stored cells, which also counts formulas that nobody has calculated yet."""
    from openpyxl.worksheet._reader import WorkSheetParser

    class Parser(WorkSheetParser):  # type: ignore[misc]
        def parse_cell(self, element: Any) -> dict[str, Any]:
            cell: dict[str, Any] = super().parse_cell(element)
            if cell["value"] is None and element.find(_FORMULA) is not None:
                told.uncalculated += 1
            return cell

    return Parser(
        source, sheet._shared_strings, data_only=True, epoch=book.epoch, date_formats=book._date_formats,
        timedelta_formats=book._timedelta_formats,
    )  # fmt: skip


class _Formats:
    """The format code of each style of a workbook, looked up when a cell needs it."""

    def __init__(self, sheet: Any) -> None:
        self._sheet = sheet
        self._codes: dict[int, str] = {}

    def code(self, cell: dict[str, Any]) -> str:
        from openpyxl.cell.read_only import ReadOnlyCell

        style = cell["style_id"]
        if style not in self._codes:
            self._codes[style] = str(ReadOnlyCell(self._sheet, **cell).number_format or "General")
        return self._codes[style]


def _shown(value: object, formats: _Formats, cell: dict[str, Any]) -> Cell:
    """What people see in a cell, and whether it may name a column. Called for every cell of a workbook."""
    if value is None:
        return _EMPTY
    if isinstance(value, str):
        return Cell(" ".join(value.split()))
    if isinstance(value, bool):
        return Cell(str(value).upper(), False)
    code = formats.code(cell)
    if isinstance(value, _NUMBERS):
        return Cell(shown_number(value, code), type(value) is int and code == "General" and value in YEARS)
    if isinstance(value, _MOMENTS):
        return Cell(shown_moment(value, code), isinstance(value, date))
    return Cell(" ".join(str(value).split()))


def _hidden_row(attributes: dict[str, str]) -> bool:
    """Rows and columns of an outline are one click away, whether they are folded or not."""
    return attributes.get("hidden") in _YES and attributes.get("outlineLevel", "0") == "0"


def _hidden_columns(dimensions: dict[str, dict[str, str]]) -> list[range]:
    hidden = [column for column in dimensions.values() if _hidden_row(column)]
    return [range(int(column["min"]), int(column["max"]) + 1) for column in hidden]


def _leave_out(grid: Grid, rows: list[int], columns: list[range]) -> bool:
    """Take hidden cells out of the grid; whether there were any."""
    for hidden in rows:
        del grid.rows[hidden]
    found = bool(rows)
    for number, row in list(grid.rows.items()) if columns else ():
        seen = {column: cell for column, cell in row.items() if not any(column in one for one in columns)}
        found = found or len(seen) < len(row)
        grid.rows[number] = seen
        if not seen:
            del grid.rows[number]
    return found
