"""Paragraphs, headings and tables of RTF, as its words for them come by."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.loaders.draft import Block

FEWEST_WORDS = 3  # beside a page number
LONGEST_REPEATED = 200
MOST_COLUMNS = 200
_BULLET = re.compile(r"^[•·\uf0b7\uf0a7o▪–-]\t\s*")
_NUMBER = re.compile(r"^(\(?[\w.]{1,12}[.)]?)\t\s*")
_HEADING = re.compile(r"^(?:heading|überschrift|titre|título|kop|rubrik|заголовок) ?([1-9])\b", re.I)
_ENDS_PARAGRAPH = frozenset(("par", "sect", "page", "column"))


class Collector:
    """Collects the blocks of one place: the text, a note, a header."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._parts: list[str] = []
        self._levels: dict[int, int] = {}
        self._style = self._outline = -1
        self._listed = False
        self._in_table = False
        self._numbered = False
        self._cells: list[str] = []
        self._cell: list[str] = []
        self._rows: list[list[str]] = []
        self._merged: list[bool] = []
        self._header = self._headers = 0
        self._after: list[Block] = []

    def add(self, text: str) -> None:
        self._parts.append(text)

    def follow(self, blocks: Sequence[Block]) -> None:
        """Blocks that come after the paragraph or table that is being collected."""
        self._after.extend(blocks)

    def word(self, word: str, number: int | None) -> None:
        if word in _ENDS_PARAGRAPH:
            self._end_paragraph()
        elif word in ("cell", "nestcell"):
            self._end_cell(nested=word == "nestcell")
        elif word in ("row", "nestrow"):
            self._end_row(nested=word == "nestrow")
        elif word == "trowd":
            self._merged, self._header = [], 0
        elif word == "pard":
            self._style, self._outline, self._in_table, self._listed = -1, -1, False, False
        elif word in ("s", "outlinelevel", "ls"):
            self._style = number or 0 if word == "s" else self._style
            self._outline = number or 0 if word == "outlinelevel" else self._outline
            self._listed = self._listed or word == "ls"
        else:
            self._table_word(word)

    def _table_word(self, word: str) -> None:
        if word == "intbl":
            self._in_table = True
        elif word == "trhdr":
            self._header = 1
        elif word == "clvmrg":
            self._merged.append(True)
        elif word == "cellx":
            self._merged = [*self._merged[:MOST_COLUMNS], False]
        elif word in ("chpgn", "sectnum"):
            self._numbered = True

    def end_style(self, name: str) -> None:
        """A style of the style sheet is complete: remember whether it makes headings."""
        found = _HEADING.match(name.strip())
        level = int(found[1]) if found else 1 if name.strip(" ;").lower() == "title" else self._outline + 1
        if 0 < level < 10:
            self._levels[max(self._style, 0)] = min(level, 6)
        self._style = self._outline = -1

    def blocks(self) -> list[Block]:
        """Everything that was collected; what is unfinished ends here."""
        self._end_paragraph()
        self._end_table()
        return self._blocks

    def said(self) -> str:
        """The text of a header or footer; "" when it says little more than the number of the page."""
        texts = [text for block in self.blocks() for text in (block.text, *map(" ".join, block.rows)) if text.strip()]
        words = [word for text in texts for word in text.split() if any(map(str.isalpha, word))]
        numbered = self._numbered or any(word.isdecimal() for text in texts for word in text.split())
        enough = len(words) >= (FEWEST_WORDS if numbered else 1)
        return "\n".join(dict.fromkeys(texts)) if enough else ""

    def _end_paragraph(self) -> None:
        text = "".join(self._parts).strip()
        self._parts.clear()
        if self._in_table or self._cells:
            self._cell.append(text)
            return
        self._end_table()
        if not text:
            return
        level = min(self._outline + 1, 6) if 0 <= self._outline < 9 else self._levels.get(self._style, 0)
        if level:
            self._blocks.append(Block(_NUMBER.sub(r"\1 ", text), level=level))
        elif _BULLET.match(text):
            self._blocks.append(Block(_BULLET.sub("- ", text), tight=True))
        elif self._listed:
            self._blocks.append(Block(_NUMBER.sub(r"\1 ", text), tight=True))
        else:
            self._blocks.append(Block(text))
        self._blocks += self._after
        self._after.clear()

    def _end_cell(self, *, nested: bool) -> None:
        self._cell.append("".join(self._parts).strip())
        self._parts.clear()
        if not nested:
            self._cells.append(" ".join(" ".join(text.split()) for text in self._cell if text))
            self._cell.clear()

    def _end_row(self, *, nested: bool) -> None:
        if nested or not self._cells:
            return
        above = self._rows[-1] if self._rows else []
        marks = _marks(self._merged)
        for column, (merged, cell) in enumerate(zip(marks, self._cells, strict=False)):
            if merged and not cell and column < len(above) and len(above[column]) <= LONGEST_REPEATED:
                self._cells[column] = above[column]
        if self._header and self._headers == len(self._rows):
            self._headers += 1
        self._rows.append(self._cells)
        self._cells = []
        self._cell.clear()

    def _end_table(self) -> None:
        if self._rows:
            self._blocks.append(Block(rows=self._rows, headers=self._headers or 1))
            self._blocks += self._after
            self._after.clear()
        self._rows, self._headers = [], 0


def _marks(merged: Sequence[bool]) -> list[bool]:
    """For each cell of a row whether it goes on with the one above: True comes before the False that ends its cell."""
    marks: list[bool] = []
    goes_on = False
    for mark in merged:
        if mark:
            goes_on = True
        else:
            marks.append(goes_on)
            goes_on = False
    return marks
