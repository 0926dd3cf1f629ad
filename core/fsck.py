"""Compare everything that is stored with everything else that is stored; repair what can be repaired."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.orm import Session

from core import originals
from core.deletions import COPIES
from core.documents import INGEST
from core.jobs import OPEN, Jobs
from core.retrieval.dense import read
from core.retrieval.keyword import keyword_damage
from core.retrieval.serving import REBUILD, serving
from core.retrieval.serving_index import ServingIndex
from core.retrieval.store import FOUND
from core.storage.db import Database
from core.storage.files import FileStore
from core.storage.tables import (
    ChunkRow,
    CitationRow,
    DeletionRow,
    DocumentRow,
    DocumentTextRow,
    IndexStateRow,
    JobRow,
    PageReadingRow,
    VectorDraftRow,
    VectorRow,
    now,
)
from core.types import DocumentStatus, JobStatus

SETTLED = timedelta(hours=1)  # by then a running application has looked again
DRAFT_SECONDS = 1800.0  # a running application sweeps long before


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; `repaired` when it is now."""

    check: str
    detail: str
    repaired: bool = False


class Fsck:
    """Reads in one snapshot, so that it may run while people work."""

    def __init__(self, db: Database, files: FileStore, jobs: Jobs, index: ServingIndex) -> None:
        self.db = db
        self.files = files
        self.jobs = jobs
        self.index = index

    def run(self, *, repair: bool = False) -> list[Finding]:
        """All findings; an empty list means that everything fits."""
        with self.db.read() as session:
            embedder = serving(session, self.index.embedder)
            findings = [
                *self._database(session), *_rows(session, embedder), *_vectors(session, embedder), *_jobs(session),
                *_chunk_texts(session), *self._index(session),
            ]  # fmt: skip
            stuck = list(_stuck(session))
            hashes = originals.wanted(session)
        findings += self._keyword(repair)
        findings += [Finding("job", f"document {id} waits, but no job will read it", repair) for id, _ in stuck]
        if repair:
            self._queue(stuck)
        return findings + self._files(hashes, repair)

    def _database(self, session: Session) -> Iterator[Finding]:
        session.execute(text("SELECT rowid FROM chunk_words LIMIT 1")).all()  # see `keyword_damage`
        for (line,) in session.execute(text("PRAGMA integrity_check")):
            if line != "ok":
                yield Finding("database", str(line))
        for row in session.execute(text("PRAGMA foreign_key_check")):
            yield Finding("database", f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is gone")

    def _keyword(self, repair: bool) -> list[Finding]:
        if not keyword_damage(self.db):
            return []
        if repair:
            with self.db.write() as session:
                session.execute(text("INSERT INTO chunk_words(chunk_words) VALUES ('rebuild')"))
        return [Finding("keyword index", "does not match the chunks", repair)]

    def _index(self, session: Session) -> Iterator[Finding]:
        path = self.index.path
        if not path.exists():
            return
        index, generation = read(path)
        if index is None:
            yield Finding("index file", "is damaged; it is rebuilt from the vectors at the next start")
            return
        current = session.scalars(select(IndexStateRow.generation)).one()
        if generation > current:
            yield Finding("index file", "is newer than the database; it is rebuilt at the next start")
        elif generation == current:
            stored = select(func.count()).select_from(VectorRow).where(VectorRow.embedder == self.index.embedder)
            if index.ntotal != session.scalar(stored):
                yield Finding("index file", "holds other vectors than the database of the same generation")

    def _files(self, hashes: set[str], repair: bool) -> list[Finding]:
        gone, before = hashes - set(self.files.stored()), time.time() - DRAFT_SECONDS
        with self.db.read() as session:  # again: documents may have come and gone between
            hashes = originals.wanted(session)
        findings = [Finding("file", f"{sha256} is missing") for sha256 in sorted(gone & hashes)]
        if repair:
            left = originals.sweep(self.db, self.files, older_than=before)
        else:
            drafts = [draft.name for draft in self.files.drafts(older_than=before)]
            left = [*drafts, *self.files.orphans(hashes, older_than=before)]
        return findings + [Finding("file", f"{name} belongs to no document", repair) for name in left]

    def _queue(self, stuck: list[tuple[str, str]]) -> None:
        with self.db.write() as session:
            for document_id, owner_id in stuck:
                self.jobs.submit(session, kind=INGEST, owner_id=owner_id, document_id=document_id)


def _rows(session: Session, embedder: str) -> Iterator[Finding]:
    chunks = select(func.count()).select_from(ChunkRow).where(ChunkRow.document_id == DocumentRow.id).scalar_subquery()
    vectors = (
        select(func.count())
        .select_from(VectorRow)
        .join(ChunkRow, ChunkRow.id == VectorRow.chunk_id)
        .where(ChunkRow.document_id == DocumentRow.id, VectorRow.embedder == embedder)
        .scalar_subquery()
    )
    for id, status, n_chunks, n_vectors in session.execute(select(DocumentRow.id, DocumentRow.status, chunks, vectors)):
        if status in FOUND and n_chunks == 0:
            yield Finding("document", f"{id} is {status} and has no chunks")
        if status == DocumentStatus.ready and n_vectors != n_chunks:
            yield Finding("document", f"{id} is ready with {n_vectors} vectors for {n_chunks} chunks")
        if status == DocumentStatus.searchable and n_vectors not in (0, n_chunks):
            yield Finding("document", f"{id} is half embedded: {n_vectors} of {n_chunks}")


def _vectors(session: Session, embedder: str) -> Iterator[Finding]:
    for table, name in ((VectorRow, "vector"), (VectorDraftRow, "vector draft")):
        wrong = select(func.count()).where(func.length(table.data) != table.dimension * 4)
        if count := session.scalar(wrong):
            yield Finding(name, f"{count} of them have the wrong length")
    orphans = (
        select(func.count())
        .select_from(VectorRow)
        .where(~select(ChunkRow.id).where(ChunkRow.id == VectorRow.chunk_id).exists())
    )
    if count := session.scalar(orphans):
        yield Finding("vector", f"{count} of them belong to no chunk")
    building = select(JobRow.id).where(JobRow.kind == REBUILD, JobRow.status.in_(OPEN)).limit(1)
    others = select(func.count()).select_from(VectorRow).where(VectorRow.embedder != embedder)
    if session.scalar(building) is None and (count := session.scalar(others)):
        yield Finding("vector", f"{count} of them are of an embedding model that neither serves nor is to take over")
    left = select(VectorDraftRow.document_id).where(
        VectorDraftRow.document_id == DocumentRow.id, VectorDraftRow.embedder == embedder
    )
    done = select(DocumentRow.id).where(DocumentRow.status == DocumentStatus.ready.value, left.exists(), ~_busy())
    for id in session.scalars(done):
        yield Finding("vector draft", f"{id} is ready and has drafts left")


def _jobs(session: Session) -> Iterator[Finding]:
    """Jobs that contradict themselves, readings of pages and searches for remains that belong to nothing."""
    query = select(JobRow.document_id).where(JobRow.status.in_(OPEN), JobRow.document_id.is_not(None))
    for id in session.scalars(query.group_by(JobRow.document_id).having(func.count() > 1)):
        yield Finding("job", f"document {id} has several jobs at once")
    read = or_(DocumentRow.sha256 == PageReadingRow.sha256, DocumentRow.incoming_sha256 == PageReadingRow.sha256)
    known = select(DocumentRow.id).where(read).exists()
    for sha256 in session.scalars(select(PageReadingRow.sha256).where(~known).distinct()):
        yield Finding("page reading", f"of {sha256} belongs to no document")
    for row in session.scalars(select(DeletionRow).where(DeletionRow.checked_at.is_(None))):
        for place, count in row.residues.items():
            if count and place != COPIES and row.deleted_at < now() - SETTLED:  # copies are kept for some days
                yield Finding("deletion", f"of {row.document_id} left {count} in {place}")


def _busy() -> ColumnElement[bool]:
    return select(JobRow.id).where(JobRow.document_id == DocumentRow.id, JobRow.status.in_(OPEN)).exists()


def _chunk_texts(session: Session) -> Iterator[Finding]:
    piece = func.substr(DocumentTextRow.text, ChunkRow.start + 1, ChunkRow.end - ChunkRow.start)
    query = (
        select(ChunkRow.id)
        .join(DocumentTextRow, DocumentTextRow.document_id == ChunkRow.document_id)
        .where(piece != ChunkRow.text)
    )
    for id in session.scalars(query):
        yield Finding("chunk", f"{id} is not the text at its offsets")
    query = (
        select(CitationRow.id)
        .join(DocumentTextRow, DocumentTextRow.document_id == CitationRow.document_id)
        .where(CitationRow.end > func.length(DocumentTextRow.text))
    )
    for id in session.scalars(query):
        yield Finding("citation", f"{id} points behind the end of its document")


def _stuck(session: Session) -> Iterator[tuple[str, str]]:
    waiting = (DocumentStatus.queued.value, DocumentStatus.processing.value, DocumentStatus.searchable.value)
    job = select(JobRow.id).where(JobRow.document_id == DocumentRow.id, JobRow.status.in_(OPEN)).exists()
    gave_up = (JobStatus.failed.value, JobStatus.cancelled.value)
    failed = select(JobRow.id).where(JobRow.document_id == DocumentRow.id, JobRow.status.in_(gave_up)).exists()
    query = select(DocumentRow.id, DocumentRow.owner_id).where(DocumentRow.status.in_(waiting), ~job, ~failed)
    yield from ((id, owner) for id, owner in session.execute(query))
