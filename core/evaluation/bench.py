"""Measurements in the background: one at a time, in a thread that outlives the page that started it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core.errors import Cancelled, Conflict, GroundworkError
from core.evaluation.progress import Pace
from core.evaluation.runs import RunBook
from core.storage.db import Database

log = logging.getLogger(__name__)

UNEXPECTED = "Something went wrong inside Groundwork, and the log has it. What was measured is kept."


@dataclass
class LiveRun:
    """A measurement that goes on, or has ended; pages only read it, and may cancel it. `error` is for people."""

    title: str
    run_id: str = ""
    stage: str = "Starting"
    done: int = 0
    total: int = 0
    active: bool = True
    error: str = ""
    seconds_left: float | None = None
    began: float = field(default_factory=time.monotonic)
    cancel: threading.Event = field(default_factory=threading.Event)
    _pace: Pace = field(default_factory=Pace)

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.stage, self.done, self.total = stage, done, total
        self.seconds_left = self._pace.left(stage, done, total)

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0


Work = Callable[[LiveRun], None]


class Evaluations:
    """Starts measurements and keeps the last one; `book` has all that were stored."""

    def __init__(self, db: Database) -> None:
        self.book = RunBook(db)
        self.live: LiveRun | None = None
        self._lock = threading.Lock()

    def start(self, title: str, work: Work) -> LiveRun:
        """Begin `work` in a thread. Raises Conflict while another measurement goes on, which it would disturb."""
        with self._lock:
            if self.live and self.live.active:
                raise Conflict(f"{self.live.title} is being measured. Wait until that is done, or stop it.")
            self.live = LiveRun(title)
        threading.Thread(target=self._run, args=(self.live, work), name="evaluation", daemon=True).start()
        return self.live

    def close(self) -> None:
        """Stop what goes on; what it has is kept."""
        if self.live:
            self.live.cancel.set()

    def _run(self, live: LiveRun, work: Work) -> None:
        live.error = UNEXPECTED  # unless something better is known
        try:
            work(live)
            live.error = ""
        except Cancelled:
            live.error = "Stopped before a question was asked."
        except GroundworkError as problem:
            log.warning("a measurement ended: %s", problem)
            live.error = str(problem)
        finally:
            live.active = False
