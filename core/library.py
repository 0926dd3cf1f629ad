"""Documents as a list shows them, counted, filtered and page by page, and changes to many of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError

from core.collections import owned_collection
from core.documents import DocumentInfo, Documents, document_infos
from core.errors import Conflict, NotFound
from core.names import collection_name
from core.retrieval.store import FOUND, current_generation, raise_generation, visible
from core.storage.db import Database
from core.storage.tables import CollectionDocumentRow, DocumentRow, DocumentTagRow
from core.tags import Tag, add_tags, known_tags, set_tags, spelled
from core.types import DocumentStatus, Scope

BUSY = (DocumentStatus.queued, DocumentStatus.processing)


@dataclass(frozen=True, slots=True)
class DocumentFilter:
    """Which documents a list shows; empty means all."""

    collection_id: str | None = None
    statuses: tuple[DocumentStatus, ...] = ()
    search: str = ""
    language: str = ""
    tag: str = ""
    media_types: tuple[str, ...] = ()
    author: str = ""  # a part of the name
    source: str = ""  # how it begins, such as the address of a site
    since: datetime | None = None  # written, changed or else added at this time or later
    until: datetime | None = None  # and before this one


@dataclass(frozen=True, slots=True)
class DocumentCounts:
    """How many documents there are; questions find those that are `found`."""

    total: int
    found: int
    busy: int
    failed: int


@dataclass(frozen=True, slots=True)
class Facets:
    """What there is to choose from among somebody's documents, in the order of the alphabet."""

    media_types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """One page of a filtered list; `total` is how many the filter leaves."""

    documents: tuple[DocumentInfo, ...]
    total: int


class Library:
    """Reads and changes sets of documents; what is not the owner's does not exist for them."""

    def __init__(self, db: Database, documents: Documents) -> None:
        self.db = db
        self.documents = documents
        self._titles: dict[tuple[str, int], tuple[int, tuple[tuple[str, str], ...]]] = {}
        self._facets: dict[str, tuple[int, Facets]] = {}

    def counts(self, *, owner_id: str, collection_id: str | None = None) -> DocumentCounts:
        """All documents of the owner, or of one of their collections, by what questions can do with them."""
        chosen = _filtered(owner_id, DocumentFilter(collection_id))
        query = chosen.with_only_columns(DocumentRow.status, func.count()).group_by(DocumentRow.status)
        with self.db.read() as session:
            rows = {row[0]: row[1] for row in session.execute(query)}
        return DocumentCounts(
            total=sum(rows.values()),
            found=sum(rows.get(status, 0) for status in FOUND),
            busy=sum(rows.get(status.value, 0) for status in BUSY),
            failed=rows.get(DocumentStatus.failed.value, 0),
        )

    def asked(self, scope: Scope) -> int:
        """How many documents a question in this scope can find."""
        with self.db.read() as session:
            return session.scalar(select(func.count()).select_from(DocumentRow).where(*visible(scope))) or 0

    def titles(self, *, owner_id: str, limit: int = 500) -> tuple[tuple[str, str], ...]:
        """Id and title of the newest documents that questions can find, in the order of their titles.

        Every page of the chat asks for them, so they are remembered until a document comes, changes or goes.
        """
        with self.db.read() as session:
            generation = current_generation(session)
            known = self._titles.get((owner_id, limit))
            if known is None or known[0] != generation:
                found = [(id, title or name) for id, title, name in session.execute(_newest(owner_id, limit))]
                known = (generation, tuple(sorted(found, key=lambda entry: entry[1].casefold())))
                self._titles[owner_id, limit] = known
        return known[1]

    def facets(self, *, owner_id: str) -> Facets:
        """Types, languages and tags of the owner's documents; remembered until a document comes, changes or goes."""
        kinds = select(DocumentRow.media_type, DocumentRow.language).where(DocumentRow.owner_id == owner_id).distinct()
        with self.db.read() as session:
            generation = current_generation(session)
            known = self._facets.get(owner_id)
            if known is None or known[0] != generation:
                found = [(media_type, language) for media_type, language in session.execute(kinds)]
                media_types, languages = ({pair[at] for pair in found} - {""} for at in (0, 1))
                tags = tuple(tag.name for tag in known_tags(session, owner_id))
                known = (generation, Facets(tuple(sorted(media_types)), tuple(sorted(languages)), tags))
                self._facets[owner_id] = known
        return known[1]

    def page(self, chosen: DocumentFilter, *, owner_id: str, start: int = 0, size: int = 20) -> DocumentPage:
        """Documents from `start` on, the newest first, and how many there are in all."""
        query = _filtered(owner_id, chosen)
        with self.db.read() as session:
            total = session.scalar(query.with_only_columns(func.count())) or 0
            ordered = query.order_by(DocumentRow.created_at.desc(), DocumentRow.id).offset(start).limit(size)
            rows = session.scalars(ordered).all()
            return DocumentPage(tuple(document_infos(session, rows, owner_id)), total)

    def delete(self, document_ids: Sequence[str], *, owner_id: str) -> int:
        """Delete these documents; those that are gone already are passed over. Returns how many went."""
        gone = 0
        for document_id in document_ids:
            try:
                self.documents.delete(document_id, owner_id=owner_id)
                gone += 1
            except NotFound:
                continue
        return gone

    def add_to_collection(self, document_ids: Sequence[str], collection_id: str, *, owner_id: str) -> None:
        """Put these documents into a collection too; they stay in those they are in."""
        with self.db.write() as session:
            owned_collection(session, collection_id, owner_id)
            own = select(DocumentRow.id).where(DocumentRow.id.in_(document_ids), DocumentRow.owner_id == owner_id)
            for document_id in session.scalars(own).all():
                session.merge(CollectionDocumentRow(collection_id=collection_id, document_id=document_id))
            raise_generation(session)

    def tags(self, *, owner_id: str) -> list[Tag]:
        """The tags of the owner's documents with how many have them."""
        with self.db.read() as session:
            return known_tags(session, owner_id)

    def spelled(self, tags: Sequence[str], *, owner_id: str) -> tuple[str, ...]:
        """These tags as the owner's documents have them."""
        with self.db.read() as session:
            return spelled(session, tags, owner_id=owner_id)

    def set_tags(self, document_id: str, tags: Sequence[str], *, owner_id: str) -> None:
        """Let a document have exactly these tags. Raises NotFound, and BadUpload for too many."""
        with self.db.write() as session:
            set_tags(session, document_id, tags, owner_id=owner_id)

    def add_tags(self, document_ids: Sequence[str], tags: Sequence[str], *, owner_id: str) -> None:
        """Put these tags on documents too; they keep those they have. Raises BadUpload for too many."""
        with self.db.write() as session:
            add_tags(session, document_ids, tags, owner_id=owner_id)

    def rename_collection(self, collection_id: str, name: str, *, owner_id: str) -> None:
        """Give a collection another name. Raises Conflict when there is one of that name."""
        name = collection_name(name)
        try:
            with self.db.write() as session:
                owned_collection(session, collection_id, owner_id).name = name
                session.flush()
        except IntegrityError as error:
            raise Conflict(f"There is a collection called {name} already.") from error


