from __future__ import annotations

from pathlib import Path

import pytest

from ingest.loaders.tables import LONGEST_HEADER
from ingest.loaders.textkinds import CSV
from ingest.split import split
from tests.ingest.made import read, words


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_and_the_header_kept(tmp_path: Path, delimiter: str) -> None:
    rows = [("Part", "Price", "Note"), ("Motor", "1,50", "heavy; loud"), ("Pump", "2,75", "a|b"), ("Seal", "3,10", "")]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    document = read(tmp_path, text, "parts.csv")
    (table,) = document.tables
    assert table.header == "| Part | Price | Note |"
    assert document.text.split("\n")[1] == "| Motor | 1,50 | heavy; loud |"
    assert (table.start, table.end) == (0, len(document.text))


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Country,2019,2020\nPeru,3,4\nChad,5,6\n", "| Country | 2019 | 2020 |"),
        ("1,2,3\n4,5,6\n7,8,9\n", ""),
        ("a,a,b\n1,2,3\n", ""),
        ("name,age\nAnn,30\nBob,\n", "| name | age |"),
        (",age,town\nAnn,30,Rome\n", "|  | age | town |"),
        ("sep=;\nname;age\nAnn;30\n", "| name | age |"),
        ("Sales of 2024\n\nname,age,town\nAnn,30,Rome\nBob,31,Oslo\n", "| name | age | town |"),
    ],
)
def test_a_first_row_of_names_is_the_header(tmp_path: Path, text: str, header: str) -> None:
    (table,) = read(tmp_path, text, "t.csv").tables
    assert table.header == header


def test_what_stands_above_a_table_is_kept(tmp_path: Path) -> None:
    document = read(tmp_path, "Sales of 2024,,\nname,age,town\nAnn,30,Rome\nBob,31,Oslo\n", "t.csv")
    assert document.text.startswith("Sales of 2024\n\n| name | age | town |")


def test_each_row_of_a_very_wide_table_names_its_columns(tmp_path: Path) -> None:
    names = [f"measure of thing {number}" for number in range(80)]
    assert len("".join(names)) > LONGEST_HEADER
    values = [["" if column == 7 else str(row * column) for column in range(80)] for row in range(3)]
    text = "\n".join([",".join(names), *(",".join(row) for row in values)])
    document = read(tmp_path, text, "wide.csv")
    assert "measure of thing 40: 80" in document.text
    assert "Columns without values: measure of thing 7" in document.text
    assert len(document.text.split("\n\n")) == 4


def test_an_unclosed_quotation_mark_swallows_nothing(tmp_path: Path) -> None:
    text = 'name,note\nAnn,tall\nBob,"small\n' + "".join(f"P{n},n{n}\n" for n in range(2_000))
    document = read(tmp_path, text, "t.csv")
    assert "| P1999 | n1999 |" in document.text
    assert "never closed" in document.warnings[0]


def test_line_ends_within_cells_stay_within_their_row(tmp_path: Path) -> None:
    document = read(tmp_path, 'name,note\nAnn,"two\nlines"\nBob,one\n', "t.csv")
    assert document.text.split("\n") == ["| name | note |", "| Ann | two lines |", "| Bob | one |"]


def test_a_single_column_is_lines(tmp_path: Path) -> None:
    document = read(tmp_path, "name\nAnn\nBob\n", "t.csv")
    assert (document.text, document.tables) == ("name\nAnn\nBob", ())


def test_every_cell_of_a_long_table_is_in_a_chunk(tmp_path: Path) -> None:
    text = "id,town,size\n" + "".join(f"{n},Town {n},{n * 7}\n" for n in range(3_000))
    document = read(tmp_path, text, "t.csv")
    assert document.media_type == CSV
    found = " ".join(chunk.text for chunk in split(document, count_tokens=words))
    assert all(f"| {n} | Town {n} | {n * 7} |" in found for n in range(0, 3_000, 97))
