"""Which ingest workers are alive: each leaves a file that names its process, so that nobody waits for a dead one."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

PREFIX = "worker-"
CLOCK_SLACK = 2.0  # seconds by which the start of the same process may seem to differ


def own_id() -> str:
    """The id of this process as a worker: process number and start, because numbers are used again."""
    return f"{os.getpid()}-{round(psutil.Process().create_time() * 1000)}"


def is_alive(worker: str) -> bool:
    """Whether the process of that id still runs."""
    number, _, started = worker.partition("-")
    if not (number.isdecimal() and started.isdecimal()):
        return False
    try:
        process = psutil.Process(int(number))
        same = abs(process.create_time() - int(started) / 1000) < CLOCK_SLACK
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OverflowError):
        return False


class Presence:
    """The files in the run folder."""

    def __init__(self, run: Path) -> None:
        self.run = run

    def announce(self, worker: str) -> None:
        self.run.mkdir(parents=True, exist_ok=True)
        (self.run / (PREFIX + worker)).touch()

    def withdraw(self, worker: str) -> None:
        (self.run / (PREFIX + worker)).unlink(missing_ok=True)

    def living(self) -> list[str]:
        """The ids of all workers that run now; the files of dead ones are removed."""
        workers = [path.name.removeprefix(PREFIX) for path in self.run.glob(PREFIX + "*")]
        for worker in workers:
            if not is_alive(worker):
                self.withdraw(worker)
        return [worker for worker in workers if is_alive(worker)]
