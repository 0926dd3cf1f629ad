"""The two processes beside the web process: started, watched, restarted with back-off, ended with it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from core.settings import ROOT

log = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY = 0.25, 20.0
LIVED_LONG = 1.0  # seconds after which a death is not counted as dying young: it had started well
PATIENCE = 8.0  # seconds between SIGTERM and SIGKILL


class ChildProcess:
    """A Python module as a child that is kept alive.

    The child reads its standard input until the end of file: when this process dies, however it dies, so does it.
    `environment` is added to that of this process; what the child writes goes to the file `log` where one is given.
    """

    def __init__(
        self, name: str, arguments: Callable[[], list[str]], *, first_line: str = "",
        environment: Mapping[str, str] | None = None, log: Path | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.arguments = arguments
        self.first_line = first_line
        self.environment = dict(environment or {})
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._supervise, name=f"supervise-{self.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask the child to end, then make it."""
        self._closing.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _supervise(self) -> None:
        delay = FIRST_DELAY
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                process = self._start_once()
            except OSError as error:  # no memory, process or open file to spare now: later there may be
                log.error("the %s cannot be started and is tried again: %s", self.name, error)
            else:
                code = process.wait()
                if process.stdin:
                    process.stdin.close()
                if self._closing.is_set():
                    return
                log.warning("the %s ended with code %s and is started again", self.name, code)
            delay = FIRST_DELAY if time.monotonic() - began > LIVED_LONG else min(delay * 2, LONGEST_DELAY)
            self._closing.wait(delay)

    def _start_once(self) -> subprocess.Popen[bytes]:
        with ExitStack() as stack:
            written = stack.enter_context(self.log.open("ab")) if self.log else None
            process = subprocess.Popen(
                [sys.executable, *self.arguments()],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=written,
                stderr=written,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
                start_new_session=True,  # Ctrl-C in the terminal goes to the web process alone; it ends the others
            )
        self._process = process
        if process.stdin and self.first_line:
            try:
                process.stdin.write(self.first_line.encode() + b"\n")
                process.stdin.flush()
            except BrokenPipeError:  # it died at once; the wait below says so
                log.debug("the %s closed its input", self.name)
        return process
