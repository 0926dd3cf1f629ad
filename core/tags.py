"""Tags: words that people put on their documents, to find them by and to ask only those that have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from core.collections import owned_document
from core.errors import BadUpload
from core.names import tag_name
from core.retrieval.store import raise_generation
from core.storage.tables import DocumentRow, DocumentTagRow

MOST = 30  # of one document


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag and how many documents have it."""

    name: str
    documents: int


def known_tags(session: Session, owner_id: str) -> list[Tag]:
    """The tags of somebody's documents, in the order of the alphabet."""
    query = (
        select(DocumentTagRow.tag, func.count())
        .join(DocumentRow, DocumentRow.id == DocumentTagRow.document_id)
        .where(DocumentRow.owner_id == owner_id)
        .group_by(DocumentTagRow.tag)
    )
    return sorted((Tag(name, documents) for name, documents in session.execute(query)), key=lambda tag: _same(tag.name))


def tags_of(session: Session, document_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The tags of each of these documents that has any."""
    query = select(DocumentTagRow.document_id, DocumentTagRow.tag).where(DocumentTagRow.document_id.in_(document_ids))
    found: dict[str, tuple[str, ...]] = {}
    for document_id, tag in session.execute(query):
        found[document_id] = (*found.get(document_id, ()), tag)
    return {document_id: tuple(sorted(tags, key=_same)) for document_id, tags in found.items()}


def spelled(session: Session, tags: Iterable[str], *, owner_id: str) -> tuple[str, ...]:
    """These tags as the owner's documents have them: two ways to write a word are one tag, the one that is there."""
    known = {_same(tag.name): tag.name for tag in known_tags(session, owner_id)}
    named = {_same(name): name for tag in tags if (name := tag_name(tag))}
    return tuple(known.get(same, name) for same, name in named.items())


def set_tags(session: Session, document_id: str, tags: Iterable[str], *, owner_id: str) -> None:
    """Let a document have exactly these tags. Raises NotFound, and BadUpload for too many."""
    owned_document(session, document_id, owner_id)
    session.execute(delete(DocumentTagRow).where(DocumentTagRow.document_id == document_id))
    _put(session, [document_id], tags, owner_id)


def add_tags(session: Session, document_ids: Sequence[str], tags: Iterable[str], *, owner_id: str) -> None:
    """Put tags on documents that may have others; what is not the owner's is passed over. Raises BadUpload."""
    own = select(DocumentRow.id).where(DocumentRow.id.in_(document_ids), DocumentRow.owner_id == owner_id)
    _put(session, session.scalars(own).all(), tags, owner_id)


def _put(session: Session, document_ids: Sequence[str], tags: Iterable[str], owner_id: str) -> None:
    wanted = spelled(session, tags, owner_id=owner_id)
    for document_id in document_ids:
        for name in wanted:
            session.merge(DocumentTagRow(document_id=document_id, tag=name))
    session.flush()
    if any(len(found) > MOST for found in tags_of(session, document_ids).values()):
        raise BadUpload(f"A document has at most {MOST} tags.")
    raise_generation(session)


def _same(name: str) -> str:
    return name.casefold()
