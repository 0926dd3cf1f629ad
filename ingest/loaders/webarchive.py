"""Saved web pages (MHTML): the page itself and its frames; pictures and styles that were saved with it are left out."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from pathlib import Path

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders.draft import Draft
from ingest.loaders.mail import body_text, header, iso_date, narrow, parsed
from ingest.loaders.textkinds import WEB_ARCHIVE
from ingest.loaders.web import HIDDEN, PageReader, read_page

MOST_FRAMES = 50


@dataclass(frozen=True, slots=True)
class WebArchiveLoader:
    """One file in the form of a mail that holds a page with all that it showed."""

    version: int = 1
    library: str | None = "lxml"

    def load(self, path: Path, name: str) -> Document:
        message = parsed(narrow(path.read_bytes()), name)
        pages = _pages(message, name)
        if not pages:
            raise BadUpload(f"{name} is a saved web page without the page in it. Save it anew as HTML or PDF.")
        draft = Draft(name)
        for page in pages:
            for block in page.blocks:
                draft.add(block)
        first = pages[0]
        source = header(message, "Snapshot-Content-Location")
        return draft.document(
            WEB_ARCHIVE,
            title=first.title or header(message, "Subject"),
            metadata={
                "language": first.language,
                "modified": iso_date(header(message, "Date")),
                **first.about,
                **({"source": source} if source else {}),
            },
            warnings=[HIDDEN] if any(page.hides for page in pages) else [],
        )


def _pages(message: Message, name: str) -> list[PageReader]:
    """The page and its frames, as far as there is text in them."""
    pages: list[PageReader] = []
    for part in message.walk():
        if part.get_content_type() in ("text/html", "application/xhtml+xml") and len(pages) < MOST_FRAMES:
            try:
                pages.append(read_page(body_text(part), name))
            except NoText:
                continue
    return pages
