"""Which ingest workers are alive: each leaves a file that names its process, so that nobody waits for a dead one."""

from __future__ import annotations

from pathlib import Path

from core.living import is_alive

PREFIX = "worker-"


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
