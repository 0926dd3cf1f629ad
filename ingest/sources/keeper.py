"""Two threads of the ingest worker that keep sources followed: one for sites, whose pages take their time, one for
folders, which have to be followed within a minute whatever the sites do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from filelock import FileLock, Timeout
from sqlalchemy import or_, select

from core.documents import Documents
from core.errors import Cancelled, GroundworkError, StorageBusy, StorageError
from core.sources.types import FOLDER, WEB
from core.storage.db import Database
from core.storage.tables import SourceRow, now
from ingest.sources import queue
from ingest.sources.folder import FolderLook
from ingest.sources.patience import Patience
from ingest.sources.settle import settle
from ingest.sources.site import SiteLook, Step

log = logging.getLogger(__name__)
Result = TypeVar("Result")

SCAN_SECONDS = 10.0  # between two looks at a folder
SLOW_SHARE = 5  # a folder that takes a second to look through is left alone for five
LONGEST_PAUSE = 40.0
IDLE_SECONDS = 1.0
STORAGE_PAUSE = 5.0
LONGEST_WAIT = 300.0  # between two tries with a source that could not be followed
LOCK_SECONDS = 5.0  # between two tries to become the keeper when another worker is
SETTLE_SECONDS = 3.0  # between two looks for documents that nothing needs any more
CHECK_SECONDS = 1.0  # how often a look in progress asks whether it is still wanted


class Keeper:
    """Follows all sources until `stop` is set. Of several workers on one data folder only one does."""

    def __init__(
        self, db: Database, documents: Documents, sites: SiteLook, folders: FolderLook, *, run: Path,
        stop: threading.Event, settle_seconds: float = SETTLE_SECONDS,
    ) -> None:  # fmt: skip
        self.db = db
        self.documents = documents
        self.sites = sites
        self.folders = folders
        self.stop = stop
        self.run = run
        self.settle_seconds = settle_seconds
        self._lock = FileLock(run / "sources.lock", thread_local=False)
        self._settle_at = 0.0
        self._scan_at: dict[str, float] = {}
        self._ask_at: dict[str, float] = {}  # by host
        self._patience = Patience(first=STORAGE_PAUSE, longest=LONGEST_WAIT)  # with sources
        self._told: dict[str, str] = {}  # what was written down as wrong with a source that is tried again

    def start(self) -> None:
        """Begin in the background; the threads end with `stop` or with the process."""
        threading.Thread(target=self._keep, name="sources", daemon=True).start()

    def try_lock(self) -> bool:
        """Become the keeper, unless another process is."""
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except (Timeout, OSError):
            return False
        return True

    def release(self) -> None:
        self._lock.release()

    def _keep(self) -> None:
        while not self.try_lock():
            if self.stop.wait(LOCK_SECONDS):
                return
        try:
            sites = threading.Thread(target=self._repeat, args=(self.turn_of_sites,), name="sites", daemon=True)
            sites.start()
            self._repeat(self.turn_of_folders)
            sites.join()
        finally:
            self.release()

    def _repeat(self, turn: Callable[[], bool]) -> None:
        """The job edge of turns, as `_guarded` is that of looks: whatever goes wrong in one, there is a next."""
        while not self.stop.is_set():
            try:
                busy = turn()
            except (StorageError, OSError) as error:
                log.warning("sources have to wait: %s", error)
                self.stop.wait(STORAGE_PAUSE)
                continue
            except GroundworkError as error:
                log.warning("sources could not be followed: %s", error)
                busy = False
            except Exception:
                log.exception("a turn of following sources failed")
                self.stop.wait(STORAGE_PAUSE)
                continue
            if not busy:
                self.stop.wait(IDLE_SECONDS)

    # --- one turn each ---

    def turn_of_folders(self, *, due_only: bool = True) -> bool:
        """Look at the folders whose time has come, and let go of what no source has any more."""
        busy = False
        for source_id, wanted in self._folders():
            if self.stop.is_set():
                return False
            early = not wanted and time.monotonic() < self._scan_at.get(source_id, 0.0)
            if due_only and (early or self._patience.waits(source_id)):
                continue
            began = time.monotonic()
            more = self._guarded(source_id, partial(self.folders.look, source_id, self._ended(source_id))) or False
            took = time.monotonic() - began
            pause = 0.0 if more else min(max(SCAN_SECONDS, SLOW_SHARE * took), LONGEST_PAUSE)
            self._scan_at[source_id] = time.monotonic() + pause
            busy = busy or more
        if time.monotonic() >= self._settle_at:
            settle(self.db, self.documents)
            self._settle_at = time.monotonic() + self.settle_seconds
        return busy

    def turn_of_sites(self) -> bool:
        """Ask one page of every site that is due, whose host may be asked again."""
        busy = False
        for source_id, address, looking, wanted in self._due_sites():
            if self.stop.is_set():
                return False
            host = urlsplit(address).netloc
            if self._patience.waits(source_id) or time.monotonic() < self._ask_at.get(host, 0.0):
                continue
            step = self._guarded(source_id, partial(self._ask, source_id, wanted or not looking))
            wait = self.sites.robots.delay_of(address) if step is None else step.wait
            self._ask_at[host] = max(self._ask_at.get(host, 0.0), time.monotonic() + wait)
            busy = busy or (step is not None and not step.wait)
        return busy

    def _ask(self, source_id: str, new: bool) -> Step:
        if new:
            self.sites.begin(source_id)
        return self.sites.step(source_id, self._ended(source_id))

    def _guarded(self, source_id: str, work: Callable[[], Result]) -> Result | None:
        """The job edge of looks: whatever goes wrong with one, the others are followed on, and its source says so."""
        try:
            done = work()
        except Cancelled:
            return None
        except GroundworkError as error:
            log.warning("source %s has to wait: %s", source_id, error)
            self._patience.failed(source_id)
            if not isinstance(error, StorageBusy):
                self._tell(source_id, str(error))
            return None
        except Exception:
            mark = uuid4().hex[:8]
            log.exception("source %s failed [%s]", source_id, mark)
            self._tell(source_id, f"Something went wrong inside Groundwork. The log names it {mark}.", ends=True)
            return None
        if self._patience.forget(source_id):
            self._tell(source_id, "")
        return done

    def _tell(self, source_id: str, error: str, *, ends: bool = False) -> None:
        """Write down what is wrong with a source, as far as that can be written; "" takes back what was told last."""
        before = self._told.pop(source_id, "")
        try:
            with self.db.write() as session:
                if (row := session.get(SourceRow, source_id)) is None:
                    return
                if ends:
                    queue.fail(session, row, error)
                    row.wanted = False
                elif error:
                    row.error = self._told[source_id] = error
                elif row.error == before:
                    row.error = ""
        except StorageError as problem:
            log.warning("source %s cannot be written to: %s", source_id, problem)

    def _folders(self) -> list[tuple[str, bool]]:
        query = select(SourceRow.id, SourceRow.wanted).where(SourceRow.kind == FOLDER, ~SourceRow.paused)
        with self.db.read() as session:
            return [(id, wanted) for id, wanted in session.execute(query.order_by(SourceRow.created_at))]

    def _due_sites(self) -> list[tuple[str, str, bool, bool]]:
        """Id, an address of its host, whether it is looked at already, and whether somebody wants that."""
        due = or_(SourceRow.wanted, SourceRow.looking, SourceRow.next_at <= now())
        query = (
            select(SourceRow.id, SourceRow.base, SourceRow.address, SourceRow.looking, SourceRow.wanted)
            .where(SourceRow.kind == WEB, ~SourceRow.paused, due)
            .order_by(SourceRow.created_at)
        )
        with self.db.read() as session:
            return [
                (id, base or address, looking, wanted) for id, base, address, looking, wanted in session.execute(query)
            ]

    def _ended(self, source_id: str) -> Callable[[], bool]:
        """Whether the look must end: the process stops, or somebody paused, cancelled or removed the source."""
        checked, ended = time.monotonic(), False

        def look() -> bool:
            nonlocal checked, ended
            if time.monotonic() - checked > CHECK_SECONDS:
                checked = time.monotonic()
                with self.db.read() as session:
                    row = session.get(SourceRow, source_id)
                    ended = row is None or row.paused or (row.kind == WEB and not row.looking)
            return ended or self.stop.is_set()

        return look
