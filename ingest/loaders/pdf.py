"""PDF through PDFium: text page by page, outline, page labels, metadata.

The text is PDFium's, in its reading order. A word that a line break hyphenates comes from PDFium as one word and stays
so; page headers and footers stay as well: what a citation quotes is what stands on the page.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadUpload, NoText
from core.types import Document, Heading, Page
from ingest.loaders.clean import clean, one_line
from ingest.loaders.detect import PDF
from ingest.loaders.draft import LONGEST_TITLE, Draft, listed

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

MOST_PAGES = 5_000
MOST_HEADINGS = 5_000
DEEPEST_ARRAY = 1_000
# A heading of the outline may stand on the page behind its number: "Chapter 12. " or "A.3.1 ".
LONGEST_NUMBER = 12
_METADATA = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "CreationDate": "created"}
_NESTED = re.compile(rb"(?:\[\s{0,4}){%d}|(?:<<\s{0,4}){%d}" % (DEEPEST_ARRAY, DEEPEST_ARRAY))
_OBJECT_STREAM = re.compile(rb"/ObjStm\b")
_MILLIONS = re.compile(rb"/N\s{1,4}\d{7}")
_DATE = re.compile(r"D:(\d{4})(\d\d)(\d\d)")


@dataclass(frozen=True, slots=True)
class PdfLoader:
    """PDF files that hold text; scans are refused until text recognition is there."""

    version: int = 1
    library: str | None = "pypdfium2"

    def load(self, path: Path, name: str) -> Document:
        _check_structure(path, name)
        draft = Draft(name)
        with _opened(path, name) as pdf:
            unread = _add_pages(pdf, draft)
            empty = [page.number for page in draft.pages if page.start == page.end and page.number not in unread]
            if len(unread) == len(draft.pages):
                raise BadUpload(
                    f"{name} is damaged: no page can be read. Open it in its program and print it to a new PDF."
                )
            if len(unread) + len(empty) == len(draft.pages):
                raise NoText(
                    f"{name} holds pictures but no text: it looks scanned, and text recognition (OCR) is not available "
                    "yet. Upload a version with text."
                )
            titles = _outline(pdf)
            about = pdf.get_metadata_dict(skip_empty=True)
        document = draft.document(
            PDF,
            title=about.get("Title", ""),
            metadata={ours: _readable(about.get(theirs, "")) for theirs, ours in _METADATA.items()},
            warnings=_warnings(unread, empty),
        )
        return _with_headings(document, titles)


def _check_structure(path: Path, name: str) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        made_up = _made_up(content)
    if made_up:
        raise BadUpload(f"{name} is built as no real document is. It was not opened: print it to a new PDF.")


def _made_up(content: mmap.mmap) -> bool:
    """Whether a file claims what no program writes: arrays a thousand deep, a stream of millions of objects."""
    if _NESTED.search(content):
        return True
    places = [found.start() for found in _OBJECT_STREAM.finditer(content)]
    return any(_MILLIONS.search(content[max(0, place - 300) : place + 300]) for place in places)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[PdfDocument]:
    import pypdfium2
    from pypdfium2 import raw

    try:
        pdf = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise BadUpload(f"{name} is password-protected. Remove the password and upload it again.") from error
        raise BadUpload(
            f"{name} is damaged and cannot be opened as PDF. Print it to a new PDF and upload that."
        ) from error
    with closing(pdf):
        if len(pdf) == 0:
            raise BadUpload(f"{name} has no pages. Choose a PDF that has some.")
        if len(pdf) > MOST_PAGES:
            raise BadUpload(f"{name} has more than {MOST_PAGES:,} pages. Split it into smaller files.")
        yield pdf


def _add_pages(pdf: PdfDocument, draft: Draft) -> list[int]:
    """Add every page to the draft and return the numbers of those that could not be read."""
    from pypdfium2 import PdfiumError

    unread: list[int] = []
    for index in range(len(pdf)):
        text = ""
        try:
            with closing(pdf.get_page(index)) as page, closing(page.get_textpage()) as content:
                text = content.get_text_range()
        except PdfiumError:
            unread.append(index + 1)
        lines = clean(text).strip("\n").split("\n")
        draft.add_page("\n".join(line.rstrip() for line in lines), number=index + 1, label=_label(pdf, index))
    return unread


def _label(pdf: PdfDocument, index: int) -> str:
    try:
        label = one_line(pdf.get_page_label(index))[:40]
    except UnicodeDecodeError:
        return ""
    return "" if label == str(index + 1) else label


def _warnings(unread: list[int], empty: list[int]) -> list[str]:
    warnings = []
    if unread:
        warnings.append(f"{'Page' if len(unread) == 1 else 'Pages'} {listed(unread)} could not be read.")
    if empty:
        one = len(empty) == 1
        warnings.append(
            f"{'Page' if one else 'Pages'} {listed(empty)} {'has' if one else 'have'} no text (a picture or a scan?)."
        )
    return warnings


def _readable(value: str) -> str:
    date = _DATE.match(value)
    return "-".join(date.groups()) if date else value


def _outline(pdf: PdfDocument) -> list[tuple[int, str, int]]:
    """Level, title and page index of every entry of the outline that points to a page."""
    found: list[tuple[int, str, int]] = []
    for bookmark in pdf.get_toc(max_depth=6):
        if len(found) == MOST_HEADINGS:
            break
        try:
            title, target = one_line(bookmark.get_title())[:LONGEST_TITLE], bookmark.get_dest()
        except UnicodeDecodeError:
            continue
        index = target.get_index() if target else None
        if title and index is not None and 0 <= index < len(pdf):
            found.append((bookmark.level + 1, title, index))
    return found


def _with_headings(document: Document, titles: list[tuple[int, str, int]]) -> Document:
    """The document with the entries of its outline as headings, each at its line on its page."""
    lines: dict[int, list[tuple[int, str]]] = {}
    headings: list[Heading] = []
    last: dict[int, int] = {}
    for level, title, index in titles:
        if index not in lines:
            lines[index] = _squeezed_lines(document.text, document.pages[index])
        start = _place(title, lines[index], after=last.get(index, 0))
        last[index] = start if start is not None else last.get(index, document.pages[index].start)
        headings.append(Heading(level, title, last[index]))
    return replace(document, headings=tuple(sorted(headings, key=lambda heading: heading.start)))


def _squeezed_lines(text: str, page: Page) -> list[tuple[int, str]]:
    """Offset and bare letters of each line of a page, for comparing without blanks and punctuation."""
    lines, start = [], page.start
    for line in text[page.start : page.end].split("\n"):
        lines.append((start, _squeezed(line)))
        start += len(line) + 1
    return lines


def _squeezed(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def _place(title: str, lines: list[tuple[int, str]], *, after: int) -> int | None:
    """The offset of the first line, not before `after`, from which on the title stands alone on one to three lines."""
    wanted = _squeezed(title)
    for position, (start, first) in enumerate(lines):
        if start < after:
            continue
        joined = ""
        for _, line in lines[position : position + 3]:
            joined += line
            number = len(joined) - len(wanted)
            if number > LONGEST_NUMBER:
                break
            if joined.endswith(wanted) and number < len(first):
                return start
    return None
