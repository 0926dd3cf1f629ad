"""The ruler over the cores: the engine and the embedding of documents take turns instead of disturbing each other.

Both compute with as many threads as there are cores, and each step ends when its last thread does: with two of them
on one core both are slowed down by more than half. So only one computes at a time, and a person waiting for an answer
goes first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 0.3  # seconds; how long documents wait for their turn while answers are being written


class Cores:
    """Turns for the engine (whenever it wants) and for ingest (when the engine rests, or after PATIENCE)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self._overdue = False
        self.engine_works = False  # also between two steps

    @contextmanager
    def engine(self) -> Iterator[None]:
        """One step of the engine; it counts as working until it says that it rests."""
        with self._changed:
            self.engine_works = True
            self._changed.wait_for(lambda: not self._taken and not self._overdue)
            self._taken = True
        with self._given_back():
            yield

    def engine_rests(self) -> None:
        """The engine has no request left."""
        with self._changed:
            self.engine_works = False
            self._changed.notify_all()

    @contextmanager
    def ingest(self, due: float, interrupted: Callable[[], bool]) -> Iterator[bool]:
        """One batch of documents: when the engine rests, or at `due` by the monotonic clock, after its step.

        Yields False, and gives no turn, as soon as `interrupted` (asked again after every `nudge`).
        """
        with self._changed:
            seconds = max(0.0, due - time.monotonic())
            resting = self._changed.wait_for(
                lambda: interrupted() or not (self._taken or self.engine_works), timeout=seconds
            )
            if not resting:
                self._overdue = True
                self._changed.wait_for(lambda: interrupted() or not self._taken)
                self._overdue = False
            if interrupted():
                self._changed.notify_all()
                granted = False
            else:
                granted = self._taken = True
        if not granted:
            yield False
            return
        with self._given_back():
            yield True

    def nudge(self) -> None:
        """Let a waiting ingest ask whether it is interrupted."""
        with self._changed:
            self._changed.notify_all()

    @contextmanager
    def _given_back(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()
