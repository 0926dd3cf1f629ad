"""What the Documents page shows, in two calls: the work that is under way, and a page of the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from core.batches import Batch, Batches
from core.documents import DocumentInfo
from core.jobs import Job, Jobs
from core.library import DocumentFilter, Facets, Library
from core.rebuilds import Rebuilds, RebuildStatus
from core.storage.db import Database
from core.storage.tables import DocumentRow
from core.types import JobStatus

BATCHES = 3  # so many are shown


@dataclass(frozen=True, slots=True)
class Work:
    """Batches that were not put away, jobs in hand, documents that wait alone, and a change of the embedding model."""

    batches: tuple[Batch, ...]
    running: tuple[Job, ...]
    alone: tuple[Job, ...]
    rebuild: RebuildStatus
    documents: int  # all there are

    @property
    def moves(self) -> bool:
        """Whether anything of it changes by itself: then it is worth to look again soon."""
        waiting = any(job.status == JobStatus.queued for job in self.alone)
        rebuilt = self.rebuild.job is not None and self.rebuild.job.status != JobStatus.paused
        batches = any(batch.status == "running" or batch.to_come for batch in self.batches)
        return bool(self.running) or waiting or rebuilt or batches


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a filtered list with the newest job of each document, and what there is to filter by."""

    documents: tuple[DocumentInfo, ...]
    total: int
    jobs: Mapping[str, Job]
    facets: Facets


class Overview:
    """Reads only; to steer the work ask jobs, batches and rebuilds."""

    def __init__(self, db: Database, jobs: Jobs, batches: Batches, library: Library, rebuilds: Rebuilds) -> None:
        self.db = db
        self.jobs = jobs
        self.batches = batches
        self.library = library
        self.rebuilds = rebuilds

    def work(self, *, owner_id: str) -> Work:
        """What is being done; it costs the same for one document and for ten thousand."""
        jobs = self.jobs.list_in_sight(owner_id=owner_id)
        with self.db.read() as session:
            documents = session.scalar(select(func.count()).where(DocumentRow.owner_id == owner_id)) or 0
        return Work(
            tuple(self.batches.list_batches(owner_id=owner_id, unseen=True, limit=BATCHES)),
            tuple(job for job in jobs if job.status == JobStatus.running),
            tuple(job for job in jobs if job.status != JobStatus.running),
            self.rebuilds.status(),
            documents,
        )

    def listed(self, chosen: DocumentFilter, *, owner_id: str, start: int = 0, size: int = 20) -> Listed:
        """Documents from `start` on, the newest first."""
        page = self.library.page(chosen, owner_id=owner_id, start=start, size=size)
        jobs = self.jobs.latest([document.id for document in page.documents]) if page.documents else {}
        return Listed(page.documents, page.total, jobs, self.library.facets(owner_id=owner_id))

    def states(self, document_ids: tuple[str, ...], *, owner_id: str) -> tuple[tuple[str, str], ...]:
        """Id and status of those of these documents that are still there."""
        query = select(DocumentRow.id, DocumentRow.status).where(
            DocumentRow.id.in_(document_ids), DocumentRow.owner_id == owner_id
        )
        with self.db.read() as session:
            return tuple(sorted((id, status) for id, status in session.execute(query)))
