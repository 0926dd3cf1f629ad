"""Runs a recogniser on one page: limits, clock, cancel. Its picture was drawn by the child that reads files."""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from core.errors import Cancelled
from ingest.ocr.engine import Engine, Recognised, from_tsv

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
LOOK_EVERY = 0.05
LONGEST_ANSWER = 16 << 20  # bytes
INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TESSDATA_PREFIX")


def recognise(
    picture: IO[bytes], engine: Engine, *, seconds: float, cancelled: Callable[[], bool] = lambda: False
) -> Recognised | None:
    """The text of a picture (PGM, read from its file descriptor); None when the recogniser fails or takes too long.

    Raises Cancelled within a moment of `cancelled()` turning true.
    """
    picture.seek(0, os.SEEK_END)  # forgets what was read ahead: closing a file that nobody read on would fail else
    os.lseek(picture.fileno(), 0, os.SEEK_SET)  # the recogniser reads from here; a buffered seek may not move it
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            _command(engine, seconds), stdin=picture, stdout=answer, stderr=subprocess.DEVNULL,
            cwd=tempfile.gettempdir(), env=_environment(), start_new_session=True,
        )  # fmt: skip
        try:
            ended = _wait(process, seconds, cancelled)
        finally:
            process.kill()
            process.wait()
        if not ended or process.returncode != 0:
            log.warning("%s ended with code %s on a page", engine.name, process.returncode)
            return None
        answer.seek(0)
        return _read(engine, answer.read(LONGEST_ANSWER).decode(errors="replace"))


def _command(engine: Engine, seconds: float) -> list[str]:
    if sys.platform == "win32":
        return list(engine.command)
    limits = [str(engine.memory_mb << 20), str(math.ceil(seconds) + 1), str(LONGEST_ANSWER)]
    return [sys.executable, "-P", "-s", "-m", "ingest.ocr.confined", *limits, *engine.command]


def _environment() -> dict[str, str]:
    kept = {key: os.environ[key] for key in INHERITED if key in os.environ}
    # One thread for each page: more of them wait for each other, and answers to people need the other core.
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "OMP_THREAD_LIMIT": "1", "OMP_NUM_THREADS": "1"}


def _wait(process: subprocess.Popen[bytes], seconds: float, cancelled: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            process.wait(LOOK_EVERY)
            return True
        except subprocess.TimeoutExpired:
            pass
        if cancelled():
            raise Cancelled("Text recognition was cancelled.")
    return False


def _read(engine: Engine, answer: str) -> Recognised | None:
    try:
        if engine.form == "tsv":
            return from_tsv(answer)
        found = json.loads(answer)
        return Recognised(str(found["text"]), min(1.0, max(0.0, float(found["confidence"]))))
    except (ValueError, KeyError, TypeError):
        log.warning("%s gave no proper answer", engine.name)
        return None
