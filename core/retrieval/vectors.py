"""Vectors on their way: kept batch by batch as drafts, shared by texts that are the same, complete in one step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import delete, insert, literal, select
from sqlalchemy.orm import Session

from core.errors import Conflict
from core.retrieval.rows import Step, chunks_of, nothing
from core.retrieval.serving import serving
from core.retrieval.store import Vectors, keep_form, raise_generation
from core.storage.db import Database
from core.storage.tables import ChunkRow, DocumentRow, VectorDraftRow, VectorRow, now
from core.types import DocumentStatus

AT_ONCE = 500  # hashes in one query
COLUMNS = ["document_id", "embedder", "text_hash", "dimension", "data"]


def text_hash(text: str) -> bytes:
    """What tells two embedded texts apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class VectorStore:
    """What the embedding lane writes. A vector is found by the embedder and the hash of what was embedded."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def adopt(self, document_id: str, embedder: str, hashes: Sequence[bytes], *, within: Step = nothing) -> set[bytes]:
        """Take over what is there of these texts, from this document's drafts and from all others; returns which."""
        with self.db.write() as session:
            within(session)
            for part in _parts(hashes):
                for table in (VectorRow, VectorDraftRow):
                    found = select(
                        literal(document_id), table.embedder, table.text_hash, table.dimension, table.data
                    ).where(table.embedder == embedder, table.text_hash.in_(part))
                    session.execute(insert(VectorDraftRow).prefix_with("OR IGNORE").from_select(COLUMNS, found))
            return _drafted(session, document_id, embedder)

    def keep(
        self, document_id: str, embedder: str, hashes: Sequence[bytes], vectors: Vectors, *, form: str,
        within: Step = nothing,
    ) -> None:  # fmt: skip
        """Keep a finished batch: float32 of shape (len(hashes), dimension), rows of length 1.

        Nobody sees them before `finish`. Raises Conflict when they are computed in another form than those before.
        """
        data = np.ascontiguousarray(vectors, dtype="<f4")
        rows = [
            {
                "document_id": document_id, "embedder": embedder, "text_hash": hash, "dimension": data.shape[1],
                "data": vector.tobytes(),
            }
            for hash, vector in zip(hashes, data, strict=True)
        ]  # fmt: skip
        with self.db.write() as session:
            within(session)
            keep_form(session, embedder, form)
            session.execute(insert(VectorDraftRow).prefix_with("OR IGNORE"), rows)

    def add_beside(
        self, embedder: str, chunks: Sequence[tuple[int, bytes]], vectors: Vectors, *, form: str, within: Step = nothing
    ) -> None:
        """Store vectors (as for `keep`) of an embedder that does not serve yet; not those of chunks that are gone."""
        data = np.ascontiguousarray(vectors, dtype="<f4")
        with self.db.write() as session:
            within(session)
            keep_form(session, embedder, form)
            alive = set(session.scalars(select(ChunkRow.id).where(ChunkRow.id.in_([id for id, _ in chunks]))))
            rows = [
                {
                    "chunk_id": id, "embedder": embedder, "text_hash": hash, "dimension": data.shape[1],
                    "data": vector.tobytes(),
                }
                for (id, hash), vector in zip(chunks, data, strict=True)
                if id in alive
            ]  # fmt: skip
            if rows:
                session.execute(insert(VectorRow).prefix_with("OR IGNORE"), rows)

    def finish(
        self, document_id: str, embedder: str, chunks: Sequence[tuple[int, bytes]], told: dict[str, Any], *,
        within: Step = nothing,
    ) -> None:  # fmt: skip
        """Make the drafts the vectors of a document's chunks (id and hash of each) and the document ready, at once.

        `told` is added to the receipt. Raises Conflict when the chunks changed, when a draft is missing, or when
        another embedder has taken over meanwhile.
        """
        with self.db.write() as session:
            within(session)
            row = session.get(DocumentRow, document_id)
            if row is None:
                raise Conflict("The document was deleted meanwhile.")
            complete(session, row, embedder, chunks, told)
            raise_generation(session)


def complete(
    session: Session, row: DocumentRow, embedder: str, chunks: Sequence[tuple[int, bytes]], told: dict[str, Any]
) -> None:
    """As `finish`, within somebody's transaction that raises the generation."""
    if serving(session, embedder) != embedder:
        raise Conflict("Another embedding model has taken over meanwhile.")
    _move(session, row.id, embedder, chunks)
    row.status, row.ready_at = DocumentStatus.ready.value, now()
    row.receipt = merged(row.receipt, told)


def _move(session: Session, document_id: str, embedder: str, chunks: Sequence[tuple[int, bytes]]) -> None:
    own = set(session.scalars(chunks_of(document_id)))
    has = set(
        session.scalars(
            select(VectorRow.chunk_id).where(
                VectorRow.chunk_id.in_(chunks_of(document_id)), VectorRow.embedder == embedder
            )
        )
    )
    if own - has != {id for id, _ in chunks}:
        raise Conflict("The document changed while it was being embedded.")
    drafts = {
        row.text_hash: row
        for row in session.scalars(
            select(VectorDraftRow).where(VectorDraftRow.document_id == document_id, VectorDraftRow.embedder == embedder)
        )
    }
    if not all(hash in drafts for _, hash in chunks):
        raise Conflict("A vector of the document is missing. Try it again.")
    rows = [
        {
            "chunk_id": id, "embedder": embedder, "text_hash": hash, "dimension": drafts[hash].dimension,
            "data": drafts[hash].data,
        }
        for id, hash in chunks
    ]  # fmt: skip
    if rows:
        session.execute(insert(VectorRow), rows)
    session.execute(delete(VectorDraftRow).where(VectorDraftRow.document_id == document_id))


def merged(receipt: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """A receipt with what a later stage adds; seconds by stage are joined."""
    return {**receipt, **told, "seconds": {**receipt.get("seconds", {}), **told.get("seconds", {})}}


def _drafted(session: Session, document_id: str, embedder: str) -> set[bytes]:
    query = select(VectorDraftRow.text_hash).where(
        VectorDraftRow.document_id == document_id, VectorDraftRow.embedder == embedder
    )
    return set(session.scalars(query))


def _parts(hashes: Sequence[bytes]) -> Iterator[list[bytes]]:
    rest = iter(hashes)
    while part := list(islice(rest, AT_ONCE)):
        yield part
