"""Real files of many programs: what is known to stand in them is found, at offsets that are true."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.errors import BadUpload, NoText, UnknownType
from core.types import Document
from ingest import loaders, sandbox
from ingest.split import split
from tests.conftest import SHARED
from tests.ingest.made import words

EVALDATA = SHARED / "evaldata"
pytestmark = pytest.mark.skipif(not EVALDATA.is_dir(), reason="the evaluation data is not beside the repository")


def parse(path: str) -> Document:
    return sandbox.parse(EVALDATA / path, Path(path).name, seconds=60, memory_mb=1024)


TABLES = [
    ("docugami/sec-10-q/data/v1/docs/2023 Q1 AAPL.pdf", "| Cash and cash equivalents | $ 20,535 | $ 23,646 |", "| December 31, | September 24, |"),
    ("docugami/sec-10-q/data/v1/docs/2023 Q1 AMZN.pdf", "| Net product sales | $ 56,455 | $ 56,981 |", "| 2022 | 2023 |"),
    ("docs/debian/pdf/debian-reference.en.pdf", "| vim | V:97, I:390 | 3570 |", "| package | popcon | size | description |"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "row", "header"), TABLES, ids=[Path(path).name for path, _, _ in TABLES])
def test_a_table_on_a_page_is_rows_with_its_header(path: str, row: str, header: str) -> None:
    document = parse(path)
    tables = [table for table in document.tables if row in document.text[table.start : table.end]]
    assert tables
    assert all(document.text[table.start :].startswith(table.header) for table in document.tables)
    assert any(header in table.header for table in tables)


@dataclass(frozen=True)
class Known:
    """What somebody who looked at the file knows about it."""

    path: str
    title: str
    holds: str
    page: int | None = None
    heading: str = ""
    pages: int = 0
    table: str = ""


KNOWN = [
    Known(
        "docugami/sec-10-q/data/v1/docs/2023 Q1 AAPL.pdf", "2023 Q1 AAPL", "Cash and cash equivalents", page=6, pages=46
    ),
    Known(
        "docs/debian/pdf/policy.pdf", "Debian Policy Manual", "Every package must have a maintainer, except for orphaned packages", page=25,
        heading="The maintainer of a package", pages=193,
    ),
    Known("docs/debian/pdf/install.ja.pdf", "Debian GNU/Linux インストールガイド", "Debian プロジェクト", pages=126),
    Known(
        "docs/py-pdf-sample-files/009-pdflatex-geotopo/GeoTopo-komprimiert.pdf", "Geometrie und Topologie",
        "Topologische Räume", pages=117,
    ),
    Known(
        "docs/unstructured/example-docs/docx-tables.docx", "docx-tables", "Lorem ipsum",
        table="| Header Col 1 | Header Col 2 |",
    ),
    Known(
        "docs/unstructured/example-docs/handbook-1p.docx", "handbook-1p",
        "The United States Trustee appoints and supervises standing trustees",
    ),
    Known(
        "docs/unstructured/example-docs/vodafone.xlsx", "vodafone", "Mobile customers", heading="Index",
        table="| Topic | Period | Page |",
    ),
    Known(
        "docs/unstructured/example-docs/sample-presentation.pptx", "Title Slide", "We can see how it works", pages=4, table="| Table | A | B | C |",
    ),
    Known("docs/unstructured/example-docs/fake.odt", "fake", "Lorem ipsum"),
    Known(
        "docs/unstructured/example-docs/fake-doc.rtf", "My First Heading", "Row 2, Cell 1", heading="My First Heading",
        table="| Column 1 | Column 2 |",
    ),
    Known(
        "docs/debian/epub/policy.epub", "Debian Policy Manual",
        "Every package must have a maintainer, except for orphaned packages", heading="The maintainer of a package",
    ),
    Known("docs/pypi/odfpy-1.4.1/tests/examples/ol.odp", "ol", "2. fertsn", page=1, heading="OL", pages=1),
    Known("docs/pypi/odfpy-1.4.1/tests/examples/chinese_spreadsheet.ods", "chinese_spreadsheet", "test", heading="工作表1"),
    Known(
        "docs/debian/html/debian-reference-en/ch01.en.html", "Chapter 1. GNU/Linux tutorials",
        "presented with the character based login screen", heading="1.1.1. The shell prompt",
        table="| package | popcon | size | description |",
    ),
    Known(
        "docs/debian/html/python3.11/tutorial/errors.html", "8. Errors and Exceptions — Python 3.11.2 documentation",
        "ZeroDivisionError: division by zero", heading="8.2. Exceptions",
    ),
    Known(
        "docs/unstructured/example-docs/README.md", "README", "A PDF copy of the layout parser paper", heading="Example Docs",
    ),
    Known(
        "docs/unstructured/example-docs/stanley-cups-with-emoji.csv", "stanley-cups-with-emoji", "| Maple Leafs | TOR | 13 |",
        table="| Team | Location | Stanley Cups |",
    ),
    Known(
        "docs/unstructured/example-docs/arbitrary-records.ndjson", "arbitrary-records", "| GRD-1290 | Watering Can | 18.0 | false |",
        table="| sku | name | price | in_stock |",
    ),
    Known("docs/unstructured/example-docs/factbook-utf-16.xml", "factbook-utf-16", "capital: Ottawa"),
    Known("docs/unstructured/example-docs/README.rst", "Example Docs", "A PDF copy of the layout", heading="Example Docs"),
    Known("docs/unstructured/example-docs/README-w-include.org", "Example Docs", "get an example 10-K", heading="XBRL 10-K"),
    Known(
        "docs/unstructured/example-docs/eml/mime-multipart-digest.eml", "Example Multipart Digest Email",
        "This is the second message in the digest.",
    ),
    Known(
        "docs/unstructured/example-docs/fake-email-with-cc-and-bcc.msg", "Fake email with cc and bcc recipients",
        "This is a test email.",
    ),
    Known("docs/py-pdf-sample-files/026-latex-multicolumn/multicolumn.tex", "Two-Column Document with Lorem Ipsum", "Helsinki"),
    Known("docs/debian/txt/policy.txt", "policy", "Every package must have a maintainer", heading="The maintainer of a package"),
    Known("docs/debian/txt/fhs-3.0.txt", "fhs-3.0", "Filesystem Hierarchy Standard"),
    Known("docs/unstructured/example-docs/fake-text-utf-16.txt", "fake-text-utf-16", "This is a test document"),
    Known("docs/debian/txt/debian-reference.zh-cn.txt", "debian-reference.zh-cn", "软件包"),
]  # fmt: skip


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: Path(known.path).name)
def test_what_stands_in_a_real_file_is_found_at_its_place(known: Known) -> None:
    document = parse(known.path)
    assert document.title == known.title
    assert len(document.pages) == known.pages
    assert len(document.text) - len(document.text.rstrip()) < 100
    squeezed = re.sub(r"\s+", " ", document.text)
    assert known.holds in squeezed

    for before, page in zip((None, *document.pages), document.pages, strict=False):
        assert page.start == (before.end + 2 if before else 0)
    for heading in document.headings:
        assert 0 <= heading.start < len(document.text)
        assert heading.start == 0 or document.text[heading.start - 1] == "\n"
    for table in document.tables:
        assert document.text[table.start : table.end].startswith(table.header)
    assert known.table in {"", *(table.header for table in document.tables)}

    chunks = split(document, count_tokens=words)
    found = [chunk for chunk in chunks if known.holds in re.sub(r"\s+", " ", chunk.text)]
    assert found
    if known.page is not None:
        reached = {page.number for page in document.pages for c in found if page.start < c.end and c.start < page.end}
        assert known.page in reached
    if known.heading:
        assert any(known.heading in chunk.heading for chunk in found)


@pytest.mark.parametrize("path", [known.path for known in KNOWN])
def test_every_word_of_a_real_file_is_in_a_chunk(path: str) -> None:
    document = parse(path)
    covered = bytearray(len(document.text))
    for chunk in split(document, count_tokens=words):
        assert chunk.text == document.text[chunk.start : chunk.end]
        covered[chunk.start : chunk.end] = b"\1" * len(chunk.text)
    assert not "".join(c for c, seen in zip(document.text, covered, strict=True) if not seen).strip()


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
@pytest.mark.parametrize(
    "path",
    [
        "docugami/sec-10-q/data/v1/docs/2023 Q1 AAPL.pdf",
        "docugami/sec-10-q/data/v1/docs/2022 Q3 NVDA.pdf",
        "docs/debian/pdf/policy.pdf",
        "docs/debian/pdf/debian-reference.en.pdf",
        "docs/debian/pdf/install.es.pdf",
        "docs/debian/pdf/bash.pdf",
    ],
)
def test_a_born_digital_pdf_gives_the_words_that_pdftotext_finds(path: str) -> None:
    shown = subprocess.run(["pdftotext", str(EVALDATA / path), "-"], capture_output=True, check=True)
    expected = Counter(re.findall(r"\w+", shown.stdout.decode().lower()))
    missing = expected - Counter(re.findall(r"\w+", parse(path).text.lower()))
    assert missing.total() <= 0.01 * expected.total()


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        (
            "docs/py-pdf-sample-files/005-libreoffice-writer-password/libreoffice-writer-password.pdf",
            BadUpload,
            "password-protected",
        ),
        ("docs/unstructured/example-docs/fake.doc", UnknownType, "an old or password-protected Word file"),
        ("docs/unstructured/example-docs/fake-power-point.ppt", UnknownType, "an old PowerPoint file"),
        ("docs/unstructured/example-docs/empty.xlsx", NoText, "holds no text"),
        ("docs/pypi/odfpy-1.4.1/tests/examples/nasty.odt", BadUpload, "defines entities"),
        ("docs/unstructured/example-docs/fake-encrypted.msg", BadUpload, "is encrypted"),
        ("docs/unstructured/example-docs/eml/empty.eml", NoText, "holds no text"),
        ("docs/unstructured/example-docs/CantinaBand3.wav", UnknownType, "a sound or video file"),
    ],
    ids=lambda value: Path(value).name if isinstance(value, str) and "/" in value else "",
)
def test_a_real_file_that_cannot_be_read_is_refused_by_its_kind(path: str, kind: type[BadUpload], words: str) -> None:
    with pytest.raises(BadUpload, match=words) as refusal:
        parse(path)
    assert type(refusal.value) is kind


OFFICE = sorted(
    path.relative_to(EVALDATA).as_posix()
    for path in (EVALDATA / "docs").rglob("*")
    if path.suffix in (".docx", ".pptx", ".xlsx", ".odt", ".ods", ".odp", ".rtf", ".epub", ".doc", ".ppt")
)


@pytest.mark.parametrize("path", OFFICE)
def test_every_office_file_is_taken_in_or_refused_with_one_right_sentence(path: str) -> None:
    try:
        document = loaders.load(EVALDATA / path, Path(path).name)
    except BadUpload as refusal:
        kind = NoText if is_without_text(EVALDATA / path) else BadUpload
        assert isinstance(refusal, kind)
        assert str(refusal).startswith(Path(path).name + " ")
    else:
        places = [*document.pages, *document.tables]
        assert all(0 <= place.start <= place.end <= len(document.text) for place in places)
        assert all(document.text[table.start :].startswith(table.header) for table in document.tables)
        assert all(document.text[heading.start :].startswith(heading.title[:50]) for heading in document.headings)


def is_without_text(path: Path) -> bool:
    """Whether no part of a package that holds text has a letter in its elements for text."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as package:
        parts = [
            name for name in package.namelist() if re.match(r"(word/document|ppt/slides/slide\d+|xl/sharedS)", name)
        ]
        shown = b"".join(package.read(name) for name in parts)
    return bool(parts) and not re.search(rb"<(?:w:t|a:t|t)(?: [^>]*)?>[^<]*\w", shown)
