from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders.pdf import PdfLoader
from ingest.loaders.pdf_outline import _place, _squeezed
from tests.ingest.made import pdf


def load(tmp_path: Path, content: bytes) -> Document:
    path = tmp_path / "stored"
    path.write_bytes(content)
    return PdfLoader().load(path, "report.pdf")


def test_every_page_stands_at_its_offsets(tmp_path: Path) -> None:
    document = load(tmp_path, pdf(["First page\nwith two lines", "Second page", "Third"]))
    assert document.text == "First page\nwith two lines\n\nSecond page\n\nThird"
    assert [document.text[page.start : page.end] for page in document.pages] == [
        "First page\nwith two lines",
        "Second page",
        "Third",
    ]
    assert [page.number for page in document.pages] == [1, 2, 3]


def test_the_outline_becomes_headings_at_their_lines(tmp_path: Path) -> None:
    pages = [
        "Contents",
        "Welcome\n1. Introduction\nThis is the introduction to it.",
        "2. A title over\ntwo lines\nText.",
    ]
    outline = [("Introduction", 1), ("A title over two lines", 2), ("Not on the page", 2)]
    document = load(tmp_path, pdf(pages, outline=outline))
    assert [h.title for h in document.headings] == [title for title, _ in outline]
    found = [document.text[h.start :].split("\n")[0] for h in document.headings]
    assert found == ["1. Introduction", "2. A title over", "2. A title over"]


def test_labels_title_and_metadata_are_kept(tmp_path: Path) -> None:
    document = load(tmp_path, pdf(["a page", "b page"], title="The Warranty", labels="r"))
    assert [page.label for page in document.pages] == ["i", "ii"]
    assert document.title == "The Warranty"
    assert document.metadata == {"author": "Ann", "created": "2024-03-05"}


def test_a_title_that_says_nothing_gives_way_to_the_file_name(tmp_path: Path) -> None:
    assert load(tmp_path, pdf(["text"], title="0001045810-22-000166")).title == "report"


def test_pages_without_text_are_counted(tmp_path: Path) -> None:
    document = load(tmp_path, pdf(["text", "", ""]))
    assert document.warnings == ("Pages 2 and 3 are empty.",)


def test_a_file_of_blank_pages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoText, match=r"report.pdf holds no text"):
        load(tmp_path, pdf(["", ""]))


def test_a_page_that_cannot_be_read_does_not_cost_the_others(tmp_path: Path) -> None:
    content = pdf(["first page", "second page", "third page"]).replace(
        b"12 0 obj\n<</Type/Page/", b"12 0 obj\n<</Tipe/Pag/"
    )
    document = load(tmp_path, content)
    assert "first page" in document.text
    assert "third page" in document.text


def test_a_word_hyphenated_at_the_end_of_a_line_is_one_word(tmp_path: Path) -> None:
    assert load(tmp_path, pdf(["well-known and includ-\ning more"])).text == "well-known and including more"


def test_a_password_is_asked_for_in_words(tmp_path: Path) -> None:
    import pypdf

    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(tmp_path / "locked.pdf")
    with pytest.raises(BadUpload, match=r"report.pdf is password-protected. Remove the password"):
        load(tmp_path, (tmp_path / "locked.pdf").read_bytes())


@pytest.mark.parametrize("content", [b"%PDF-1.7\nnothing", pdf(["x"])[:120]])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadUpload, match="is damaged"):
        load(tmp_path, content)


@pytest.mark.parametrize(
    "claim",
    [
        b"/X " + b"[" * 2000 + b"]" * 2000,
        b"/X " + b"<< " * 2000,
        b"<</Type/ObjStm/N 100000000/First 9/Length 0>>",
    ],
    ids=["arrays", "dictionaries", "objects"],
)
def test_a_structure_that_only_attacks_have_is_not_opened(tmp_path: Path, claim: bytes) -> None:
    with pytest.raises(BadUpload, match="built as no real document is"):
        load(tmp_path, pdf(["x"]) + claim)


def test_too_many_pages_are_refused_before_they_are_read(tmp_path: Path) -> None:
    kids = b" ".join(b"10 0 R" for _ in range(6000))
    content = pdf(["x"]).replace(b"/Count 1/Kids[10 0 R]", b"/Count 6000/Kids[%s]" % kids)
    with pytest.raises(BadUpload, match="more than 5,000 pages"):
        load(tmp_path, content)


def test_a_compressed_page_reads_like_any_other(tmp_path: Path) -> None:
    packed = zlib.compress(b"BT /F 12 Tf 50 700 Td (packed words) Tj ET")
    content = pdf(["x"])
    start, end = content.index(b"11 0 obj"), content.index(b"endobj", content.index(b"11 0 obj"))
    stream = b"11 0 obj\n<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream\n" % (len(packed), packed)
    assert load(tmp_path, content[:start] + stream + content[end:]).text == "packed words"


