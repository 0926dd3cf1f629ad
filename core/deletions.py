"""Delete means gone: the deletion itself, and the search for what may be left, place by place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete as delete_rows
from sqlalchemy import func, literal_column, or_, select, text
from sqlalchemy.orm import Session

from core.collections import owned_document
from core.errors import StorageError
from core.retrieval.keyword import WORDS
from core.retrieval.query import any_of
from core.retrieval.store import raise_generation
from core.storage.db import Database
from core.storage.files import FileStore
from core.storage.tables import (
    ChunkRow,
    CitationRow,
    CollectionDocumentRow,
    DeletionRow,
    DocumentRow,
    DocumentTextRow,
    JobRow,
    PageReadingRow,
    PassageRow,
    SourceDocumentRow,
    SourceItemRow,
    VectorDraftRow,
    VectorRow,
    now,
)

PROBES = 48  # words of the document that the keyword index is asked for afterwards
INDEX_FILE = "index file"


# Asked in the transaction of a deletion, with the document's id: nobody can come between the answer and the deletion.
Condition = Callable[[Session, str], bool]


def always(_session: Session, _document_id: str) -> bool:
    """What a person deletes goes in any case."""
    return True


class Index(Protocol):
    """The search index with its file: what it holds on the disk, and writing it anew."""

    @property
    def path(self) -> Path: ...
    def warm(self) -> int: ...
    def save(self) -> None: ...
    def stored_ids(self) -> NDArray[np.int64]: ...


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was deleted when; `residues` has how many pieces each place still held, `checked_at` None until none did."""

    document_id: str
    name: str
    sha256: str
    deleted_at: datetime
    checked_at: datetime | None
    residues: dict[str, int]

    @property
    def clean(self) -> bool:
        return self.checked_at is not None and not any(self.residues.values())


@dataclass(frozen=True, slots=True)
class _Remains:
    """What to look for: a document by id, its bytes, its chunks by their numbers, some of its words."""

    document_id: str
    sha256: str
    first_chunk: int | None
    last_chunk: int | None
    words: str = ""


class Deletions:
    """The record of deletions, and the part of the search that has to wait for the index to be written anew."""

    def __init__(self, db: Database, files: FileStore, index: Index) -> None:
        self.db = db
        self.files = files
        self.index = index

    def list_deletions(self, *, owner_id: str, limit: int = 100) -> list[Deletion]:
        """The newest first."""
        query = select(DeletionRow).where(DeletionRow.owner_id == owner_id).order_by(DeletionRow.id.desc())
        with self.db.read() as session:
            return [_deletion(row) for row in session.scalars(query.limit(limit))]

    def settle(self) -> int:
        """Finish the search for all deletions whose search is not finished; returns how many left something behind.

        The index file is written anew when it still holds vectors of deleted chunks.
        """
        with self.db.read() as session:
            waiting = session.scalars(select(DeletionRow).where(DeletionRow.checked_at.is_(None))).all()
        if not waiting:
            return 0
        if any(_count_in_file(self.index, row) for row in waiting):
            self.index.warm()
            self.index.save()
        dirty = 0
        for row in waiting:
            with self.db.write() as session:  # a crash may have come before this step of the deletion
                forget_bytes(session, self.files, row.sha256)
            remains = _Remains(row.document_id, row.sha256, row.first_chunk, row.last_chunk)
            found = search(self.db, self.files, remains, whole=not row.residues)
            found[INDEX_FILE] = _count_in_file(self.index, row)
            with self.db.write() as session:
                kept = session.get(DeletionRow, row.id)
                if kept is not None:
                    kept.residues = {**kept.residues, **found}
                    kept.checked_at = None if any(kept.residues.values()) else now()
            dirty += any(found.values())
        self.db.checkpoint()  # deleted text would else stay in the log for a while
        return dirty


def delete(db: Database, files: FileStore, document_id: str, *, owner_id: str, only_if: Condition = always) -> None:
    """Remove a document with all that was made of it, look for remains, and keep what was found.

    Nothing happens when `only_if` says no. Raises NotFound.
    A crash on the way leaves at most a file, which the sweep removes, and an unfinished search.
    """
    with db.write() as session:
        row = owned_document(session, document_id, owner_id)
        if not only_if(session, document_id):
            return
        first, last = session.execute(
            select(func.min(ChunkRow.id), func.max(ChunkRow.id)).where(ChunkRow.document_id == document_id)
        ).one()
        remains = _Remains(document_id, row.sha256, first, last, _probe(session, document_id))
        entry = DeletionRow(
            owner_id=owner_id, document_id=document_id, name=row.name, sha256=row.sha256, first_chunk=first,
            last_chunk=last,
        )  # fmt: skip
        # The keyword index then forgets words as soon as it is told to, and not when it is tidied up one day.
        session.execute(text("INSERT INTO chunk_words(chunk_words, rank) VALUES ('secure-delete', 1)"))
        session.delete(row)
        session.add(entry)
        session.flush()
        entry_id = entry.id
        raise_generation(session)
    # Only now: a row without its file would be a loss, a file without a row is swept away.
    with db.write() as session:
        forget_bytes(session, files, remains.sha256)
    found = search(db, files, remains)
    with db.write() as session:
        kept = session.get(DeletionRow, entry_id)
        if kept is not None:
            kept.residues = found


