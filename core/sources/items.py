"""How documents hang on sources: who brought them, what replaces what, and when one may go."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.retrieval.store import raise_generation
from core.storage.tables import CollectionDocumentRow, DocumentRow, SourceDocumentRow, SourceItemRow

# Called in the transaction that registers an upload, with the document's id and whether its bytes were there already.
Attach = Callable[[Session, str, bool], None]


def by_hand(session: Session, document_id: str, _known: bool) -> None:
    """Somebody added these bytes: from now on the document stays, whatever its sources say."""
    session.execute(delete(SourceDocumentRow).where(SourceDocumentRow.document_id == document_id))


def from_item(item_id: int, **facts: object) -> Attach:
    """Let an item have the document, and remember these facts about the bytes it came from.

    What the item had before goes on being found until the new document can be; it passes its collections on.
    """

    def attach(session: Session, document_id: str, known: bool) -> None:
        if not known:
            session.add(SourceDocumentRow(document_id=document_id))
        item = session.get(SourceItemRow, item_id)
        if item is None:  # its source was removed meanwhile, and the document goes the same way
            return
        if item.document_id and item.document_id != document_id:
            item.previous_id = item.previous_id or item.document_id
            homes = select(CollectionDocumentRow.collection_id)
            for home in session.scalars(homes.where(CollectionDocumentRow.document_id == item.document_id)).all():
                session.merge(CollectionDocumentRow(collection_id=home, document_id=document_id))
            if known:  # it may be found already, and now in these collections too
                raise_generation(session)
        item.document_id = document_id
        if item.previous_id == document_id:  # it was changed back
            item.previous_id = None
        item.state, item.error, item.gone_at = "in", "", None
        for name, fact in facts.items():
            setattr(item, name, fact)

    return attach


def unwanted(session: Session) -> list[tuple[str, str]]:
    """Ids and owners of the documents that came from sources alone and that none of them has any more."""
    query = select(DocumentRow.id, DocumentRow.owner_id).join(
        SourceDocumentRow, SourceDocumentRow.document_id == DocumentRow.id
    )
    return [(id, owner_id) for id, owner_id in session.execute(query.where(*_unused(DocumentRow.id)))]


def is_unwanted(session: Session, document_id: str) -> bool:
    """The same of one document."""
    query = select(SourceDocumentRow.document_id).where(
        SourceDocumentRow.document_id == document_id, *_unused(SourceDocumentRow.document_id)
    )
    return session.scalar(query) is not None


def _unused(document_id: InstrumentedAttribute[str]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (
        ~select(SourceItemRow.id).where(SourceItemRow.document_id == document_id).exists(),
        ~select(SourceItemRow.id).where(SourceItemRow.previous_id == document_id).exists(),
    )
