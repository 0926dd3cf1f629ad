"""Cutting a document anew when the way of cutting has changed: its new chunks take the place of the old ones at once.

Until then the old chunks and their vectors serve. Documents change one by one: chunks of both ways can be compared with
each other, because one embedder made all vectors.
"""

from __future__ import annotations

import time

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core.jobs import EMBED, OPEN, Jobs
from core.retrieval.rows import chunks_of
from core.retrieval.serving import RECUT, serving
from core.retrieval.store import FOUND, ChunkStore, embedded_text
from core.retrieval.vectors import complete, text_hash
from core.storage.db import Database
from core.storage.tables import BatchRow, ChunkRow, DocumentRow, DocumentTextRow, JobRow
from core.types import Document, Heading, Page, Table
from ingest.embedding import Embedding
from ingest.lease import Lease
from ingest.receipts import receipt
from ingest.split import Count, split

TITLE = "Cutting texts anew: {splitter}"
AT_ONCE = 500  # documents that are queued in one transaction


class Recut:
    """Works on the stored text: no file is read again."""

    def __init__(self, db: Database, chunks: ChunkStore, embedding: Embedding, *, budget: int, overlap: int) -> None:
        self.db = db
        self.chunks = chunks
        self.embedding = embedding
        self.budget, self.overlap = budget, overlap

    def recut(self, document_id: str, lease: Lease, count: Count, splitter: str) -> None:
        """Replace the chunks of a document and their vectors in one step. Raises Cancelled."""
        began = time.monotonic()
        with self.db.read() as session:
            row, text = session.get(DocumentRow, document_id), session.get(DocumentTextRow, document_id)
            embedder = serving(session, self.embedding.wanted)
        if row is None or text is None or row.receipt.get("splitter") == splitter:
            return
        document = stored_document(row, text)
        lease.report("splitting", 0, len(document.text))
        chunks = split(document, count_tokens=count, budget=self.budget, overlap=self.overlap)
        texts = [embedded_text(chunk.heading, chunk.context, chunk.text) for chunk in chunks]
        hashes = [text_hash(one) for one in texts]
        reused = self.embedding.draft(document_id, embedder, dict(zip(hashes, texts, strict=True)), len(chunks), lease)
        seconds = {**row.receipt.get("seconds", {}), "embedding": round(time.monotonic() - began, 3)}
        made = {**row.receipt, **receipt(document, chunks, sha256=row.sha256, splitter=splitter, seconds=seconds)}
        told = {"embedder": embedder, "vectors": len(chunks), "reused": reused}

        def finish(session: Session) -> None:
            again = session.get_one(DocumentRow, document_id)
            ids = session.scalars(chunks_of(document_id).order_by(ChunkRow.position)).all()
            complete(session, again, embedder, list(zip(ids, hashes, strict=True)), told)

        self.chunks.save_text(document_id, document, chunks, made, within=lease.confirm, then=finish)


def stored_document(row: DocumentRow, text: DocumentTextRow) -> Document:
    """A document as it was read, from what is stored of it."""
    told = row.receipt
    return Document(
        title=row.title, media_type=row.media_type, text=text.text,
        pages=tuple(Page(*page) for page in text.pages),
        headings=tuple(Heading(*heading) for heading in text.headings),
        tables=tuple(Table(*table) for table in text.tables),
        metadata=told.get("metadata", {}), warnings=tuple(told.get("warnings", ())), parser=told.get("parser", ""),
        language=row.language,
    )  # fmt: skip


def begin_recutting(db: Database, splitter: str) -> list[str]:
    """Queue all documents that are ready and were cut in another way, as a batch of each owner; returns the batches.

    Where somebody cancelled a batch of the same name, it is not begun again.
    """
    title = TITLE.format(splitter=splitter)
    cancelled = select(BatchRow.owner_id).where(BatchRow.name == title, BatchRow.state == "cancelled")
    owners = select(DocumentRow.owner_id).where(*_cut_otherwise(splitter), DocumentRow.owner_id.not_in(cancelled))
    with db.read() as session:
        found = session.scalars(owners.distinct()).all()
    return [batch_id for owner_id in found if (batch_id := _queue(db, owner_id, title, splitter))]


def _queue(db: Database, owner_id: str, title: str, splitter: str) -> str:
    """Queue the documents of one owner, some in each transaction: others want to write too. "" when there are none."""
    jobs, batch_id, last = Jobs(db), "", ""
    while True:
        query = select(DocumentRow.id, DocumentRow.size).where(
            *_cut_otherwise(splitter), DocumentRow.owner_id == owner_id, DocumentRow.id > last
        )
        with db.write() as session:
            rows = session.execute(query.order_by(DocumentRow.id).limit(AT_ONCE)).all()
            batch = session.get(BatchRow, batch_id) if batch_id else BatchRow(owner_id=owner_id, name=title)
            if not rows or batch is None or batch.state == "cancelled":
                return batch_id
            session.add(batch)
            session.flush()
            batch_id, last = batch.id, rows[-1].id
            for row in rows:
                jobs.submit(
                    session, kind=RECUT, owner_id=owner_id, document_id=row.id, size=row.size, batch_id=batch_id,
                    lane=EMBED,
                )  # fmt: skip


def _cut_otherwise(splitter: str) -> tuple[ColumnElement[bool], ...]:
    """Documents that are in, cut in another way, and that nothing is done with now."""
    busy = select(JobRow.id).where(JobRow.document_id == DocumentRow.id, JobRow.status.in_(OPEN)).exists()
    return DocumentRow.status.in_(FOUND), ~busy, DocumentRow.receipt["splitter"].as_string() != splitter
