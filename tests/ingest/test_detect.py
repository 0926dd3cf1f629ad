from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from core.errors import BadUpload, UnknownType
from ingest.loaders import LOADERS, parser_of
from ingest.loaders.detect import CSV, DOCX, HTML, JSON, MARKDOWN, PDF, TEXT, media_type
from tests.ingest.made import pdf, word_file


def archive(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        for name in names:
            package.writestr(name, "x")
    return packed.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (pdf(["Hello"]), "report.txt", PDF),
        (b"\n\n" + pdf(["Hello"]), "report", PDF),
        (b"<html><script>1</script>\n" + pdf(["Hello"]), "page.html", PDF),
        (b"The format begins with %PDF-1.7 and so on.", "about.txt", TEXT),
        (b"<!DOCTYPE html><title>x</title>", "page.md", HTML),
        (b"<div><p>part of a page</p></div>", "snippet", HTML),
        (b"see <p>the tag</p>", "page.html", HTML),
        (b"see <p>the tag</p>", "page.txt", TEXT),
        ("<html>".encode("utf-16"), "wide", HTML),
        (b"# Title\n\ntext", "note.md", MARKDOWN),
        (b"# Title\n\n## Part\n\n[a](b)\n", "README", MARKDOWN),
        (b"# a comment\nx = 1\n", "script.py", TEXT),
        (b"a,b\n1,2\n", "table.csv", CSV),
        (b'{"a": 1}', "data.json", JSON),
        (b"MZ is how it begins", "note.txt", TEXT),
        ("größe".encode("utf-16-le") * 9, "wide.txt", TEXT),
        ("日本語のテキスト".encode("shift_jis"), "j.txt", TEXT),
        (b"\n" * 100_000 + b"late", "late.txt", TEXT),
    ],
)
def test_the_content_decides_what_a_file_is(tmp_path: Path, content: bytes, name: str, expected: str) -> None:
    path = tmp_path / "stored"
    path.write_bytes(content)
    assert media_type(path, name) == expected


def test_a_word_file_is_known_by_its_parts(tmp_path: Path) -> None:
    path = word_file(tmp_path / "stored", lambda word: word.add_paragraph("Hello"))
    assert media_type(path, "holiday.jpg") == DOCX


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><text>x</text></svg>", "a picture"),
        (b"\0\0\0\x18ftypmp42" + bytes(64), "a sound or video file"),
        (b"\x1f\x8b\x08\0" + bytes(64), "a compressed archive"),
        (b"\x7fELF" + bytes(64), "a program"),
        (b"SQLite format 3\0" + bytes(64), "a database"),
        (bytes(range(256)) * 4, "a binary file"),
        (b"{\\rtf1 text}", "an RTF file"),
        (b"From: a@b.example\nTo: c@d.example\nDate: Mon\nSubject: x\nMIME-Version: 1.0\n\nhi", "an e-mail"),
        (archive("a.exe"), "a ZIP archive"),
        (archive("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook"),
        (archive("[Content_Types].xml", "ppt/presentation.xml"), "a PowerPoint presentation"),
        (archive("mimetype", "META-INF/container.xml"), "an EPUB book"),
        (archive("mimetype", "META-INF/manifest.xml"), "an OpenDocument file"),
        (OLE, "an old or password-protected Word file"),
        (OLE + "WordDocument".encode("utf-16-le"), "an old or password-protected Word file"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "a password-protected Office file"),
    ],
)
def test_a_refused_file_is_called_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "stored"
    path.write_bytes(content)
    with pytest.raises(UnknownType) as refusal:
        media_type(path, "letter.docx")
    assert str(refusal.value).startswith(f"letter.docx is {words}")
    assert "Groundwork reads PDF" in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (archive("[Content_Types].xml"), "is damaged"),
        (archive("word/document.xml")[:-30], "is damaged"),
    ],
)
def test_an_empty_or_broken_file_is_refused_with_the_reason(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "stored"
    path.write_bytes(content)
    with pytest.raises(BadUpload, match=words):
        media_type(path, "letter.docx")


def test_every_media_type_names_its_parser_with_versions() -> None:
    assert all(parser_of(kind) for kind in LOADERS)
    assert parser_of(PDF).startswith("PdfLoader 2 (pypdfium2 ")
    assert parser_of("image/png") == ""
