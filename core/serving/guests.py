"""A second chat model beside the active one, for as long as somebody compares the two."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from core.serving.chat_process import ChatProcess
from core.serving.engine import Engine

log = logging.getLogger(__name__)

IDLE = 120.0  # seconds after which a guest that nobody asks anything goes
LOOK = 5.0


class Guests:
    """At most one guest at a time, with a line of its own. Safe to use from any thread."""

    def __init__(self, engine: Callable[[], Engine], load: Callable[[str, Engine], ChatProcess]) -> None:
        """`engine` makes one, `load` loads a model for it and raises what went wrong."""
        self._make, self._load = engine, load
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._id, self._used = "", 0.0

    def invite(self, model_id: str) -> None:
        """Load a model beside the active one; returns when it can be asked. Raises what loading raises."""
        with self._lock:
            if self._engine and self._id == model_id and self._engine.chat and self._engine.chat.alive:
                self._used = time.monotonic()
                return
            self._leave()
            engine = self._make()
            with ExitStack() as undo:
                undo.callback(engine.close)
                process = self._load(model_id, engine)
                undo.pop_all()
            engine.use(process)
            self._engine, self._id, self._used = engine, model_id, time.monotonic()
            threading.Thread(target=self._watch, args=(engine,), name="guest", daemon=True).start()

    def find(self, model_id: str) -> Engine | None:
        """The engine of a guest of that name."""
        if model_id != self._id:
            return None
        self._used = time.monotonic()
        return self._engine

    def close(self) -> None:
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        if self._engine:
            self._engine.close()
            log.info("%s, a guest, has left", self._id)
        self._engine, self._id = None, ""

    def _watch(self, engine: Engine) -> None:
        while self._engine is engine:
            time.sleep(LOOK)
            with self._lock:
                busy = engine.running or engine.waiting
                if self._engine is engine and not busy and time.monotonic() - self._used > IDLE:
                    self._leave()
