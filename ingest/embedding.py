"""The embedding lane: from chunks to vectors, kept batch by batch, shown all at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import ModelBusy, ModelError, ModelMissing, ModelUnavailable
from core.leases import EMBED, READ
from core.retrieval.serving import serving
from core.retrieval.store import ChunkStore, Vectors
from core.retrieval.vectors import VectorStore, text_hash
from core.storage.db import Database
from core.storage.tables import DocumentRow, JobRow
from core.types import DocumentStatus, JobStatus
from ingest.lease import Lease
from ingest.selftest import SelfTest

log = logging.getLogger(__name__)

# Texts in one request: few enough that "cancel" is felt soon when the model server has answers to write first.
BATCH = 16
MODEL_PAUSE = 2.0  # seconds between two tries to reach a model that is not there
# While something is read, the lane rests three times as long as its last batch took: a quarter of the time stays.
# A batch that had to wait for the model took long, but took nothing from those who read.
ASIDE, LONGEST_ASIDE = 3.0, 4.0  # times, seconds
LOOK_EVERY = 0.2  # seconds
TESTED_TOGETHER = 25  # documents
WAITING = "waiting for the embedding model"


class Embedder(Protocol):
    """Makes vectors of length 1: float32 of shape (len(texts), dimension)."""

    def embed(self, texts: Sequence[str], *, priority: str, model: str = "") -> Vectors: ...
    def embedding_form(self, model: str = "") -> str: ...


class Embedding:
    """Embeds what has no vector yet: the same text, in this document or another one, is embedded once."""

    def __init__(self, db: Database, chunks: ChunkStore, embedder: Embedder, wanted: str, selftest: SelfTest) -> None:
        self.db = db
        self.chunks = chunks
        self.vectors = VectorStore(db)
        self.embedder = embedder
        self.wanted = wanted
        self.selftest = selftest
        self._untested: list[str] | None = None
        self._aside_until = 0.0  # by the monotonic clock: also the next document's first batch waits

    def embed(self, document_id: str, lease: Lease) -> None:
        """Bring a document to `ready`; a killed worker's next attempt goes on after the last batch that was kept."""
        with self.db.read() as session:
            embedder = serving(session, self.wanted)
        pending = self.chunks.unembedded(document_id, embedder)
        if not pending:  # a retry of what was complete
            self._set_ready(document_id, lease)
            return
        self.selftest.by_keyword(document_id)  # here, where it keeps no other document from being read
        began = time.monotonic()
        hashes = {id: text_hash(text) for id, text in pending}
        reused = self.draft(document_id, embedder, {hashes[id]: text for id, text in pending}, len(pending), lease)
        seconds = time.monotonic() - began
        told = {
            "embedder": embedder, "vectors": len(pending), "reused": reused,
            "seconds": {"embedding": round(seconds, 3)},
        }  # fmt: skip

        def account(session: Session) -> None:
            lease.confirm(session).embed_seconds += seconds

        self.vectors.finish(document_id, embedder, list(hashes.items()), told, within=account)
        self._test(document_id, embedder)

    def _test(self, document_id: str, embedder: str) -> None:
        """Ask for the document; while others wait, for many of them in one pass, which costs as much as one."""
        if self._untested is None:
            self._untested = self.selftest.untested()
        self._untested = list(dict.fromkeys([*self._untested, document_id]))
        if self.others_wait() and len(self._untested) < TESTED_TOGETHER:
            return
        try:
            while self._untested:
                self.selftest.by_vector(self._untested[:TESTED_TOGETHER], embedder, self.embedder)
                del self._untested[:TESTED_TOGETHER]
        except ModelError as error:
            log.info("the self-test waits: %s", error)

    def draft(self, document_id: str, embedder: str, texts: dict[bytes, str], total: int, lease: Lease) -> int:
        """See to it that each of these texts (by its hash) has a vector in the drafts; returns how many of `total`
        chunks had one before."""
        there = self.vectors.adopt(document_id, embedder, list(texts), within=lease.confirm)
        # Texts of about the same length share a batch: it takes as long as its longest.
        missing = sorted((hash for hash in texts if hash not in there), key=lambda hash: len(texts[hash]))
        self._embed_missing(document_id, embedder, [(hash, texts[hash]) for hash in missing], total, lease)
        return total - len(missing)

    def _embed_missing(
        self, document_id: str, embedder: str, missing: Sequence[tuple[bytes, str]], total: int, lease: Lease
    ) -> None:
        there, form = total - len(missing), ""
        lease.report("embedding", there, total)
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            lease.report("embedding", there + start, total)
            self._stand_aside(lease)
            began = time.monotonic()
            vectors = self.vectors_of([text for _, text in part], there + start, total, lease, model=embedder)
            form = form or self.embedder.embedding_form(embedder)
            self.vectors.keep(
                document_id, embedder, [hash for hash, _ in part], vectors, form=form, within=lease.confirm
            )
            ended = time.monotonic()
            self._aside_until = ended + min(ASIDE * (ended - began), LONGEST_ASIDE)
        lease.report("embedding", total, total)

    def _stand_aside(self, lease: Lease) -> None:
        """Leave the cores to what is being read: it is found by keyword as soon as its text is in, and reading all of a
        batch takes a fraction of the time that its vectors take."""
        while (left := self._aside_until - time.monotonic()) > 0 and self._one_is_read():
            lease.wait(min(left, LOOK_EVERY))

    def _one_is_read(self) -> bool:
        read = select(JobRow.id).where(JobRow.lane == READ, JobRow.status == JobStatus.running.value)
        with self.db.read() as session:
            return session.scalar(read.limit(1)) is not None

    def _set_ready(self, document_id: str, lease: Lease) -> None:
        with self.db.write() as session:
            lease.confirm(session)
            row = session.get(DocumentRow, document_id)
            if row is not None:
                row.status = DocumentStatus.ready.value

    def others_wait(self) -> bool:
        """Whether documents wait for their vectors."""
        line = select(JobRow.id).where(
            JobRow.lane == EMBED, JobRow.status == JobStatus.queued.value, JobRow.document_id.is_not(None)
        )
        with self.db.read() as session:
            return session.scalar(line.limit(1)) is not None

    def vectors_of(self, texts: Sequence[str], done: int, total: int, lease: Lease, *, model: str) -> Vectors:
        """One batch; while the model server is starting, restarting or busy, wait for it."""
        while True:
            try:
                return self.embedder.embed(texts, priority="ingest", model=model)
            except (ModelUnavailable, ModelBusy, ModelMissing):
                lease.report(WAITING, done, total)
                lease.wait(MODEL_PAUSE)
