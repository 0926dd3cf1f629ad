"""The queue's worker: lanes that read and one that embeds, so that no document waits for another's vectors."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from core.errors import Cancelled, GroundworkError, MachineBusy, StorageBusy, StorageError, StorageFull
from core.jobs import EMBED, READ, Job, Jobs
from core.living import own_id
from core.retrieval.serving import REBUILD, RECUT
from core.types import JobStatus
from ingest.intake import Intake
from ingest.lease import Lease
from ingest.presence import Presence

log = logging.getLogger(__name__)

IDLE = 0.3  # seconds between two looks into an empty queue
STORAGE_PAUSE = 2.0  # seconds before asking a full or locked database again
FULL_PAUSE = 10.0  # seconds before trying again what the disk or the memory had no room for
NO_ROOM = "waiting for room on the disk"
NO_PROCESS = "waiting until this machine has room for it"
DEAD_EVERY = 5.0  # seconds between two looks for workers that died
# Added to the worker's id in these lanes: each lane holds its jobs apart.
AT_EMBEDDING, AT_READING = "/embed", "/read"
# While one document is split and stored, the child of another one reads; and a long scan holds up nothing behind it.
MOST_READERS = 2
READERS = min(MOST_READERS, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class _Lane:
    name: str
    holder: str
    work: Callable[[str, Lease], None]
    ends: bool  # whether a job is done with it; else it goes on to the next lane


class Worker:
    """Works until `stop` is set; what it has in hand then goes back into the queue."""

    def __init__(
        self, jobs: Jobs, intake: Intake, presence: Presence, stop: threading.Event, *, readers: int = READERS
    ) -> None:  # fmt: skip
        self.jobs = jobs
        self.presence = presence
        self.stop = stop
        self.id = own_id()
        self.reading = _Lane(READ, self.id, intake.read, ends=False)
        self.beside = [
            _Lane(READ, f"{self.id}{AT_READING}{number}", intake.read, ends=False) for number in range(1, readers)
        ]
        self.embedding = _Lane(EMBED, self.id + AT_EMBEDDING, intake.embed, ends=True)
        self.splitter = intake.options.splitter
        self.rebuild, self.recut = intake.rebuild, intake.recut
        self._looked = 0.0

    def run(self) -> None:
        """Take over what dead workers left, then work until told to stop."""
        self.presence.announce(self.id)
        beside = [
            threading.Thread(target=self._keep_working, args=(lane,), name=f"lane-{lane.holder}")
            for lane in (*self.beside, self.embedding)
        ]
        try:
            self._patiently(self._release_dead)
            for thread in beside:
                thread.start()
            self._keep_working(self.reading)
            for thread in beside:
                thread.join()
        finally:
            self.stop.set()  # whatever ended this lane: a process that goes on without it is not started again
            self.presence.withdraw(self.id)

    def work_one(self) -> bool:
        """Work one job in each lane; False when there is none."""
        read = self._work_next(self.reading)
        return self._work_next(self.embedding) or read

    def _keep_working(self, lane: _Lane) -> None:
        """The last edge of a lane: what is wrong beside its jobs is logged, and it goes on a moment later."""
        while not self.stop.is_set():
            try:
                pause = 0.0 if self._work_next(lane) else IDLE
            except Exception:
                log.exception("the lane %s was interrupted", lane.holder)
                pause = STORAGE_PAUSE
            self.stop.wait(pause)

    def _work_next(self, lane: _Lane) -> bool:
        try:
            if lane is self.reading and time.monotonic() > self._looked + DEAD_EVERY:
                self._release_dead()
            job = self.jobs.claim(lane.holder, lane.name)
        except StorageError as error:
            log.warning("the queue cannot be read: %s", error)
            self.stop.wait(STORAGE_PAUSE)
            return False
        if job is None:
            return False
        try:
            with Lease(self.jobs, job.id, lane.holder, self.stop) as lease:
                self._work(job, lane, lease)
        except Exception:  # beside the work: the lease has got no thread, or the end could not be written down
            self._release(job, lane)
            raise
        return True

    def _work(self, job: Job, lane: _Lane, lease: Lease) -> None:
        try:
            if job.kind == REBUILD:
                if not self.rebuild(lease):
                    return  # it is in the line again
            elif job.kind == RECUT and job.document_id is not None:
                self.recut(job.document_id, lease)
            elif job.document_id is not None:
                lane.work(job.document_id, lease)
            if lane.ends or job.document_id is None:
                self._finish(job, lane, JobStatus.done)
        except Cancelled:
            self._release(job, lane)  # it is ours no more, unless the worker is to stop
        except StorageBusy:
            self._release(job, lane)  # nothing is wrong with the document: it waits for its next turn
            self.stop.wait(STORAGE_PAUSE)
        except (StorageFull, MachineBusy) as error:
            log.warning("job %s has to wait: %s", job.id, error)
            with suppress(Cancelled):
                lease.report(NO_ROOM if isinstance(error, StorageFull) else NO_PROCESS)
                lease.wait(FULL_PAUSE)
            self._release(job, lane)
        except GroundworkError as error:
            log.info("job %s failed: %s", job.id, error.code)
            self._finish(job, lane, JobStatus.failed, str(error))
        except Exception:
            mark = uuid4().hex[:8]
            log.exception("job %s failed (%s)", job.id, mark)
            sentence = f"{job.document_name} could not be read because of an error in Groundwork (logged as {mark})."
            self._finish(job, lane, JobStatus.failed, sentence)

    def _release_dead(self) -> None:
        living = {*self.presence.living(), self.id}  # whatever became of the file that says so
        lanes = ("", AT_EMBEDDING, *(f"{AT_READING}{number}" for number in range(1, MOST_READERS)))
        self.jobs.release_dead([worker + lane for worker in living for lane in lanes])
        self._looked = time.monotonic()

    def _finish(self, job: Job, lane: _Lane, status: JobStatus, error: str = "") -> None:
        self._patiently(lambda: self.jobs.finish(job.id, lane.holder, status, error))

    def _release(self, job: Job, lane: _Lane) -> None:
        self._patiently(lambda: self.jobs.release(job.id, lane.holder))

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
