"""Plain text and Markdown: kept as they are; only the encoding and the headings have to be found."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path

from core.types import Document, Heading, Table
from ingest.loaders.clean import clean, one_line
from ingest.loaders.decode import decode
from ingest.loaders.draft import LONGEST_TITLE, Draft
from ingest.loaders.markup import underlined
from ingest.loaders.textkinds import MARKDOWN, TEXT

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|\Z)", re.S)
_FRONT_ENTRY = re.compile(r"^(title|author|date|lang):[ \t]*[\"']?([^\n]+?)[\"']?[ \t]*$", re.M | re.I)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_LINK = re.compile(r"!?\[([^\]\n]*)\](?:\([^)\n]*\)|\[[^\]\n]*\])")
_MARKS = re.compile(r"[*`~]+|(?<!\w)_+|_+(?!\w)|<[^>\n]*>|\{#[\w-]+\}")


@dataclass(frozen=True, slots=True)
class TextLoader:
    """Plain text; lines that are underlined are its headings."""

    version: int = 2
    library: str | None = "charset-normalizer"

    def load(self, path: Path, name: str) -> Document:
        decoded = decode(path.read_bytes())
        draft = Draft(name)
        text = clean(decoded.text)
        draft.write(text)
        draft.headings = underlined(text, strict=True)
        return draft.document(TEXT, metadata={"encoding": decoded.encoding}, warnings=decoded.warnings)


@dataclass(frozen=True, slots=True)
class MarkdownLoader:
    """Markdown: the text stays as it was written, headings and tables are found by markdown-it."""

    version: int = 2
    library: str | None = "markdown-it-py"

    def load(self, path: Path, name: str) -> Document:
        decoded = decode(path.read_bytes())
        draft = Draft(name)
        text = clean(decoded.text)
        draft.write(text)
        front = _FRONT_MATTER.match(text)
        draft.headings, draft.tables = _structure(text, front.end() if front else 0)
        about = {key.lower(): value for key, value in _FRONT_ENTRY.findall(front[1])} if front else {}
        date = _DATE.match(about.get("date", ""))
        return draft.document(
            MARKDOWN,
            title=about.get("title", ""),
            metadata={
                "encoding": decoded.encoding,
                "author": about.get("author", ""),
                "created": date[0] if date else "",
                "language": about.get("lang", ""),
            },
            warnings=decoded.warnings,
        )


def add_markdown(draft: Draft, text: str) -> None:
    """Add clean Markdown that is part of something else, with its headings and tables."""
    start = draft.write(text)
    headings, tables = _structure(text, 0)
    draft.headings += [replace(heading, start=start + heading.start) for heading in headings]
    draft.tables += [replace(table, start=start + table.start, end=start + table.end) for table in tables]


def _structure(text: str, begin: int) -> tuple[list[Heading], list[Table]]:
    """Headings and tables after the offset `begin`. Only blocks are parsed: spans inside them are of no use here."""
    from markdown_it import MarkdownIt

    body = text[begin:]
    starts = [begin, *accumulate((len(line) + 1 for line in body.split("\n")), initial=begin)][1:]
    headings: list[Heading] = []
    tables: list[Table] = []
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(body)
    for token, after in pairwise(tokens):
        if token.map is None:
            continue
        start, end = starts[token.map[0]], min(starts[token.map[1]], len(text))
        if token.type == "heading_open" and (title := _plain(after.content)):
            headings.append(Heading(int(token.tag[1:]), title, start))
        elif token.type == "table_open":
            tables.append(Table(start, end, text[start:end].split("\n", 1)[0].strip()))
    return headings, tables


def _plain(markup: str) -> str:
    """A heading without its links and marks of emphasis."""
    return one_line(_MARKS.sub("", _LINK.sub(r"\1", markup)))[:LONGEST_TITLE]
