"""Pages of documents as pictures with the cited words marked: drawn by the child that reads files, kept for a while."""

from __future__ import annotations

import hashlib
import json
import logging
import struct
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import IO

from core.documents import Documents, DocumentText
from core.readers import Limits, run_reader
from core.storage.db import translated
from core.types import Citation, Page

log = logging.getLogger(__name__)

DRAWN = ("application/pdf", "image/")  # the kinds of which a page can be drawn
SECONDS, MEMORY_MB = 15.0, 1024
KEPT_BYTES = 48 << 20
AT_ONCE = 2  # children that draw; who comes third waits
MOST_PIXELS = 4_000_000
LONGEST_QUOTE = 1_500  # characters of a quotation that are looked for
MOST_QUOTES = 12
MOST_QUOTED = 9_000  # characters of all of them: a request has at most 64 KB, and a character takes up to six bytes


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page as PNG; `marked` is how many stretches of it are marked: 0 where the words were not found on it."""

    page: int
    png: bytes
    marked: int


class PagePictures:
    """Draws pages when they are looked at. Asked again for the same, it answers from memory, up to a bound."""

    def __init__(self, documents: Documents, *, kept_bytes: int = KEPT_BYTES) -> None:
        self._documents = documents
        self._most = kept_bytes
        self._kept: OrderedDict[str, PagePicture] = OrderedDict()
        self._lock = threading.Lock()
        self._drawing = threading.BoundedSemaphore(AT_ONCE)

    def can_draw(self, text: DocumentText, media_type: str) -> bool:
        """Whether there may be a picture: the file is of a kind that is drawn, and has pages."""
        return bool(text.pages) and media_type.startswith(DRAWN)

    def draw(self, citations: Sequence[Citation], text: DocumentText, *, owner_id: str) -> PagePicture | None:
        """The page of the first citation, with the quotations of that page marked.

        None where there is no picture: another kind of file, a page that cannot be drawn, a file that is missing.
        Raises NotFound for a document that is not the owner's.
        """
        first = citations[0]
        info = self._documents.get(first.document_id, owner_id=owner_id)
        page = page_of(text, first.start)
        if page is None or not self.can_draw(text, info.media_type):
            return None
        words = [_wanted(citation, text, page) for citation in citations if page.start <= citation.start < page.end]
        wish = {"page": page.number, "words": _bounded(words[:MOST_QUOTES])}
        key = hashlib.sha256(json.dumps([info.sha256, wish]).encode()).hexdigest()
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        with self._drawing:
            picture = self._drawn(info.sha256, info.name, page.number, wish)
        if picture is not None:
            self._keep(key, picture)
        return picture

    def _drawn(self, sha256: str, name: str, number: int, wish: dict[str, object]) -> PagePicture | None:
        path = self._documents.files.path(sha256)
        if not path.is_file():
            return None
        with (
            translated(path),
            tempfile.TemporaryFile() as answer,
            tempfile.TemporaryFile() as errors,
        ):
            watched = run_reader(answer, errors, path, name, Limits(SECONDS, MEMORY_MB), wish={"view": wish})
            if not watched.well:
                log.warning("page %s was not drawn: code %s %s", number, watched.code, watched.reason)
                return None
            answer.seek(0)
            return _picture(answer, number)

    def _keep(self, key: str, picture: PagePicture) -> None:
        with self._lock:
            self._kept[key] = picture
            while sum(len(kept.png) for kept in self._kept.values()) > self._most:
                self._kept.popitem(last=False)


def page_of(text: DocumentText, offset: int) -> Page | None:
    """The page that this character of the document stands on."""
    return next((page for page in text.pages if page.start <= offset < page.end), None)


def _wanted(citation: Citation, text: DocumentText, page: Page) -> tuple[str, float]:
    """The words that are to be marked and how far down the page's text they stand, in letters and digits."""
    words = text.text[citation.start : min(citation.end, page.end)][:LONGEST_QUOTE]
    before = sum(map(str.isalnum, text.text[page.start : citation.start]))
    return words, round(before / max(1, sum(map(str.isalnum, text.text[page.start : page.end]))), 4)


def _bounded(words: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The quotations, as many of them as a request may hold."""
    lengths = accumulate(len(quote) for quote, _ in words)
    return [wanted for wanted, length in zip(words, lengths, strict=True) if length <= MOST_QUOTED]


def _picture(answer: IO[bytes], number: int) -> PagePicture | None:
    """What the child drew. It has read hostile bytes, so what it says is checked like any other input."""
    try:
        head = json.loads(answer.readline(4096))
        if "refused" in head:
            return None
        width, height, marked = int(head["width"]), int(head["height"]), int(head["marked"])
    except (ValueError, TypeError, KeyError, RecursionError):
        log.warning("the picture of page %s came without its size", number)
        return None
    if not (width > 0 and height > 0 and width * height <= MOST_PIXELS and 0 <= marked <= 1000):
        return None
    pixels = answer.read(3 * width * height + 1)
    if len(pixels) != 3 * width * height:
        return None
    return PagePicture(number, _png(width, height, pixels), marked)


def _png(width: int, height: int, pixels: bytes) -> bytes:
    """The picture as PNG, written here so that nothing the child sent is decoded."""
    row = 3 * width
    lines = memoryview(pixels)
    raw = b"".join(b"\0" + bytes(lines[start : start + row]) for start in range(0, row * height, row))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw, 4)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
