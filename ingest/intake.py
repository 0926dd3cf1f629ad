"""One document's way in: read, split, store (found by keyword from here), embed, store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from sqlalchemy import select, update

from core.errors import BadUpload, ModelBusy, ModelMissing, ModelUnavailable
from core.retrieval.store import ChunkStore, Vectors, raise_generation
from core.storage.db import Database
from core.storage.files import FileStore
from core.storage.tables import DocumentRow, DocumentTextRow
from core.types import DocumentStatus
from ingest import reading
from ingest.lease import Lease
from ingest.loaders import parser_of
from ingest.reading import ReadingOptions, Recognition
from ingest.receipts import embedded, made_with, receipt
from ingest.split import BUDGET, OVERLAP, SPLITTER, Count, split

# Texts in one request: few enough that "cancel" is felt soon when the model server has answers to write first.
BATCH = 16
MODEL_PAUSE = 2.0  # seconds between two tries to reach a model that is not there
WAITING = "waiting for the embedding model"
UNREAD = (DocumentStatus.queued.value, DocumentStatus.processing.value, DocumentStatus.failed.value)


class Embedder(Protocol):
    """Makes vectors of length 1: float32 of shape (len(texts), dimension)."""

    def embed(self, texts: Sequence[str], *, priority: str) -> Vectors: ...
    def embedding_form(self) -> str: ...


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
    receipt: dict[str, Any]
    stored: bool


class Intake:
    """Takes documents in, one at a time. `counter` makes the token counter, and raises ModelMissing without one."""

    def __init__(
        self, db: Database, files: FileStore, chunks: ChunkStore, *, embedder: Embedder, counter: Callable[[], Count],
        options: IntakeOptions,
    ) -> None:  # fmt: skip
        self.db = db
        self.files = files
        self.chunks = chunks
        self.embedder = embedder
        self.counter = counter
        self.options = options

    def take_in(self, document_id: str, lease: Lease) -> None:
        """Bring a document to `ready`. What an earlier attempt stored is used when it would come out the same.

        Raises Cancelled, BadUpload and other GroundworkErrors. A document that was deleted is no error.
        """
        source = self._begin(document_id)
        if source is None:
            return
        earlier = source.receipt if source.stored else self._store_text(source, lease)
        self._store_vectors(source.id, earlier, lease)

    def _begin(self, document_id: str) -> _Source | None:
        with self.db.write() as session:
            row = session.get(DocumentRow, document_id)
            if row is None:
                return None
            text = session.scalar(select(DocumentTextRow.document_id).where(DocumentTextRow.document_id == document_id))
            stored = text is not None and made_with(
                row.receipt, sha256=row.sha256, parser=parser_of(row.media_type), splitter=self.options.splitter
            )
            if row.status in UNREAD:
                row.status = (DocumentStatus.searchable if stored else DocumentStatus.processing).value
                row.error = ""
                if stored:
                    raise_generation(session)
            return _Source(row.id, row.name, self.files.path(row.sha256), row.sha256, row.receipt, stored)

    def _store_text(self, source: _Source, lease: Lease) -> dict[str, Any]:
        """Read and split the file; after this the document is found by keyword. Returns its receipt."""
        seconds: dict[str, float] = {}
        count = self._counter(lease)
        if not source.path.is_file():
            lease.check()
            raise BadUpload(
                f"The file of {source.name} is missing from the data folder. Delete it and upload it again."
            )
        with _timed(seconds, "reading"):
            lease.report("reading")
            document = reading.read(
                source.path,
                source.name,
                self.options.reading,
                cancelled=lease.ended,
                recognition=Recognition(report=lambda done, total: lease.report("recognising", done, total)),
            )
        with _timed(seconds, "splitting"):
            lease.report("splitting", 0, len(document.text))

            def count_or_stop(text: str) -> int:
                lease.check()
                return count(text)

            chunks = split(
                document, count_tokens=count_or_stop, budget=self.options.budget, overlap=self.options.overlap
            )
        made = receipt(document, chunks, sha256=source.sha256, splitter=self.options.splitter, seconds=seconds)
        lease.report("storing", 0, len(chunks))
        self.chunks.save_text(source.id, document, chunks, made)
        return made

    def _counter(self, lease: Lease) -> Count:
        while True:
            try:
                return self.counter()
            except ModelMissing:
                lease.report(WAITING)
                lease.wait(MODEL_PAUSE)

    def _store_vectors(self, document_id: str, earlier: dict[str, Any], lease: Lease) -> None:
        pending = self.chunks.unembedded(document_id, self.options.embedder)
        if not pending:  # a retry of what was complete
            self._set_status(document_id, DocumentStatus.ready)
            return
        seconds: dict[str, float] = {}
        with _timed(seconds, "embedding"):
            # Texts of about the same length share a batch: it takes as long as its longest.
            pending.sort(key=lambda chunk: len(chunk[1]))
            batches: list[Vectors] = []
            for done in range(0, len(pending), BATCH):
                lease.report("embedding", done, len(pending))
                batches.append(
                    self._embed([text for _, text in pending[done : done + BATCH]], done, len(pending), lease)
                )
            lease.report("embedding", len(pending), len(pending))
        made = embedded(earlier, embedder=self.options.embedder, vectors=len(pending), seconds=seconds["embedding"])
        ids = [id for id, _ in pending]
        form = self.embedder.embedding_form()
        self.chunks.save_vectors(document_id, self.options.embedder, ids, np.concatenate(batches), made, form=form)

    def _set_status(self, document_id: str, status: DocumentStatus) -> None:
        with self.db.write() as session:
            session.execute(update(DocumentRow).where(DocumentRow.id == document_id).values(status=status.value))

    def _embed(self, texts: Sequence[str], done: int, total: int, lease: Lease) -> Vectors:
        """One batch; while the model server is starting, restarting or busy, wait for it."""
        while True:
            try:
                return self.embedder.embed(texts, priority="ingest")
            except (ModelUnavailable, ModelBusy, ModelMissing):
                lease.report(WAITING, done, total)
                lease.wait(MODEL_PAUSE)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - began
