"""Documents and collections: take in, list, read, delete. The parsing itself is the ingest worker's work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import deletions, originals
from core.batches import KNOWN, REFUSED, note
from core.collections import Collection, Collections, collections_of, owned_collection, owned_document
from core.errors import BadUpload, Conflict, NotFound
from core.jobs import OPEN, Jobs
from core.names import clean_name, document_name
from core.retrieval.store import FOUND, raise_generation
from core.sources.items import Attach, by_hand
from core.storage.db import Database
from core.storage.files import FileStore, ReceivedFile
from core.storage.tables import CollectionDocumentRow, DocumentRow, DocumentTextRow, JobRow
from core.tags import tags_of
from core.types import DocumentStatus, Page

__all__ = ["INGEST", "Added", "Collection", "DocumentInfo", "DocumentText", "Documents", "document_infos"]

INGEST = "ingest"


@dataclass(frozen=True, slots=True)
class Added:
    """What became of an upload; `duplicate` when the same bytes were there already, under `name`."""

    document_id: str
    job_id: str | None
    name: str
    duplicate: bool


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document as lists show it; `receipt` says what was taken from the file."""

    id: str
    name: str
    title: str
    media_type: str
    sha256: str
    size: int
    status: DocumentStatus
    error: str
    receipt: dict[str, Any]
    created_at: datetime
    collection_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    language: str = ""
    author: str = ""
    source: str = ""
    written_at: datetime | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The text that citations point into, and its pages."""

    text: str
    pages: tuple[Page, ...]


class Documents(Collections):
    """The documents of people. Every method asks for the owner; what is not theirs does not exist for them."""

    def __init__(self, db: Database, files: FileStore, jobs: Jobs, *, upload_mb: int) -> None:
        super().__init__(db)
        self.files = files
        self.jobs = jobs
        self.limit = upload_mb << 20

    def add(
        self, source: BinaryIO, *, name: str, owner_id: str, collection_id: str | None = None,
        batch_id: str | None = None, attach: Attach = by_hand,
    ) -> Added:  # fmt: skip
        """Store an upload and queue its ingestion. The same bytes twice are one document, under its first name.

        As a part of a batch, a refused or known file is noted there. `attach` is called in the transaction that
        registers it. Raises BadUpload (empty, too large, without a name), NotFound for a foreign collection,
        Conflict for a cancelled batch, StorageFull.
        """
        shown = clean_name(name)
        try:
            name = document_name(name)
            with self.files.receive(source, name=name, limit=self.limit) as received:
                return self._register(received, name, owner_id, collection_id, batch_id, attach)
        except BadUpload as error:
            if batch_id is not None:
                with self.db.write() as session:
                    note(session, batch_id, shown, REFUSED, str(error))
            raise

    def _register(
        self, received: ReceivedFile, name: str, owner_id: str, collection_id: str | None, batch_id: str | None,
        attach: Attach,
    ) -> Added:  # fmt: skip
        sha256, size = received.sha256, received.size
        with self.db.write() as session:
            if collection_id is not None:
                owned_collection(session, collection_id, owner_id)
            row = _with_bytes(session, owner_id, sha256)
            duplicate = row is not None
            if row is None:
                row = DocumentRow(owner_id=owner_id, name=name, title=name, sha256=sha256, size=size)
                session.add(row)
                session.flush()
            attach(session, row.id, duplicate)
            self.files.keep(received)  # also when the bytes are known: the file may have been lost
            if collection_id is not None:
                session.merge(CollectionDocumentRow(collection_id=collection_id, document_id=row.id))
                raise_generation(session)
            if duplicate and row.status != DocumentStatus.failed:
                if batch_id is not None:
                    note(session, batch_id, name, KNOWN, f"{name} is here already as {row.name}.")
                return Added(row.id, None, row.name, duplicate=True)
            return Added(row.id, self._queue(session, row, batch_id), row.name, duplicate=False)

    def replace(self, document_id: str, source: BinaryIO, *, owner_id: str) -> Added:
        """Take in the changed bytes of a document: until they are read, what was read before is found and shown.

        If they cannot be read, all stays as it was, and the document says why. Chunks that did not change keep their
        vectors. The same bytes change nothing (`duplicate`). Raises BadUpload, NotFound, Conflict when another document
        has these bytes or this one is being read, StorageFull.
        """
        name = self.get(document_id, owner_id=owner_id).name
        with self.files.receive(source, name=name, limit=self.limit) as received, self.db.write() as session:
            row = owned_document(session, document_id, owner_id)
            by_hand(session, row.id, True)
            if row.sha256 == received.sha256 and not row.incoming_sha256:
                return Added(row.id, None, row.name, duplicate=True)
            other = _with_bytes(session, owner_id, received.sha256)
            if other is not None and other is not row:
                raise Conflict(f"{row.name} has become the same as {other.name}, which is here already.")
            self._refuse_while_busy(session, row)
            self.files.keep(received)
            if row.status in FOUND:
                row.incoming_sha256, row.incoming_size, row.error = received.sha256, received.size, ""
                job_id = self.jobs.submit_again(session, row, kind=INGEST)
                return Added(document_id, job_id, name, duplicate=False)
            before, row.sha256, row.size = row.sha256, received.sha256, received.size
            job_id = self._queue(session, row)
        self._forget_bytes(before)
        return Added(document_id, job_id, name, duplicate=False)

    def _forget_bytes(self, sha256: str) -> None:
        """Remove a file that no document has any more; a crash before this leaves it to the sweep."""
        with self.db.write() as session:
            originals.forget_bytes(session, self.files, sha256)

    def retry(self, document_id: str, *, owner_id: str) -> str:
        """Queue the ingestion again and return the job's id. Raises Conflict while one is under way."""
        with self.db.write() as session:
            row = owned_document(session, document_id, owner_id)
            self._refuse_while_busy(session, row)
            return self._queue(session, row)

    def _refuse_while_busy(self, session: Session, row: DocumentRow) -> None:
        active = session.scalar(select(JobRow.id).where(JobRow.document_id == row.id, JobRow.status.in_(OPEN)).limit(1))
        if active is not None:
            raise Conflict(f"{row.name} is being read already.")

    def _queue(self, session: Session, row: DocumentRow, batch_id: str | None = None) -> str:
        if row.status in FOUND:
            raise_generation(session)  # until it is read again, questions do not find it
        row.status, row.error = DocumentStatus.queued.value, ""
        if batch_id is None:
            return self.jobs.submit_again(session, row, kind=INGEST)
        return self.jobs.submit(
            session, kind=INGEST, owner_id=row.owner_id, document_id=row.id, size=row.size, batch_id=batch_id
        )

    def list_documents(
        self, *, owner_id: str, collection_id: str | None = None, search: str = "", limit: int = 10_000
    ) -> list[DocumentInfo]:
        """The newest first; `search` looks for a part of the name or title."""
        query = select(DocumentRow).where(DocumentRow.owner_id == owner_id)
        if collection_id is not None:
            members = select(CollectionDocumentRow.document_id).where(
                CollectionDocumentRow.collection_id == collection_id
            )
            query = query.where(DocumentRow.id.in_(members))
        if search.strip():
            part = search.strip()
            query = query.where(
                DocumentRow.name.icontains(part, autoescape=True) | DocumentRow.title.icontains(part, autoescape=True)
            )
        with self.db.read() as session:
            rows = session.scalars(query.order_by(DocumentRow.created_at.desc(), DocumentRow.id).limit(limit)).all()
            return document_infos(session, rows, owner_id)

    def get(self, document_id: str, *, owner_id: str) -> DocumentInfo:
        with self.db.read() as session:
            row = owned_document(session, document_id, owner_id)
            return document_infos(session, [row], owner_id)[0]

    def text(self, document_id: str, *, owner_id: str) -> DocumentText:
        """What was read from the file. Raises NotFound, also while there is no text yet."""
        with self.db.read() as session:
            row = owned_document(session, document_id, owner_id)
            stored = session.get(DocumentTextRow, document_id)
            if stored is None:
                raise NotFound(f"{row.name} has not been read yet.")
            return DocumentText(stored.text, tuple(Page(*entry) for entry in stored.pages))

    def content(self, document_id: str, *, owner_id: str) -> tuple[DocumentInfo, bytes]:
        """The original file."""
        info = self.get(document_id, owner_id=owner_id)
        return info, self.files.path(info.sha256).read_bytes()

    def delete(self, document_id: str, *, owner_id: str, only_if: deletions.Condition = deletions.always) -> None:
        """Remove the document with its text, chunks, vectors and file; running work on it ends by itself.

        `only_if` decides in the same transaction. What a search for its remains found is kept: see core/deletions.py.
        """
        deletions.delete(self.db, self.files, document_id, owner_id=owner_id, only_if=only_if)

    def sweep(self, *, older_than: float) -> None:
        """Remove files that a crash left without a document. `older_than` is in seconds since the epoch."""
        originals.sweep(self.db, self.files, older_than=older_than)


def _with_bytes(session: Session, owner_id: str, sha256: str) -> DocumentRow | None:
    """The owner's document with these bytes; one that is to be read from them anew comes first."""
    mine = select(DocumentRow).where(DocumentRow.owner_id == owner_id, originals.has_bytes(sha256))
    return session.scalar(mine.order_by(DocumentRow.incoming_sha256.desc()).limit(1))


def document_infos(session: Session, rows: Sequence[DocumentRow], owner_id: str) -> list[DocumentInfo]:
    """Rows as lists show them."""
    ids = [row.id for row in rows]
    homes, tags = collections_of(session, owner_id, ids), tags_of(session, ids)
    return [_info(row, homes.get(row.id, ()), tags.get(row.id, ())) for row in rows]


def _info(row: DocumentRow, collection_ids: Sequence[str], tags: Sequence[str]) -> DocumentInfo:
    return DocumentInfo(
        row.id, row.name, row.title, row.media_type, row.sha256, row.size, DocumentStatus(row.status),
        row.error, row.receipt, row.created_at, tuple(collection_ids), tuple(tags),
        row.language, row.author, row.source, row.written_at, row.changed_at,
    )  # fmt: skip
