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

PATIENCE = 0.3  # seconds that documents wait for their first turn while answers are being written
# Times the seconds of their turn are the engine's before the next one. With 2.6 a first token took 1.48 times as long
# as without documents on an Intel, 1.63 times on an AMD; docs/serving.md has what it takes now.
SHARE = 4.0


class Pausable(Protocol):
    """An engine that stops between two of its steps; `pause` returns when none runs, whatever has become of it."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def share(self, documents: bool) -> None:
        """From now on documents want their turns, which come between steps; or no more."""


class Cores:
    """Turns for the engine (whenever it wants) and for ingest (when the engine rests, or after PATIENCE)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._engines: list[Pausable] = []
        self._working: set[int] = set()
        self._documents = False

    @property
    def engine_works(self) -> bool:
        return bool(self._working)

    def rule(self, engine: Pausable) -> None:
        """From now on this engine gives way to documents."""
        self._engines.append(engine)
        engine.share(self._documents)

    def documents(self, wait: bool) -> None:
        """Whether there are documents that wait for turns."""
        if wait != self._documents:
            self._documents = wait
            for engine in self._engines:
                engine.share(wait)

    def engine_begins(self, engine: Pausable) -> None:
        """The engine has something to do."""
        with self._changed:
            self._working.add(id(engine))

    def engine_rests(self, engine: Pausable) -> None:
        """The engine has no request left."""
        with self._changed:
            self._working.discard(id(engine))
            self._changed.notify_all()

    def dismiss(self, engine: Pausable) -> None:
        """The engine has ended."""
        self._engines = [other for other in self._engines if other is not engine]
        self.engine_rests(engine)

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
        for engine in self._engines:
            engine.pause()
        try:
            yield True
        finally:
            self.give_back()

    def give_back(self) -> None:
        """Let the engines go on; in the middle of a turn of documents it ends that turn early."""
        for engine in self._engines:
            engine.resume()

    def nudge(self) -> None:
        """Let a waiting ingest ask whether it is interrupted."""
        with self._changed:
            self._changed.notify_all()
