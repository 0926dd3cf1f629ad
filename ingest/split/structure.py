"""Where the parts of a document begin and end: sections under headings, pages, tables and code."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from core.types import Document, Table

_FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})([^\n]*)$", re.M)
_NO_CODE = ("text/x-rst", "text/x-tex", "text/x-markdown", "text/x-log")
_CODE = (
    "text/javascript",
    "text/css",
    "application/javascript",
    "application/typescript",
    "application/sql",
    "application/x-sh",
    "application/toml",
    "application/yaml",
)


class Kind(Enum):
    """What a part holds, which decides where it may be cut."""

    prose = "prose"
    table = "table"
    code = "code"


class Edge(Enum):
    """What a part begins with."""

    page = "page"
    section = "section"  # a heading
    block = "block"  # a table, code, or what comes after one


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the text without structure inside; `table` is the one it belongs to."""

    start: int
    end: int
    kind: Kind
    edge: Edge
    table: Table | None = None


def parts(document: Document) -> Iterator[Part]:
    """Consecutive parts that together are the text."""
    text, tables = document.text, sorted(document.tables, key=lambda table: table.start)
    code = [(0, len(text))] if is_code(document.media_type) else list(fences(text))
    pages, headings = {page.start for page in document.pages}, {0, *(heading.start for heading in document.headings)}
    soft = {edge for table in tables for edge in (table.start, table.end)} | {edge for place in code for edge in place}
    table_starts, code_starts = [table.start for table in tables], [start for start, _ in code]
    for start, end in pairwise(sorted(edge for edge in {*pages, *headings, *soft, len(text)} if edge <= len(text))):
        edge = Edge.page if start in pages else Edge.section if start in headings else Edge.block
        above = bisect_right(table_starts, start) - 1
        if above >= 0 and start < tables[above].end:
            yield Part(start, end, Kind.table, edge, tables[above])
            continue
        around = bisect_right(code_starts, start) - 1
        inside = around >= 0 and start < code[around][1]
        yield Part(start, end, Kind.code if inside else Kind.prose, edge)


def is_code(media_type: str) -> bool:
    """Whether a whole file is source code."""
    return (media_type.startswith("text/x-") and media_type not in _NO_CODE) or media_type in _CODE


def fences(text: str) -> Iterator[tuple[int, int]]:
    """Blocks of code between fences, the fences included; one that is never closed is no block."""
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            if "`" not in fence[2]:
                opened = fence
        elif fence[1].startswith(opened[1]) and not fence[2].strip():
            yield opened.start(), min(fence.end() + 1, len(text))
            opened = None
