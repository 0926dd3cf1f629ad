"""Pages that were read from their pictures, kept one by one: a killed worker goes on with the next page.

Reading a page this way takes a second and more, a document hundreds of them; so each page is committed when it is
finished. They go when the last document with these bytes goes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from core.retrieval.rows import Step, nothing
from core.storage.db import Database
from core.storage.tables import PageReadingRow
from ingest.lease import Lease
from ingest.ocr.engine import Recognised
from ingest.reading import Recognition


@dataclass(frozen=True, slots=True)
class PageReading:
    """What was read from the picture of a page; `confidence` from 0 to 1."""

    page: int
    text: str
    confidence: float
    seconds: float


class PageReadings:
    """By the hash of the file and the name of the reader, which has its version and its languages."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def finished(self, sha256: str, reader: str) -> dict[int, PageReading]:
        """The pages that need not be read again, by their number."""
        query = select(PageReadingRow).where(PageReadingRow.sha256 == sha256, PageReadingRow.reader == reader)
        with self.db.read() as session:
            return {
                row.page: PageReading(row.page, row.text, row.confidence, row.seconds) for row in session.scalars(query)
            }

    def keep(self, sha256: str, reader: str, pages: Sequence[PageReading], *, within: Step = nothing) -> None:
        """Keep finished pages; `within` (a lease's `confirm`) is done in the same transaction."""
        with self.db.write() as session:
            within(session)
            for page in pages:
                session.merge(
                    PageReadingRow(
                        sha256=sha256, reader=reader, page=page.page, text=page.text, confidence=page.confidence,
                        seconds=page.seconds,
                    )
                )  # fmt: skip

    def recognition(self, sha256: str, lease: Lease) -> Recognition:
        """What a reader of this file needs: the pages that are finished, and a place for each further one."""
        began = time.monotonic()

        def finished(reader: str) -> dict[int, Recognised]:
            return {
                page.page: Recognised(page.text, page.confidence) for page in self.finished(sha256, reader).values()
            }

        def keep(reader: str, number: int, page: Recognised) -> None:
            nonlocal began
            took, began = time.monotonic() - began, time.monotonic()
            self.keep(sha256, reader, [PageReading(number, page.text, page.confidence, took)], within=lease.confirm)

        return Recognition(finished, keep, lambda done, total: lease.report("recognising", done, total))
