"""The reading lane: from a file to text and chunks. From then on the document is found by keyword."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from core.errors import BadUpload, ModelMissing
from core.leases import hand_over
from core.originals import forget_bytes, take_incoming
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
from ingest.receipts import made_with, receipt
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
    """What is known about a document before it is read; `stored` when its text is in as it would be read now.

    `replaced` is the hash of the bytes whose place these take.
    """

    id: str
    name: str
    path: Path
    sha256: str
    stored: bool
    replaced: str


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
        self.pages = PageReadings(db)
        self.embedding = Embedding(db, chunks, embedder, options.embedder, SelfTest(db))
        self.rebuilding = Rebuild(db, self.embedding, options.embedder)
        self.recutting = Recut(db, chunks, self.embedding, budget=options.budget, overlap=options.overlap)

    def read(self, document_id: str, lease: Lease) -> None:
        """Bring a document to `searchable` and its job into the line for vectors.

        What an earlier attempt stored is used if it would come out the same. Raises Cancelled, BadUpload and other
        GroundworkErrors. A deleted document is no error.
        """
        source = self._begin(document_id, lease)
        if source is None:
            return
        if source.stored:
            with self.db.write() as session:
                self._hand_over(session, lease, source.id, 0.0)
        else:
            self._store_text(source, lease)
        if source.replaced:  # a crash before this leaves them to the sweep
            with self.db.write() as session:
                forget_bytes(session, self.files, source.replaced)

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
            sha256 = row.incoming_sha256 or row.sha256
            stored = session.get(DocumentTextRow, document_id) is not None and self._as_now(row, sha256)
            if row.status in UNREAD:
                row.status = (DocumentStatus.searchable if stored else DocumentStatus.processing).value
                row.error = ""
                if stored:
                    raise_generation(session)
            replaced = row.sha256 if row.incoming_sha256 else ""
            return _Source(row.id, row.name, self.files.path(sha256), sha256, stored, replaced)

    def _as_now(self, row: DocumentRow, sha256: str) -> bool:
        return made_with(row.receipt, sha256=sha256, parser=parser_of(row.media_type), splitter=self.options.splitter)

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
        take_incoming(session, document_id)
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
