"""The workers' side of the queue: claim a job, keep its lease alive, hand it from lane to lane, end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, delete, select, update
from sqlalchemy.orm import Session

from core.errors import Cancelled
from core.storage.db import Database
from core.storage.tables import DocumentRow, JobRow, PageReadingRow, now
from core.types import DocumentStatus, JobStatus

LEASE = timedelta(seconds=30)
# A file is read in a child of the worker, so what ends the worker is seldom the file; but it may be.
MAX_ATTEMPTS = 10
SUSPECT = 2  # attempts that ended with the worker
OPEN = (JobStatus.queued.value, JobStatus.running.value, JobStatus.paused.value)
CANCELLED = "Cancelled before it was read."
READ, EMBED = "read", "embed"  # the lanes


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work; `done` of `total` are units of its stage (pages, chunks), 0 of 0 when unknown.

    `seconds_left` is for its stage, from the rate at which that stage went so far; None while that says nothing.
    """

    id: str
    owner_id: str
    kind: str
    document_id: str | None
    document_name: str
    batch_id: str | None
    lane: str
    priority: int
    status: JobStatus
    stage: str
    done: int
    total: int
    seconds_left: float | None
    attempts: int
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def active(self) -> bool:
        """Not ended: it runs, waits, or is paused."""
        return self.status.value in OPEN


class Leases:
    """Writers keep their lease alive by reporting progress at least every 20 seconds.

    Whoever stores results calls `confirm` in the same transaction: a job that was paused, cancelled or taken over
    meanwhile stores nothing.
    """

    def __init__(self, db: Database) -> None:
        self.db = db

    def claim(self, worker: str, lane: str = "") -> Job | None:
        """Take the job of a worker that was not heard of since its lease ended, or the first in the line of a lane.

        Of documents with the same bytes only one at a time is in a lane. They are different people's: of one person
        the same bytes are one document. Each file is parsed for each of them, on purpose: text, chunks, state and
        receipt of a document are its owner's alone, and nothing of them is taken from somebody else's. Shared, because
        they are known by what they were made of, are the stored file, the pages that text recognition has read and the
        vectors of the same words; so the dear work is done once, and that is why one waits for the other. It is no
        secret kept to the last: who looks closely can tell it from the time, and from `reused` in the receipt.
        """
        with self.db.read() as session:  # most looks find nothing: do not take the write lock for them
            if _first(session, lane) is None:
                return None
        with self.db.write() as session:
            while (row := _first(session, lane)) is not None:
                if row.attempts >= MAX_ATTEMPTS:
                    end(session, row, JobStatus.failed, _too_often(row.attempts))
                    session.flush()
                    continue
                row.status, row.worker, row.lease_until = JobStatus.running.value, worker, now() + LEASE
                row.attempts += 1
                row.started_at = row.started_at or now()
                name = session.scalar(select(DocumentRow.name).where(DocumentRow.id == row.document_id))
                return job_of(row, name or "")
        return None

    def progress(self, job_id: str, worker: str, *, stage: str, done: int = 0, total: int = 0) -> None:
        """Report and renew the lease. Raises Cancelled when the job is no longer this worker's."""
        with self.db.write() as session:
            row = confirm(session, job_id, worker)
            if row.stage != stage or row.stage_at is None:
                row.stage_at, row.stage_from = now(), done
            row.stage, row.done, row.total, row.lease_until = stage, done, total, now() + LEASE

    def held(self, job_id: str, worker: str) -> bool:
        """Whether the job is still this worker's: nobody cancelled, paused or took it."""
        query = select(JobRow.id).where(
            JobRow.id == job_id, JobRow.worker == worker, JobRow.status == JobStatus.running.value
        )
        with self.db.read() as session:
            return session.scalar(query) is not None

    def finish(self, job_id: str, worker: str, status: JobStatus, error: str = "") -> None:
        """End a job; a worker that lost its lease changes nothing."""
        with self.db.write() as session:
            row = session.get(JobRow, job_id)
            if row is not None and row.worker == worker and row.status == JobStatus.running:
                end(session, row, status, error)

    def release(self, job_id: str, worker: str) -> None:
        """Put a job back into the line: its worker stops in an orderly way, or cannot go on now."""
        with self.db.write() as session:
            session.execute(
                update(JobRow)
                .where(JobRow.id == job_id, JobRow.worker == worker, JobRow.status == JobStatus.running.value)
                .values(status=JobStatus.queued.value, worker="", lease_until=None, attempts=JobRow.attempts - 1)
            )

    def release_dead(self, alive: Sequence[str]) -> None:
        """Queue the running jobs of all workers but these: their processes are known to be gone.

        What a worker died over more than once goes behind the others. If it was to blame, they are done first; if not,
        it is not what every next death meets again, until it is given up for what it did not do.
        """
        behind = case((JobRow.attempts >= SUSPECT, JobRow.priority - 1), else_=JobRow.priority)
        with self.db.write() as session:
            session.execute(
                update(JobRow)
                .where(JobRow.worker.not_in(alive), JobRow.status == JobStatus.running.value)
                .values(status=JobStatus.queued.value, lease_until=None, priority=behind)
            )


