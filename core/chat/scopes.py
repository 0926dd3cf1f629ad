"""Which documents a conversation asks: what its row says, and whether that is the owner's."""

from __future__ import annotations

from sqlalchemy.orm import Session

from core.errors import NotFound
from core.storage.tables import CollectionRow, ConversationRow, DocumentRow
from core.types import Filters, Scope


def scope_of(row: ConversationRow) -> Scope:
    """Which documents a conversation asks."""
    return scope_from(row.owner_id, row.collection_id, row.document_id, Filters.from_dict(row.filters))


def scope_from(owner_id: str, collection_id: str | None, document_id: str | None, filters: Filters) -> Scope:
    """What is chosen for a conversation, as a search takes it."""
    return Scope(owner_id, collection_id, (document_id,) if document_id else (), filters)


def check_scope(session: Session, owner_id: str, collection_id: str | None, document_id: str | None) -> None:
    """Raises NotFound for a collection or a document that is gone or somebody else's."""
    collection = session.get(CollectionRow, collection_id) if collection_id else None
    document = session.get(DocumentRow, document_id) if document_id else None
    if collection_id and (collection is None or collection.owner_id != owner_id):
        raise NotFound("The collection to ask does not exist any more.")
    if document_id and (document is None or document.owner_id != owner_id):
        raise NotFound("The document to ask does not exist any more.")
