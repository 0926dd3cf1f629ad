from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from core.errors import BadUpload, UnknownType
from ingest.loaders import LOADERS, parser_of
from ingest.loaders.detect import DOCX, EPUB, ODP, ODS, ODT, PDF, PPTX, RTF, XLSX, ZIP, media_type
from ingest.loaders.textkinds import (
    CODE,
    CORPUS,
    CSV,
    HTML,
    JSON,
    LATEX,
    MAIL,
    MARKDOWN,
    NOTEBOOK,
    ORG,
    RST,
    SRT,
    SVG,
    TEXT,
    VTT,
    WEB_ARCHIVE,
    XML,
)  # fmt: skip
from tests.ingest.made import pdf, word_file

TYPES = "[Content_Types].xml"
OFFICE = "application/vnd.openxmlformats-officedocument"


def package(*parts: tuple[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for name, content in parts:
            made.writestr(name, content)
    return packed.getvalue()


def archive(*names: str) -> bytes:
    return package(*((name, "x") for name in names))


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
        (b"# a comment\nx = 1\n", "script.py", CODE),
        (b"#!/bin/sh\necho hi\n", "run", CODE),
        (b"all: app\n\tcc app.c\n", "Makefile", CODE),
        (b"a,b\n1,2\n", "table.csv", CSV),
        (b'{"a": 1}', "data.json", JSON),
        (b"MZ is how it begins", "note.txt", TEXT),
        ("größe".encode("utf-16-le") * 9, "wide.txt", TEXT),
        ("日本語のテキスト".encode("shift_jis"), "j.txt", TEXT),
        (b"\n" * 100_000 + b"late", "late.txt", TEXT),
        (b'{"a": 1}', "notes.txt", JSON),
        (b'[{"a": 1}]', "notes", JSON),
        (b"[[a link]] and [1] a note", "notes.txt", TEXT),
        (b'{"cells": [{"cell_type": "markdown"}], "nbformat": 4}', "data.json", NOTEBOOK),
        (b"<?xml version='1.0'?><!-- x --><note><to>a</to></note>", "note.txt", XML),
        (b"<note><to>a</to></note>", "note", XML),
        (b"<?xml version='1.0'?><xsl:stylesheet xmlns:xsl='x'><html/></xsl:stylesheet>", "a.xsl", XML),
        (b"<?xml version='1.0'?>\n<html xmlns='http://www.w3.org/1999/xhtml'></html>", "a.xml", HTML),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><text>x</text></svg>", "a.png", SVG),
        (b"<p align=center>\n# Project", "README.md", MARKDOWN),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nhi", "film.txt", VTT),
        (b"1\r\n00:00:01,000 --> 00:00:02,000\r\nhi", "film.txt", SRT),
        (b"From: a@b.example\nTo: c@d.example\nDate: Mon\nSubject: x\nMIME-Version: 1.0\n\nhi", "a.txt", MAIL),
        (b"MIME-Version: 1.0\nContent-Type: multipart/signed\n\nhi", "signed.p7s", MAIL),
        (
            b"From: <Saved by Blink>\nSubject: x\nContent-Type: multipart/related;\n boundary=b\nDate: x\n"
            b"MIME-Version: 1.0\n\nhi",
            "page.txt",
            WEB_ARCHIVE,
        ),
        (b"\\documentclass{article}\n\\begin{document}", "paper", LATEX),
        (b"#+TITLE: Plan\n#+AUTHOR: Ann\n* One\n", "plan", ORG),
        (b"Plan\n====\n\n.. note::\n   x\n\n.. image:: y\n", "plan.txt", RST),
        (b"Plan\n====\n\ntext\n", "plan.txt", TEXT),
        (b"a;b;c\n" * 6, "export.txt", CSV),
        (b"one, two, three\nand, four\n" * 6, "poem.txt", TEXT),
        (b"# sent_id = 1\n1\tThe\tthe\tDET\tDT\t_\t2\tdet\t_\t_\n", "c.txt", CORPUS),
    ],
)
def test_the_content_decides_what_a_file_is(tmp_path: Path, content: bytes, name: str, expected: str) -> None:
    path = tmp_path / "stored"
    path.write_bytes(content)
    assert media_type(path, name) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (package((TYPES, f"{OFFICE}.wordprocessingml.document.main+xml"), ("word/document2.xml", "x")), DOCX),
        (package((TYPES, "application/vnd.ms-word.document.macroEnabled.main+xml")), DOCX),
        (package((TYPES, f"{OFFICE}.spreadsheetml.sheet.main+xml")), XLSX),
        (package((TYPES, "application/vnd.ms-excel.sheet.macroEnabled.main+xml")), XLSX),
        (package((TYPES, f"{OFFICE}.presentationml.slideshow.main+xml")), PPTX),
        (package(("mimetype", ODT)), ODT),
        (package(("mimetype", f"{ODS}-template")), ODS),
        (package(("META-INF/manifest.xml", f'<file-entry full-path="/" media-type="{ODP}"/>')), ODP),
        (package(("mimetype", "application/epub+zip")), EPUB),
        (archive("META-INF/container.xml"), EPUB),
        (archive("xl/workbook.xml"), XLSX),
        (archive("a.txt", "b.pdf"), ZIP),
        (b"{\\rtf1 text}", RTF),
        (b"\xef\xbb\xbf{\\rtf1 text}", RTF),
    ],
)
def test_a_package_is_what_it_says_of_its_main_part(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "stored"
    path.write_bytes(content)
    assert media_type(path, "holiday.jpg") == expected


def test_a_word_file_is_known_by_its_parts(tmp_path: Path) -> None:
    path = word_file(tmp_path / "stored", lambda word: word.add_paragraph("Hello"))
    assert media_type(path, "holiday.jpg") == DOCX


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0\0\0\x18ftypmp42" + bytes(64), "a sound or video file"),
        (b"\x1f\x8b\x08\0" + bytes(64), "a compressed archive"),
        (b"\x7fELF" + bytes(64), "a program"),
        (b"SQLite format 3\0" + bytes(64), "a database"),
        (bytes(range(256)) * 4, "a binary file"),
        (package(("mimetype", "application/vnd.oasis.opendocument.graphics")), "an OpenDocument drawing"),
        (package((TYPES, "application/vnd.ms-excel.sheet.binary.macroEnabled.main")), "a binary Excel workbook"),
        (archive("Index/Document.iwa"), "an Apple iWork file"),
        (OLE, "an old or password-protected Word file"),
        (OLE + "WordDocument".encode("utf-16-le"), "an old or password-protected Word file"),
        (OLE + "PowerPoint Document".encode("utf-16-le"), "an old PowerPoint file"),
        (OLE + "Workbook".encode("utf-16-le"), "an old Excel file"),
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
    assert parser_of("audio/wav") == ""


@pytest.mark.parametrize(
    "content",
    [
        b"<?xml version='1.0'?>" + b" " * 60_000 + b"x",
        b"<?xml version='1.0'?>" + b"<!---->" * 9_000,
        b"<!doctype" + b"[" * 60_000,
        b'{"' + b"\\\\" * 30_000,
        b"[" * 60_000,
        b"x-a: b\n" * 9_000,
        (b"a" * 90 + b"\n" + b"=" * 90 + b"x\n") * 300,
    ],
)
def test_bait_for_patterns_is_told_apart_at_once(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "stored"
    path.write_bytes(content)
    assert media_type(path, "bait") in LOADERS