def forget_bytes(session: Session, files: FileStore, sha256: str) -> None:
    """Remove a file and what was read from its pictures, unless a document has these bytes."""
    if not session.scalar(select(func.count()).select_from(DocumentRow).where(DocumentRow.sha256 == sha256)):
        session.execute(delete_rows(PageReadingRow).where(PageReadingRow.sha256 == sha256))
        files.remove(sha256)


def search(db: Database, files: FileStore, remains: _Remains, *, whole: bool = False) -> dict[str, int]:
    """How many pieces of a document each place holds.

    With its words the keyword index is asked for them; without, and `whole`, it is compared with the chunks.
    """
    with db.read() as session:
        found = _rows(session, remains)
        shared = session.scalar(select(DocumentRow.id).where(DocumentRow.sha256 == remains.sha256).limit(1)) is not None
        if remains.words:
            found["keyword index"] = _in_keyword_index(session, remains)
        recognised = select(func.count()).where(PageReadingRow.sha256 == remains.sha256)
        found["recognised pages"] = 0 if shared else session.scalar(recognised) or 0
    if whole and not remains.words:
        found["keyword index"] = _keyword_damage(db)
    found["file"] = int(files.path(remains.sha256).exists() and not shared)
    return found


def _rows(session: Session, remains: _Remains) -> dict[str, int]:
    """Rows that name the document or one of its chunks."""
    id = remains.document_id
    places = {
        "documents": DocumentRow.id == id,
        "text": DocumentTextRow.document_id == id,
        "collections": CollectionDocumentRow.document_id == id,
        "jobs": JobRow.document_id == id,
        "vector drafts": VectorDraftRow.document_id == id,
        "passages": PassageRow.document_id == id,
        "citations": CitationRow.document_id == id,
        "chunks": ChunkRow.document_id == id,
        "sources": SourceDocumentRow.document_id == id,
        "source items": or_(SourceItemRow.document_id == id, SourceItemRow.previous_id == id),
    }
    found = {place: session.scalar(select(func.count()).where(condition)) or 0 for place, condition in places.items()}
    if remains.first_chunk is not None:
        between = VectorRow.chunk_id.between(remains.first_chunk, remains.last_chunk)
        orphaned = ~select(ChunkRow.id).where(ChunkRow.id == VectorRow.chunk_id).exists()
        found["vectors"] = session.scalar(select(func.count()).select_from(VectorRow).where(between, orphaned)) or 0
    return found


def _probe(session: Session, document_id: str) -> str:
    """A query for terms from all over the document; only ever held in memory."""
    query = select(ChunkRow.words).where(ChunkRow.document_id == document_id).order_by(ChunkRow.position)
    chunks = session.scalars(query).all()
    step = max(1, len(chunks) // PROBES)
    return any_of((term,) for words in chunks[::step] for term in sorted(words.split(), key=len)[-2:])


def _in_keyword_index(session: Session, remains: _Remains) -> int:
    """Entries under the numbers of its chunks; a number is never used twice."""
    query = select(func.count()).select_from(
        select(WORDS.c.rowid)
        .where(
            WORDS.c.chunk_words.op("MATCH")(remains.words),
            literal_column("rowid").between(remains.first_chunk, remains.last_chunk),
            WORDS.c.rowid.not_in(
                select(ChunkRow.id).where(ChunkRow.id.between(remains.first_chunk, remains.last_chunk))
            ),
        )
        .subquery()
    )
    return session.scalar(query) or 0


def _keyword_damage(db: Database) -> int:
    try:
        with db.write() as session:
            session.execute(text("INSERT INTO chunk_words(chunk_words, rank) VALUES ('integrity-check', 1)"))
    except StorageError:
        return 1
    return 0


def _count_in_file(index: Index, row: DeletionRow) -> int:
    if row.first_chunk is None or row.last_chunk is None or not index.path.exists():
        return 0
    held = index.stored_ids()
    return int(((held >= row.first_chunk) & (held <= row.last_chunk)).sum())


def _deletion(row: DeletionRow) -> Deletion:
    return Deletion(row.document_id, row.name, row.sha256, row.deleted_at, row.checked_at, dict(row.residues))
