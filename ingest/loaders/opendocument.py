"""ODT, ODS and ODP: the XML inside is read with lxml; a package of styles tells what is hidden, numbered or a title."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import BadUpload
from core.types import Document, Heading
from ingest.loaders.detect import ODP, ODS, ODT
from ingest.loaders.draft import Block, Draft, choose_title, listed
from ingest.loaders.opendocument_body import BodyReader, Styles, joined
from ingest.loaders.opendocument_names import DC, DRAW, META, OFFICE, PRESENTATION, STYLE, TEXT
from ingest.loaders.opendocument_sheets import add_sheets
from ingest.loaders.package import check_package, damaged, iso_date, opened, parse_xml

_MANIFEST = "META-INF/manifest.xml"
_MARGINS = {"header": (STYLE + "header", STYLE + "header-first"), "footer": (STYLE + "footer", STYLE + "footer-first")}
_SAME_ON_ALL = ("page-number", "date-time", "footer", "header")
_PAGE_NUMBERS = (TEXT + "page-number", TEXT + "page-count")
FEWEST_WORDS = 3
MOST_SLIDES = 5_000


@dataclass(frozen=True, slots=True)
class OpenDocumentLoader:
    """Texts, spreadsheets and presentations of LibreOffice and OpenOffice, and their templates."""

    media_type: str
    version: int = 1
    library: str | None = "lxml"

    def load(self, path: Path, name: str) -> Document:
        from lxml.etree import LxmlError

        check_package(path, name)
        draft = Draft(name)
        with opened(path, name) as package:
            try:
                if b"encryption-data" in _read(package, _MANIFEST):
                    raise BadUpload(f"{name} is password-protected. Remove the password and upload it again.")
                about = _about(package)
                warnings = _add(self.media_type, package, draft)
            except (LxmlError, KeyError, ValueError) as error:
                raise damaged(name, "LibreOffice") from error
        title = about.pop("title", "")
        if self.media_type == ODS:
            title = title or PurePosixPath(name).stem  # the name of its only sheet says less
        elif self.media_type == ODP and draft.headings:
            title = choose_title(title, [Heading(1, draft.headings[0].title, 0)], name)
        return draft.document(self.media_type, title=title, metadata=about, warnings=warnings)


def _read(package: zipfile.ZipFile, part: str) -> bytes:
    return package.read(part) if part in package.namelist() else b""


def _add(media_type: str, package: zipfile.ZipFile, draft: Draft) -> list[str]:
    """Add what the package holds; the warnings. Raises KeyError when it holds nothing of its type."""
    data = _read(package, "styles.xml")
    common = parse_xml(data) if data else None
    if media_type == ODS:
        with package.open("content.xml") as content:
            return add_sheets(content, Styles(common), draft)
    root = parse_xml(package.read("content.xml"))
    body = root.find(f"{OFFICE}body/{OFFICE}{'text' if media_type == ODT else 'presentation'}")
    if body is None:
        raise KeyError("body")
    reader = BodyReader(Styles(common, root))
    if media_type == ODP:
        return [*_add_slides(body, reader, draft), *reader.warnings()]
    for block in chain(_margins(common, "header"), reader.blocks(body), _margins(common, "footer")):
        draft.add(block)
    return reader.warnings()


def _margins(common: Any, kind: str) -> Iterator[Block]:
    """What the headers or footers of all pages say, each text once; page numbers alone say nothing."""
    seen: set[str] = set()
    for margin in [] if common is None else common.iter(*_MARGINS[kind]):
        numbers = list(margin.iter(*_PAGE_NUMBERS))
        for number in numbers:
            number.text = ""
        if margin.get(STYLE + "display") == "false":
            continue
        blocks = BodyReader(Styles(common)).blocks(margin)
        text = "\n".join(line for block in blocks for line in (joined(block.rows) or [block.text]) if line.strip())
        enough = len([word for word in text.split() if any(map(str.isalpha, word))]) >= (FEWEST_WORDS if numbers else 1)
        if enough and text not in seen:
            seen.add(text)
            yield Block(text)


def _add_slides(body: Any, reader: BodyReader, draft: Draft) -> list[str]:
    """Add every slide as a page; the warnings."""
    hidden: list[int] = []
    for number, page in enumerate(body.iterchildren(DRAW + "page"), 1):
        if number > MOST_SLIDES:
            raise BadUpload(f"{draft.name} has more than {MOST_SLIDES:,} slides. Split it into smaller files.")
        if page.get(DRAW + "style-name") in reader.styles.hidden_pages:
            hidden.append(number)
        draft.add_page_of([*_slide(page, reader), *_notes(page, reader)], number=number)
    if not hidden:
        return []
    slides = f"Slide {hidden[0]} is" if len(hidden) == 1 else f"Slides {listed(hidden)} are"
    return [f"{slides} hidden when the presentation is shown; the text was taken in."]


def _slide(page: Any, reader: BodyReader) -> Iterator[Block]:
    """The title first, wherever it stands in the file; then the shapes in their order."""
    shapes = [shape for shape in page.iterchildren() if isinstance(shape.tag, str) and _is_content(shape)]
    titles = [shape for shape in shapes if shape.get(PRESENTATION + "class") == "title"]
    for shape in titles:
        if title := " ".join(block.text for block in reader.blocks(shape) if block.text):
            yield Block(title, level=1)
    for shape in shapes:
        if shape not in titles:
            yield from reader.blocks(shape)


def _is_content(shape: Any) -> bool:
    kind = shape.get(PRESENTATION + "class")
    empty = shape.get(PRESENTATION + "placeholder") == "true"
    return shape.tag != PRESENTATION + "notes" and kind not in _SAME_ON_ALL and not empty


def _notes(page: Any, reader: BodyReader) -> Iterator[Block]:
    """What the speaker wrote below the slide."""
    for notes in page.iterchildren(PRESENTATION + "notes"):
        shapes = (shape for shape in notes.iterchildren() if isinstance(shape.tag, str) and _is_content(shape))
        if text := "\n".join(block.text for shape in shapes for block in reader.blocks(shape) if block.text):
            yield Block("Notes: " + text)


def _about(package: zipfile.ZipFile) -> dict[str, str]:
    """What a document says about itself, by our names."""
    data = _read(package, "meta.xml")
    if not data:
        return {}
    root = parse_xml(data)

    def first(*tags: str) -> str:
        return next((text for tag in tags for found in root.iter(tag) if (text := (found.text or "").strip())), "")

    return {
        "title": first(DC + "title"),
        "author": first(META + "initial-creator", DC + "creator"),
        "subject": first(DC + "subject"),
        "keywords": ", ".join(found.text for found in root.iter(META + "keyword") if found.text),
        "created": iso_date(first(META + "creation-date")),
        "modified": iso_date(first(DC + "date")),
        "language": first(DC + "language"),
    }
