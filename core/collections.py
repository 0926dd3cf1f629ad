"""Collections: named sets of documents. A document may be in several, or in none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.names import collection_name
from core.retrieval.store import raise_generation
from core.storage.db import Database
from core.storage.tables import CollectionDocumentRow, CollectionRow, DocumentRow


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents; `documents` is how many."""

    id: str
    name: str
    documents: int


class Collections:
    """The collections of people; what is not theirs does not exist for them."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def list_collections(self, *, owner_id: str) -> list[Collection]:
        count = func.count(CollectionDocumentRow.document_id)
        query = (
            select(CollectionRow.id, CollectionRow.name, count)
            .outerjoin(CollectionDocumentRow, CollectionDocumentRow.collection_id == CollectionRow.id)
            .where(CollectionRow.owner_id == owner_id)
            .group_by(CollectionRow.id)
            .order_by(func.lower(CollectionRow.name))
        )
        with self.db.read() as session:
            return [Collection(id, name, documents) for id, name, documents in session.execute(query)]

    def collection(self, name: str, *, owner_id: str) -> str:
        """The id of the collection with this name; it is made when there is none."""
        name = collection_name(name)
        with self.db.write() as session:
            found = session.scalar(
                select(CollectionRow).where(CollectionRow.owner_id == owner_id, CollectionRow.name == name)
            )
            if found is None:
                found = CollectionRow(owner_id=owner_id, name=name)
                session.add(found)
                session.flush()
            return found.id

    def find_collection(self, name: str, *, owner_id: str) -> str:
        """The id of the collection with this name. Raises NotFound; `collection` would make it."""
        query = select(CollectionRow.id).where(CollectionRow.owner_id == owner_id, CollectionRow.name == name)
        with self.db.read() as session:
            found = session.scalar(query)
        if found is None:
            raise NotFound(f"There is no collection called {name}.")
        return found

    def delete_collection(self, collection_id: str, *, owner_id: str) -> None:
        """Remove the collection; its documents stay."""
        with self.db.write() as session:
            session.delete(owned_collection(session, collection_id, owner_id))

    def set_collections(self, document_id: str, collection_ids: Iterable[str], *, owner_id: str) -> None:
        """Put a document into exactly these collections."""
        with self.db.write() as session:
            owned_document(session, document_id, owner_id)
            session.execute(delete(CollectionDocumentRow).where(CollectionDocumentRow.document_id == document_id))
            for collection_id in set(collection_ids):
                owned_collection(session, collection_id, owner_id)
                session.add(CollectionDocumentRow(collection_id=collection_id, document_id=document_id))
            raise_generation(session)


def owned_document(session: Session, document_id: str, owner_id: str) -> DocumentRow:
    """The document, if it is the owner's. Raises NotFound."""
    row = session.scalar(select(DocumentRow).where(DocumentRow.id == document_id, DocumentRow.owner_id == owner_id))
    if row is None:
        raise NotFound("There is no such document. It may have been deleted.")
    return row


def owned_collection(session: Session, collection_id: str, owner_id: str) -> CollectionRow:
    """The collection, if it is the owner's. Raises NotFound."""
    row = session.scalar(
        select(CollectionRow).where(CollectionRow.id == collection_id, CollectionRow.owner_id == owner_id)
    )
    if row is None:
        raise NotFound("There is no such collection. It may have been deleted.")
    return row


def collections_of(
    session: Session, owner_id: str, document_ids: Sequence[str] | None = None
) -> dict[str, tuple[str, ...]]:
    """The ids of the collections of each document, or only of these documents."""
    query = (
        select(CollectionDocumentRow.document_id, CollectionDocumentRow.collection_id)
        .join(CollectionRow, CollectionRow.id == CollectionDocumentRow.collection_id)
        .where(CollectionRow.owner_id == owner_id)
    )
    if document_ids is not None:
        query = query.where(CollectionDocumentRow.document_id.in_(document_ids))
    homes: dict[str, tuple[str, ...]] = {}
    for document_id, collection_id in session.execute(query):
        homes[document_id] = (*homes.get(document_id, ()), collection_id)
    return homes
