"""XML as a stream of tags: what elements hold becomes lines with their names, titles become headings.

No tree is built, entities are not expanded, nothing is loaded from elsewhere. SVG gives the words in the drawing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.entities import html5
from pathlib import Path

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders.clean import one_line
from ingest.loaders.decode import decode
from ingest.loaders.draft import Block, Draft
from ingest.loaders.textkinds import SVG
from ingest.loaders.web import stated_encoding

DEEPEST = 1_000
LONGEST_NAMED = 200  # characters; longer texts are paragraphs, which need no name before them
_TITLES = frozenset(("title", "head", "heading", "header", "caption"))
_SKIPPED = frozenset(("script", "style", "metadata"))
_DRAWN = frozenset(("text", "title", "desc"))
_FOR_PROGRAMS = frozenset(("schemalocation", "nonamespaceschemalocation", "style", "class", "space"))
_BLOCKS = frozenset(("p", "para", "paragraph", "simpara", "description", "content", "abstract", "li", "item"))


# Without its declarations no entity can grow or fetch anything. The common ones are put in, others stay as names.
_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>", re.S)
_ENTITY = re.compile(r"&([A-Za-z][\w.-]{0,60});")
_XML_ENTITIES = ("lt", "gt", "amp", "quot", "apos")


@dataclass(frozen=True, slots=True)
class XmlLoader:
    """XML of any kind, and SVG drawings."""

    media_type: str
    version: int = 1
    library: str | None = "lxml"

    def load(self, path: Path, name: str) -> Document:
        data = path.read_bytes()
        decoded = decode(data, stated=stated_encoding(data))
        reader = _read(decoded.text, name, drawing=self.media_type == SVG)
        draft = Draft(name)
        for block in reader.blocks:
            draft.add(block)
        warnings = decoded.warnings
        if reader.broken:
            warnings.append("It is no complete XML; what could be read of it was kept.")
        if "<!ENTITY" in decoded.text:
            warnings.append("Abbreviations that the file defines for itself (entities) stand as their names.")
        return draft.document(
            self.media_type, title=reader.title, metadata={"encoding": decoded.encoding}, warnings=warnings
        )


def _read(text: str, name: str, *, drawing: bool) -> _XmlReader:
    from lxml import etree

    reader = _XmlReader(name, drawing)
    parser = etree.XMLParser(
        encoding="utf-8", target=reader, resolve_entities=False, no_network=True, load_dtd=False, recover=True,
        huge_tree=True,
    )  # fmt: skip
    text = _ENTITY.sub(_spelled, _DOCTYPE.sub("", text, count=1))
    try:
        etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        reader.close()
        if not reader.blocks:
            raise NoText(
                f"{name} holds no text that could be read. Open it in its program and save it anew."
            ) from error
        reader.broken = True
    return reader


@dataclass(slots=True)
class _Element:
    """An element that is open: its name, what stands in it so far, and whether elements stood in it on their own."""

    tag: str
    text: list[str] = field(default_factory=list)
    inline: bool = False
    attributes: str = ""


class _XmlReader:
    """What lxml calls for every tag and text; `blocks` is the document when it is closed."""

    def __init__(self, name: str, drawing: bool) -> None:
        self.name = name
        self.blocks: list[Block] = []
        self.title = ""
        self.broken = False
        self._drawing = drawing
        self._open: list[_Element] = []
        self._last: _Element | None = None  # the parent of the line written last
        self._skipped = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        local = _local(tag)
        if self._skipped or (self._drawing and local in _SKIPPED):
            self._skipped += 1
            return
        if len(self._open) >= DEEPEST:
            raise BadUpload(f"{self.name} is nested deeper than {DEEPEST:,} levels. It was not read.")
        parent = self._open[-1] if self._open else None
        inline = parent is not None and (parent.inline or any(map(str.strip, parent.text)) or local == "tspan")
        if parent is not None and not inline:
            self._flush(parent)
        told = [f"{_local(key)}: {value}" for key, value in attributes.items() if _telling(key, value)]
        self._open.append(_Element(local, inline=inline, attributes="" if self._drawing else ", ".join(told)))

    def end(self, _tag: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        if not self._open:
            return
        element = self._open.pop()
        if element.inline and self._open:
            self._open[-1].text.append("".join(element.text))
        else:
            self._flush(element)

    def data(self, text: str) -> None:
        if not self._skipped and self._open:
            self._open[-1].text.append(text)

    def comment(self, text: str) -> None:
        """Comments are not shown to readers."""

    def pi(self, target: str, text: str | None = None) -> None:
        """Neither are processing instructions."""

    def close(self) -> _XmlReader:
        while self._open:
            self.end(self._open[-1].tag)
        return self

    def _flush(self, element: _Element) -> None:
        """Write what an element holds so far."""
        text = "".join(element.text)
        element.text.clear()
        attributes, element.attributes = element.attributes, ""
        flat = one_line(text)
        if self._drawing:
            if flat and (element.tag in _DRAWN or any(outer.tag in _DRAWN for outer in self._open[-3:])):
                self.blocks.append(Block(flat, tight=True))
                self.title = self.title or (flat if element.tag == "title" else "")
            return
        if element.tag in _TITLES and flat:
            self.title = self.title or flat
            self.blocks.append(Block(flat, level=min(6, max(1, len(self._open)))))
        elif flat and (len(flat) > LONGEST_NAMED or element.tag in _BLOCKS):
            self.blocks.append(Block(text.strip("\n") if "\n\n" in text else flat))
        elif flat or attributes:
            line = f"{element.tag}: {flat}" if flat else element.tag
            self.blocks.append(Block(f"{line} ({attributes})" if attributes else line, tight=self._same_record()))

    def _same_record(self) -> bool:
        """Whether the line before belongs to the same parent, so that a record's fields stay together."""
        last, self._last = self._last, self._open[-1] if self._open else None
        return last is not None and last is self._last


def _spelled(found: re.Match[str]) -> str:
    """An entity as the letter that it means; one that only the file knows as text."""
    if found[1] in _XML_ENTITIES:
        return found[0]
    return html5.get(f"{found[1]};") or f"&amp;{found[1]};"


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1].rsplit(":", 1)[-1].lower() if isinstance(tag, str) else ""


def _telling(key: str, value: str) -> bool:
    """Whether an attribute says something to people."""
    return bool(value.strip()) and _local(key) not in _FOR_PROGRAMS
