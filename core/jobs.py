"""Background work as rows: people follow, pause and cancel it; a worker leases it (core/leases.py) and does it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Select, case, func, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.leases import EMBED, OPEN, READ, Job, Leases, cancel_all, job_of
from core.retrieval.serving import REBUILD, RECUT, decline
from core.storage.tables import BatchRow, DocumentRow, JobRow, now
from core.types import DocumentStatus, JobStatus

__all__ = ["EMBED", "FINAL", "OPEN", "READ", "Job", "Jobs"]

FINAL = (JobStatus.done.value, JobStatus.failed.value, JobStatus.cancelled.value)
SLICE = 500  # ids in one question: SQLite takes only so many
ALONE, AMONG_MANY = 10, 0  # priorities: who adds one file waits for it, and goes before a batch


class Jobs(Leases):
    """The queue. What a person asks for here is true at once; a worker notices within half a second."""

    def submit(
        self, session: Session, *, kind: str, owner_id: str, document_id: str | None, size: int = 0,
        batch_id: str | None = None, lane: str = READ,
    ) -> str:  # fmt: skip
        """Add a job in the caller's transaction and return its id; `size` of its file in bytes.

        A part of a paused batch is paused too. Raises Conflict for a batch that was cancelled.
        """
        batch = session.get(BatchRow, batch_id) if batch_id else None
        if batch is not None and batch.state == "cancelled":
            raise Conflict("This batch was cancelled. Add the remaining files anew.")
        row = JobRow(kind=kind, owner_id=owner_id, document_id=document_id, size=size, batch_id=batch_id, lane=lane)
        row.priority = AMONG_MANY if batch else ALONE
        if batch is not None and batch.expected:
            batch.touched_at = now()
        if batch is not None and batch.state == "paused":
            row.status = JobStatus.paused.value
        session.add(row)
        session.flush()
        return row.id

    def submit_again(self, session: Session, document: DocumentRow, *, kind: str) -> str:
        """Queue a document anew: as the same part of its batch if it is one, else as a new job."""
        query = select(JobRow).where(JobRow.document_id == document.id, JobRow.kind == kind)
        row = session.scalars(query.order_by(JobRow.created_at.desc()).limit(1)).first()
        if row is None or row.batch_id is None or row.status not in FINAL:
            size = document.incoming_size or document.size
            return self.submit(session, kind=kind, owner_id=document.owner_id, document_id=document.id, size=size)
        start_over(row)
        return row.id

    def get(self, job_id: str, *, owner_id: str) -> Job:
        with self.db.read() as session:
            row = session.execute(_with_names().where(JobRow.id == job_id, JobRow.owner_id == owner_id)).first()
            if row is None:
                raise NotFound("There is no such job.")
            return job_of(row[0], row[1])

    def list_jobs(
        self, *, owner_id: str, active: bool = False, batch_id: str | None = None, statuses: Sequence[JobStatus] = (),
        limit: int = 100,
    ) -> list[Job]:  # fmt: skip
        """The newest jobs first; `active` are those that have not ended, paused ones included."""
        query = _with_names().where(JobRow.owner_id == owner_id).order_by(JobRow.created_at.desc()).limit(limit)
        if active:
            query = query.where(JobRow.status.in_(OPEN))
        if batch_id is not None:
            query = query.where(JobRow.batch_id == batch_id)
        if statuses:
            query = query.where(JobRow.status.in_([status.value for status in statuses]))
        with self.db.read() as session:
            return [job_of(row, name) for row, name in session.execute(query)]

    def count_active(self, *, owner_id: str) -> int:
        """Documents that are read or embedded now or wait for it; paused ones aside."""
        query = select(func.count()).where(
            JobRow.owner_id == owner_id,
            JobRow.status.in_((JobStatus.queued.value, JobStatus.running.value)),
            JobRow.document_id.is_not(None),
        )
        with self.db.read() as session:
            return session.scalar(query) or 0

    def list_in_sight(self, *, owner_id: str, limit: int = 40) -> list[Job]:
        """Documents in hand, then those that wait or rest and are part of no batch, in the order of their turn."""
        running = JobRow.status == JobStatus.running.value
        alone = JobRow.status.in_((JobStatus.queued.value, JobStatus.paused.value)) & JobRow.batch_id.is_(None)
        query = _with_names().where(JobRow.owner_id == owner_id, JobRow.document_id.is_not(None), running | alone)
        with self.db.read() as session:
            rows = session.execute(query.order_by(running.desc(), JobRow.created_at).limit(limit))
            return [job_of(row, name) for row, name in rows]

    def latest(self, document_ids: Sequence[str]) -> dict[str, Job]:
        """The newest job of each document."""
        found: dict[str, Job] = {}
        with self.db.read() as session:
            for part in _slices(document_ids):
                query = _with_names().where(JobRow.document_id.in_(part)).order_by(JobRow.created_at)
                found |= {row.document_id: job_of(row, name) for row, name in session.execute(query) if row.document_id}
        return found

    def unfinished(self, document_ids: Sequence[str]) -> dict[str, JobStatus]:
        """Those of these documents that have a job that has not ended, and how it is; cheap also for very many."""
        columns = select(JobRow.document_id, JobRow.status).where(JobRow.status.in_(OPEN))
        found: dict[str, JobStatus] = {}
        with self.db.read() as session:
            for part in _slices(document_ids):
                rows = session.execute(columns.where(JobRow.document_id.in_(part)).order_by(JobRow.created_at))
                found |= {document_id: JobStatus(status) for document_id, status in rows if document_id}
        return found

    def cancel(self, job_id: str, *, owner_id: str) -> None:
        """End a job now. A worker that has it in hand drops it, and what it made of it is not stored."""
        with self.db.write() as session:
            row = _owned(session, job_id, owner_id)
            if cancel_all(session, JobRow.id == job_id) and row.kind == REBUILD:
                decline(session)

    def pause(self, job_id: str, *, owner_id: str) -> None:
        """Let a job rest. Its finished pages and vectors are kept. Raises Conflict when it has ended."""
        with self.db.write() as session:
            row = _owned(session, job_id, owner_id)
            if row.status not in OPEN:
                raise Conflict("This job has ended already.")
            rest_all(session, JobRow.id == job_id)

    def resume(self, job_id: str, *, owner_id: str) -> None:
        """Queue a paused job again, where it was in the line."""
        with self.db.write() as session:
            row = _owned(session, job_id, owner_id)
            if row.status == JobStatus.paused:
                row.status = JobStatus.queued.value

    def retry(self, job_id: str, *, owner_id: str) -> None:
        """Queue a failed or cancelled job again. Raises Conflict when it has not ended, or is done."""
        with self.db.write() as session:
            row = _owned(session, job_id, owner_id)
            if row.status not in (JobStatus.failed.value, JobStatus.cancelled.value):
                raise Conflict("Only a job that failed or was cancelled can be tried again.")
            if row.document_id is not None:
                other = select(JobRow.id).where(JobRow.document_id == row.document_id, JobRow.status.in_(OPEN))
                if session.scalar(other.limit(1)) is not None:
                    raise Conflict("This document is being read already.")
            start_over(row)
            wait_again(session, [row.document_id] if row.document_id else [])


def start_over(row: JobRow) -> None:
    """Make it a job that has not begun; what is stored of its document is found when it does."""
    row.status, row.worker, row.lease_until = JobStatus.queued.value, "", None
    row.lane = EMBED if row.kind in (REBUILD, RECUT) else READ
    row.stage, row.done, row.total, row.stage_at, row.stage_from = "", 0, 0, None, 0
    row.attempts, row.error = 0, ""
    if row.lane == READ:  # what workers died over had gone behind the others
        row.priority = AMONG_MANY if row.batch_id else ALONE
    row.started_at = row.finished_at = None


def rest_all(session: Session, which: ColumnElement[bool]) -> int:
    """Pause jobs that run or wait, however many; the worker that has one in hand finds that it is no longer its own."""
    once_less = case((JobRow.attempts > 0, JobRow.attempts - 1), else_=0)
    resting = (
        update(JobRow)
        .where(which, JobRow.status.in_((JobStatus.queued.value, JobStatus.running.value)))
        .values(status=JobStatus.paused.value, worker="", lease_until=None, attempts=once_less)
    )
    return len(session.execute(resting.returning(JobRow.id)).all())


def wait_again(session: Session, document_ids: Sequence[str]) -> None:
    """Documents whose reading failed wait for it again."""
    failed = update(DocumentRow).where(DocumentRow.status == DocumentStatus.failed.value)
    for part in _slices(document_ids):
        session.execute(failed.where(DocumentRow.id.in_(part)).values(status=DocumentStatus.queued.value, error=""))


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[at : at + SLICE] for at in range(0, len(ids), SLICE))


def _owned(session: Session, job_id: str, owner_id: str) -> JobRow:
    row = session.scalar(select(JobRow).where(JobRow.id == job_id, JobRow.owner_id == owner_id))
    if row is None:
        raise NotFound("There is no such job.")
    return row


def _with_names() -> Select[JobRow, str]:
    return select(JobRow, DocumentRow.name).outerjoin(DocumentRow, DocumentRow.id == JobRow.document_id)
