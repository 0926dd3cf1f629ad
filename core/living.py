"""Which processes still live: an id of number and start, because numbers are used again."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import psutil

CLOCK_SLACK = 2.0  # seconds by which the start of the same process may seem to differ
PROC = Path("/proc")
BOOT_ID = PROC / "sys/kernel/random/boot_id"
ENDED = ("Z", "X")  # the states of a process that is gone but for its entry


def own_id() -> str:
    """The id of this process; it stays the same whatever happens to the clock."""
    return _id_of(os.getpid())


def is_alive(holder: str) -> bool:
    """Whether the process of that id still runs."""
    if holder == own_id():
        return True
    number, _, started = holder.partition("-")
    if not number.isdecimal():
        return False
    if not started.isdecimal():
        return started != "" and _start_since_boot(number) == started
    try:
        process = psutil.Process(int(number))
        same = abs(process.create_time() - int(started) / 1000) < CLOCK_SLACK
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OverflowError):
        return False


@cache
def _id_of(number: int) -> str:
    """The id of a process. Where only the time of day tells its start, it is asked once: the clock may be set."""
    return f"{number}-{_start_since_boot(str(number)) or round(psutil.Process(number).create_time() * 1000)}"


def _start_since_boot(number: str) -> str:
    """When a process began, in ticks since which boot: no clock is asked. "" when it has ended, or no system tells.

    Raises OSError when that cannot be known now, as when this process has too many files open.
    """
    try:
        boot = BOOT_ID.read_text(encoding="ascii").replace("-", "").strip()
        # The name of the program stands in parentheses and may hold anything, so the rest is counted from the last one.
        told = (PROC / number / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
    return "" if len(told) < 20 or told[0] in ENDED else f"{told[19]}-{boot[:12]}"
