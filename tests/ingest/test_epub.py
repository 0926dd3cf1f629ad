from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest

from core.errors import BadUpload
from core.types import Document
from ingest.loaders.detect import EPUB, media_type
from ingest.loaders.epub import EpubLoader
from tests.ingest.made import package

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="book/content.opf"/></rootfiles></container>'
)
ABOUT = "<dc:title>On Motors</dc:title><dc:creator>Ann</dc:creator><dc:language>en</dc:language><dc:date>2024-03-05</dc:date>"


def load(
    path: Path, pages: Mapping[str, str], *, spine: tuple[str, ...] = (), toc: str = "", more: str = ""
) -> Document:
    items = "".join(f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name in pages)
    items += '<item id="toc" href="toc.ncx" media-type="application/x-dtbncx+xml"/>' if toc else ""
    order = "".join(f'<itemref idref="{name}"/>' for name in spine or pages)
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata>{ABOUT}</metadata><manifest>{items}{more}</manifest><spine>{order}</spine></package>"
    )
    parts = {"mimetype": EPUB, "META-INF/container.xml": CONTAINER, "book/content.opf": opf}
    parts |= {f"book/{name}.xhtml": f"<!DOCTYPE html><html><body>{page}</body></html>" for name, page in pages.items()}
    if toc:
        parts["book/toc.ncx"] = f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>{toc}</navMap></ncx>'
    package(path, parts)
    assert media_type(path, "anything") == EPUB
    return EpubLoader().load(path, "book.epub")


def point(label: str, page: str, inside: str = "") -> str:
    return f'<navPoint><navLabel><text>{label}</text></navLabel><content src="{page}"/>{inside}</navPoint>'


def test_chapters_come_in_the_order_of_the_spine(tmp_path: Path) -> None:
    document = load(
        tmp_path / "a", {"b": "<h1>Second</h1><p>two</p>", "a": "<h1>First</h1><p>one</p>"}, spine=("a", "b", "a")
    )
    assert document.text == "First\n\none\n\nSecond\n\ntwo"
    assert [heading.title for heading in document.headings] == ["First", "Second"]
    assert (document.title, dict(document.metadata)) == (
        "On Motors",
        {"author": "Ann", "created": "2024-03-05", "language": "en"},
    )


def test_a_chapter_without_a_heading_takes_its_name_from_the_table_of_contents(tmp_path: Path) -> None:
    toc = (
        point("Part one", "a.xhtml", point("Belts", "b.xhtml#top")) + point("Own", "c.xhtml") + point("Line", "d.xhtml")
    )
    pages = {"a": "<p>one</p>", "b": "<p>two</p>", "c": "<h2>Own</h2><p>three</p>", "d": "<p>LINE</p><p>four</p>"}
    document = load(tmp_path / "a", pages, toc=toc)
    assert document.text.split("\n\n") == ["Part one", "one", "Belts", "two", "Own", "three", "LINE", "four"]
    assert [(h.level, h.title) for h in document.headings] == [(1, "Part one"), (2, "Belts"), (2, "Own"), (1, "LINE")]


def test_the_table_of_contents_of_newer_books_is_read_and_not_repeated(tmp_path: Path) -> None:
    nav = '<nav epub:type="toc"><ol><li><a href="a.xhtml">Motors</a></li></ol></nav>'
    item = '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
    load(tmp_path / "a", {"a": "<p>one</p>"}, more=item)
    with ZipFile(tmp_path / "a", "a") as made:
        made.writestr("book/nav.xhtml", f"<html><body>{nav}</body></html>")
    assert EpubLoader().load(tmp_path / "a", "book.epub").text == "Motors\n\none"


def test_pages_that_are_missing_are_named(tmp_path: Path) -> None:
    item = '<item id="x" href="gone.xhtml" media-type="application/xhtml+xml"/>'
    document = load(tmp_path / "a", {"a": "<p>one</p>"}, spine=("a", "x"), more=item)
    assert document.warnings == ("Pages that the book names are missing from it: gone.xhtml.",)


def test_protected_and_broken_books_are_refused_with_the_reason(tmp_path: Path) -> None:
    load(tmp_path / "a", {"a": "<p>one</p>"})
    with ZipFile(tmp_path / "a", "a") as made:
        made.writestr("META-INF/encryption.xml", '<encryption><CipherReference URI="book/a.xhtml"/></encryption>')
    with pytest.raises(BadUpload, match="protected against copying"):
        EpubLoader().load(tmp_path / "a", "book.epub")
    with pytest.raises(BadUpload, match="is damaged"):
        EpubLoader().load(package(tmp_path / "b", {"mimetype": EPUB}), "book.epub")
    with pytest.raises(BadUpload, match="is damaged"):
        EpubLoader().load(package(tmp_path / "b", {"META-INF/container.xml": "<container/>"}), "book.epub")
