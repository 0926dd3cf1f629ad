"""HTML as a stream of tags: no tree is built, so neither depth nor size of a page can hurt.

Left out are scripts, styles, comments, attributes, fallbacks of embedded media, and what the page itself hides
(`hidden`, display:none and so on).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import NoText
from core.types import Document
from ingest.loaders.decode import decode
from ingest.loaders.draft import Block, Draft
from ingest.loaders.textkinds import HTML

LONGEST_CELL = 600  # characters; a cell with more is a text beside others, not a value of a table
_LEFT_OUT = frozenset(
    ("script", "style", "template", "noscript", "iframe", "object", "embed", "applet", "audio", "video", "canvas")
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    (
        "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div",
        "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "legend", "li",
        "main", "nav", "ol", "p", "pre", "section", "summary", "ul",
    )
)  # fmt: skip
_HIDING = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0*\.?0+(?![.\d])", re.I)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.I)
_XML_ENCODING = re.compile(rb"<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([\w.:-]{2,40})", re.I)
_ABOUT = {
    "author": "author", "dc.creator": "author", "dcterms.creator": "author", "article:author": "author",
    "article:published_time": "created", "date": "created", "dc.date": "created", "dcterms.created": "created",
    "article:modified_time": "modified", "last-modified": "modified", "dcterms.modified": "modified",
    "canonical": "source", "og:url": "source",
}  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
HIDDEN = "Parts that the page hides from its readers were left out."
_PERMALINK = re.compile(r"\s*[¶§#\uf0c1]\s*$")


@dataclass(frozen=True, slots=True)
class WebLoader:
    """HTML pages."""

    version: int = 1
    library: str | None = "lxml"

    def load(self, path: Path, name: str) -> Document:
        data = path.read_bytes()
        decoded = decode(data, stated=stated_encoding(data))
        page = read_page(decoded.text, name)
        draft = Draft(name)
        for block in page.blocks:
            draft.add(block)
        return draft.document(
            HTML,
            title=page.title,
            metadata={"encoding": decoded.encoding, "language": page.language, **page.about},
            warnings=[*decoded.warnings, *([HIDDEN] if page.hides else [])],
        )


def stated_encoding(data: bytes) -> str:
    """What a page or an XML file says about its own encoding; "" when it says nothing."""
    stated = _CHARSET.search(data[:4096]) or _XML_ENCODING.match(data)
    return stated[1].decode() if stated else ""


def read_page(text: str, name: str) -> PageReader:
    """The blocks of a page, its title and what it says about itself. Raises NoText when there is nothing in it."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", target=PageReader(), no_network=True, huge_tree=True)
    try:
        page: PageReader = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        raise NoText(f"{name} holds no text, so there is nothing to search. Choose a page with text in it.") from error
    return page


@dataclass(slots=True)
class _Table:
    """A table being read: rows of cells of blocks. Many only arrange a page; then the cells follow one another."""

    rows: list[list[list[Block]]] = field(default_factory=list)
    arranges: bool = False  # known as soon as a heading or another table stands inside

    def blocks(self) -> list[Block]:
        rows = [[" ".join(block.text for block in cell) for cell in row] for row in self.rows]
        columns = max((sum(map(bool, row)) for row in rows), default=0)
        longest = max((len(cell) for row in rows for cell in row), default=0)
        if self.arranges or columns < 2 or longest > LONGEST_CELL:
            return [block for row in self.rows for cell in row for block in cell]
        return [Block(rows=rows)]


class PageReader:
    """What lxml calls for every tag and text; `blocks` is the page when it is closed."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.title = ""
        self.language = ""
        self.about: dict[str, str] = {}
        self.hides = False
        self._text: list[str] = []
        self._tables: list[_Table] = []
        self._skipped = 0  # how many elements deep inside one that is left out
        self._pre = 0
        self._in_title = False
        self._marker = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._skipped or self._leave_out(tag, attributes):
            self._skipped += 1
            return
        if tag == "br":
            self._text.append("\n")
        elif tag == "title":
            self._in_title = not self.title
        elif tag in _HEADINGS or tag in _BLOCKS:
            self._flush()
            self._pre += tag == "pre"
            self._marker = "- " if tag == "li" else self._marker
        elif tag in ("table", "tr", "td", "th"):
            self._open_table_part(tag)
        elif tag in ("meta", "link"):
            self._note(attributes)
        if tag == "html":
            self.language = attributes.get("lang") or attributes.get("xml:lang", "")

    def end(self, tag: str) -> None:
        if self._skipped:
            self._skipped -= 1
        elif tag == "title":
            self._in_title = False
        elif tag in _HEADINGS:
            self._flush(_HEADINGS[tag])
        elif tag in _BLOCKS:
            self._flush()
            self._pre -= tag == "pre"
        elif tag in ("td", "th", "tr"):
            self._flush()
        elif tag == "table" and self._tables:
            self._flush()
            self._close_table()

    def data(self, text: str) -> None:
        if self._skipped:
            return
        if self._in_title:
            self.title += text
        else:
            self._text.append(text if self._pre else re.sub(r"\s+", " ", text))

    def comment(self, text: str) -> None:
        """Comments are not part of the page."""

    def pi(self, target: str, text: str | None = None) -> None:
        """Neither are processing instructions."""

    def close(self) -> PageReader:
        self._flush()
        while self._tables:
            self._close_table()
        return self

    def _note(self, attributes: Mapping[str, str]) -> None:
        """Author, dates and address that the head of the page states."""
        key = (attributes.get("name") or attributes.get("property") or attributes.get("rel") or "").lower()
        value = attributes.get("content") or attributes.get("href") or ""
        kind = _ABOUT.get(key)
        if kind and value and kind not in self.about and (kind in ("author", "source") or _DATE.match(value)):
            self.about[kind] = value[:10] if kind in ("created", "modified") else value

    def _leave_out(self, tag: str, attributes: Mapping[str, str]) -> bool:
        if tag in _LEFT_OUT:
            return True
        hidden = "hidden" in attributes or bool(_HIDING.search(attributes.get("style", "")))
        self.hides = self.hides or hidden
        return hidden

    def _open_table_part(self, tag: str) -> None:
        self._flush()
        if tag == "table":
            if self._tables:
                self._tables[-1].arranges = True
            self._tables.append(_Table())
        elif self._tables:
            rows = self._tables[-1].rows
            if tag == "tr" or not rows:
                rows.append([])
            if tag != "tr":
                rows[-1].append([])

    def _close_table(self) -> None:
        blocks = self._tables.pop().blocks()
        self._sink().extend(blocks)

    def _sink(self) -> list[Block]:
        """Where finished blocks go: into the open cell, or else onto the page."""
        if self._tables and self._tables[-1].rows and self._tables[-1].rows[-1]:
            return self._tables[-1].rows[-1][-1]
        return self.blocks

    def _flush(self, level: int = 0) -> None:
        """End the paragraph that is being collected."""
        text = "".join(self._text)
        self._text.clear()
        if self._pre:
            text = "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))
        else:
            text = "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
        if not text:
            return
        marker, self._marker = self._marker, ""
        if level:
            if self._tables:
                self._tables[-1].arranges = True
            self._sink().append(Block(_PERMALINK.sub("", text), level=level))
        else:
            self._sink().append(Block(marker + text, tight=bool(marker)))
