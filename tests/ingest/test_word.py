from __future__ import annotations

import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from docx.document import Document as WordDocument
from docx.oxml import OxmlElement
from docx.oxml.ns import qn

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders.detect import DOCX, media_type
from ingest.loaders.word import WordLoader
from tests.ingest.made import package, word_file


def load(path: Path) -> Document:
    return WordLoader().load(path, "letter.docx")


def fill(word: WordDocument) -> None:
    word.core_properties.title, word.core_properties.author = "The Warranty", "Ann"
    word.add_heading("Warranty", 1)
    word.add_paragraph("It lasts two years.")
    table = word.add_table(rows=2, cols=2)
    for cell, text in zip((c for row in table.rows for c in row.cells), ["Part", "Months", "Motor", "24"], strict=True):
        cell.text = text
    word.add_heading("Exceptions", 2)
    word.add_paragraph("Wear", style="List Bullet")
    word.add_paragraph("Tear", style="List Bullet")


def test_text_headings_and_tables_come_in_their_order(tmp_path: Path) -> None:
    document = load(word_file(tmp_path / "a", fill))
    assert document.text.split("\n\n") == [
        "Warranty",
        "It lasts two years.",
        "| Part | Months |\n| Motor | 24 |",
        "Exceptions\n- Wear\n- Tear",
    ]
    assert [(h.level, h.title) for h in document.headings] == [(1, "Warranty"), (2, "Exceptions")]
    assert all(document.text[h.start :].startswith(h.title) for h in document.headings)
    (table,) = document.tables
    assert document.text[table.start : table.end] == "| Part | Months |\n| Motor | 24 |"
    assert table.header == "| Part | Months |"
    assert (document.title, document.metadata["author"]) == ("The Warranty", "Ann")


def run_mark(paragraph: Any, tag: str) -> None:
    paragraph.runs[0]._r.get_or_add_rPr().append(OxmlElement(tag))


