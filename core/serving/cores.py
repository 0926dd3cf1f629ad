"""The ruler over the cores: answers and the embedding of documents take turns instead of disturbing each other.

Both compute with as many threads as there are cores, and each step ends when its last thread does: with two of them
on one core both are slowed down by more than half. So only one computes at a time. A person waiting for an answer goes
first, then a question that is embedded (which takes milliseconds and runs beside), then reranking, and documents get
their turn in any case before long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

PATIENCE = 0.3  # seconds; how long documents wait for their turn while answers are being written


class Pausable(Protocol):
    """An engine that stops between two of its steps; `pause` returns when none runs, whatever has become of it."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Cores:
    """Turns for the engine (whenever it wants) and for ingest (when the engine rests, or after PATIENCE)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._engine: Pausable | None = None
        self.engine_works = False

    def rule(self, engine: Pausable) -> None:
        """The engine that gives way to documents."""
        self._engine = engine

    def engine_begins(self) -> None:
        """The engine has something to do."""
        with self._changed:
            self.engine_works = True

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
            self._changed.wait_for(
                lambda: interrupted() or not self.engine_works, timeout=max(0.0, due - time.monotonic())
            )
        if interrupted():
            yield False
            return
        if self._engine:
            self._engine.pause()
        try:
            yield True
        finally:
            if self._engine:
                self._engine.resume()

    def nudge(self) -> None:
        """Let a waiting ingest ask whether it is interrupted."""
        with self._changed:
            self._changed.notify_all()
