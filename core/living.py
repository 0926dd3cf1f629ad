"""Which processes still live: an id of number and start, because numbers are used again."""

from __future__ import annotations

import os

import psutil

CLOCK_SLACK = 2.0  # seconds by which the start of the same process may seem to differ


def own_id() -> str:
    """The id of this process."""
    return f"{os.getpid()}-{round(psutil.Process().create_time() * 1000)}"


def is_alive(holder: str) -> bool:
    """Whether the process of that id still runs."""
    number, _, started = holder.partition("-")
    if not (number.isdecimal() and started.isdecimal()):
        return False
    try:
        process = psutil.Process(int(number))
        same = abs(process.create_time() - int(started) / 1000) < CLOCK_SLACK
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OverflowError):
        return False
