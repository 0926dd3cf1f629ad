"""What follows from looks: documents that were replaced or that no source has any more go."""

from __future__ import annotations

from sqlalchemy import or_, select

from core.documents import Documents
from core.errors import NotFound
from core.sources.items import is_unwanted, unwanted
from core.storage.db import Database
from core.storage.tables import DocumentRow, SourceItemRow
from core.types import DocumentStatus


def settle(db: Database, documents: Documents) -> int:
    """Let go what is no longer needed; returns how many documents went. Safe to be ended and begun at any moment.

    A replaced document is needed until the new one is ready; when that cannot be read, for as long as it is so. When
    somebody deletes the new one before, the one that it was to replace is back in its place.
    """
    _release_replaced(db)
    with db.read() as session:
        leaving = unwanted(session)
    for document_id, owner_id in leaving:
        try:
            documents.delete(document_id, owner_id=owner_id, only_if=is_unwanted)
        except NotFound:  # somebody was faster
            continue
    return len(leaving)


def _release_replaced(db: Database) -> None:
    replaced = (
        select(SourceItemRow.id)
        .outerjoin(DocumentRow, DocumentRow.id == SourceItemRow.document_id)
        .where(
            SourceItemRow.previous_id.is_not(None),
            or_(DocumentRow.status == DocumentStatus.ready.value, SourceItemRow.document_id.is_(None)),
        )
    )
    with db.read() as session:  # most looks find nothing: do not take the write lock for them
        if session.scalar(replaced.limit(1)) is None:
            return
    with db.write() as session:
        for item_id in session.scalars(replaced).all():
            item = session.get_one(SourceItemRow, item_id)
            item.document_id, item.previous_id = item.document_id or item.previous_id, None