def confirm(session: Session, job_id: str, worker: str) -> JobRow:
    """The job, if it is still this worker's. Raises Cancelled."""
    row = session.get(JobRow, job_id)
    if row is None or row.worker != worker or row.status != JobStatus.running:
        raise Cancelled("The job was cancelled, paused, taken over or removed.")
    return row


def hand_over(row: JobRow, *, chunks: int, seconds: float) -> None:
    """Put a job whose text is stored into the line for vectors; in the transaction that stored the text."""
    row.lane, row.status, row.worker, row.lease_until = EMBED, JobStatus.queued.value, "", None
    row.stage, row.done, row.total, row.stage_at = "", 0, chunks, None
    row.chunks, row.attempts = chunks, 0
    row.read_seconds += seconds


def requeue(row: JobRow) -> None:
    """Put it back into the line, behind those that are more urgent; what it has done is kept."""
    row.status, row.worker, row.lease_until = JobStatus.queued.value, "", None
    row.attempts = max(0, row.attempts - 1)


def end(session: Session, row: JobRow, status: JobStatus, error: str) -> None:
    """Bring a job to its end, and its document out of waiting for it; changed bytes that were not read are dropped."""
    row.status, row.error, row.finished_at, row.lease_until = status.value, error, now(), None
    if status != JobStatus.done and row.document_id is not None:
        this = DocumentRow.id == row.document_id
        if row.lane == READ:
            _drop_incoming(session, this, error)
        _wait_no_more(session, this, error)


def cancel_all(session: Session, which: ColumnElement[bool]) -> int:
    """Bring jobs that have not ended to their end at once, however many; returns how many that were."""
    these = (which, JobRow.status.in_(OPEN))
    _drop_incoming(session, DocumentRow.id.in_(select(JobRow.document_id).where(*these, JobRow.lane == READ)), "")
    _wait_no_more(session, DocumentRow.id.in_(select(JobRow.document_id).where(*these)), "")
    ended = (
        update(JobRow)
        .where(*these)
        .values(status=JobStatus.cancelled.value, error="", finished_at=now(), lease_until=None)
    )
    return len(session.execute(ended.returning(JobRow.id)).all())


def _wait_no_more(session: Session, which: ColumnElement[bool], error: str) -> None:
    """A document whose text is already in stays searchable; one without text is shown as failed, to be retried."""
    waiting = (DocumentStatus.queued.value, DocumentStatus.processing.value)
    session.execute(
        update(DocumentRow)
        .where(which, DocumentRow.status.in_(waiting))
        .values(status=DocumentStatus.failed.value, error=error or CANCELLED)
    )


def _drop_incoming(session: Session, which: ColumnElement[bool], error: str) -> None:
    """Changed bytes that could not be read are no longer the documents'; the sweep removes their files."""
    changed = (which, DocumentRow.incoming_sha256 != "")
    pages = PageReadingRow.sha256.in_(select(DocumentRow.incoming_sha256).where(*changed))
    session.execute(delete(PageReadingRow).where(pages))
    kept = f"{error or CANCELLED} The changed file was not taken in: what was read before is kept."
    session.execute(
        update(DocumentRow).where(*changed).values(incoming_sha256="", incoming_size=0, error=kept)
    )  # fmt: skip


def job_of(row: JobRow, name: str | None) -> Job:
    """The row as people see it."""
    return Job(
        id=row.id, owner_id=row.owner_id, kind=row.kind, document_id=row.document_id, document_name=name or "",
        batch_id=row.batch_id, lane=row.lane, priority=row.priority, status=JobStatus(row.status), stage=row.stage,
        done=row.done, total=row.total, seconds_left=left_seconds(row), attempts=row.attempts, error=row.error,
        created_at=row.created_at, started_at=row.started_at, finished_at=row.finished_at,
    )  # fmt: skip


def left_seconds(row: JobRow) -> float | None:
    """Seconds until the stage of a running job ends, from its rate so far."""
    if row.status != JobStatus.running or row.stage_at is None or row.done <= row.stage_from or not row.total:
        return None
    return (now() - row.stage_at).total_seconds() / (row.done - row.stage_from) * max(0, row.total - row.done)


def _first(session: Session, lane: str) -> JobRow | None:
    """The job to work on next."""
    moment = now()
    chosen: list[ColumnElement[bool]] = [JobRow.lane == lane] if lane else []
    abandoned = select(JobRow).where(
        JobRow.status == JobStatus.running.value, JobRow.lease_until < moment, *chosen
    )  # fmt: skip
    if (row := session.scalars(abandoned.order_by(JobRow.created_at).limit(1)).first()) is not None:
        return row
    in_hand = (
        select(DocumentRow.sha256, JobRow.lane)
        .join(JobRow, JobRow.document_id == DocumentRow.id)
        .where(JobRow.status == JobStatus.running.value)
    )
    waiting = select(JobRow).where(JobRow.status == JobStatus.queued.value, *chosen)
    for sha256, busy in session.execute(in_hand):
        twins = select(DocumentRow.id).where(DocumentRow.sha256 == sha256)
        waiting = waiting.where((JobRow.lane != busy) | JobRow.document_id.not_in(twins))
    line = waiting.order_by(JobRow.priority.desc(), JobRow.created_at, JobRow.id)
    return session.scalars(line.limit(1)).first()


def _too_often(attempts: int) -> str:
    return f"Reading it ended the worker {attempts} times. The file may be damaged: try to save it anew."
