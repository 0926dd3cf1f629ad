"""The words at places of documents, by their offsets."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.storage.tables import DocumentTextRow

Place = tuple[str, int, int]  # document id, start and end


def words_at(session: Session, places: Iterable[Place]) -> dict[Place, str]:
    """The words at each place; nothing for a document that has no text.

    Each text is read once, however many places it has: `substr` in SQL would read all of it for every row. One text
    is held at a time.
    """
    wanted: dict[str, set[tuple[int, int]]] = {}
    for document_id, start, end in places:
        wanted.setdefault(document_id, set()).add((start, end))
    found: dict[Place, str] = {}
    for document_id, spans in wanted.items():
        text = session.scalar(select(DocumentTextRow.text).where(DocumentTextRow.document_id == document_id))
        if text is not None:
            found |= {(document_id, start, end): text[start:end] for start, end in spans}
    return found
