"""Faults at the real edges: the n-th SQL statement, step on a file, or request to the model server fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pysqlite3
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from core.errors import ModelUnavailable
from tests.small import SmallClient

DISK_FULL = 28  # ENOSPC


class Faults:
    """Counts the steps of a piece of work; the one with the number `at` fails, once. `points` names all that were."""

    def __init__(self) -> None:
        self.at, self.edge = 0, ""
        self.points: list[str] = []
        self.struck = ""
        self._lock = threading.Lock()
        self._counting = False

    @contextmanager
    def failing(self, at: int, edge: str = "") -> Iterator[None]:
        """Count within the block, and let the step with this number fail, of all or of one edge; 0: none fails."""
        self.at, self.edge, self.points, self.struck, self._counting = at, edge, [], "", True
        try:
            yield
        finally:
            self._counting = False

    def step(self, point: str) -> bool:
        """Whether this step is the one that fails."""
        with self._lock:
            if not self._counting:
                return False
            self.points.append(point)
            if not point.startswith(self.edge) or self.at != sum(p.startswith(self.edge) for p in self.points):
                return False
            self.struck = point
            return True

    def watch_sql(self, engine: Engine) -> None:
        """Statements, and the beginnings and ends of transactions, as SQLite would refuse them on a bad disk."""

        @event.listens_for(engine, "before_cursor_execute")
        def _statement(
            _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
        ) -> None:
            if self.step("sql " + " ".join(statement.split())[:70]):
                raise OperationalError(statement, None, pysqlite3.OperationalError("disk I/O error"))

        @event.listens_for(engine, "commit")
        def _commit(_connection: Any) -> None:
            if self.step("sql COMMIT"):
                raise OperationalError("COMMIT", None, pysqlite3.OperationalError("database or disk is full"))

    def watch_files(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        """What happens to files in a folder: making, renaming, syncing, removing them."""

        def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **more: Any) -> Any:
                first = arguments[0]
                inside = isinstance(first, int) or Path(str(first)).is_relative_to(folder)
                if inside and self.step("file " + name):
                    raise OSError(DISK_FULL, os.strerror(DISK_FULL), str(first))
                return real(*arguments, **more)

            return call

        for name in ("replace", "fsync", "unlink"):
            patch.setattr(os, name, watched(name, getattr(os, name)))
        for name in ("open", "unlink", "mkdir"):
            patch.setattr(Path, name, watched("Path." + name, getattr(Path, name)))


class FaultyClient(SmallClient):
    """The small client whose requests are steps too."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(Path("unused"))
        self.faults = faults

    def embed(self, texts: Any, *, priority: str, model: str = "") -> Any:
        if self.faults.step("network embed"):
            raise ModelUnavailable("The model server is gone. It is being started again.")
        return super().embed(texts, priority=priority, model=model)

    def embedding_form(self, model: str = "") -> str:
        if self.faults.step("network status"):
            return ""  # as the client says it of a server that does not answer
        return super().embedding_form(model)
