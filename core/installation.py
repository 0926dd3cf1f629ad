"""The data folder as the place of one installation: it can be written to, and one application has it."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import Conflict, StorageError
from core.settings import Settings


def lock_installation(settings: Settings) -> FileLock:
    """Take the data folder for this application. Raises Conflict with the pid of the one that has it."""
    make_folder(settings.run)
    owner = settings.run / "app.pid"
    lock = FileLock(settings.run / "app.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        pid = owner.read_text().strip() if owner.exists() else "unknown"
        raise Conflict(
            f"Groundwork is running already on {settings.data} (process {pid}). Use that one, stop it, "
            "or choose another folder with GROUNDWORK_DATA and another port with GROUNDWORK_PORT."
        ) from None
    owner.write_text(str(os.getpid()))
    return lock


def make_folder(folder: Path) -> None:
    """Make the folder and try whether it can be written to. Raises StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be written to ({error.strerror}). Check its owner and space."
        ) from error


def silence_telemetry() -> None:
    """LangChain would send traces to a service when these are set in somebody's shell for another project."""
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2"):
        os.environ[name] = "false"
