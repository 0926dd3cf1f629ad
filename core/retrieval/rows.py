"""Steps of the transactions that change a document's text and vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, insert, literal, select
from sqlalchemy.orm import Session

from core.storage.tables import ChunkRow, DocumentRow, VectorDraftRow, VectorRow
from core.types import Document

LONGEST_AUTHOR = 400

Step = Callable[[Session], object]  # something to be done within somebody else's transaction


def nothing(_session: Session) -> None:
    """No further step."""


def chunks_of(document_id: str) -> Select[int]:
    """The ids of a document's chunks."""
    return select(ChunkRow.id).where(ChunkRow.document_id == document_id)


def put_aside(session: Session, document_id: str) -> None:
    """Keep the vectors of chunks that are about to be deleted, by the hash of what was embedded."""
    kept = select(
        literal(document_id), VectorRow.embedder, VectorRow.text_hash, VectorRow.dimension, VectorRow.data
    ).where(VectorRow.chunk_id.in_(chunks_of(document_id)), VectorRow.text_hash.is_not(None))
    into = ["document_id", "embedder", "text_hash", "dimension", "data"]
    session.execute(insert(VectorDraftRow).prefix_with("OR IGNORE").from_select(into, kept))


def keep_metadata(row: DocumentRow, document: Document) -> None:
    """What lists are filtered by, from what the file says of itself."""
    told: Mapping[str, Any] = document.metadata
    row.language = document.language
    row.author = str(told.get("author", ""))[:LONGEST_AUTHOR]
    row.source = str(told.get("source", "")) or row.source
    row.written_at, row.changed_at = moment(told.get("created", "")), moment(told.get("modified", ""))


def moment(told: str) -> datetime | None:
    """A time in ISO 8601, in UTC where it names no zone; None for anything else."""
    try:
        found = datetime.fromisoformat(told)
    except ValueError:
        return None
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return None  # the first or last day of the calendar, in another zone
