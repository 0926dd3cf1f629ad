"""Many files at once: taken in by a thread, so that whoever sends them may go away and everybody sees how far it is."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from core.batches import Batches
from core.documents import Documents
from core.errors import BadUpload, Conflict, GroundworkError, StorageError
from core.names import clean_name

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # between two tries with a disk or a database that cannot take a file now
PATIENCE = 300.0  # seconds for which that is tried with each file; its upload is in memory for as long


@dataclass(frozen=True, slots=True)
class Arrival:
    """An uploaded file that is not stored yet."""

    name: str
    content: BinaryIO


@dataclass(frozen=True, slots=True)
class _Home:
    """Where files go."""

    batch_id: str
    owner_id: str
    collection_id: str | None


class Arrivals:
    """Makes a batch of many uploads. What is stored stays, whatever ends the process; what is missing is said."""

    def __init__(self, documents: Documents, batches: Batches) -> None:
        self.documents = documents
        self.batches = batches
        self._threads: list[threading.Thread] = []
        self._in_hand: set[str] = set()
        self._closing = threading.Event()  # nobody waits for the disk any more
        self._closed = threading.Event()  # nothing more is stored

    def take(self, files: Iterable[Arrival], *, owner_id: str, collection_id: str | None = None) -> str:
        """Begin a batch of these files and return its id at once; they are stored one after the other."""
        waiting = deque(files)
        home = _Home(self.batches.begin(owner_id=owner_id, expected=len(waiting)), owner_id, collection_id)
        thread = threading.Thread(target=self._store, args=(waiting, home), name="arrivals", daemon=True)
        self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        thread.start()
        return home.batch_id

    def in_hand(self) -> frozenset[str]:
        """The batches of which files are still in memory here, though it may be long that none could be stored."""
        return frozenset(self._in_hand)

    def wait_idle(self, seconds: float) -> bool:
        """Wait until everything is stored that was taken; False when the time was not enough."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def close(self, seconds: float) -> None:
        """Store within this time what has arrived, and write down in a moment more what was not stored."""
        self._closing.set()
        if not self.wait_idle(seconds):
            self._closed.set()
            self.wait_idle(1.0)

    def _store(self, waiting: deque[Arrival], home: _Home) -> None:
        self._in_hand.add(home.batch_id)
        try:
            # Where not even a note could be written, the batch stays open: then the sweep says what did not arrive.
            if self._store_all(waiting, home):
                self._patiently(lambda: self.batches.complete(home.batch_id, owner_id=home.owner_id))
        except (GroundworkError, OSError) as error:
            log.warning("the end of a batch could not be written down: %s", error)
        finally:
            self._in_hand.discard(home.batch_id)

    def _store_all(self, waiting: deque[Arrival], home: _Home) -> bool:
        """Store file after file; whether all that is missing was written down."""
        told = True
        while waiting and not self._closed.is_set():
            file = waiting.popleft()  # its memory is free as soon as it is stored
            try:
                self._store_one(file, home)
            except Conflict:  # the batch was cancelled
                return self._note(home, "", _left_out(len(waiting) + 1))
            except (GroundworkError, OSError) as error:
                if self._closing.is_set():
                    waiting.appendleft(file)
                    break
                log.warning("a file of a batch was not taken in: %s", error)
                told = self._note(home, clean_name(file.name), _sentence(file, error)) and told
        if waiting:
            told = self._note(home, "", _ended(len(waiting))) and told
        return told

    def _store_one(self, file: Arrival, home: _Home) -> None:
        """Store a file. Raises Conflict when the batch was cancelled; what is wrong with the file itself is noted."""

        def add() -> None:
            file.content.seek(0)
            self.documents.add(
                file.content, name=file.name, owner_id=home.owner_id, collection_id=home.collection_id,
                batch_id=home.batch_id,
            )  # fmt: skip

        try:
            self._patiently(add)
        except BadUpload:
            return  # `add` has noted it

    def _note(self, home: _Home, name: str, sentence: str) -> bool:
        """Write down what was not taken in; False where not even that can be written."""
        try:
            self._patiently(lambda: self.batches.refuse(home.batch_id, name, sentence, owner_id=home.owner_id))
            return True
        except (GroundworkError, OSError) as error:
            log.warning("what is missing of a batch could not be written down: %s", error)
            return False

    def _patiently(self, write: Callable[[], object]) -> None:
        """Do it when the disk and the database can. Raises what stands against it when PATIENCE ends, or we do."""
        end, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            try:
                write()
                return
            except (StorageError, OSError) as error:
                if time.monotonic() > end or self._closing.wait(pause):
                    raise
                log.warning("a batch of files waits: %s", error)
                pause = min(2 * pause, LONGEST_PAUSE)


def _sentence(file: Arrival, error: GroundworkError | OSError) -> str:
    if isinstance(error, GroundworkError):
        return str(error)
    reason = error.strerror or type(error).__name__
    return f"{clean_name(file.name)} could not be stored: {reason}. Check the disk of the data folder and add it again."


def _left_out(number: int) -> str:
    return _missing(number, "this was cancelled")


def _ended(number: int) -> str:
    return _missing(number, "Groundwork was ended")


def _missing(number: int, reason: str) -> str:
    what = "One more file was" if number == 1 else f"{number:,} more files were"
    return f"{what} not taken in, because {reason}. Add all of them again; known ones are passed over."
