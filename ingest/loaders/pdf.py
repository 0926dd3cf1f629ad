"""PDF through PDFium: text and tables page by page, forms, comments, outline, page labels, metadata.

The text is in PDFium's reading order. Page headers and footers stay: what a citation quotes is what stands on the page.
Pages whose picture says more than their text are named in `Document.pictures`, for text recognition.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadUpload
from core.types import Document, Table
from ingest.loaders.clean import clean, one_line
from ingest.loaders.detect import PDF
from ingest.loaders.draft import Draft, listed
from ingest.loaders.hyphens import Hyphens
from ingest.loaders.pdf_extras import attachment_names, comments_and_values
from ingest.loaders.pdf_outline import outline, with_headings
from ingest.loaders.pdf_page import PageParts, Part, joins_words, read_page
from ingest.loaders.pdf_tables import FoundTable

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

MOST_PAGES = 5_000
DEEPEST_ARRAY = 1_000
_METADATA = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "CreationDate": "created"}
# Two patterns that begin with a sign each: 4 MB take 8 ms, and 330 ms with one pattern for both.
_NESTED = [re.compile(rb"%s\s{0,4}(?:%s\s{0,4}){%d}" % (sign, sign, DEEPEST_ARRAY - 1)) for sign in (rb"\[", rb"<<")]
_OBJECT_STREAM = re.compile(rb"/ObjStm\b")
_MILLIONS = re.compile(rb"/N\s{1,4}\d{7}")
_DATE = re.compile(r"D:(\d{4})(\d\d)(\d\d)")


@dataclass(frozen=True, slots=True)
class PdfLoader:
    """PDF files; pages that are pictures are left to text recognition."""

    version: int = 2
    library: str | None = "pypdfium2"

    def load(self, path: Path, name: str) -> Document:
        _check_structure(path, name)
        draft = Draft(name)
        with _opened(path, name) as pdf:
            read = _read_pages(pdf)
            unread = [number for number, page in enumerate(read, 1) if page is None]
            pictures = tuple(number for number, page in enumerate(read, 1) if page is not None and page.picture)
            if len(unread) == len(read):
                raise BadUpload(
                    f"{name} is damaged: no page can be read. Open it in its program and print it to a new PDF."
                )
            _add_pages(pdf, read, draft)
            titles = outline(pdf)
            about = pdf.get_metadata_dict(skip_empty=True)
            attached = attachment_names(pdf)
        empty = [page.number for page in draft.pages if page.start == page.end]
        document = draft.document(
            PDF,
            title=about.get("Title", ""),
            metadata={ours: _readable(about.get(theirs, "")) for theirs, ours in _METADATA.items()}
            | {"attachments": ", ".join(attached)},
            warnings=_warnings(unread, sorted(set(empty) - set(unread) - set(pictures)), attached),
            pictures=pictures,
        )
        return with_headings(document, titles)


def _check_structure(path: Path, name: str) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        made_up = _made_up(content)
    if made_up:
        raise BadUpload(f"{name} is built as no real document is. It was not opened: print it to a new PDF.")


def _made_up(content: mmap.mmap) -> bool:
    """Whether a file claims what no program writes: arrays a thousand deep, a stream of millions of objects."""
    if any(pattern.search(content) for pattern in _NESTED):
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
        _open_forms(pdf)
        yield pdf


def _open_forms(pdf: PdfDocument) -> None:
    from pypdfium2 import PdfiumError

    # A broken form does not cost the text of the pages.
    with suppress(PdfiumError):
        pdf.init_forms()


def _read_pages(pdf: PdfDocument) -> list[PageParts | None]:
    """Every page, None for those that cannot be read."""
    from pypdfium2 import PdfiumError

    repair = joins_words(pdf)
    read: list[PageParts | None] = []
    for index in range(len(pdf)):
        try:
            with closing(pdf.get_page(index)) as page, closing(page.get_textpage()) as content:
                found = read_page(page, content, repair=repair)
                extras = comments_and_values(pdf, page)
        except PdfiumError:
            read.append(None)
            continue
        read.append(PageParts((*found.parts, extras), found.picture) if extras else found)
    return read


def _add_pages(pdf: PdfDocument, read: Sequence[PageParts | None], draft: Draft) -> None:
    hyphens = Hyphens(part for page in read if page for part in page.parts if isinstance(part, str))
    for index, page in enumerate(read):
        text, tables = _composed(page.parts if page else (), hyphens)
        start = draft.add_page(text, number=index + 1, label=_label(pdf, index)).start
        draft.tables += [Table(start + table.start, start + table.end, table.header) for table in tables]


def _composed(parts: Sequence[Part], hyphens: Hyphens) -> tuple[str, list[Table]]:
    """Clean text of a page and its tables, whose offsets count from the start of the page."""
    text, tables = "", list[Table]()
    for part in parts:
        if isinstance(part, FoundTable):
            rows = [[one_line(hyphens.joined(cell)) for cell in row] for row in part.rows]
            block = [f"| {' | '.join(row)} |" for row in rows]
        else:
            lines = clean(hyphens.joined(part)).strip("\n").split("\n")
            block = [line.rstrip() for line in lines]
        added = "\n".join(block)
        if not added.strip():
            continue
        gap = "\n" if text else ""
        if isinstance(part, FoundTable):
            start = len(text) + len(gap)
            tables.append(Table(start, start + len(added), "\n".join(block[: part.header_rows])))
        text += gap + added
    return text, tables


def _label(pdf: PdfDocument, index: int) -> str:
    try:
        label = one_line(pdf.get_page_label(index))[:40]
    except UnicodeDecodeError:
        return ""
    return "" if label == str(index + 1) else label


def _warnings(unread: Sequence[int], empty: Sequence[int], attached: Sequence[str]) -> list[str]:
    warnings = []
    if unread:
        warnings.append(f"{'Page' if len(unread) == 1 else 'Pages'} {listed(unread)} could not be read.")
    if empty:
        one = len(empty) == 1
        warnings.append(f"{'Page' if one else 'Pages'} {listed(empty)} {'is' if one else 'are'} empty.")
    if attached:
        one = len(attached) == 1
        warnings.append(
            f"{'A file is' if one else f'{len(attached)} files are'} attached and {'was' if one else 'were'} not read: "
            f"{', '.join(attached[:5])}{' and more' if len(attached) > 5 else ''}."
        )
    return warnings


def _readable(value: str) -> str:
    date = _DATE.match(value)
    return "-".join(date.groups()) if date else value
