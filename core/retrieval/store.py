"""Chunks and vectors as rows. Every change of the set of vectors raises the generation in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict
from core.retrieval.places import Place, words_at
from core.retrieval.rows import Step, keep_metadata, nothing, put_aside
from core.storage.db import Database
from core.storage.tables import (
    ChunkRow,
    CollectionDocumentRow,
    DocumentRow,
    DocumentTagRow,
    DocumentTextRow,
    IndexStateRow,
    PreferenceRow,
    VectorRow,
)
from core.types import Chunk, Document, DocumentStatus, Filters, Scope
from core.words import chunk_words, head_words

Vectors = NDArray[np.float32]
FORM = "embedding_form:{embedder}"  # the preference that keeps how vectors are computed
FIRST_FORM = "torch-float32"  # how they were computed before that was kept
FOUND = (DocumentStatus.searchable.value, DocumentStatus.ready.value)


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk and what is needed to show it; `section` is the text around it, which begins at `section_start`."""

    id: int
    document_id: str
    document_title: str
    text: str
    start: int
    end: int
    page: int | None
    heading: str
    context: str
    section: str
    section_start: int


class ChunkStore:
    """What the ingest worker writes and retrieval reads."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def save_text(
        self, document_id: str, document: Document, chunks: Sequence[Chunk], receipt: dict[str, Any], *,
        within: Step = nothing, then: Step = nothing,
    ) -> None:  # fmt: skip
        """Store text and chunks in one transaction; from its end on the document is found by keyword.

        Replaces what was there; its vectors are put aside for chunks that come out the same. `within` is done in the
        same transaction first, `then` last; what they raise undoes all. Raises Conflict for a deleted document.
        """
        with self.db.read() as session:
            name = _existing(session, document_id).name
        rows = [{"document_id": document_id, **_columns(chunk, document, name)} for chunk in chunks]
        with self.db.write() as session:
            within(session)
            row = _existing(session, document_id)
            put_aside(session, document_id)
            session.execute(delete(ChunkRow).where(ChunkRow.document_id == document_id))
            session.execute(delete(DocumentTextRow).where(DocumentTextRow.document_id == document_id))
            session.add(
                DocumentTextRow(
                    document_id=document_id,
                    text=document.text,
                    pages=[list(astuple(page)) for page in document.pages],
                    headings=[[heading.level, heading.title, heading.start] for heading in document.headings],
                    tables=[list(astuple(table)) for table in document.tables],
                )
            )
            if rows:
                session.execute(insert(ChunkRow), rows)
            row.title, row.media_type = document.title[:400], document.media_type
            row.status, row.error, row.receipt = DocumentStatus.searchable.value, "", receipt
            keep_metadata(row, document)
            session.flush()
            then(session)
            raise_generation(session)

    def unembedded(self, document_id: str, embedder: str) -> list[tuple[int, str]]:
        """Ids and texts (as `embedded_text` makes them) of the chunks that have no vector of this embedder yet."""
        query = (
            select(ChunkRow.id, ChunkRow.heading, ChunkRow.context, ChunkRow.text)
            .outerjoin(VectorRow, (VectorRow.chunk_id == ChunkRow.id) & (VectorRow.embedder == embedder))
            .where(ChunkRow.document_id == document_id, VectorRow.chunk_id.is_(None))
            .order_by(ChunkRow.position)
        )
        with self.db.read() as session:
            return [(id, embedded_text(*parts)) for id, *parts in session.execute(query)]

    def form(self, embedder: str) -> str:
        """How the stored vectors of an embedding model were computed; "" while there are none."""
        with self.db.read() as session:
            if kept := session.get(PreferenceRow, FORM.format(embedder=embedder)):
                return kept.value
            stored = session.scalar(select(VectorRow.chunk_id).where(VectorRow.embedder == embedder).limit(1))
            return FIRST_FORM if stored is not None else ""

    def generation(self) -> int:
        with self.db.read() as session:
            return current_generation(session)

    def chunk_ids(self, scope: Scope) -> NDArray[np.int64]:
        """The ids of all chunks that the scope may see."""
        query = select(ChunkRow.id).join(DocumentRow, DocumentRow.id == ChunkRow.document_id).where(*visible(scope))
        with self.db.read() as session:
            return np.fromiter(session.scalars(query), dtype=np.int64)

    def load(self, chunk_ids: Sequence[int], scope: Scope) -> dict[int, StoredChunk]:
        """The chunks among these that the scope may see: a stale index never shows a deleted or foreign one."""
        query = (
            select(ChunkRow, DocumentRow.title, DocumentRow.name)
            .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
            .where(ChunkRow.id.in_(chunk_ids), *visible(scope))
        )
        with self.db.read() as session:
            rows = [(row, title or name) for row, title, name in session.execute(query)]
            around = words_at(session, (_section(row) for row, _ in rows))
        return {
            row.id: StoredChunk(
                row.id,
                row.document_id,
                title,
                row.text,
                row.start,
                row.end,
                row.page,
                row.heading,
                row.context,
                around.get(_section(row), ""),
                row.section_start,
            )
            for row, title in rows
        }


def _section(row: ChunkRow) -> Place:
    return row.document_id, row.section_start, row.section_end


def _columns(chunk: Chunk, document: Document, name: str) -> dict[str, Any]:
    return {
        "position": chunk.position,
        "start": chunk.start,
        "end": chunk.end,
        "page": chunk.page,
        "heading": chunk.heading,
        "context": chunk.context,
        "section_start": chunk.section_start if chunk.section_end else chunk.start,
        "section_end": chunk.section_end or chunk.end,
        "text": chunk.text,
        "words": chunk_words(chunk.text, chunk.context, document.language),
        "head_words": head_words(chunk.heading, document.title, name, document.language),
    }


def embedded_text(heading: str, context: str, text: str) -> str:
    """What an embedder gets of a chunk: the headings above it, what it cannot be understood without, its text."""
    return "\n".join(part for part in (heading, context, text) if part)


def visible(scope: Scope) -> list[ColumnElement[bool]]:
    """The conditions on `documents` that a scope means; permission is part of the query, not of its result."""
    conditions = [DocumentRow.owner_id == scope.owner_id, DocumentRow.status.in_(FOUND)]
    if scope.collection_id is not None:
        members = select(CollectionDocumentRow.document_id).where(
            CollectionDocumentRow.collection_id == scope.collection_id
        )
        conditions.append(DocumentRow.id.in_(members))
    if scope.document_ids:
        conditions.append(DocumentRow.id.in_(scope.document_ids))
    return [*conditions, *_kinds(scope.filters)]


def _kinds(filters: Filters) -> Iterator[ColumnElement[bool]]:
    if filters.media_types:
        yield DocumentRow.media_type.in_(filters.media_types)
    if filters.languages:
        yield DocumentRow.language.in_(filters.languages)
    if filters.tags:
        tagged = select(DocumentTagRow.document_id).where(DocumentTagRow.tag.in_(filters.tags))
        yield DocumentRow.id.in_(tagged)
    moment = func.coalesce(DocumentRow.changed_at, DocumentRow.written_at, DocumentRow.created_at)
    if filters.since is not None:
        yield moment >= filters.since
    if filters.until is not None:
        yield moment < filters.until


def raise_generation(session: Session) -> None:
    """Tell every cache that what questions can find has changed; call it in the transaction that changes it."""
    session.execute(update(IndexStateRow).values(generation=IndexStateRow.generation + 1))


def current_generation(session: Session) -> int:
    """Which set of documents this snapshot holds."""
    return session.scalars(select(IndexStateRow.generation)).one()


def _existing(session: Session, document_id: str) -> DocumentRow:
    row = session.get(DocumentRow, document_id)
    if row is None:
        raise Conflict("The document was deleted meanwhile.")
    return row


def keep_form(session: Session, embedder: str, form: str) -> None:
    """Remember how the first vectors of an embedder are computed; raise Conflict for others. "" says nothing."""
    if not form:
        return
    name = FORM.format(embedder=embedder)
    kept = session.get(PreferenceRow, name)
    if kept is None:
        session.add(PreferenceRow(name=name, value=form))
    elif kept.value != form:
        raise Conflict(f"The vectors of this installation are computed as {kept.value}, these are {form}.")
