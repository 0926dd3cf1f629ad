"""Giving a document another name: what stands over its chunks, and is searched, follows."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.retrieval.store import raise_generation
from core.storage.tables import ChunkRow, DocumentRow
from core.words import head_words


def rename(session: Session, row: DocumentRow, name: str) -> None:
    """Call a document `name`, also its title when that was its name. Vectors stay: names are in none."""
    if name == row.name:
        return
    row.title = name if row.title == row.name else row.title
    row.name = name
    chunks = select(ChunkRow.id, ChunkRow.heading, ChunkRow.head_words).where(ChunkRow.document_id == row.id)
    over: dict[str, str] = {}  # by heading, of which there are far fewer than chunks
    changed = []
    for id, heading, before in session.execute(chunks).all():
        if heading not in over:
            over[heading] = head_words(heading, row.title, row.name, row.language)
        if over[heading] != before:
            changed.append({"id": id, "head_words": over[heading]})
    if changed:
        session.execute(update(ChunkRow), changed)
    raise_generation(session)
