"""Batches: files that were added together, followed and steered as one job with many parts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.jobs import FINAL, READ, rest_all, start_over, wait_again
from core.leases import OPEN, cancel_all
from core.rates import Part, seconds_left
from core.storage.db import Database
from core.storage.tables import BatchNoteRow, BatchRow, DocumentRow, JobRow, now
from core.types import JobStatus

REFUSED, KNOWN = "refused", "known"
LONGEST_NAME = 400


@dataclass(frozen=True, slots=True)
class Batch:
    """How far a batch is. `total` is all of its files; `done` of them are in, `left` are still to be read or embedded.

    `status`: running (or waiting for its turn), paused, done (nothing is left to do; look at `failed`), cancelled.
    `seconds_left` comes from measured rates; None while there are none, and while it is paused.
    """

    id: str
    name: str
    status: str
    total: int
    done: int
    searchable: int  # of those left: found by keyword already, their vectors follow
    failed: int
    refused: int
    known: int
    cancelled: int
    left: int
    seconds_left: float | None
    created_at: datetime
    finished_at: datetime | None
    to_come: int = 0  # of those left: they are on their way here


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that is not in, and why; without `job_id` it was refused before it was stored and cannot be retried."""

    name: str
    sentence: str
    document_id: str | None
    job_id: str | None


