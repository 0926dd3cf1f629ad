"""A document in the making: blocks go in, a text with exact places of headings, pages and tables comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from core.errors import BadUpload, NoText
from core.types import Document, Heading, Page, Table
from ingest.loaders.clean import clean, one_line

MOST_CHARACTERS = 60_000_000  # the largest upload as plain text fits
LONGEST_TITLE = 300
LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading (level 1 to 6) or a table (rows of cells); a tight one follows without an empty line.

    The first `headers` rows of a table that are not empty name its columns.
    """

    text: str = ""
    level: int = 0
    rows: Sequence[Sequence[str]] = field(default=())
    tight: bool = False
    headers: int = 1


class Draft:
    """Collects blocks. Raises BadUpload when there is more text than can be indexed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._parts: list[str] = []
        self._length = 0
        self._page_start = 0
        self._paged = False  # by a document that was included
        self.headings: list[Heading] = []
        self.pages: list[Page] = []
        self.tables: list[Table] = []

    def add(self, block: Block) -> None:
        if block.rows:
            self._add_table(block.rows, block.headers)
        elif block.level:
            self._add_heading(block.level, one_line(block.text))
        else:
            self.write(clean(block.text), gap="\n" if block.tight else "\n\n")

    def add_page(self, text: str, *, number: int, label: str = "") -> Page:
        """Add a page; its text must be clean already, and may be empty."""
        start = self._length + (2 if self.pages else 0)
        self._append(f"\n\n{text}" if self.pages else text)
        self.pages.append(Page(number, start, self._length, label))
        return self.pages[-1]

    def add_page_of(self, blocks: Iterable[Block], *, number: int, label: str = "") -> Page:
        """Add a page made of blocks, which may be none."""
        if self.pages:
            self._append("\n\n")
        self._page_start = start = self._length
        for block in blocks:
            self.add(block)
        self.pages.append(Page(number, start, self._length, label))
        return self.pages[-1]

    def write(self, text: str, *, gap: str = "\n\n") -> int:
        """Add clean text after a gap and return its offset."""
        if not text.strip():
            return self._length
        if self._length > self._page_start:
            self._append(gap)
        start = self._length
        self._append(text)
        return start

    def include(self, document: Document, title: str, *, level: int = 1) -> None:
        """Add another document as a section with this title; its places move along with its text.

        Its pages go on counting where ours end, and are called by its title. What stands before, between and after
        such documents becomes pages too, because every place of a document with pages is on one.
        """
        if document.pages:
            self._end_page()
        before = self._length
        self._add_heading(level, one_line(title))
        start = self.write(document.text)
        for heading in document.headings:
            self.headings.append(Heading(min(6, level + heading.level), heading.title, start + heading.start))
        for table in document.tables:
            self.tables.append(replace(table, start=start + table.start, end=start + table.end))
        for place, page in enumerate(document.pages):
            label = f"{one_line(title)}, {page.label or page.number}"[-LONGEST_LABEL:]
            begin = start + page.start if place else before
            number = len(self.pages) + 1
            self.pages.append(Page(number, begin, start + page.end, label, page.confidence))
        self._paged = self._paged or bool(document.pages)

    def _end_page(self) -> None:
        """Make a page of what stands after the last one."""
        start = self.pages[-1].end if self.pages else 0
        if start < self._length:
            self.pages.append(Page(len(self.pages) + 1, start, self._length))

    def _add_heading(self, level: int, title: str) -> None:
        if title:
            self.headings.append(Heading(level, title[:LONGEST_TITLE], self.write(title)))

    def _add_table(self, rows: Iterable[Sequence[str]], headers: int) -> None:
        """One line for each row. What has a single column is text in a frame, not a table."""
        filled = [cells for row in rows if any(cells := [one_line(cell) for cell in row])]
        if all(sum(map(bool, cells)) == 1 for cells in filled):
            for cells in filled:
                self.write("".join(cells))
            return
        lines = [f"| {' | '.join(cells)} |" for cells in filled]
        start = self.write("\n".join(lines))
        self.tables.append(Table(start, self._length, "\n".join(lines[:headers])))

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        if self._length > MOST_CHARACTERS:
            raise BadUpload(
                f"{self.name} holds more than {MOST_CHARACTERS:,} characters of text. Split it into smaller files."
            )

    def document(
        self,
        media_type: str,
        *,
        title: str = "",
        metadata: Mapping[str, str] | None = None,
        warnings: Sequence[str] = (),
        pictures: Sequence[int] = (),
    ) -> Document:
        """The finished document. Raises NoText when nothing but blanks came in, and no picture that may hold text."""
        if self._paged:
            self._end_page()
        text = "".join(self._parts)
        if not text.strip() and not pictures:
            raise NoText(f"{self.name} holds no text, so there is nothing to search. Choose a file with text in it.")
        kept = {key: one_line(value)[:LONGEST_TITLE] for key, value in (metadata or {}).items()}
        return Document(
            title=choose_title(title, self.headings, self.name),
            media_type=media_type,
            text=text,
            pages=tuple(self.pages),
            headings=tuple(self.headings),
            tables=tuple(self.tables),
            metadata={key: value for key, value in kept.items() if value},
            warnings=tuple(warnings),
            pictures=tuple(pictures),
        )


def choose_title(stated: str, headings: Sequence[Heading], name: str) -> str:
    """The title that the file states if it says something, else the only top heading, else the file's name."""
    stated = one_line(stated)[:LONGEST_TITLE]
    if _says_something(stated):
        return stated
    tops = [heading.title for heading in headings if heading.level == 1]
    if len(tops) == 1 and _says_something(tops[0]):
        return tops[0]
    return PurePosixPath(name).stem or name


def _says_something(title: str) -> bool:
    junk = title.lower() == "presentation" or title.lower().startswith(
        ("untitled", "microsoft word - ", "word document", "powerpoint presentation")
    )
    file_name = title.lower().endswith((".doc", ".docx", ".pdf", ".tex", ".dvi", ".indd", ".qxd", ".html", ".htm"))
    return len(title) > 2 and any(c.isalpha() for c in title) and not junk and not file_name


def listed(numbers: Sequence[int | str], *, most: int = 8) -> str:
    """Numbers or names for a sentence: `3, 5 and 9`, or the first few of many."""
    shown = [str(number)[:LONGEST_TITLE] for number in numbers[:most]]
    if len(numbers) > most:
        return f"{', '.join(shown)} and {len(numbers) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def listed_names(names: Sequence[str], *, most: int = 8) -> str:
    """Names for a sentence, the first few of many."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
