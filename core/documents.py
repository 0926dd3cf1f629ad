"""Documents and collections: take in, list, read, delete. The parsing itself is the ingest worker's work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.jobs import OPEN, Jobs
from core.names import clean_name, collection_name
from core.retrieval.store import FOUND, raise_generation
from core.sources.items import Attach, by_hand
from core.storage.db import Database
from core.storage.files import FileStore, ReceivedFile
from core.storage.tables import CollectionDocumentRow, CollectionRow, DocumentRow, DocumentTextRow, JobRow
from core.types import DocumentStatus, Page

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
    collection_ids: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents; `documents` is how many."""

    id: str
    name: str
    documents: int


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The text that citations point into, and its pages."""

    text: str
    pages: tuple[Page, ...]


class Documents:
    """The documents of people. Every method asks for the owner; what is not theirs does not exist for them."""

    def __init__(self, db: Database, files: FileStore, jobs: Jobs, *, upload_mb: int) -> None:
        self.db = db
        self.files = files
        self.jobs = jobs
        self.limit = upload_mb << 20

    def add(
        self, source: BinaryIO, *, name: str, owner_id: str, collection_id: str | None = None, attach: Attach = by_hand
    ) -> Added:
        """Store an upload and queue its ingestion. The same bytes twice are one document, under its first name.

        `attach` is called in the transaction that registers it. Raises BadUpload (empty, too large, without a name),
        NotFound for a foreign collection, StorageFull.
        """
        name = clean_name(name)
        with self.files.receive(source, name=name, limit=self.limit) as received:
            return self._register(received, name, owner_id, collection_id, attach)

    def _register(
        self, received: ReceivedFile, name: str, owner_id: str, collection_id: str | None, attach: Attach
    ) -> Added:
        sha256, size = received.sha256, received.size
        with self.db.write() as session:
            if collection_id is not None:
                owned_collection(session, collection_id, owner_id)
            row = session.scalar(
                select(DocumentRow).where(DocumentRow.owner_id == owner_id, DocumentRow.sha256 == sha256)
            )
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
                return Added(row.id, None, row.name, duplicate=True)
            return Added(row.id, self._queue(session, row), row.name, duplicate=False)

    def retry(self, document_id: str, *, owner_id: str) -> str:
        """Queue the ingestion again and return the job's id. Raises Conflict while one is under way."""
        with self.db.write() as session:
            row = _document(session, document_id, owner_id)
            active = session.scalar(select(JobRow.id).where(JobRow.document_id == document_id, JobRow.status.in_(OPEN)))
            if active is not None:
                raise Conflict(f"{row.name} is being read already.")
            return self._queue(session, row)

    def _queue(self, session: Session, row: DocumentRow) -> str:
        if row.status in FOUND:
            raise_generation(session)  # until it is read again, questions do not find it
        row.status, row.error = DocumentStatus.queued.value, ""
        return self.jobs.submit(session, kind=INGEST, owner_id=row.owner_id, document_id=row.id)

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
            homes = collections_of(session, owner_id)
            return [document_info(row, homes.get(row.id, ())) for row in rows]

    def get(self, document_id: str, *, owner_id: str) -> DocumentInfo:
        with self.db.read() as session:
            row = _document(session, document_id, owner_id)
            return document_info(row, collections_of(session, owner_id, [row.id]).get(row.id, ()))

    def text(self, document_id: str, *, owner_id: str) -> DocumentText:
        """What was read from the file. Raises NotFound, also while there is no text yet."""
        with self.db.read() as session:
            row = _document(session, document_id, owner_id)
            stored = session.get(DocumentTextRow, document_id)
            if stored is None:
                raise NotFound(f"{row.name} has not been read yet.")
            return DocumentText(stored.text, tuple(Page(*entry) for entry in stored.pages))

    def content(self, document_id: str, *, owner_id: str) -> tuple[DocumentInfo, bytes]:
        """The original file."""
        info = self.get(document_id, owner_id=owner_id)
        return info, self.files.path(info.sha256).read_bytes()

    def delete(
        self, document_id: str, *, owner_id: str, only_if: Callable[[Session, str], bool] = lambda *_: True
    ) -> None:
        """Remove the document with its text, chunks, vectors and file; running work on it ends by itself.

        `only_if` decides in the same transaction, so that nobody can come between.
        """
        with self.db.write() as session:
            row = _document(session, document_id, owner_id)
            if not only_if(session, document_id):
                return
            sha256 = row.sha256
            session.delete(row)
            raise_generation(session)
        # Only now: a row without its file would be a loss, a file without a row is swept away.
        with self.db.write() as session:
            shared = session.scalar(select(func.count()).select_from(DocumentRow).where(DocumentRow.sha256 == sha256))
            if not shared:
                self.files.remove(sha256)

    def sweep(self, *, older_than: float) -> None:
        """Remove files that a crash left without a document. `older_than` is in seconds since the epoch."""
        for draft in self.files.drafts(older_than=older_than):
            draft.unlink(missing_ok=True)
        with self.db.write() as session:  # so that no upload registers one of them meanwhile
            known = set(session.scalars(select(DocumentRow.sha256)))
            for sha256 in set(self.files.stored()) - known:
                if self.files.path(sha256).stat().st_mtime < older_than:
                    self.files.remove(sha256)

    # --- collections ---

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
            _document(session, document_id, owner_id)
            session.execute(delete(CollectionDocumentRow).where(CollectionDocumentRow.document_id == document_id))
            for collection_id in set(collection_ids):
                owned_collection(session, collection_id, owner_id)
                session.add(CollectionDocumentRow(collection_id=collection_id, document_id=document_id))
            raise_generation(session)


def _document(session: Session, document_id: str, owner_id: str) -> DocumentRow:
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


def document_info(row: DocumentRow, collection_ids: Sequence[str]) -> DocumentInfo:
    """The row as lists show it."""
    return DocumentInfo(
        row.id, row.name, row.title, row.media_type, row.sha256, row.size, DocumentStatus(row.status),
        row.error, row.receipt, row.created_at, tuple(collection_ids),
    )  # fmt: skip
