from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from docx.document import Document as WordDocument
from docx.oxml import OxmlElement
from docx.oxml.ns import qn

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders.word import WordLoader
from tests.ingest.made import word_file


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


def test_footnotes_are_read(tmp_path: Path) -> None:
    plain = word_file(tmp_path / "a", lambda word: word.add_paragraph("Body"))
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
    repack(plain, tmp_path / "b", changes, {"word/footnotes.xml": notes})
    assert load(tmp_path / "b").text == "Body\n\nA note below."


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