def _newest(owner_id: str, limit: int) -> Select[str, str, str]:
    return (
        select(DocumentRow.id, DocumentRow.title, DocumentRow.name)
        .where(DocumentRow.owner_id == owner_id, DocumentRow.status.in_(FOUND))
        .order_by(DocumentRow.created_at.desc())
        .limit(limit)
    )


def _filtered(owner_id: str, chosen: DocumentFilter) -> Select[DocumentRow]:
    query = select(DocumentRow).where(DocumentRow.owner_id == owner_id)
    if chosen.collection_id is not None:
        members = select(CollectionDocumentRow.document_id).where(
            CollectionDocumentRow.collection_id == chosen.collection_id
        )
        query = query.where(DocumentRow.id.in_(members))
    if chosen.statuses:
        query = query.where(DocumentRow.status.in_([status.value for status in chosen.statuses]))
    if part := chosen.search.strip():
        columns = (DocumentRow.name, DocumentRow.title)
        query = query.where(columns[0].icontains(part, autoescape=True) | columns[1].icontains(part, autoescape=True))
    return _with_metadata(query, chosen)


def _with_metadata(query: Select[DocumentRow], chosen: DocumentFilter) -> Select[DocumentRow]:
    moment = func.coalesce(DocumentRow.changed_at, DocumentRow.written_at, DocumentRow.created_at)
    if chosen.media_types:
        query = query.where(DocumentRow.media_type.in_(chosen.media_types))
    if chosen.tag:
        tagged = select(DocumentTagRow.document_id).where(DocumentTagRow.tag == chosen.tag)
        query = query.where(DocumentRow.id.in_(tagged))
    if chosen.language:
        query = query.where(DocumentRow.language == chosen.language)
    if author := chosen.author.strip():
        query = query.where(DocumentRow.author.icontains(author, autoescape=True))
    if source := chosen.source.strip():
        query = query.where(DocumentRow.source.startswith(source, autoescape=True))
    if chosen.since is not None:
        query = query.where(moment >= chosen.since)
    if chosen.until is not None:
        query = query.where(moment < chosen.until)
    return query
