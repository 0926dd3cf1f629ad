"""Models are asked beside the search, and not waited for long: one that hangs must not stop what needs no model."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

SECONDS = 2.0  # that a search waits for a model
AT_ONCE = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """Something that is being done beside; `future` is None where it was not begun."""

    name: str
    future: Future[T] | None

    def wait(self, seconds: float = SECONDS) -> T | None:
        """What came of it; None when it was not begun or does not end in time. Raises what it raised."""
        if self.future is None:
            return None
        try:
            return self.future.result(timeout=seconds)
        except TimeoutError:
            if self.future.done():  # just now, or it was its own error
                return self.future.result()
            log.warning("%s: no answer in %.1f s; the search goes on without it", self.name, seconds)
            return None


class Beside:
    """Threads for questions to one model. While all of them wait for it, no more are begun. Thread-safe."""

    def __init__(self, name: str, at_once: int = AT_ONCE) -> None:
        self.name = name
        self._free = threading.Semaphore(at_once)
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix=name)

    def submit(self, ask: Callable[[], T]) -> Asked[T]:
        """Begin it, if there is a thread for it."""
        if not self._free.acquire(blocking=False):
            log.warning("%s: the model server hangs; the search goes on without it", self.name)
            return Asked(self.name, None)
        future = self._threads.submit(ask)
        future.add_done_callback(lambda _: self._free.release())
        return Asked(self.name, future)
