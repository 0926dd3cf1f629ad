"""Holding a job: a thread renews the lease, writes progress, and notices when the work is no longer wanted."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType

from sqlalchemy.orm import Session

from core.errors import Cancelled, StorageError
from core.jobs import Jobs
from core.leases import confirm
from core.storage.tables import JobRow

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5  # seconds between two looks at whether somebody cancelled
WRITE_EVERY = 1.0  # at most, while there is news
RENEW_EVERY = 8.0  # without news; the lease itself lasts 30 s


class Lease:
    """For the time of a `with` block. The work calls `report` and `check`, which raise Cancelled when it must stop."""

    def __init__(self, jobs: Jobs, job_id: str, worker: str, stop: threading.Event) -> None:
        self.jobs = jobs
        self.job_id = job_id
        self.worker = worker
        self.stop = stop
        self._progress = ("", 0, 0)
        self._reason = ""
        self._wake = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._hold, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over = True
        self._wake.set()
        self._thread.join()

    def report(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Say what is being done, `done` of `total` of it (0 of 0 when unknown). Raises Cancelled."""
        new_stage = stage != self._progress[0]
        self._progress = (stage, done, total)
        if new_stage:
            self._wake.set()
        self.check()

    def ended(self) -> bool:
        """Whether the work must stop: somebody cancelled it, the lease is lost, or the worker is to end."""
        return bool(self._reason) or self.stop.is_set()

    def check(self) -> None:
        """Raise Cancelled when the work must stop."""
        if self.ended():
            raise Cancelled(self._reason or "The worker is to stop.")

    def confirm(self, session: Session) -> JobRow:
        """The job, in the transaction that stores what was made of it. Raises Cancelled when it is no longer ours."""
        return confirm(session, self.job_id, self.worker)

    def wait(self, seconds: float) -> None:
        """Do nothing for a while. Raises Cancelled."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            self.stop.wait(LOOK_EVERY / 2)
        self.check()

    def _hold(self) -> None:
        written, moment = ("", -1, -1), time.monotonic()
        while not self._over:
            progress, age = self._progress, time.monotonic() - moment
            due = WRITE_EVERY if progress != written else RENEW_EVERY
            try:
                if progress[0] != written[0] or age > due:
                    self.jobs.progress(self.job_id, self.worker, stage=progress[0], done=progress[1], total=progress[2])
                    written, moment = progress, time.monotonic()
                elif not self.jobs.held(self.job_id, self.worker):
                    self._reason = "The job was cancelled, paused, taken over or removed."
            except Cancelled as error:
                self._reason = str(error)
            except StorageError:
                log.warning("the lease of job %s could not be renewed; trying again", self.job_id)
            if self._reason:
                return
            self._wake.wait(LOOK_EVERY)
            self._wake.clear()
