"""The child process that reads one file of a stranger, and may die of it: limits, clock, memory watch, cancel.

What it is asked and what its answer means is the caller's business.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from core.settings import ROOT

log = logging.getLogger(__name__)

OUTPUT_MB = 192
LOOK_EVERY = 0.05
# The child gets what an interpreter needs to start, and none of the settings or secrets of this process.
INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LANG", "LC_ALL")


# What a reader does first (ingest/parse.py), tried by itself.
_WITHOUT_NETWORK = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x1000_0000 | 0x4000_0000) != 0)"


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may take."""

    seconds: float
    memory_mb: int


@dataclass(slots=True)
class Watched:
    """What was seen of a child: the most memory it had, why it was ended if it was, and how it ended."""

    peak: int = 0
    reason: str = ""
    code: int = 0

    @property
    def well(self) -> bool:
        return self.code == 0 and not self.reason


@cache
def without_network() -> bool:
    """Whether the kernel lets readers go where there is no network; if not, Python alone keeps them from it."""
    if sys.platform != "linux":
        return False
    tried = subprocess.run([sys.executable, "-I", "-c", _WITHOUT_NETWORK], capture_output=True, timeout=30, check=False)
    return tried.returncode == 0


@cache
def without_disk() -> bool:
    """Whether the kernel keeps readers from writing to files (ingest/landlock.py); if not, Python alone does."""
    if sys.platform != "linux":
        return False
    import ctypes

    return bool(ctypes.CDLL(None).syscall(444, None, ctypes.c_long(0), ctypes.c_long(1)) > 0)


def run_reader(
    answer: IO[bytes], errors: IO[bytes], path: Path, name: str, limits: Limits, *,
    wish: Mapping[str, Any], cancelled: Callable[[], bool] = lambda: False,
) -> Watched:  # fmt: skip
    """One child from start to end, its answer and its complaints written into files; `wish` says what it shall do."""
    child = _start(Path(tempfile.gettempdir()), answer, errors)
    try:
        _ask(child, path, name, limits, wish)
        watched = _watch(child, limits.seconds, limits.memory_mb << 20, cancelled)
    finally:
        child.kill()
        child.communicate()
    watched.code = child.returncode
    return watched


def _start(folder: Path, answer: IO[bytes], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = {key: os.environ[key] for key in INHERITED if key in os.environ}
    # One arena: each further one reserves 64 MB of addresses, which would count against the limit.
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "MALLOC_ARENA_MAX": "1"}
    return subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "ingest.parse"],
        cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=answer, stderr=errors, start_new_session=True,
    )  # fmt: skip


def _ask(child: subprocess.Popen[bytes], path: Path, name: str, limits: Limits, wish: Mapping[str, Any]) -> None:
    request = {
        "path": str(path.resolve()),
        "name": name,
        "seconds": limits.seconds,
        "memory": limits.memory_mb << 20,
        "output": OUTPUT_MB << 20,
        **wish,
    }
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(request, ensure_ascii=False).encode(errors="surrogatepass") + b"\n")
        child.stdin.flush()  # and stays open: its end tells the child that we are gone
    except BrokenPipeError:
        log.warning("the reader ended before it was asked")


def _watch(child: subprocess.Popen[bytes], seconds: float, memory: int, cancelled: Callable[[], bool]) -> Watched:
    """Wait for the child to end, or say why it must."""
    import psutil

    watched, deadline = Watched(), time.monotonic() + seconds
    process = psutil.Process(child.pid)
    while True:
        try:
            child.wait(LOOK_EVERY)
            return watched
        except subprocess.TimeoutExpired:
            pass
        try:
            watched.peak = max(watched.peak, process.memory_info().rss)
        except psutil.Error:
            continue  # it has just ended
        if cancelled():
            watched.reason = "cancelled"
        elif time.monotonic() > deadline:
            watched.reason = "time"
        elif watched.peak > memory:
            watched.reason = "memory"
        if watched.reason:
            return watched