def test_a_heading_is_found_on_one_to_three_lines_only() -> None:
    lines = [(0, "see introduction below"), (30, "Introduction"), (50, "Other"), (60, "Introduction")]
    squeezed = [(start, _squeezed(line)) for start, line in lines]
    assert _place("Introduction", squeezed, after=0) == 30
    assert _place("Introduction", squeezed, after=31) == 60
    assert _place("Elsewhere", squeezed, after=0) is None


ROWS = [("Year", "2021", "2022"), ("Sales", "1,200", "1,350"), ("Costs", "(900)", "(950)"), ("Profit", "300", "400")]


def test_figures_in_columns_become_a_table_and_no_word_is_lost(tmp_path: Path) -> None:
    document = load(tmp_path, _columns())
    (table,) = document.tables
    assert document.text[table.start : table.end].split("\n") == [f"| {' | '.join(cells)} |" for cells in ROWS]
    assert table.header == "| Year | 2021 | 2022 |"


def test_signs_that_utf_16_writes_as_two_stay_whole_in_tables(tmp_path: Path) -> None:
    letters = b"/CMapType 2 def 1 begincodespacerange <00> <ff> endcodespacerange 2 beginbfrange <20> <52> <0020> "
    letters += b"<54> <7e> <0054> endbfrange 1 beginbfchar <53> <D83DDE00> endbfchar"  # S is 😀
    stream = b"90 0 obj\n<</Length %d>>stream\n%s\nendstream\nendobj\nxref" % (len(letters), letters)
    content = _columns().replace(b"/WinAnsiEncoding", b"/WinAnsiEncoding/ToUnicode 90 0 R").replace(b"xref", stream, 1)
    document = load(tmp_path, content)
    (table,) = document.tables
    assert "| 😀ales | 1,200 | 1,350 |" in document.text[table.start : table.end].split("\n")


def _columns() -> bytes:
    lines = "".join(
        f"1 0 0 1 {50 + 150 * column} {700 - 20 * row} Tm ({cell}) Tj "
        for row, cells in enumerate(ROWS)
        for column, cell in enumerate(cells)
    )
    return pdf(["x"]).replace(b"BT /F 12 Tf 14 TL 50 780 Td (x) Tj ET", b"BT /F 12 Tf %s ET" % _escaped(lines))


def _escaped(operators: str) -> bytes:
    return operators.replace("((", r"(\(").replace("))", r"\))").encode()


def test_prose_with_years_stays_prose(tmp_path: Path) -> None:
    document = load(
        tmp_path, pdf(["In 2021 we sold 12 cars\nand in 2022 we sold 14 more,\nof which 3 were red and 4 blue."])
    )
    assert document.tables == ()


def test_a_compound_cut_at_the_end_of_a_line_keeps_its_hyphen(tmp_path: Path) -> None:
    page = "credit and financing are two words\nand credit-\nfinancing is made of them, includ-\ning this."
    text = load(tmp_path, pdf([page])).text
    assert "credit-financing" in text
    assert "including" in text


def test_values_of_a_form_and_comments_are_text_of_their_page(tmp_path: Path) -> None:
    import pypdf
    from pypdf.annotations import FreeText
    from pypdf.generic import ArrayObject, DictionaryObject, NameObject, RectangleObject, TextStringObject

    (tmp_path / "plain.pdf").write_bytes(pdf(["Application"]))
    writer = pypdf.PdfWriter(clone_from=tmp_path / "plain.pdf")
    field = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Annot"), NameObject("/Subtype"): NameObject("/Widget"),
            NameObject("/FT"): NameObject("/Tx"), NameObject("/T"): TextStringObject("Surname"),
            NameObject("/V"): TextStringObject("Okonkwo"), NameObject("/Rect"): RectangleObject((50, 600, 200, 620)),
        }
    )  # fmt: skip
    reference = writer._add_object(field)
    writer.pages[0][NameObject("/Annots")] = ArrayObject([reference])
    writer.root_object[NameObject("/AcroForm")] = DictionaryObject({NameObject("/Fields"): ArrayObject([reference])})
    writer.add_annotation(0, FreeText(text="Approved in March", rect=(50, 500, 200, 520)))
    writer.add_attachment("invoice.xml", b"<x/>")
    writer.write(tmp_path / "form.pdf")
    document = load(tmp_path, (tmp_path / "form.pdf").read_bytes())
    assert document.text.split("\n") == ["Application", "Surname: Okonkwo", "Approved in March"]
    assert document.metadata["attachments"] == "invoice.xml"
    assert document.warnings == ("A file is attached and was not read: invoice.xml.",)
