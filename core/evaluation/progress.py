"""How far a measurement is: told to whoever looks, on a terminal or on a page."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import Cancelled

LINE_SECONDS = 15.0  # between two lines where no terminal could write over the last one
WIDTH = 78


class Watch(Protocol):
    """Gets told the progress; raises Cancelled when somebody wants no more of it."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


@dataclass(slots=True)
class Pace:
    """Estimates the seconds that are left of a stage from how long its share took."""

    stage: str = ""
    began: float = 0.0
    first: int = 0

    def left(self, stage: str, done: int, total: int) -> float | None:
        """None while nothing can be said; what was done before the first call does not count as fast work."""
        now = time.monotonic()
        if stage != self.stage or done < self.first:
            self.stage, self.began, self.first = stage, now, done
        worked = done - self.first
        return (now - self.began) / worked * (total - done) if worked > 0 else None


def in_words(seconds: float) -> str:
    """A time that is left, as people say it."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min left"


@dataclass(slots=True)
class Terminal:
    """Progress on the standard error: one line that changes, or a line now and then for a file."""

    pace: Pace = field(default_factory=Pace)
    told: float = 0.0
    last: str = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        left = self.pace.left(stage, done, total)
        line = f"{stage}: {done:,} of {total:,}" + (f", {in_words(left)}" if left is not None and done < total else "")
        now = time.monotonic()
        if sys.stderr.isatty():
            sys.stderr.write("\r" + line.ljust(WIDTH)[:WIDTH] + ("\n" if done >= total else ""))
            sys.stderr.flush()
        elif line != self.last and (now - self.told > LINE_SECONDS or done >= total or self.last == ""):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
            self.told = now
        self.last = line


@dataclass(slots=True)
class Stoppable:
    """Passes progress on to `told` until `cancel` is set."""

    told: Watch
    cancel: threading.Event

    def __call__(self, stage: str, done: int, total: int) -> None:
        if self.cancel.is_set():
            raise Cancelled("The measurement was stopped.")
        self.told(stage, done, total)
