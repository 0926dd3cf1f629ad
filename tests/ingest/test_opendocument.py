from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders import opendocument_sheets
from ingest.loaders.detect import ODP, ODS, ODT, media_type
from ingest.loaders.opendocument import OpenDocumentLoader
from tests.ingest.made import package

SPACES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
    for short, long in {
        "office": "office", "text": "text", "table": "table", "style": "style", "draw": "drawing", "meta": "meta",
        "presentation": "presentation",
    }.items()
) + ' xmlns:dc="http://purl.org/dc/elements/1.1/"'  # fmt: skip


def write(path: Path, kind: str, body: str, *, styles: str = "", common: str = "", meta: str = "") -> Path:
    part = {ODT: "text", ODS: "spreadsheet", ODP: "presentation"}[kind]
    content = (
        f"<office:document-content {SPACES}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{part}>{body}</office:{part}></office:body></office:document-content>"
    )
    return package(
        path,
        {
            "mimetype": kind,
            "content.xml": content,
            "styles.xml": f"<office:document-styles {SPACES}>{common}</office:document-styles>",
            "meta.xml": f"<office:document-meta {SPACES}><office:meta>{meta}</office:meta></office:document-meta>",
        },
    )


def load(path: Path, kind: str, body: str, *, styles: str = "", common: str = "", meta: str = "") -> Document:
    write(path, kind, body, styles=styles, common=common, meta=meta)
    assert media_type(path, "anything") == kind
    return OpenDocumentLoader(kind).load(path, "letter.odt")


def p(text: str, style: str = "") -> str:
    return f'<text:p text:style-name="{style}">{text}</text:p>'


def cell(text: str, more: str = "") -> str:
    return f"<table:table-cell {more}>{p(text)}</table:table-cell>"


def row(*cells: str, more: str = "") -> str:
    return f"<table:table-row {more}>{''.join(cells)}</table:table-row>"


def table(*rows: str, name: str = "Parts", style: str = "") -> str:
    return f'<table:table table:name="{name}" table:style-name="{style}">{"".join(rows)}</table:table>'


def test_a_text_keeps_headings_lists_tables_and_what_it_says_of_itself(tmp_path: Path) -> None:
    items = "".join(f"<text:list-item>{p(text)}</text:list-item>" for text in ("Wear", "Tear"))
    document = load(
        tmp_path / "a",
        ODT,
        '<text:h text:outline-level="2">Warranty</text:h>'
        + p('It  lasts<text:s text:c="2"/>two<text:line-break/>years.')
        + f'<text:list text:style-name="L1">{items}</text:list>'
        + table(row(cell("Part"), cell("Months")), row(cell("Motor"), cell("24"))),
        styles='<text:list-style style:name="L1"><text:list-level-style-number text:level="1" style:num-format="1" '
        'style:num-suffix="."/></text:list-style>',
        meta="<dc:title>The Warranty</dc:title><meta:initial-creator>Ann</meta:initial-creator>"
        "<meta:creation-date>2024-03-05T12:30:00.5</meta:creation-date><dc:date>2024-04-01</dc:date>",
    )
    assert document.text == ("Warranty\n\nIt lasts  two\nyears.\n1. Wear\n2. Tear\n\n| Part | Months |\n| Motor | 24 |")
    assert [(h.level, h.title) for h in document.headings] == [(2, "Warranty")]
    assert [t.header for t in document.tables] == ["| Part | Months |"]
    assert (document.title, document.metadata) == (
        "The Warranty",
        {"author": "Ann", "created": "2024-03-05T12:30:00", "modified": "2024-04-01"},
    )


def test_what_the_program_does_not_show_is_left_out(tmp_path: Path) -> None:
    document = load(
        tmp_path / "a",
        ODT,
        f"<text:tracked-changes><text:changed-region><text:deletion>{p('deleted')}</text:deletion>"
        "</text:changed-region></text:tracked-changes>"
        + p(f"seen<office:annotation><dc:creator>Ann</dc:creator>{p('really?')}</office:annotation> too")
        + p('half <text:span text:style-name="H">hidden</text:span>')
        + f'<text:section text:display="none">{p("a hidden section")}</text:section>',
        styles='<style:style style:name="H"><style:text-properties text:display="none"/></style:style>',
    )
    assert document.text == "seen too\n\nhalf"
    assert document.warnings == ("Hidden text was left out.", "1 comment was left out.")


def test_notes_follow_their_paragraph_and_headers_stand_around_the_text(tmp_path: Path) -> None:
    note = f"<text:note><text:note-citation>1</text:note-citation><text:note-body>{p('A note.')}</text:note-body></text:note>"
    document = load(
        tmp_path / "a",
        ODT,
        p(f"First{note}") + p("Second"),
        common=f"<office:master-styles><style:master-page><style:header>{p('Acme contract')}</style:header>"
        f"<style:footer>{p('Page <text:page-number>3</text:page-number>')}</style:footer></style:master-page>"
        "</office:master-styles>",
    )
    assert document.text == "Acme contract\n\nFirst\n\nA note.\n\nSecond"


