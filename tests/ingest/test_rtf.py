from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders.detect import RTF, media_type
from ingest.loaders.rtf import RtfLoader

HEAD = (
    r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Times;}{\f1\fcharset204 Times Cyr;}{\f2\fcharset128 Gothic;}}"
    r"{\stylesheet{\ql Normal;}{\s1\outlinelevel0 heading 1;}{\s2 heading 2;}{\s3\ql Body Text;}}"
)


def load(tmp_path: Path, body: str, head: str = HEAD) -> Document:
    (tmp_path / "a").write_bytes(f"{head}{body}}}".encode("latin-1"))
    assert media_type(tmp_path / "a", "letter.doc") == RTF
    return RtfLoader().load(tmp_path / "a", "letter.rtf")


def test_paragraphs_headings_and_what_the_file_says_of_itself(tmp_path: Path) -> None:
    about = r"{\info{\title The Warranty}{\author Ann}{\creatim\yr2024\mo3\dy5\hr12\min30}}"
    body = r"\pard\s1 Warranty\par\pard\s3 It lasts\line two years.\par\pard\s2 Exceptions\par\pard\plain None.\par"
    document = load(tmp_path, about + body)
    assert document.text == "Warranty\n\nIt lasts\ntwo years.\n\nExceptions\n\nNone."
    assert [(h.level, h.title) for h in document.headings] == [(1, "Warranty"), (2, "Exceptions")]
    assert (document.title, dict(document.metadata)) == (
        "The Warranty",
        {"author": "Ann", "created": "2024-03-05T12:30:00"},
    )


def test_letters_of_every_coding_are_read(tmp_path: Path) -> None:
    body = r"gr\'f6\'dfe \u8364 ? \u-10179?\u-8704? {\f1 \'cc\'ee\'f1\'ea\'e2\'e0} {\f2 \'93\'fa\'96\'7b} \{x\}\~\'80"
    assert load(tmp_path, body).text == "größe € 😀 Москва 日本 {x} €"


def test_tables_keep_their_header_and_merged_cells_stand_in_every_row(tmp_path: Path) -> None:
    def row(*cells: str, marks: str = r"\cellx1\cellx2", more: str = "") -> str:
        return rf"\trowd{more}{marks}\pard\intbl " + "".join(rf"{cell}\cell " for cell in cells) + r"\row "

    document = load(
        tmp_path,
        r"\pard Prices\par "
        + row("Region", "Sales", more=r"\trhdr")
        + row("North", "1", marks=r"\clvmgf\cellx1\cellx2")
        + row("", "2", marks=r"\clvmrg\cellx1\cellx2")
        + r"\pard after\par",
    )
    assert document.text == "Prices\n\n| Region | Sales |\n| North | 1 |\n| North | 2 |\n\nafter"
    assert [table.header for table in document.tables] == ["| Region | Sales |"]


def test_hidden_deleted_and_commented_text_is_left_out(tmp_path: Path) -> None:
    body = r"seen{\v  hidden}{\deleted  gone}{\*\atnid A}{\*\annotation \pard really?\par} too\par{\*\unknown no}{\pict 0a0b}"
    document = load(tmp_path, body)
    assert document.text == "seen too"
    assert document.warnings == ("Hidden or deleted text was left out.", "1 comment was left out.")


def test_lists_notes_headers_fields_and_boxes_are_read(tmp_path: Path) -> None:
    body = (
        r"{\header\pard Acme contract\par}{\footer\pard Page \chpgn\par}"
        r"\pard{\listtext\f0 1.\tab}\ls1 First{\footnote\pard\plain A note.\par}\par"
        r"{\listtext\f0 \bullet\tab}Point\par\pard "
        r'See {\field{\*\fldinst HYPERLINK "http://x.invalid"}{\fldrslt the page}}.\par'
        r"{\shp{\*\shpinst{\sp{\sn a}{\sv b}}{\shptxt\pard in a box\par}}{\shprslt again}}"
    )
    assert load(tmp_path, body).text == ("Acme contract\n1. First\n\nA note.\n- Point\n\nSee the page.\n\nin a box")


def test_binary_data_is_stepped_over(tmp_path: Path) -> None:
    assert load(tmp_path, r"before {\pict\bin5 }}}}}after}\par and this").text == "before\n\nand this"


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (r"{\pict 00}", NoText, "holds no text"),
        ("{" * 5_000 + "deep", BadUpload, "nested as no real document"),
        ("}" * 50 + r"\par late", NoText, ""),
        (r"{\footnote" * 40 + "x", NoText, ""),
    ],
)
def test_strange_files_end_with_a_text_or_a_reason(
    tmp_path: Path, body: str, kind: type[BadUpload], words: str
) -> None:
    try:
        document = load(tmp_path, body)
    except BadUpload as refusal:
        assert type(refusal) is kind
        assert words in str(refusal)
    else:
        assert not words
        assert document.text in ("late", "x")
