"""The body of an OpenDocument text or slide as blocks, in the order of its text.

Left out is what the program does not show: deletions that are tracked, hidden sections and letters, and comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ingest.loaders.draft import Block
from ingest.loaders.numbering import letters, roman
from ingest.loaders.opendocument_names import DC, DRAW, OFFICE, PRESENTATION, STYLE, SVG, TABLE, TEXT

_LISTS = (TEXT + "list-level-style-number", TEXT + "list-level-style-bullet")
_NOTHING_SHOWN = frozenset(
    (
        TEXT + "tracked-changes", OFFICE + "forms", OFFICE + "annotation", OFFICE + "annotation-end", SVG + "title",
        SVG + "desc", TEXT + "note", TEXT + "ruby-text", DC + "creator", DC + "date", OFFICE + "event-listeners",
        OFFICE + "scripts", TEXT + "index-title-template", TEXT + "table-of-content-source", PRESENTATION + "notes",
        OFFICE + "binary-data",
    )
)  # fmt: skip
_BLANKS = re.compile(r"[ \t\r\n]+")
_COUNTED: dict[str, Callable[[int], str]] = {
    "a": letters, "A": lambda number: letters(number).upper(), "i": roman, "I": lambda number: roman(number).upper(),
}  # fmt: skip
MOST_BLANKS = 1_000
WIDEST = 64  # columns that one cell may span or be repeated for
LONGEST_CELL = 600  # characters; a cell with more is a text beside others, not a value of a table
LONGEST_REPEATED = 200
DEEPEST_STYLE = 20


class Styles:
    """What styles say: which hide what they are put on, which number their lists, which are titles."""

    def __init__(self, *roots: Any) -> None:
        self.hidden_text: set[str] = set()
        self.hidden_tables: set[str] = set()
        self.hidden_pages: set[str] = set()
        self._parents: dict[str, str] = {}
        self._lists: dict[str, dict[int, tuple[str, str, str]]] = {}
        for root in roots:
            for style in [] if root is None else root.iter(STYLE + "style", TEXT + "list-style"):
                self.read(style)

    def read(self, style: Any) -> None:
        name = style.get(STYLE + "name") or ""
        if style.tag == TEXT + "list-style":
            self._lists[name] = {
                _number(level.get(TEXT + "level")): (
                    level.get(STYLE + "num-format") or "",
                    level.get(STYLE + "num-prefix") or "",
                    level.get(STYLE + "num-suffix") or "",
                )
                for level in style.iterchildren(*_LISTS)
            }
            return
        self._parents[name] = style.get(STYLE + "parent-style-name") or ""
        for properties in style.iterchildren():
            if properties.get(TEXT + "display") == "none":
                self.hidden_text.add(name)
            if properties.get(TABLE + "display") == "false":
                self.hidden_tables.add(name)
            if properties.get(PRESENTATION + "visibility") == "hidden":
                self.hidden_pages.add(name)

    def is_title(self, style: str | None) -> bool:
        for _ in range(DEEPEST_STYLE):
            if not style or style == "Title":
                break
            style = self._parents.get(style)
        return style == "Title"

    def marker(self, style: str, level: int, count: int) -> str:
        """What stands before an item: its number, or a dash."""
        form, before, after = self._lists.get(style, {}).get(level, ("", "", ""))
        return f"{before}{_COUNTED.get(form, str)(count)}{after}".strip() if form else "-"


class BodyReader:
    """Walks a body. Notes follow the paragraph or table that refers to them."""

    def __init__(self, styles: Styles) -> None:
        self.styles = styles
        self._hides = False
        self._comments = 0
        self._notes: list[Any] = []

    def warnings(self) -> list[str]:
        warnings = ["Hidden text was left out."] if self._hides else []
        if self._comments:
            warnings.append(f"{self._comments} {'comment was' if self._comments == 1 else 'comments were'} left out.")
        return warnings

    def blocks(self, body: Any) -> Iterator[Block]:
        """The blocks of what stands inside an element. Recurses as deep as elements are nested (at most 256)."""
        for element in body.iterchildren():
            if element.tag in (TEXT + "p", TEXT + "h"):
                yield self._paragraph(element)
            elif element.tag == TEXT + "list":
                yield from self._list(element, element.get(TEXT + "style-name") or "", 1)
            elif element.tag == TABLE + "table":
                yield from self._table(element)
            elif isinstance(element.tag, str) and not self._unseen(element):
                yield from self.blocks(element)
            while self._notes:
                yield from self.blocks(self._notes.pop(0))

    def _unseen(self, element: Any) -> bool:
        self._comments += element.tag == OFFICE + "annotation"
        if element.tag in _NOTHING_SHOWN:
            return True
        hidden = element.get(TEXT + "display") == "none" or element.get(TEXT + "style-name") in self.styles.hidden_text
        hidden = hidden or element.get(TEXT + "is-hidden") == "true"
        self._hides = self._hides or hidden
        return hidden

    def _paragraph(self, paragraph: Any) -> Block:
        text = self.text(paragraph)
        if paragraph.tag == TEXT + "h":
            number = paragraph.findtext(TEXT + "number") or ""
            level = max(1, _number(paragraph.get(TEXT + "outline-level")))
            return Block(f"{number} {text}" if number and not text.startswith(number) else text, level=min(level, 6))
        return Block(text, level=int(self.styles.is_title(paragraph.get(TEXT + "style-name"))))

    def text(self, paragraph: Any) -> str:
        """The text of a paragraph in one piece; text boxes in it come on lines of their own."""
        if self._unseen(paragraph):
            return ""
        parts: list[str] = []
        self._collect(paragraph, parts)
        return "\n".join(line.strip() for line in "".join(parts).split("\n")).strip()

    def _collect(self, element: Any, parts: list[str]) -> None:
        parts.append(_BLANKS.sub(" ", element.text or ""))
        for child in element.iterchildren():
            if child.tag == TEXT + "s":
                parts.append(" " * min(_number(child.get(TEXT + "c") or "1"), MOST_BLANKS))
            elif child.tag == TEXT + "tab":
                parts.append("\t")
            elif child.tag == TEXT + "line-break":
                parts.append("\n")
            elif child.tag == TEXT + "note":
                self._notes.extend(child.iterchildren(TEXT + "note-body"))
            elif isinstance(child.tag, str) and not self._unseen(child):
                apart = "\n" if child.tag in (TEXT + "p", TEXT + "h", DRAW + "frame") else ""
                parts.append(apart)
                self._collect(child, parts)
                parts.append(apart)
            parts.append(_BLANKS.sub(" ", child.tail or ""))

    def _list(self, element: Any, style: str, depth: int) -> Iterator[Block]:
        count = 0
        for item in element.iterchildren(TEXT + "list-item", TEXT + "list-header"):
            count = _number(item.get(TEXT + "start-value")) or count + (item.tag == TEXT + "list-item")
            marker = self.styles.marker(style, depth, count) + " " if item.tag == TEXT + "list-item" else ""
            for part in item.iterchildren():
                if part.tag == TEXT + "list":
                    yield from self._list(part, part.get(TEXT + "style-name") or style, depth + 1)
                elif part.tag == TEXT + "h":
                    yield self._paragraph(part)
                elif part.tag == TEXT + "p" and (text := self.text(part)):
                    yield Block("  " * min(depth - 1, 8) + marker + text, tight=True)
                    marker = ""

    def _table(self, table: Any) -> Iterator[Block]:
        """A table, or what stands in its cells one after the other where it only arranges a page."""
        rows = list(_rows(table))
        cells = [list(row.iterchildren(TABLE + "table-cell")) for row in rows]
        if all(len(row) < 2 for row in cells) or any(_holds_texts(cell) for row in cells for cell in row):
            for row in cells:
                for cell in row:
                    yield from self.blocks(cell)
            return
        headers = sum(1 for _ in _rows(*table.iterchildren(TABLE + "table-header-rows")))
        above: dict[int, tuple[int, str]] = {}
        shown = [self._row(row, above, n < (headers or 1)) for n, row in enumerate(rows)]
        yield Block(rows=shown, headers=headers or 1)

    def _row(self, row: Any, above: dict[int, tuple[int, str]], header: bool) -> list[str]:
        """The cells of a row; one that goes over several rows stands in each, in a header also in each column."""
        cells: list[str] = []
        for cell in row.iterchildren(TABLE + "table-cell", TABLE + "covered-table-cell"):
            left, text = above.pop(len(cells), (0, ""))
            if cell.tag == TABLE + "table-cell":
                text = " ".join(" ".join(self.text(part).split()) for part in cell.iter(TEXT + "p", TEXT + "h")).strip()
                left = _number(cell.get(TABLE + "number-rows-spanned"))
            elif left <= 0:
                text = cells[-1] if header and cells else ""
            if left > 1 and len(text) <= LONGEST_REPEATED:
                above[len(cells)] = left - 1, text
            cells += [text] * min(max(1, _number(cell.get(TABLE + "number-columns-repeated"))), WIDEST)
        return cells


def _rows(*tables: Any) -> Iterator[Any]:
    """Rows in their order, also those in groups and headers, but none of tables inside."""
    for table in tables:
        for element in table.iterchildren():
            if element.tag == TABLE + "table-row":
                yield element
            elif element.tag in (TABLE + "table-header-rows", TABLE + "table-rows", TABLE + "table-row-group"):
                yield from _rows(element)


def _holds_texts(cell: Any) -> bool:
    """Whether a cell holds a table of several columns, or more text than a value has."""
    if any(sum(1 for _ in row.iterchildren(TABLE + "table-cell")) > 1 for row in cell.iter(TABLE + "table-row")):
        return True
    return sum(len(text) for text in cell.itertext()) > LONGEST_CELL


def joined(rows: Sequence[Sequence[str]]) -> list[str]:
    return [" ".join(cell for cell in row if cell) for row in rows]


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 0
