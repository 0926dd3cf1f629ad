"""Reading a file in a child process that may die of it: what its answer holds, and what its end means in a sentence."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, NoReturn

from core.errors import BadUpload, Cancelled, StorageFull
from core.readers import Limits, Watched, run_reader
from core.storage.db import translated
from core.types import Document
from ingest import answers
from ingest.loaders import parser_of
from ingest.parse import DISK_FULL, MEMORY, TOO_LONG

log = logging.getLogger(__name__)


def parse(
    path: Path, name: str, *, seconds: float, memory_mb: int, cancelled: Callable[[], bool] = lambda: False
) -> Document:
    """Read the file in a child process.

    Raises BadUpload (also UnknownType, NoText) with a sentence that names the file, Cancelled within a moment of
    `cancelled()` turning true, StorageFull when there is no room for the answer, MachineBusy when none for the child.
    """
    with translated(Path(tempfile.gettempdir()) / "answer"), tempfile.TemporaryFile() as answer:
        _run(answer, path, name, Limits(seconds, memory_mb), cancelled)
        answer.seek(0)
        return _document(answer, name)


def characters(path: Path, name: str, *, seconds: float, memory_mb: int) -> str:
    """All that the file holds in any form, read by other means than its loader's. Raises as `parse` does."""
    with translated(Path(tempfile.gettempdir()) / "answer"), tempfile.TemporaryFile() as answer:
        _run(answer, path, name, Limits(seconds, memory_mb), lambda: False, raw=True)
        answer.seek(0)
        return _document(answer, name).text


def draw(
    path: Path,
    name: str,
    page: int,
    picture: IO[bytes],
    *,
    seconds: float,
    memory_mb: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Draw a page of a file in a child process, into `picture` as PGM. Raises as `parse` does."""
    _run(picture, path, name, Limits(seconds, memory_mb), cancelled, page=page)
    picture.seek(0)
    if picture.read(2) != b"P5":
        picture.seek(0)
        _document(picture, name)  # raises the refusal that it holds
        raise BadUpload(_damaged(name))


def _run(
    answer: IO[bytes], path: Path, name: str, limits: Limits, cancelled: Callable[[], bool], *, page: int = 0,
    raw: bool = False,
) -> None:  # fmt: skip
    """One child from start to end, its answer written into a file."""
    with translated(Path(tempfile.gettempdir()) / "answer"), tempfile.TemporaryFile() as errors:
        wish = {"page": page, "raw": raw}
        watched = run_reader(answer, errors, path, name, limits, wish=wish, cancelled=cancelled)
        if watched.reason == "cancelled":
            raise Cancelled(f"Reading {name} was cancelled.")
        if not watched.well:
            _refuse(name, watched.code, watched, limits.seconds, limits.memory_mb, errors)


def _refuse(name: str, code: int, watched: Watched, seconds: float, memory_mb: int, errors: IO[bytes]) -> NoReturn:
    """Say in one sentence what the end of the child means."""
    errors.seek(0)
    log.warning(
        "reader ended with code %s (%s), peak %s MB: %s",
        code, watched.reason or "by itself", watched.peak >> 20, errors.read(4096).decode(errors="replace"),
    )  # fmt: skip
    if watched.reason == "time" or code in _signals("SIGXCPU"):
        raise BadUpload(f"{name} takes longer than {seconds:g} s to read. Split it, or print it to a new PDF.")
    # A library in C that gets no memory aborts or crashes; near the limit that is what happened.
    starved = code in _signals("SIGABRT", "SIGSEGV", "SIGBUS", "SIGTRAP", "SIGILL") and watched.peak > memory_mb << 19
    if watched.reason == "memory" or code == MEMORY or code in _signals("SIGKILL") or starved:
        raise BadUpload(f"{name} needs more than {memory_mb:,} MB of memory to be read. Split it into smaller files.")
    if code == TOO_LONG or code in _signals("SIGXFSZ"):
        raise BadUpload(f"{name} holds more text than can be indexed. Split it into smaller files.")
    if code == DISK_FULL:
        raise StorageFull(f"The disk of {tempfile.gettempdir()} is full. Free some space and try again.")
    raise BadUpload(_damaged(name))


def _signals(*names: str) -> set[int]:
    """The exit codes that mean these signals, as far as the system has them."""
    import signal

    return {-int(getattr(signal, name)) for name in names if hasattr(signal, name)}


def _document(answer: IO[bytes], name: str) -> Document:
    try:
        document = answers.read(answer)
    except ValueError as error:
        log.warning("the reader gave no proper answer: %s", type(error).__name__)
        raise BadUpload(_damaged(name)) from error
    return replace(document, parser=parser_of(document.media_type))


def _damaged(name: str) -> str:
    return f"{name} is damaged: the reader could not get through it. Open it in its own program and save it anew."
