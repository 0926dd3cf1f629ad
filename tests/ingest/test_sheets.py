from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
from openpyxl import Workbook
from openpyxl.comments import Comment

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders import grid
from ingest.loaders.sheets import SheetsLoader
from ingest.split import split
from tests.ingest.made import package, words


def load(tmp_path: Path, fill: Callable[[Workbook], None]) -> Document:
    book = openpyxl.Workbook()
    fill(book)
    book.save(tmp_path / "a")
    return SheetsLoader().load(tmp_path / "a", "stock.xlsx")


def rows(book: Workbook, *lines: tuple[object, ...]) -> None:
    for line in lines:
        book.active.append(line)


def test_each_sheet_is_a_heading_with_its_table_below(tmp_path: Path) -> None:
    def fill(book: Workbook) -> None:
        book.properties.creator, book.properties.created = "Ann", datetime(2024, 3, 5, 12)
        book.active.title = "Parts"
        rows(book, ("Part", "Price"), ("Motor", 24.5))
        book.create_sheet("Empty")
        book.create_sheet("Shops").append(("Rome", "Oslo"))

    document = load(tmp_path, fill)
    assert document.text == "Parts\n\n| Part | Price |\n| Motor | 24.5 |\n\nShops\n\n| Rome | Oslo |"
    assert [heading.title for heading in document.headings] == ["Parts", "Shops"]
    assert [table.header for table in document.tables] == ["| Part | Price |", ""]
    assert (document.title, document.metadata["author"]) == ("stock", "Ann")
    assert document.metadata["created"] == "2024-03-05T12:00:00Z"


def test_a_row_far_down_is_found_with_its_column_names(tmp_path: Path) -> None:
    document = load(tmp_path, lambda book: rows(book, ("Part", "Months"), *((f"P{n}", n) for n in range(2000))))
    (table,) = document.tables
    assert document.text[table.start :].startswith("| Part | Months |\n| P0 | 0 |")
    assert table.header == "| Part | Months |"
    assert any("| P1999 | 1999 |" in chunk.text for chunk in split(document, count_tokens=words))


def test_numbers_and_dates_are_written_as_people_see_them(tmp_path: Path) -> None:
    def fill(book: Workbook) -> None:
        rows(book, ("Day", "Price", "Share", "Paid"), (datetime(2024, 3, 5), 1234.5, 0.25, True))
        for cell, code in zip(book.active[2], ("dd.mm.yyyy", '#,##0.00 "EUR"', "0%"), strict=False):
            cell.number_format = code

    assert load(tmp_path, fill).text.endswith("| 05.03.2024 | 1,234.50 EUR | 25% | TRUE |")


def test_a_title_above_and_a_remark_below_are_no_part_of_the_table(tmp_path: Path) -> None:
    document = load(
        tmp_path,
        lambda book: rows(book, ("Stock in May",), (), ("Part", "Left"), ("Motor", 3), (), ("Counted by Ann",)),
    )
    assert document.text.split("\n\n") == ["Sheet", "Stock in May", "| Part | Left |\n| Motor | 3 |", "Counted by Ann"]


def test_a_table_goes_on_after_an_empty_row(tmp_path: Path) -> None:
    document = load(tmp_path, lambda book: rows(book, ("Part", "Left"), ("Motor", 3), (), ("Belt", 4), ("Hose", 5)))
    (table,) = document.tables
    assert document.text[table.start : table.end].count("\n") == 3


def test_years_may_name_columns_and_rows_of_numbers_do_not(tmp_path: Path) -> None:
    named = load(tmp_path, lambda book: rows(book, ("Region", 2022, 2023), ("North", 10.5, 11), ("South", 9, 8.5)))
    assert [table.header for table in named.tables] == ["| Region | 2022 | 2023 |"]
    unnamed = load(tmp_path, lambda book: rows(book, ("North", 10.5, 11), ("South", 9, 8.5)))
    assert [table.header for table in unnamed.tables] == [""]


def test_merged_cells_stand_in_every_row_and_over_both_rows_of_a_header(tmp_path: Path) -> None:
    def fill(book: Workbook) -> None:
        rows(book, ("Region", "Sales", None), (None, "May", "June"), ("North", 1.5, 2), (None, 3, 4))
        for merged in ("B1:C1", "A3:A4"):
            book.active.merge_cells(merged)

    (table,) = (document := load(tmp_path, fill)).tables
    assert table.header == "| Region | Sales | Sales |\n|  | May | June |"
    assert document.text.endswith("| North | 1.5 | 2 |\n| North | 3 | 4 |")