def test_hidden_and_deleted_text_is_left_out_and_inserted_text_is_kept(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        word.add_paragraph("seen")
        run_mark(word.add_paragraph("hidden words"), "w:vanish")
        for tag, text in (("w:ins", "inserted"), ("w:del", "removed"), ("w:moveFrom", "moved away")):
            paragraph = word.add_paragraph(text)
            change = OxmlElement(tag)
            run = paragraph.runs[0]._r
            run.addprevious(change)
            change.append(run)

    document = load(word_file(tmp_path / "a", write))
    assert document.text == "seen\n\ninserted"
    assert document.warnings == ("Hidden text was left out.",)


def test_content_controls_are_read(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        paragraph = word.add_paragraph("inside a control")._p
        control, content = OxmlElement("w:sdt"), OxmlElement("w:sdtContent")
        paragraph.addprevious(control)
        control.append(content)
        content.append(paragraph)

    assert load(word_file(tmp_path / "a", write)).text == "inside a control"


def test_tables_inside_tables_and_frames_of_one_cell_become_text(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        frame = word.add_table(rows=1, cols=1)
        frame.cell(0, 0).text = "a framed remark"
        outer = word.add_table(rows=1, cols=2)
        outer.cell(0, 0).text = "left"
        inner = outer.cell(0, 1).add_table(rows=1, cols=1)
        inner.cell(0, 0).text = "within"

    document = load(word_file(tmp_path / "a", write))
    assert document.text == "a framed remark\n\n| left | within |"
    assert len(document.tables) == 1


def test_a_heading_is_known_by_the_outline_level_of_its_style(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        style = word.styles.add_style("Kapitel", 1)
        level = OxmlElement("w:outlineLvl")
        level.set(qn("w:val"), "1")
        style.element.get_or_add_pPr().append(level)
        derived = word.styles.add_style("Kapitel gross", 1)
        derived.base_style = style
        word.add_paragraph("Erstens", style="Kapitel")
        word.add_paragraph("Zweitens", style="Kapitel gross")

    assert [(h.level, h.title) for h in load(word_file(tmp_path / "a", write)).headings] == [
        (2, "Erstens"),
        (2, "Zweitens"),
    ]


def add_footnote(plain: Path, target: Path) -> None:
    """The file with "A note below." as footnote 1."""
    notes = (
        '<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        '<w:footnote w:type="separator" w:id="0"><w:p><w:r><w:t>line</w:t></w:r></w:p></w:footnote>'
        '<w:footnote w:id="1"><w:p><w:r><w:t>A note below.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    relation = (
        '<Relationship Id="rId99" Target="footnotes.xml" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"/></Relationships>'
    )
    changes = {
        "word/_rels/document.xml.rels": ("</Relationships>", relation),
        "[Content_Types].xml": ("</Types>", f'<Override PartName="/word/footnotes.xml" ContentType="{kind}"/></Types>'),
    }
    repack(plain, target, changes, {"word/footnotes.xml": notes})


def test_footnotes_are_read(tmp_path: Path) -> None:
    add_footnote(word_file(tmp_path / "a", lambda word: word.add_paragraph("Body")), tmp_path / "b")
    assert load(tmp_path / "b").text == "Body\n\nA note below."


def test_a_footnote_follows_the_paragraph_that_refers_to_it(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        reference = OxmlElement("w:footnoteReference")
        reference.set(qn("w:id"), "1")
        word.add_paragraph("First").runs[0]._r.append(reference)
        word.add_paragraph("Second")

    add_footnote(word_file(tmp_path / "a", write), tmp_path / "b")
    assert load(tmp_path / "b").text == "First\n\nA note below.\n\nSecond"


def repack(source: Path, target: Path, changes: dict[str, tuple[str, str]], more: dict[str, str] | None = None) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text = old.read(name)
            if name in changes:
                text = text.replace(*(part.encode() for part in changes[name]))
            new.writestr(name, text)
        for name, part in (more or {}).items():
            new.writestr(name, part)


def test_a_document_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoText, match=r"letter.docx holds no text"):
        load(word_file(tmp_path / "a", lambda word: None))


def test_a_document_type_definition_is_refused(tmp_path: Path) -> None:
    plain = word_file(tmp_path / "a", lambda word: word.add_paragraph("Body"))
    repack(plain, tmp_path / "b", {"word/document.xml": ("<w:document", '<!DOCTYPE x [<!ENTITY a "b">]><w:document')})
    with pytest.raises(BadUpload, match="defines entities"):
        load(tmp_path / "b")


def test_a_package_that_unpacks_to_far_more_is_not_opened(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("word/document.xml", b" " * (40 << 20))
    (tmp_path / "a").write_bytes(packed.getvalue())
    with pytest.raises(BadUpload, match="would unpack to 40 MB"):
        load(tmp_path / "a")


def test_encrypted_overlapping_and_lying_packages_are_refused(tmp_path: Path) -> None:
    source = word_file(tmp_path / "a", lambda word: word.add_paragraph("Body" * 50)).read_bytes()
    directory = source.index(b"PK\x01\x02")
    locked = bytearray(source)
    locked[directory + 8] |= 1
    second = source.index(b"PK\x01\x02", directory + 4)
    overlapping = bytearray(source)
    overlapping[second + 42 : second + 46] = overlapping[directory + 42 : directory + 46]
    lying = bytearray(source)
    lying[directory + 24 : directory + 28] = (7).to_bytes(4, "little")
    for content, words in ((locked, "password-protected"), (overlapping, "overlap|unpacked"), (lying, "unpacked")):
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(BadUpload, match=words):
            load(tmp_path / "b")


def numbering(*levels: tuple[str, str]) -> str:
    """numbering.xml with one list, number 7; each level has a format and a pattern."""
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    made = "".join(
        f'<w:lvl w:ilvl="{n}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{pattern}"/></w:lvl>'
        for n, (form, pattern) in enumerate(levels)
    )
    return (
        f'<w:numbering {space}><w:abstractNum w:abstractNumId="1">{made}</w:abstractNum>'
        '<w:num w:numId="7"><w:abstractNumId w:val="1"/></w:num></w:numbering>'
    )


def put_in_list(paragraph: Any, depth: int, number: int = 7) -> None:
    listed = paragraph._p.get_or_add_pPr().get_or_add_numPr()
    listed.get_or_add_ilvl().val, listed.get_or_add_numId().val = depth, number


def test_numbers_that_word_counts_stand_before_headings_clauses_and_items(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        for text, depth in (("Scope", 0), ("Duration", 0)):
            put_in_list(word.add_heading(text, 1), depth)
        for text, depth in (("two years", 1), ("for motors", 2), ("for belts", 2), ("one year", 1)):
            put_in_list(word.add_paragraph(text), depth)

    plain = word_file(tmp_path / "a", write)
    counted = numbering(("decimal", "%1."), ("decimal", "%1.%2"), ("lowerLetter", "(%3)"))
    with zipfile.ZipFile(plain) as made:
        parts = {name: made.read(name) for name in made.namelist()}
    package(tmp_path / "b", parts | {"word/numbering.xml": counted})
    document = load(tmp_path / "b")
    assert document.text.split("\n") == [
        "1. Scope", "", "2. Duration", "  2.1 two years", "    (a) for motors", "    (b) for belts", "  2.2 one year",
    ]  # fmt: skip
    assert [heading.title for heading in document.headings] == ["1. Scope", "2. Duration"]


def test_a_cell_over_several_rows_stands_in_each_and_one_over_several_columns_in_a_header(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        table = word.add_table(rows=3, cols=3)
        texts = ["Region", "Sales", "", "North", "1", "2", "", "3", "4"]
        for cell, text in zip((c for row in table.rows for c in row.cells), texts, strict=True):
            cell.text = text
        table.cell(0, 1).merge(table.cell(0, 2))
        table.cell(1, 0).merge(table.cell(2, 0))

    (table,) = load(word_file(tmp_path / "a", write)).tables
    assert table.header == "| Region | Sales | Sales |"
    document = load(tmp_path / "a")
    assert document.text == "| Region | Sales | Sales |\n| North | 1 | 2 |\n| North | 3 | 4 |"


def test_a_table_of_tables_is_read_cell_by_cell(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        outer = word.add_table(rows=1, cols=2)
        outer.cell(0, 0).text = "left"
        inner = outer.cell(0, 1).add_table(rows=2, cols=2)
        for cell, text in zip((c for row in inner.rows for c in row.cells), "abcd", strict=True):
            cell.text = text

    document = load(word_file(tmp_path / "a", write))
    assert document.text == "left\n\n| a | b |\n| c | d |"
    assert [table.header for table in document.tables] == ["| a | b |"]


def test_headers_and_footers_that_say_something_are_read_once(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        section = word.sections[0]
        section.header.paragraphs[0].text = "Acme contract 4711"
        footer = section.footer.paragraphs[0]
        footer.text = "Page "
        field = OxmlElement("w:fldSimple")
        field.set(qn("w:instr"), " PAGE ")
        footer._p.append(field)
        field.append(footer.add_run("3")._r)
        word.add_paragraph("Body")
        again = word.add_section()
        again.header.is_linked_to_previous = False
        again.header.paragraphs[0].text = "Acme contract 4711"

    assert load(word_file(tmp_path / "a", write)).text == "Acme contract 4711\n\nBody"


def test_comments_are_left_out_and_counted(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        paragraph = word.add_paragraph("Agreed.")
        word.add_comment(paragraph.runs, text="Really?", author="Ann")

    document = load(word_file(tmp_path / "a", write))
    assert (document.text, document.warnings) == ("Agreed.", ("1 comment was left out.",))


def test_dates_come_from_the_file_alone(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        word.add_paragraph("Body")
        word.core_properties.created = datetime(2024, 3, 5, 12, 30)

    about = load(word_file(tmp_path / "a", write)).metadata
    assert about["created"] == "2024-03-05T12:30:00Z"
    repack(tmp_path / "a", tmp_path / "b", {"_rels/.rels": ("docProps/core.xml", "docProps/other.xml")})
    with zipfile.ZipFile(tmp_path / "b") as made:
        parts = {name.replace("core.xml", "other.xml"): made.read(name) for name in made.namelist()}
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"core.xml", b"other.xml")
    parts["docProps/other.xml"] = b"<x/>"
    package(tmp_path / "b", parts)
    assert not {"created", "modified", "author"} & set(load(tmp_path / "b").metadata)


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.ms-word.document.macroEnabled.main+xml",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
    ],
)
def test_files_with_macros_and_templates_are_word_files_too(tmp_path: Path, kind: str) -> None:
    plain = word_file(tmp_path / "a", lambda word: word.add_paragraph("Body"))
    own = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    repack(plain, tmp_path / "b", {"[Content_Types].xml": (own, kind)})
    assert media_type(tmp_path / "b", "letter") == DOCX
    assert load(tmp_path / "b").text == "Body"


def test_a_span_that_no_table_has_costs_nothing(tmp_path: Path) -> None:
    def write(word: WordDocument) -> None:
        table = word.add_table(rows=1, cols=2)
        table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"

    plain = word_file(tmp_path / "a", write)
    repack(plain, tmp_path / "b", {"word/document.xml": ("<w:tcPr>", '<w:tcPr><w:gridSpan w:val="999999999"/>')})
    assert len(load(tmp_path / "b").text) < 1000
