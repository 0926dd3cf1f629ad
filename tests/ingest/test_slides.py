from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.presentation import Presentation
from pptx.util import Inches

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders.detect import PPTX, media_type
from ingest.loaders.slides import SlidesLoader
from tests.ingest.made import package

PLACE = (Inches(1), Inches(1), Inches(5), Inches(3))


def load(tmp_path: Path, fill: Callable[[Presentation], None]) -> Document:
    made = pptx.Presentation()
    fill(made)
    made.save(str(tmp_path / "a"))
    return SlidesLoader().load(tmp_path / "a", "talk.pptx")


def add_slide(made: Presentation, title: str, *lines: str, layout: int = 1) -> object:
    slide = made.slides.add_slide(made.slide_layouts[layout])
    slide.shapes.title.text = title
    if lines:
        slide.placeholders[1].text = "\n".join(lines)
    return slide


def test_slides_are_pages_with_their_titles_as_headings(tmp_path: Path) -> None:
    def fill(made: Presentation) -> None:
        made.core_properties.author = "Ann"
        add_slide(made, "Warranty", "It lasts two years.")
        made.slides.add_slide(made.slide_layouts[6])
        slide = add_slide(made, "Exceptions", "Wear", "Tear")
        slide.placeholders[1].text_frame.paragraphs[1].level = 1

    document = load(tmp_path, fill)
    assert document.text == "Warranty\n\nIt lasts two years.\n\n\n\nExceptions\n- Wear\n  - Tear"
    assert [(page.number, document.text[page.start : page.end]) for page in document.pages] == [
        (1, "Warranty\n\nIt lasts two years."),
        (2, ""),
        (3, "Exceptions\n- Wear\n  - Tear"),
    ]
    assert [(h.title, document.text[h.start :].startswith(h.title)) for h in document.headings] == [
        ("Warranty", True),
        ("Exceptions", True),
    ]
    assert (document.title, document.metadata["author"]) == ("Warranty", "Ann")


def test_tables_keep_their_header_and_merged_cells_stand_in_every_row(tmp_path: Path) -> None:
    def fill(made: Presentation) -> None:
        table = add_slide(made, "Sales", layout=5).shapes.add_table(3, 3, *PLACE).table
        texts = ["Region", "Sales", "", "North", "1", "2", "", "3", "4"]
        for n, text in enumerate(texts):
            table.cell(n // 3, n % 3).text = text
        table.cell(0, 1).merge(table.cell(0, 2))
        table.cell(1, 0).merge(table.cell(2, 0))

    (table,) = (document := load(tmp_path, fill)).tables
    assert table.header == "| Region | Sales | Sales |"
    assert document.text[table.start : table.end].endswith("| North | 1 | 2 |\n| North | 3 | 4 |")


def test_charts_give_their_numbers(tmp_path: Path) -> None:
    def fill(made: Presentation) -> None:
        numbers = CategoryChartData()
        numbers.categories = ["May", "June"]
        numbers.add_series("North", (1.5, 2))
        numbers.add_series("South", (3, None))
        add_slide(made, "Sales", layout=5).shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *PLACE, numbers)

    assert load(tmp_path, fill).text.endswith("|  | North | South |\n| May | 1.5 | 3 |\n| June | 2 |  |")


def test_shapes_in_groups_and_the_speakers_notes_are_read(tmp_path: Path) -> None:
    def fill(made: Presentation) -> None:
        slide = add_slide(made, "Warranty", layout=5)
        inner = slide.shapes.add_group_shape().shapes.add_group_shape()
        inner.shapes.add_textbox(*PLACE).text_frame.text = "in a group"
        slide.notes_slide.notes_text_frame.text = "Say it slowly.\nThen wait."

    assert load(tmp_path, fill).text == "Warranty\n\nin a group\n\nNotes: Say it slowly.\nThen wait."


def test_hidden_slides_are_read_and_named(tmp_path: Path) -> None:
    def fill(made: Presentation) -> None:
        add_slide(made, "One")
        add_slide(made, "Spare").element.set("show", "0")

    document = load(tmp_path, fill)
    assert "Spare" in document.text
    assert document.warnings == ("Slide 2 is hidden when the presentation is shown; the text was taken in.",)


@pytest.mark.parametrize("kind", ["slideshow", "template"])
def test_shows_and_templates_are_presentations_too(tmp_path: Path, kind: str) -> None:
    load(tmp_path, lambda made: add_slide(made, "Warranty") and None)
    with zipfile.ZipFile(tmp_path / "a") as made:
        parts = {name: made.read(name) for name in made.namelist()}
    types = "[Content_Types].xml"
    parts[types] = parts[types].replace(b"presentationml.presentation.main", b"presentationml.%s.main" % kind.encode())
    package(tmp_path / "b", parts)
    assert media_type(tmp_path / "b", "talk") == PPTX
    assert SlidesLoader().load(tmp_path / "b", "talk").text == "Warranty"


def test_empty_and_broken_presentations_are_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(NoText, match="holds no text"):
        load(tmp_path, lambda made: None)
    load(tmp_path, lambda made: add_slide(made, "Warranty") and None)
    with zipfile.ZipFile(tmp_path / "a") as made:
        parts = {name: made.read(name) for name in made.namelist()}
    for broken in ("ppt/slides/slide1.xml", "ppt/presentation.xml"):
        with pytest.raises(BadUpload, match="is damaged"):
            SlidesLoader().load(package(tmp_path / "b", parts | {broken: b"<x"}), "talk.pptx")
