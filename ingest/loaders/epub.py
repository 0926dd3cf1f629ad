"""EPUB with zipfile and lxml: the pages of a book in the order of its spine, each read like a page of the web.

A chapter's heading is its own; where a page begins without one, it is the name that the table of contents gives it.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders.clean import one_line
from ingest.loaders.decode import decode
from ingest.loaders.detect import EPUB
from ingest.loaders.draft import Block, Draft, listed
from ingest.loaders.package import check_package, damaged, iso_date, opened, parse_xml
from ingest.loaders.web import HIDDEN, read_page, stated_encoding

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_NCX = "{http://www.daisy.org/z3986/2005/ncx/}"
NEAR = 8  # blocks from the top in which a line of the chapter may be its heading, though it is not marked as one
_EPUB_TYPE = ("epub:type", "{http://www.idpf.org/2007/ops}type", "type")


@dataclass(slots=True)
class _Book:
    """What the package says: its pages in their order, the names of chapters by page, and what it is called."""

    pages: list[str] = field(default_factory=list)
    names: dict[str, tuple[str, int]] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    hides: bool = False

    def warnings(self) -> list[str]:
        warnings = [HIDDEN] if self.hides else []
        if self.missing:
            warnings.append(f"Pages that the book names are missing from it: {listed(self.missing)}.")
        return warnings


@dataclass(frozen=True, slots=True)
class EpubLoader:
    """Electronic books without copy protection."""

    version: int = 1
    library: str | None = "lxml"

    def load(self, path: Path, name: str) -> Document:
        from lxml.etree import LxmlError

        check_package(path, name)
        draft = Draft(name)
        with opened(path, name) as package:
            try:
                book = _book(package)
                _check_protection(package, book, name)
            except (LxmlError, KeyError, ValueError) as error:
                raise damaged(name, "its reader") from error
            for page in book.pages:
                for block in _chapter(package, page, book, name):
                    draft.add(block)
        title = book.about.pop("title", "")
        return draft.document(EPUB, title=title, metadata=book.about, warnings=book.warnings())


def _book(package: zipfile.ZipFile) -> _Book:
    """Raises KeyError when a part is missing, lxml's XMLSyntaxError when one is broken."""
    container = parse_xml(package.read(_CONTAINER))
    place = next((unquote(root.get("full-path") or "") for root in container.iter("{*}rootfile")), "")
    root = parse_xml(package.read(place))
    book, parts = _Book(about=_about(root)), set(package.namelist())
    items = {item.get("id"): item for item in root.iter("{*}item")}
    contents = ""
    for reference in root.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        page = _inside(place, item.get("href")) if item is not None else ""
        if item is None or page in book.pages or "nav" in (item.get("properties") or "").split():
            continue  # the table of contents says nothing that the chapters do not say
        if page not in parts:
            book.missing.append(posixpath.basename(page))
        elif item.get("media-type") in _PAGES:
            book.pages.append(page)
    for item in items.values():
        if "nav" in (item.get("properties") or "").split() or item.get("media-type") == "application/x-dtbncx+xml":
            contents = _inside(place, item.get("href"))
            if contents in parts and not book.names:
                book.names = _names(package.read(contents), contents)
    return book


def _inside(place: str, href: str | None) -> str:
    """The part that a part at `place` refers to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), unquote(href or "").split("#")[0]))


def _names(data: bytes, place: str) -> dict[str, tuple[str, int]]:
    """Name and depth of each page in the table of contents, of EPUB 3 (nav) or EPUB 2 (NCX); the first one counts."""
    from lxml import etree

    names: dict[str, tuple[str, int]] = {}
    if b"navPoint" in data:
        for point in parse_xml(data).iter(_NCX + "navPoint"):
            source = point.find(_NCX + "content")
            depth = sum(1 for _ in point.iterancestors(_NCX + "navPoint")) + 1
            label = one_line(point.findtext(f"{_NCX}navLabel/{_NCX}text") or "")
            if source is not None and label:
                names.setdefault(_inside(place, source.get("src")), (label, depth))
        return names
    root = etree.fromstring(data, etree.HTMLParser(encoding="utf-8", no_network=True))
    for navigation in [] if root is None else root.iter("nav"):
        if any("toc" in (navigation.get(key) or "").split() for key in _EPUB_TYPE):
            for link in navigation.iter("a"):
                label, depth = one_line("".join(link.itertext())), sum(1 for _ in link.iterancestors("ol"))
                if label:
                    names.setdefault(_inside(place, link.get("href")), (label, max(1, depth)))
    return names


def _check_protection(package: zipfile.ZipFile, book: _Book, name: str) -> None:
    """Raise BadUpload when the pages themselves are encrypted; that fonts are is common and harmless."""
    if _ENCRYPTION not in package.namelist():
        return
    locked = {
        unquote(part.get("URI") or "") for part in parse_xml(package.read(_ENCRYPTION)).iter("{*}CipherReference")
    }
    if locked & set(book.pages):
        raise BadUpload(f"{name} is protected against copying (DRM). Upload a version without protection.")


def _chapter(package: zipfile.ZipFile, part: str, book: _Book, name: str) -> Iterator[Block]:
    data = package.read(part)
    try:
        page = read_page(decode(data, stated=stated_encoding(data)).text, name)
    except NoText:
        return  # a cover, or another picture
    book.hides = book.hides or page.hides
    blocks = [block for block in page.blocks if block.text or block.rows]
    label, depth = book.names.get(part, ("", 1))
    own = [n for n, block in enumerate(blocks) if block.text and one_line(block.text).casefold() == label.casefold()]
    if blocks and label and not blocks[0].level and not any(blocks[n].level for n in own):
        if own and own[0] < NEAR:
            blocks[own[0]] = replace(blocks[own[0]], level=min(depth, 6))
        else:
            yield Block(label, level=min(depth, 6))
    yield from blocks


def _about(root: Any) -> dict[str, str]:
    """What the book says about itself, by our names."""

    def all_of(tag: str) -> list[str]:
        return [text for found in root.iter("{http://purl.org/dc/elements/1.1/}" + tag) if (text := found.text)]

    modified = [found.text for found in root.iter("{*}meta") if found.get("property") == "dcterms:modified"]
    return {
        "title": next(iter(all_of("title")), ""),
        "author": ", ".join(all_of("creator")[:8]),
        "publisher": next(iter(all_of("publisher")), ""),
        "subject": ", ".join(all_of("subject")[:8]),
        "created": iso_date(next(iter(all_of("date")), "")),
        "modified": iso_date(next(iter(modified), None) or ""),
        "language": next(iter(all_of("language")), ""),
    }
