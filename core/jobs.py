"""Background work as rows: a worker leases a job, shows its progress, and another takes over when it dies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from core.errors import Cancelled, NotFound
from core.storage.db import Database
from core.storage.tables import DocumentRow, JobRow, now
from core.types import DocumentStatus, JobStatus

LEASE = timedelta(seconds=30)
# A file is read in a child of the worker, so what ends the worker is seldom the file; but it may be.
MAX_ATTEMPTS = 10
OPEN = (JobStatus.queued.value, JobStatus.running.value)


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work; `done` of `total` are units of its stage (bytes, chunks), 0 of 0 when unknown."""

    id: str
    owner_id: str
    kind: str
    document_id: str | None
    document_name: str
    status: JobStatus
    stage: str
    done: int
    total: int
    attempts: int
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def active(self) -> bool:
        return self.status in (JobStatus.queued, JobStatus.running)


class Jobs:
    """The queue. Writers keep their lease alive by reporting progress at least every 20 seconds."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def submit(self, session: Session, *, kind: str, owner_id: str, document_id: str | None) -> str:
        """Add a job in the caller's transaction and return its id."""
        row = JobRow(kind=kind, owner_id=owner_id, document_id=document_id)
        session.add(row)
        session.flush()
        return row.id

    def get(self, job_id: str, *, owner_id: str) -> Job:
        with self.db.read() as session:
            row = session.execute(_with_names().where(JobRow.id == job_id, JobRow.owner_id == owner_id)).first()
            if row is None:
                raise NotFound("There is no such job.")
            return _job(row[0], row[1])

    def list_jobs(self, *, owner_id: str, active: bool = False, limit: int = 100) -> list[Job]:
        """The newest jobs first."""
        query = _with_names().where(JobRow.owner_id == owner_id).order_by(JobRow.created_at.desc()).limit(limit)
        if active:
            query = query.where(JobRow.status.in_(OPEN))
        with self.db.read() as session:
            return [_job(row, name) for row, name in session.execute(query)]

    def latest(self, document_ids: Sequence[str]) -> dict[str, Job]:
        """The newest job of each document."""
        query = _with_names().where(JobRow.document_id.in_(document_ids)).order_by(JobRow.created_at)
        with self.db.read() as session:
            return {row.document_id: _job(row, name) for row, name in session.execute(query) if row.document_id}

    def cancel(self, job_id: str, *, owner_id: str) -> None:
        """Ask a running job to stop; a waiting one is ended at once."""
        with self.db.write() as session:
            row = session.scalar(select(JobRow).where(JobRow.id == job_id, JobRow.owner_id == owner_id))
            if row is None:
                raise NotFound("There is no such job.")
            row.cancel_requested = True
            if row.status == JobStatus.queued:
                _end(session, row, JobStatus.cancelled, "")

    # --- for workers ---

    def claim(self, worker: str) -> Job | None:
        """Take the oldest job that waits, or whose worker has not been heard of since its lease ended."""
        moment = now()
        free = or_(
            JobRow.status == JobStatus.queued.value,
            (JobRow.status == JobStatus.running.value) & (JobRow.lease_until < moment),
        )
        with self.db.read() as session:  # most looks find nothing: do not take the write lock for them
            if session.scalar(select(JobRow.id).where(free).limit(1)) is None:
                return None
        with self.db.write() as session:
            row = session.scalar(select(JobRow).where(free).order_by(JobRow.created_at, JobRow.id).limit(1))
            if row is None:
                return None
            if row.cancel_requested:
                _end(session, row, JobStatus.cancelled, "")
                return None
            if row.attempts >= MAX_ATTEMPTS:
                _end(
                    session,
                    row,
                    JobStatus.failed,
                    f"Reading it ended the worker {row.attempts} times. The file may be damaged: try to save it anew.",
                )
                return None
            row.status, row.worker, row.lease_until = JobStatus.running.value, worker, moment + LEASE
            row.attempts += 1
            row.started_at = row.started_at or moment
            name = session.scalar(select(DocumentRow.name).where(DocumentRow.id == row.document_id))
            return _job(row, name or "")

    def progress(self, job_id: str, worker: str, *, stage: str, done: int = 0, total: int = 0) -> None:
        """Report and renew the lease. Raises Cancelled when somebody asked for it or the lease went to another."""
        with self.db.write() as session:
            row = session.get(JobRow, job_id)
            if row is None or row.worker != worker or row.status != JobStatus.running:
                raise Cancelled("The job was taken over or removed.")
            if row.cancel_requested:
                raise Cancelled("The job was cancelled.")
            row.stage, row.done, row.total, row.lease_until = stage, done, total, now() + LEASE

    def cancel_requested(self, job_id: str) -> bool:
        with self.db.read() as session:
            return bool(session.scalar(select(JobRow.cancel_requested).where(JobRow.id == job_id)))

    def finish(self, job_id: str, worker: str, status: JobStatus, error: str = "") -> None:
        """End a job; a worker that lost its lease changes nothing."""
        with self.db.write() as session:
            row = session.get(JobRow, job_id)
            if row is not None and row.worker == worker and row.status == JobStatus.running:
                _end(session, row, status, error)

    def release(self, worker: str) -> None:
        """Put the jobs of a worker that stops in an orderly way back into the queue."""
        with self.db.write() as session:
            session.execute(
                update(JobRow)
                .where(JobRow.worker == worker, JobRow.status == JobStatus.running.value)
                .values(status=JobStatus.queued.value, lease_until=None, attempts=JobRow.attempts - 1)
            )

    def release_dead(self, alive: Sequence[str]) -> None:
        """Queue the running jobs of all workers but these: their processes are known to be gone."""
        with self.db.write() as session:
            session.execute(
                update(JobRow)
                .where(JobRow.worker.not_in(alive), JobRow.status == JobStatus.running.value)
                .values(status=JobStatus.queued.value, lease_until=None)
            )


def _end(session: Session, row: JobRow, status: JobStatus, error: str) -> None:
    row.status, row.error, row.finished_at, row.lease_until = status.value, error, now(), None
    if status == JobStatus.done or row.document_id is None:
        return
    # A document whose text is already in stays searchable; one without text is shown as failed, to be retried.
    reason = error or "Cancelled before it was read."
    session.execute(
        update(DocumentRow)
        .where(
            DocumentRow.id == row.document_id,
            DocumentRow.status.in_((DocumentStatus.queued.value, DocumentStatus.processing.value)),
        )
        .values(status=DocumentStatus.failed.value, error=reason)
    )


def _with_names() -> Select[JobRow, str]:
    return select(JobRow, DocumentRow.name).outerjoin(DocumentRow, DocumentRow.id == JobRow.document_id)


def _job(row: JobRow, name: str | None) -> Job:
    return Job(
        id=row.id, owner_id=row.owner_id, kind=row.kind, document_id=row.document_id, document_name=name or "",
        status=JobStatus(row.status), stage=row.stage, done=row.done, total=row.total, attempts=row.attempts,
        error=row.error, created_at=row.created_at, started_at=row.started_at, finished_at=row.finished_at,
    )  # fmt: skip
