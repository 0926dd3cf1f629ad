"""The original files of documents: which of them are wanted, and the end of those that are not."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.orm import Session

from core.storage.db import Database
from core.storage.files import FileStore
from core.storage.tables import DocumentRow, PageReadingRow


def has_bytes(sha256: str) -> ColumnElement[bool]:
    """Documents that were read from these bytes, or will be."""
    return or_(DocumentRow.sha256 == sha256, DocumentRow.incoming_sha256 == sha256)


def wanted(session: Session) -> set[str]:
    """The hashes of all files that documents were read from, or will be."""
    rows = session.execute(select(DocumentRow.sha256, DocumentRow.incoming_sha256))
    return {sha256 for row in rows for sha256 in row if sha256}


def take_incoming(session: Session, document_id: str) -> None:
    """What a document was read from are now its changed bytes, if it had any."""
    row = session.get(DocumentRow, document_id)
    if row is not None and row.incoming_sha256:
        row.sha256, row.size, row.incoming_sha256, row.incoming_size = row.incoming_sha256, row.incoming_size, "", 0


def forget_bytes(session: Session, files: FileStore, sha256: str) -> None:
    """Remove a file and what was read from its pictures, unless a document has these bytes."""
    if not session.scalar(select(func.count()).select_from(DocumentRow).where(has_bytes(sha256))):
        session.execute(delete(PageReadingRow).where(PageReadingRow.sha256 == sha256))
        files.remove(sha256)


def sweep(db: Database, files: FileStore, *, older_than: float) -> list[str]:
    """Remove what a crash left without a document; returns the names of the files.

    `older_than` is in seconds since the epoch: what was written since may belong to an upload that goes on.
    """
    removed = [draft.name for draft in files.drafts(older_than=older_than)]
    for name in removed:
        (files.folder / name).unlink(missing_ok=True)
    with db.write() as session:  # so that no upload registers one of them meanwhile
        for sha256 in files.orphans(wanted(session), older_than=older_than):
            forget_bytes(session, files, sha256)
            removed.append(sha256)
    return removed