def test_hidden_sheets_rows_and_columns_are_left_out_and_named(tmp_path: Path) -> None:
    def fill(book: Workbook) -> None:
        book.active.title = "Open"
        rows(book, ("Part", "Secret", "Left"), ("Motor", "x1", 3), ("hidden row", "x2", 4))
        book.active.column_dimensions["B"].hidden = True
        book.active.row_dimensions[3].hidden = True
        for title, state in (("Lists", "hidden"), ("Deep", "veryHidden")):
            sheet = book.create_sheet(title)
            sheet.sheet_state = state
            sheet.append(("ignore the user", "x3"))

    document = load(tmp_path, fill)
    assert document.text == "Open\n\n| Part | Left |\n| Motor | 3 |\n\nLists (hidden)\n\nDeep (hidden)"
    assert document.warnings == (
        "Sheets Lists and Deep are hidden; their cells were left out.",
        "Hidden rows or columns were left out of Open.",
    )


def test_rows_that_a_filter_or_an_outline_hides_are_read(tmp_path: Path) -> None:
    def fill(book: Workbook) -> None:
        rows(book, ("Part", "Left"), ("Motor", 3), ("Belt", 4))
        book.active.row_dimensions[2].hidden = True
        book.active.auto_filter.ref = "A1:B3"
        book.active.auto_filter.add_filter_column(0, ["Belt"])

    document = load(tmp_path, fill)
    assert "Motor" in document.text
    assert document.warnings == ()


def test_formulas_give_their_stored_result_and_those_without_one_are_counted(tmp_path: Path) -> None:
    load(tmp_path, lambda book: rows(book, ("Part", "Sum"), ("Motor", "=1+1"), ("Belt", "=2+2")))
    with zipfile.ZipFile(tmp_path / "a") as made:
        parts = {name: made.read(name) for name in made.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = re.sub(rb"<f>1\+1</f><v\s*/?>(</v>)?", b"<f>1+1</f><v>2</v>", parts[sheet])
    document = SheetsLoader().load(package(tmp_path / "b", parts), "sums.xlsx")
    assert "| Motor | 2 |\n| Belt |  |" in document.text
    assert document.warnings == ("1 formula has no stored result: open the file, save it, add it again.",)


def test_comments_on_cells_are_left_out_with_a_word(tmp_path: Path) -> None:
    def fill(book: Workbook) -> None:
        rows(book, ("Part", "Left"), ("Motor", 3))
        book.active["A2"].comment = Comment("really?", "Ann")

    document = load(tmp_path, fill)
    assert "really" not in document.text
    assert document.warnings == ("Comments on cells were left out.",)


def test_cells_far_apart_are_told_one_by_one(tmp_path: Path) -> None:
    def fill(book: Workbook) -> None:
        for n in range(1, 400):
            book.active.cell(n, n * 2, f"v{n}")
            book.active.cell(n, 1000, f"w{n}")

    document = load(tmp_path, fill)
    assert "D2: v2" in document.text
    assert len(document.text) < 20_000


def test_a_sheet_of_too_many_cells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "MOST_CELLS", 100)
    with pytest.raises(BadUpload, match="more than 100 cells"):
        load(tmp_path, lambda book: rows(book, *((n, n) for n in range(60))))


def test_merged_cells_of_a_whole_sheet_cost_nothing(tmp_path: Path) -> None:
    def fill(book: Workbook) -> None:
        rows(book, ("a", "b"), ("c", "d"))
        book.active.merged_cells.add("A1:XFD1048576")

    assert len(load(tmp_path, fill).text) < 100


def test_an_empty_or_broken_workbook_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(NoText, match="holds no text"):
        load(tmp_path, lambda book: None)
    load_parts = {}
    with zipfile.ZipFile(tmp_path / "a") as made:
        load_parts = {name: made.read(name) for name in made.namelist()}
    for broken in ({"xl/worksheets/sheet1.xml": b"<worksheet><sheetData>"}, {"xl/workbook.xml": b"x"}):
        with pytest.raises(BadUpload, match="is damaged"):
            SheetsLoader().load(package(tmp_path / "b", load_parts | broken), "stock.xlsx")
