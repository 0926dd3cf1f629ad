"""Files of watched folders that were renamed: the document stays, under the new name."""

from __future__ import annotations

from sqlalchemy import select

from core.names import clean_name
from core.retrieval.renaming import rename
from core.storage.db import Database
from core.storage.tables import DocumentRow, SourceDocumentRow, SourceItemRow
from ingest.sources.scan import Scan


def follow_rename(db: Database, source_id: str, document_id: str, path: str, found: Scan) -> None:
    """Call a document as its file is called now, unless it is also there under its old name, or was uploaded."""
    with db.write() as session:
        uses = session.scalars(select(SourceItemRow).where(SourceItemRow.document_id == document_id)).all()
        row = session.get(DocumentRow, document_id)
        elsewhere = any(item.source_id != source_id for item in uses)
        still_there = any(item.address in found.files for item in uses if item.address != path)
        uploaded = session.get(SourceDocumentRow, document_id) is None
        if row is not None and not (elsewhere or still_there or uploaded):
            rename(session, row, clean_name(path))
