"""A lock that many may hold to read, or one to change."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Who wants to change waits for those who read now; new readers wait behind it, so that it comes to its turn."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers = 0
        self.wanted = False  # somebody changes, or waits for it

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self.wanted)
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                self._condition.notify_all()

    @contextmanager
    def changing(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self.wanted)
            self.wanted = True
            self._condition.wait_for(lambda: not self._readers)
        try:
            yield
        finally:
            with self._condition:
                self.wanted = False
                self._condition.notify_all()
