"""Building the vectors of another embedder beside those that serve; it takes over when none is missing."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.leases import requeue
from core.retrieval.serving import lacking, serving, take_over
from core.retrieval.store import raise_generation
from core.retrieval.vectors import text_hash
from core.storage.db import Database
from core.storage.tables import DocumentRow
from core.types import DocumentStatus
from ingest.embedding import BATCH, Embedding
from ingest.lease import Lease

STAGE = "embedding anew"


class Rebuild:
    """Works document by document, and lets documents that were just added go before the next one."""

    def __init__(self, db: Database, embedding: Embedding, wanted: str) -> None:
        self.db = db
        self.embedding = embedding
        self.wanted = wanted

    def build(self, lease: Lease) -> bool:
        """Go on with the change; False when it was put back into the line for others. Raises Cancelled."""
        while True:
            with self.db.read() as session:
                if serving(session, self.wanted) == self.wanted:
                    return True
                missing, total = lacking(session, self.wanted), _ready(session)
            if not missing:
                if self._took_over(lease):
                    return True
                continue
            for place, document_id in enumerate(missing):
                lease.report(STAGE, total - len(missing) + place, total)
                self._embed(document_id, lease, total - len(missing) + place, total)
                if self._others_wait():
                    with self.db.write() as session:
                        requeue(lease.confirm(session))
                    return False

    def _embed(self, document_id: str, lease: Lease, done: int, total: int) -> None:
        pending = self.embedding.chunks.unembedded(document_id, self.wanted)
        form = ""
        for start in range(0, len(pending), BATCH):
            part = pending[start : start + BATCH]
            vectors = self.embedding.vectors_of([text for _, text in part], done, total, lease, model=self.wanted)
            form = form or self.embedding.embedder.embedding_form(self.wanted)
            chunks = [(id, text_hash(text)) for id, text in part]
            self.embedding.vectors.add_beside(self.wanted, chunks, vectors, form=form, within=lease.confirm)

    def _took_over(self, lease: Lease) -> bool:
        """The one moment in which all changes: nothing may have become missing since it was looked for."""
        with self.db.write() as session:
            lease.confirm(session)
            if lacking(session, self.wanted):
                return False
            take_over(session, self.wanted)
            raise_generation(session)
            return True

    def _others_wait(self) -> bool:
        return self.embedding.others_wait()


def _ready(session: Session) -> int:
    return session.scalar(select(func.count()).where(DocumentRow.status == DocumentStatus.ready.value)) or 0
