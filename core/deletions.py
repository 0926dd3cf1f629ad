"""Delete means gone: the deletion itself, and the search for what may be left, place by place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, literal_column, or_, select, text
from sqlalchemy.orm import Session

from core.collections import owned_document
from core.originals import forget_bytes, has_bytes
from core.retrieval.keyword import WORDS, keyword_damage
from core.retrieval.query import any_of
from core.retrieval.store import raise_generation
from core.storage.db import Database, holds_document
from core.storage.files import FileStore
from core.storage.migrations import copies
from core.storage.tables import (
    ChunkRow,
    CitationRow,
    CollectionDocumentRow,
    DeletionRow,
    DocumentRow,
    DocumentTagRow,
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
INDEX_FILE, KEYWORDS = "index file", "keyword index"
COPIES = "copies before updates"  # of the database: see core/tidying.py, which removes them


# Asked in the transaction of a deletion, with the document's id: nobody can come between the answer and the deletion.
Condition = Callable[[Session, str], bool]


def always(_session: Session, _document_id: str) -> bool:
    """What a person deletes goes in any case."""
    return True


class Index(Protocol):
    """The search index with its file: what it holds on the disk, and writing it anew."""

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
    hashes: tuple[str, ...]  # of what it was read from, and of changed bytes that were still to be read
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
        held = self._held_in_file([row for row in waiting if row.residues.get(INDEX_FILE, 1)])
        # What the keyword index was told to forget it may still hold if it is damaged, or if a crash came before.
        damaged = int(any(_words_unsure(row) for row in waiting) and keyword_damage(self.db))
        left = sum(self._settle(row, held, damaged) for row in waiting)
        self.db.checkpoint()  # deleted text would else stay in the log for a while
        return left

    def _held_in_file(self, unsure: Sequence[DeletionRow]) -> NDArray[np.int64]:
        """The chunks that the index file holds, after it was written anew if one of these was among them."""
        if not unsure:
            return np.empty(0, dtype=np.int64)
        held = self.index.stored_ids()
        if any(_count_in_file(held, row) for row in unsure):
            self.index.warm()
            self.index.save()
            held = self.index.stored_ids()
        return held

    def _settle(self, row: DeletionRow, held: NDArray[np.int64], damaged: int) -> bool:
        """Look again for what one deletion may have left; whether there is anything."""
        if _only_in_copies(row):
            found = {COPIES: _in_copies(self.db, row.document_id)}
        else:
            found = self._searched(row, held, damaged)
        with self.db.write() as session:
            kept = session.get(DeletionRow, row.id)
            if kept is not None:
                kept.residues = {**kept.residues, **found}
                kept.checked_at = None if any(kept.residues.values()) else now()
        return any(found.values())

    def _searched(self, row: DeletionRow, held: NDArray[np.int64], damaged: int) -> dict[str, int]:
        remains = _Remains(row.document_id, _hashes(row), row.first_chunk, row.last_chunk)
        with self.db.write() as session:  # a crash may have come before this step of the deletion
            _forget(session, self.files, remains)
        found = search(self.db, self.files, remains) | {INDEX_FILE: _count_in_file(held, row)}
        if _words_unsure(row):
            found[KEYWORDS] = damaged
        return found


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
        remains = _Remains(document_id, _hashes(row), first, last, _probe(session, document_id))
        entry = DeletionRow(
            owner_id=owner_id, document_id=document_id, name=row.name, sha256=row.sha256,
            incoming_sha256=row.incoming_sha256, first_chunk=first, last_chunk=last,
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
        _forget(session, files, remains)
    found = search(db, files, remains)
    with db.write() as session:
        kept = session.get(DeletionRow, entry_id)
        if kept is not None:
            kept.residues = found


def search(db: Database, files: FileStore, remains: _Remains) -> dict[str, int]:
    """How many pieces of a document each place holds; the keyword index is asked for its words, if they are given."""
    with db.read() as session:
        found = _rows(session, remains)
        if remains.words:
            found[KEYWORDS] = _in_keyword_index(session, remains)
        gone = [sha256 for sha256 in remains.hashes if not _is_shared(session, sha256)]
        recognised = select(func.count()).where(PageReadingRow.sha256.in_(gone))
        found["recognised pages"] = session.scalar(recognised) or 0
    found["file"] = sum(files.path(sha256).exists() for sha256 in gone)
    found[COPIES] = _in_copies(db, remains.document_id)
    return found


def _hashes(row: DocumentRow | DeletionRow) -> tuple[str, ...]:
    return (row.sha256, row.incoming_sha256) if row.incoming_sha256 else (row.sha256,)


def _is_shared(session: Session, sha256: str) -> bool:
    return session.scalar(select(DocumentRow.id).where(has_bytes(sha256)).limit(1)) is not None


def _forget(session: Session, files: FileStore, remains: _Remains) -> None:
    for sha256 in remains.hashes:
        forget_bytes(session, files, sha256)


def _rows(session: Session, remains: _Remains) -> dict[str, int]:
    """Rows that name the document or one of its chunks; traces keep its id to say that what was asked is gone."""
    id = remains.document_id
    places = {
        "documents": DocumentRow.id == id,
        "text": DocumentTextRow.document_id == id,
        "collections": CollectionDocumentRow.document_id == id,
        "tags": DocumentTagRow.document_id == id,
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


def _count_in_file(held: NDArray[np.int64], row: DeletionRow) -> int:
    if row.first_chunk is None or row.last_chunk is None:
        return 0
    return int(((held >= row.first_chunk) & (held <= row.last_chunk)).sum())


def _in_copies(db: Database, document_id: str) -> int:
    return sum(holds_document(copy, document_id) for copy in copies(db.path))


def _only_in_copies(row: DeletionRow) -> bool:
    """Whether all other places were searched, and hold nothing any more."""
    elsewhere = [number for place, number in row.residues.items() if place != COPIES]
    return INDEX_FILE in row.residues and not _words_unsure(row) and not any(elsewhere)


def _words_unsure(row: DeletionRow) -> bool:
    """Whether the keyword index may still hold words of it: nobody looked, or something was found."""
    return row.first_chunk is not None and bool(row.residues.get(KEYWORDS, 1))


def _deletion(row: DeletionRow) -> Deletion:
    return Deletion(row.document_id, row.name, row.sha256, row.deleted_at, row.checked_at, dict(row.residues))
