"""The reading lane: from a file to text and chunks. From then on the document is found by keyword."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import BadUpload, ModelMissing
from core.leases import hand_over
from core.retrieval.rows import copy_text
from core.retrieval.store import ChunkStore, raise_generation
from core.storage.db import Database
from core.storage.files import FileStore
from core.storage.tables import DocumentRow, DocumentTextRow
from core.types import Document, DocumentStatus
from ingest import reading
from ingest.embedding import MODEL_PAUSE, WAITING, Embedder, Embedding
from ingest.lease import Lease
from ingest.loaders import parser_of
from ingest.page_readings import PageReadings
from ingest.reading import ReadingOptions
from ingest.rebuild import Rebuild
from ingest.receipts import made_with, of_copy, receipt
from ingest.recut import Recut
from ingest.selftest import SelfTest
from ingest.split import BUDGET, OVERLAP, SPLITTER, Count, split
from ingest.tokens import StoppableCounter

__all__ = ["WAITING", "Embedder", "Intake", "IntakeOptions"]

UNREAD = (DocumentStatus.queued.value, DocumentStatus.processing.value, DocumentStatus.failed.value)


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """How documents are read, split and embedded; `embedder` is the id under which vectors are stored."""

    embedder: str
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    budget: int = BUDGET
    overlap: int = OVERLAP

    @property
    def splitter(self) -> str:
        """What the receipt says about how a text was cut; another value means that it must be cut again."""
        return f"{SPLITTER}: {self.budget} tokens of {self.embedder}, {self.overlap} repeated"


@dataclass(frozen=True, slots=True)
class _Source:
    """What is known about a document before it is read; `stored` when its text is in as it would be read now."""

    id: str
    name: str
    path: Path
    sha256: str
    stored: bool


class Intake:
    """Takes documents in, one at a time in each lane. `counter` makes the token counter; without it ModelMissing."""

    def __init__(
        self, db: Database, files: FileStore, chunks: ChunkStore, *, embedder: Embedder, counter: Callable[[], Count],
        options: IntakeOptions,
    ) -> None:  # fmt: skip
        self.db = db
        self.files = files
        self.chunks = chunks
        self.counter = counter
        self.options = options
        self.selftest = SelfTest(db)
        self.pages = PageReadings(db)
        self.embedding = Embedding(db, chunks, embedder, options.embedder, self.selftest)
        self.rebuilding = Rebuild(db, self.embedding, options.embedder)
        self.recutting = Recut(db, chunks, self.embedding, budget=options.budget, overlap=options.overlap)

    def read(self, document_id: str, lease: Lease) -> None:
        """Bring a document to `searchable` and its job into the line for vectors.

        What an earlier attempt stored, or was read from the same bytes for somebody else, is used if it would come
        out the same. Raises Cancelled, BadUpload and other GroundworkErrors. A deleted document is no error.
        """
        source = self._begin(document_id, lease)
        if source is None:
            return
        if source.stored or self._copied(source, lease):
            with self.db.write() as session:
                self._hand_over(session, lease, source.id, 0.0)
            return
        self._store_text(source, lease)

    def rebuild(self, lease: Lease) -> bool:
        """Go on with the change to another embedder; False when it lets others go first. Raises Cancelled."""
        return self.rebuilding.build(lease)

    def recut(self, document_id: str, lease: Lease) -> None:
        """Cut a document anew that is in, in the way that holds now. Raises Cancelled."""
        self.recutting.recut(document_id, lease, self._counter(lease), self.options.splitter)

    def embed(self, document_id: str, lease: Lease) -> None:
        """Bring a searchable document to `ready`. Raises Cancelled and other GroundworkErrors."""
        self.embedding.embed(document_id, lease)

    def _begin(self, document_id: str, lease: Lease) -> _Source | None:
        with self.db.write() as session:
            row = session.get(DocumentRow, document_id)
            if row is None:
                return None
            lease.confirm(session)
            stored = session.get(DocumentTextRow, document_id) is not None and self._as_now(row)
            if row.status in UNREAD:
                row.status = (DocumentStatus.searchable if stored else DocumentStatus.processing).value
                row.error = ""
                if stored:
                    raise_generation(session)
            return _Source(row.id, row.name, self.files.path(row.sha256), row.sha256, stored)

    def _as_now(self, row: DocumentRow) -> bool:
        return made_with(
            row.receipt, sha256=row.sha256, parser=parser_of(row.media_type), splitter=self.options.splitter
        )

    def _copied(self, source: _Source, lease: Lease) -> bool:
        """Take over what was read from the same bytes for another document, if it is as it would be read now."""
        read = select(DocumentTextRow.document_id).where(DocumentTextRow.document_id == DocumentRow.id).exists()
        twins = select(DocumentRow).where(DocumentRow.sha256 == source.sha256, DocumentRow.id != source.id, read)
        with self.db.write() as session:
            twin = next((row for row in session.scalars(twins) if self._as_now(row)), None)
            row = session.get(DocumentRow, source.id)
            if twin is None or row is None:
                return False
            lease.confirm(session)
            copy_text(session, twin.id, row.id)
            row.title = row.name if twin.title == twin.name else twin.title
            row.media_type, row.receipt = twin.media_type, of_copy(twin.receipt)
            row.language, row.author = twin.language, twin.author
            row.written_at, row.changed_at = twin.written_at, twin.changed_at
            row.status, row.error = DocumentStatus.searchable.value, ""
            raise_generation(session)
            return True

    def _store_text(self, source: _Source, lease: Lease) -> None:
        """Read and split the file and store what comes out."""
        seconds: dict[str, float] = {}
        count = self._counter(lease)
        if not source.path.is_file():
            lease.check()
            raise BadUpload(
                f"The file of {source.name} is missing from the data folder. Delete it and upload it again."
            )
        with _timed(seconds, "reading"):
            lease.report("reading")
            document = self._read(source, lease)
        with _timed(seconds, "splitting"):
            lease.report("splitting", 0, len(document.text))
            counter = StoppableCounter(count, lease.check)
            chunks = split(document, count_tokens=counter, budget=self.options.budget, overlap=self.options.overlap)
        made = receipt(document, chunks, sha256=source.sha256, splitter=self.options.splitter, seconds=seconds)
        lease.report("storing", 0, len(chunks))
        took = sum(seconds.values())
        self.chunks.save_text(
            source.id, document, chunks, made,
            within=lambda session: self._hand_over(session, lease, source.id, took, len(chunks)),
        )  # fmt: skip
        self.selftest.by_keyword(source.id)

    def _read(self, source: _Source, lease: Lease) -> Document:
        kept = self.pages.recognition(source.sha256, lease)
        return reading.read(
            source.path, source.name, self.options.reading, cancelled=lease.ended, recognition=kept
        )  # fmt: skip

    @staticmethod
    def _hand_over(session: Session, lease: Lease, document_id: str, seconds: float, chunks: int | None = None) -> None:
        if chunks is None:
            row = session.get(DocumentRow, document_id)
            chunks = int(row.receipt.get("chunks", 0)) if row is not None else 0
        hand_over(lease.confirm(session), chunks=chunks, seconds=seconds)

    def _counter(self, lease: Lease) -> Count:
        while True:
            try:
                return self.counter()
            except ModelMissing:
                lease.report(WAITING)
                lease.wait(MODEL_PAUSE)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - began
