"""Changing the embedding model: the vectors of the new one are built beside those that serve, until it takes over."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import Conflict
from core.jobs import EMBED, OPEN, Job, Jobs
from core.leases import job_of
from core.retrieval.serving import DECLINED, REBUILD, SERVING, WANTED, lacking, serving, take_over
from core.storage.db import Database
from core.storage.tables import JobRow, PreferenceRow, VectorRow

LAST = -10  # priority: documents that were just added go before


@dataclass(frozen=True, slots=True)
class RebuildStatus:
    """`serving` answers questions; `wanted` is what the settings say; `job`, if any, brings the one to the other."""

    serving: str
    wanted: str
    job: Job | None

    @property
    def needed(self) -> bool:
        return self.serving != self.wanted


class Rebuilds:
    """For a page that shows the change, steers it and can go back on it."""

    def __init__(self, db: Database, jobs: Jobs, wanted: str) -> None:
        self.db = db
        self.jobs = jobs
        self.wanted = wanted

    def status(self) -> RebuildStatus:
        with self.db.read() as session:
            row = _open(session)
            return RebuildStatus(serving(session, self.wanted), self.wanted, job_of(row, "") if row else None)

    def begin(self, *, owner_id: str) -> str | None:
        """Queue the change and return its job; None when there is nothing to change. Raises Conflict while one runs."""
        with self.db.write() as session:
            if _open(session) is not None:
                raise Conflict("The index is being rebuilt already.")
            declined = session.get(PreferenceRow, DECLINED)
            if declined is not None:
                session.delete(declined)
            return self._submit(session, owner_id)

    def begin_if_needed(self, *, owner_id: str) -> None:
        """At the start of a worker: begin, unless somebody cancelled just this change before."""
        with self.db.write() as session:
            declined = session.get(PreferenceRow, DECLINED)
            if _open(session) is None and not (declined is not None and declined.value == self.wanted):
                self._submit(session, owner_id)

    def cancel(self, *, owner_id: str) -> None:
        """Stay with the model that serves, and forget what was built of the other one."""
        with self.db.write() as session:
            row = _open(session)
            id = row.id if row is not None else ""
        if id:
            self.jobs.cancel(id, owner_id=owner_id)

    def _submit(self, session: Session, owner_id: str) -> str | None:
        if serving(session, self.wanted) == self.wanted:
            session.merge(PreferenceRow(name=SERVING, value=self.wanted))
            return None
        if session.scalar(select(VectorRow.chunk_id).limit(1)) is None and not lacking(session, self.wanted):
            take_over(session, self.wanted)
            return None
        session.merge(PreferenceRow(name=WANTED, value=self.wanted))
        session.merge(PreferenceRow(name=SERVING, value=serving(session, self.wanted)))
        id = self.jobs.submit(session, kind=REBUILD, owner_id=owner_id, document_id=None, lane=EMBED)
        session.get_one(JobRow, id).priority = LAST
        return id


def _open(session: Session) -> JobRow | None:
    return session.scalars(select(JobRow).where(JobRow.kind == REBUILD, JobRow.status.in_(OPEN)).limit(1)).first()
