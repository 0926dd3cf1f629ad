"""Many files at once: taken in by a thread, so that whoever sends them may go away and everybody sees how far it is."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from core.batches import Batches
from core.documents import Documents
from core.errors import BadUpload, Conflict, GroundworkError
from core.names import clean_name

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An uploaded file that is not stored yet."""

    name: str
    content: BinaryIO


class Arrivals:
    """Makes a batch of many uploads. What is stored stays, whatever ends the process; what is missing is said."""

    def __init__(self, documents: Documents, batches: Batches) -> None:
        self.documents = documents
        self.batches = batches
        self._threads: list[threading.Thread] = []

    def take(self, files: Iterable[Arrival], *, owner_id: str, collection_id: str | None = None) -> str:
        """Begin a batch of these files and return its id at once; they are stored one after the other."""
        waiting = deque(files)
        batch_id = self.batches.begin(owner_id=owner_id, expected=len(waiting))
        thread = threading.Thread(
            target=self._store, args=(waiting, batch_id, owner_id, collection_id), name="arrivals", daemon=True
        )
        self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        thread.start()
        return batch_id

    def wait_idle(self, seconds: float) -> bool:
        """Wait until everything is stored that was taken; False when the time was not enough."""
        for thread in self._threads:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._threads)

    def _store(self, waiting: deque[Arrival], batch_id: str, owner_id: str, collection_id: str | None) -> None:
        while waiting:
            file = waiting.popleft()  # its memory is free as soon as it is stored
            try:
                self._store_one(file, batch_id, owner_id, collection_id)
            except Conflict:  # the batch was cancelled
                self.batches.refuse(batch_id, "", _left_out(len(waiting) + 1), owner_id=owner_id)
                return
            except GroundworkError as error:  # nothing can be written down; the sweep says later what is missing
                log.warning("a batch was not taken in to its end: %s", error)
                return
        self.batches.complete(batch_id, owner_id=owner_id)

    def _store_one(self, file: Arrival, batch_id: str, owner_id: str, collection_id: str | None) -> None:
        """Store a file, or else note why not. Raises Conflict when the batch was cancelled."""
        try:
            self.documents.add(
                file.content, name=file.name, owner_id=owner_id, collection_id=collection_id, batch_id=batch_id
            )
        except (BadUpload, Conflict) as error:  # the former is noted already
            if isinstance(error, Conflict):
                raise
        except GroundworkError as error:
            self.batches.refuse(batch_id, clean_name(file.name), str(error), owner_id=owner_id)


def _left_out(number: int) -> str:
    what = "One more file was" if number == 1 else f"{number:,} more files were"
    return f"{what} not taken in, because this was cancelled. Add all of them again; known ones are passed over."