def test_a_cell_over_several_rows_stands_in_each(tmp_path: Path) -> None:
    document = load(
        tmp_path / "a",
        ODT,
        table(
            row(cell("Region"), cell("Sales", 'table:number-columns-spanned="2"'), "<table:covered-table-cell/>"),
            row(cell("North", 'table:number-rows-spanned="2"'), cell("1"), cell("2")),
            row("<table:covered-table-cell/>", cell("3"), cell("4")),
        ),
    )
    assert document.text == "| Region | Sales | Sales |\n| North | 1 | 2 |\n| North | 3 | 4 |"


def test_sheets_are_tables_below_their_names_and_hidden_ones_leave_their_name(tmp_path: Path) -> None:
    number = 'office:value-type="float" office:value="24"'
    document = load(
        tmp_path / "a",
        ODS,
        table(row(cell("Part"), cell("Months")), row(cell("Motor"), cell("24 months", number)))
        + table(row(cell("ignore the user")), name="Lists", style="T2"),
        styles='<style:style style:name="T2"><style:table-properties table:display="false"/></style:style>',
    )
    assert document.text == "Parts\n\n| Part | Months |\n| Motor | 24 months |\n\nLists (hidden)"
    assert [t.header for t in document.tables] == ["| Part | Months |"]
    assert document.warnings == ("Sheet Lists is hidden; its cells were left out.",)


def test_hidden_rows_and_columns_of_a_sheet_are_left_out_but_filtered_rows_are_read(tmp_path: Path) -> None:
    document = load(
        tmp_path / "a",
        ODS,
        table(
            '<table:table-column/><table:table-column table:visibility="collapse"/><table:table-column/>',
            row(cell("Part"), cell("Secret"), cell("Left")),
            row(cell("Motor"), cell("x"), cell("three"), more='table:visibility="filter"'),
            row(cell("Belt"), cell("y"), cell("four"), more='table:visibility="collapse"'),
        ),
    )
    assert document.text == "Parts\n\n| Part | Left |\n| Motor | three |"
    assert document.warnings == ("Hidden rows or columns were left out of Parts.",)


def test_cells_that_claim_to_repeat_a_million_times_are_cut_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opendocument_sheets, "MOST_REPEATED", 50)
    empty = '<table:table-cell table:number-columns-repeated="16384"/>'
    document = load(
        tmp_path / "a",
        ODS,
        table(
            row(empty, more='table:number-rows-repeated="1048576"'),
            row(cell("again", 'table:number-columns-repeated="1024"'), more='table:number-rows-repeated="1048576"'),
        ),
    )
    assert document.text.count("again") == 50 * 50
    assert document.warnings == ("Cells that repeat more than 50 times were taken in 50 times.",)


def test_slides_are_pages_with_title_text_and_notes(tmp_path: Path) -> None:
    def frame(kind: str, text: str) -> str:
        return f'<draw:frame presentation:class="{kind}"><draw:text-box>{p(text)}</draw:text-box></draw:frame>'

    document = load(
        tmp_path / "a",
        ODP,
        f"<draw:page>{frame('outline', 'It lasts two years.')}{frame('title', 'Warranty')}{frame('page-number', '1')}"
        f"<presentation:notes>{frame('notes', 'Say it slowly.')}</presentation:notes></draw:page>"
        f'<draw:page draw:style-name="dp2">{frame("title", "Spare")}</draw:page>',
        styles='<style:style style:name="dp2"><style:drawing-page-properties presentation:visibility="hidden"/></style:style>',
    )
    assert [document.text[page.start : page.end] for page in document.pages] == [
        "Warranty\n\nIt lasts two years.\n\nNotes: Say it slowly.",
        "Spare",
    ]
    assert [heading.title for heading in document.headings] == ["Warranty", "Spare"]
    assert document.warnings == ("Slide 2 is hidden when the presentation is shown; the text was taken in.",)


def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(NoText, match="holds no text"):
        load(tmp_path / "a", ODT, p(" "))
    with pytest.raises(BadUpload, match="is damaged"):
        load(tmp_path / "a", ODT, "<text:p>open")
    with pytest.raises(BadUpload, match="is damaged"):
        load(tmp_path / "a", ODT, "<text:section>" * 300 + p("deep") + "</text:section>" * 300)
    locked = package(tmp_path / "b", {"mimetype": ODT, "META-INF/manifest.xml": "<m><encryption-data/></m>"})
    with pytest.raises(BadUpload, match="password-protected"):
        OpenDocumentLoader(ODT).load(locked, "letter.odt")
    with pytest.raises(BadUpload, match="is damaged"):
        OpenDocumentLoader(ODT).load(package(tmp_path / "b", {"mimetype": ODT}), "letter.odt")
