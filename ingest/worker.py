"""The queue's worker: claims jobs one after the other and sees each to its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from uuid import uuid4

from core.errors import Cancelled, GroundworkError, StorageBusy, StorageError
from core.jobs import Job, Jobs
from core.types import JobStatus
from ingest.intake import Intake
from ingest.lease import Lease
from ingest.presence import Presence, own_id

log = logging.getLogger(__name__)

IDLE = 0.3  # seconds between two looks into an empty queue
STORAGE_PAUSE = 2.0  # seconds before asking a full or locked database again


class Worker:
    """Works until `stop` is set; what it has in hand then goes back into the queue."""

    def __init__(self, jobs: Jobs, intake: Intake, presence: Presence, stop: threading.Event) -> None:
        self.jobs = jobs
        self.intake = intake
        self.presence = presence
        self.stop = stop
        self.id = own_id()

    def run(self) -> None:
        """Take over what dead workers left, then work until told to stop."""
        self.presence.announce(self.id)
        try:
            self._patiently(lambda: self.jobs.release_dead(self.presence.living()))
            while not self.stop.is_set():
                if not self.work_one():
                    self.stop.wait(IDLE)
        finally:
            self.presence.withdraw(self.id)

    def work_one(self) -> bool:
        """Work one job to its end; False when there is none."""
        try:
            job = self.jobs.claim(self.id)
        except StorageError as error:
            log.warning("the queue cannot be read: %s", error)
            self.stop.wait(STORAGE_PAUSE)
            return False
        if job is None:
            return False
        with Lease(self.jobs, job.id, self.id, self.stop) as lease:
            self._work(job, lease)
        return True

    def _work(self, job: Job, lease: Lease) -> None:
        try:
            if job.document_id is not None:
                self.intake.take_in(job.document_id, lease)
            self._finish(job, JobStatus.done)
        except Cancelled as error:
            if self.stop.is_set():
                self._release(job)
            else:
                self._finish(job, JobStatus.cancelled, str(error))
        except StorageBusy:
            self._release(job)  # nothing is wrong with the document: it waits for its next turn
            self.stop.wait(STORAGE_PAUSE)
        except GroundworkError as error:
            log.info("job %s failed: %s", job.id, error.code)
            self._finish(job, JobStatus.failed, str(error))
        except Exception:
            mark = uuid4().hex[:8]
            log.exception("job %s failed (%s)", job.id, mark)
            sentence = f"{job.document_name} could not be read because of an error in Groundwork (logged as {mark})."
            self._finish(job, JobStatus.failed, sentence)

    def _finish(self, job: Job, status: JobStatus, error: str = "") -> None:
        self._patiently(lambda: self.jobs.finish(job.id, self.id, status, error))

    def _release(self, job: Job) -> None:
        self._patiently(lambda: self.jobs.release(job.id, self.id))

    def _patiently(self, write: Callable[[], None]) -> None:
        """Write when the disk or the lock allows it. If we stop first, the lease runs out and another takes over."""
        while True:
            try:
                write()
                return
            except StorageError as error:
                log.warning("the database cannot be written to: %s", error)
            if self.stop.wait(STORAGE_PAUSE):
                return
