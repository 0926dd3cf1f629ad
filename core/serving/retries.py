"""A start that failed for want of something that may come back, memory above all, is tried again."""

from __future__ import annotations

import threading
from collections.abc import Callable

RETRIES = (1.0, 2.0, 5.0, 10.0, 20.0)  # seconds before each


class Retries:
    """Counts how often in a row the same start was tried again."""

    def __init__(self) -> None:
        self._count = 0

    def later(self, again: Callable[[], object]) -> float:
        """Call `again` in a while; returns in how many seconds, 0 when it has been tried often enough."""
        if self._count >= len(RETRIES):
            return 0.0
        seconds, self._count = RETRIES[self._count], self._count + 1
        timer = threading.Timer(seconds, again)
        timer.daemon = True  # the server may end before
        timer.start()
        return seconds

    def reset(self) -> None:
        """It worked, or somebody wants it anew."""
        self._count = 0