class Batches:
    """Every method asks for the owner; what is not theirs does not exist for them."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def begin(self, *, owner_id: str, name: str = "", expected: int = 0) -> str:
        """A new batch for `expected` files, which are then added with its id. Returns the id."""
        with self.db.write() as session:
            row = BatchRow(owner_id=owner_id, name=name[:LONGEST_NAME], expected=expected)
            session.add(row)
            session.flush()
            return row.id

    def complete(self, batch_id: str, *, owner_id: str) -> None:
        """Say that no more files come: what was announced and did not arrive is no longer waited for."""
        with self.db.write() as session:
            _owned(session, batch_id, owner_id).expected = 0

    def refuse(self, batch_id: str, name: str, sentence: str, *, owner_id: str) -> None:
        """Note a file that could not be stored, and why."""
        with self.db.write() as session:
            _owned(session, batch_id, owner_id)
            note(session, batch_id, name, REFUSED, sentence)

    def dismiss(self, batch_id: str, *, owner_id: str) -> None:
        """Put a batch away that has ended; trying its parts again brings it back. Raises Conflict before its end."""
        if self.get(batch_id, owner_id=owner_id).left:
            raise Conflict("This batch is not finished. Cancel it first.")
        with self.db.write() as session:
            _owned(session, batch_id, owner_id).seen = True

    def stop_waiting(self, *, silent_since: datetime, but: Collection[str] = ()) -> int:
        """Say of batches what did not arrive, when nothing did since then. Returns how many batches that were.

        Uploads are in memory until they are stored: what ends the process then is told here, and not passed over. Those
        of the batches `but` are still there.
        """
        stopped = 0
        silent = (BatchRow.expected > 0, BatchRow.touched_at < silent_since, BatchRow.id.not_in(but))
        with self.db.read() as session:
            ids = session.scalars(select(BatchRow.id).where(*silent)).all()
        for id in ids:
            with self.db.write() as session:
                row = session.scalar(select(BatchRow).where(BatchRow.id == id, *silent))
                if row is None:  # a file has come just now
                    continue
                missing = _batches(session, [row])[0].to_come
                row.expected = 0
                if missing:
                    note(session, id, "", REFUSED, _did_not_arrive(missing))
                    stopped += 1
        return stopped

    def get(self, batch_id: str, *, owner_id: str) -> Batch:
        with self.db.read() as session:
            return _batches(session, [_owned(session, batch_id, owner_id)])[0]

    def list_batches(
        self, *, owner_id: str, active: bool = False, unseen: bool = False, limit: int = 50
    ) -> list[Batch]:  # fmt: skip
        """The newest first; `active` only those with something left to do, paused ones included.

        `unseen` only those that were not put away.
        """
        query = select(BatchRow).where(BatchRow.owner_id == owner_id).order_by(BatchRow.created_at.desc())
        if active:
            query = query.where(BatchRow.id.in_(select(JobRow.batch_id).where(JobRow.status.in_(OPEN))))
        if unseen:
            query = query.where(~BatchRow.seen)
        with self.db.read() as session:
            return _batches(session, session.scalars(query.limit(limit)).all())

    def failures(self, batch_id: str, *, owner_id: str, limit: int = 1000) -> list[Failure]:
        """The files that are not in, each with its sentence, in the order of their names."""
        notes = select(BatchNoteRow).where(BatchNoteRow.batch_id == batch_id, BatchNoteRow.kind == REFUSED)
        failed = (
            select(JobRow.id, JobRow.error, JobRow.document_id, DocumentRow.name)
            .outerjoin(DocumentRow, DocumentRow.id == JobRow.document_id)
            .where(JobRow.batch_id == batch_id, JobRow.status == JobStatus.failed.value)
        )
        with self.db.read() as session:
            _owned(session, batch_id, owner_id)
            found = [Failure(note.name, note.sentence, None, None) for note in session.scalars(notes.limit(limit))]
            for job_id, error, document_id, name in session.execute(failed.limit(limit)):
                found.append(Failure(name or "", error, document_id, job_id))
        return sorted(found, key=lambda failure: failure.name.casefold())[:limit]

    def pause(self, batch_id: str, *, owner_id: str) -> int:
        """Let all parts rest that have not ended, also those still to come. Returns how many parts that were."""
        with self.db.write() as session:
            batch = _owned(session, batch_id, owner_id)
            if batch.state == "cancelled":
                raise Conflict("This batch was cancelled; try it again instead.")
            batch.state = "paused"
            return rest_all(session, JobRow.batch_id == batch_id)

    def resume(self, batch_id: str, *, owner_id: str) -> int:
        """Go on with a paused batch. Returns how many parts that were."""
        with self.db.write() as session:
            batch = _owned(session, batch_id, owner_id)
            if batch.state == "paused":
                batch.state = "open"
            result = session.execute(
                update(JobRow)
                .where(JobRow.batch_id == batch_id, JobRow.status == JobStatus.paused.value)
                .values(status=JobStatus.queued.value)
                .returning(JobRow.id)
            )
            return len(result.all())

    def cancel(self, batch_id: str, *, owner_id: str) -> int:
        """End all parts that have not ended; what is in stays in. Returns how many parts that were."""
        with self.db.write() as session:
            batch = _owned(session, batch_id, owner_id)
            batch.state, batch.expected = "cancelled", 0
            return cancel_all(session, JobRow.batch_id == batch_id)

    def retry(self, batch_id: str, *, owner_id: str) -> int:
        """Queue all parts again that failed or were cancelled. Returns how many parts that were."""
        with self.db.write() as session:
            batch = _owned(session, batch_id, owner_id)
            batch.state, batch.seen = "open", False
            ended = (JobStatus.failed.value, JobStatus.cancelled.value)
            parts = select(JobRow).where(JobRow.batch_id == batch_id, JobRow.status.in_(ended))
            busy = set(session.scalars(select(JobRow.document_id).where(JobRow.status.in_(OPEN))))
            rows = [row for row in session.scalars(parts.order_by(JobRow.created_at)) if row.document_id not in busy]
            rows = _one_each(session, batch_id, rows)
            for row in rows:
                start_over(row)
            wait_again(session, [row.document_id for row in rows if row.document_id])
            return len(rows)


def note(session: Session, batch_id: str, name: str, kind: str, sentence: str = "") -> None:
    """Remember a file of a batch that became no job: `kind` is refused or known."""
    session.execute(update(BatchRow).where(BatchRow.id == batch_id).values(touched_at=now()))
    session.add(BatchNoteRow(batch_id=batch_id, name=name[:LONGEST_NAME], kind=kind, sentence=sentence))


def _owned(session: Session, batch_id: str, owner_id: str) -> BatchRow:
    row = session.scalar(select(BatchRow).where(BatchRow.id == batch_id, BatchRow.owner_id == owner_id))
    if row is None:
        raise NotFound("There is no such batch.")
    return row


def _one_each(session: Session, batch_id: str, rows: Sequence[JobRow]) -> list[JobRow]:
    """One part for each document. Two files with the same bytes are one; if the first had failed before the second
    came, each became a part: the older one is then what it would have been if they had come at once, a known file."""
    last = {row.document_id or row.id: row for row in rows}
    for row in rows:
        if last[row.document_id or row.id] is not row:
            document = session.get(DocumentRow, row.document_id)
            name = document.name if document else ""
            note(session, batch_id, name, KNOWN, f"{name} came twice in this upload.")
            session.delete(row)
    return list(last.values())


def _did_not_arrive(number: int) -> str:
    what = "One file of this upload" if number == 1 else f"{number:,} files of this upload"
    return f"{what} did not arrive: it was broken off. Add all of them again; those that are here stay as they are."


def _batches(session: Session, rows: Sequence[BatchRow]) -> list[Batch]:
    """All figures of all these batches in two queries, however many parts they have."""
    if not rows:
        return []
    ids = [row.id for row in rows]
    sums = (
        func.count(), func.sum(JobRow.size), func.sum(JobRow.chunks), func.sum(JobRow.done),
        func.sum(JobRow.read_seconds), func.sum(JobRow.embed_seconds), func.max(JobRow.finished_at),
        func.min(JobRow.stage_at),
    )  # fmt: skip
    grouped = select(JobRow.batch_id, JobRow.status, JobRow.lane, *sums).where(JobRow.batch_id.in_(ids))
    parts: dict[str, list[Part]] = {id: [] for id in ids}
    for batch_id, *figures in session.execute(grouped.group_by(JobRow.batch_id, JobRow.status, JobRow.lane)):
        parts[str(batch_id)].append(Part(*figures))
    counted = select(BatchNoteRow.batch_id, BatchNoteRow.kind, func.count()).where(BatchNoteRow.batch_id.in_(ids))
    notes: dict[str, dict[str, Any]] = {id: {} for id in ids}
    for batch_id, kind, number in session.execute(counted.group_by(BatchNoteRow.batch_id, BatchNoteRow.kind)):
        notes[batch_id][kind] = number
    return [_batch(row, parts[row.id], notes[row.id]) for row in rows]


def _batch(row: BatchRow, parts: Sequence[Part], notes: dict[str, int]) -> Batch:
    count = {status: sum(part.jobs for part in parts if part.status == status) for status in (*OPEN, *FINAL)}
    left = sum(count[status] for status in OPEN)
    refused, known = notes.get(REFUSED, 0), notes.get(KNOWN, 0)
    arrived = sum(count.values()) + refused + known
    to_come = max(0, row.expected - arrived)
    ended = [part.finished_at for part in parts if part.finished_at is not None]
    status = "running" if left or to_come else "done"
    if not left and row.state == "cancelled":
        status = "cancelled"
    elif left and left == count[JobStatus.paused.value]:
        status = "paused"
    return Batch(
        id=row.id, name=row.name, status=status, total=arrived + to_come, done=count["done"],
        searchable=sum(part.jobs for part in parts if part.status in OPEN and part.lane != READ),
        failed=count["failed"], refused=refused, known=known, cancelled=count["cancelled"], left=left + to_come,
        seconds_left=seconds_left(parts) if status == "running" else None, created_at=row.created_at,
        finished_at=max(ended) if ended and not left and not to_come else None, to_come=to_come,
    )  # fmt: skip
