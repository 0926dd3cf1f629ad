"""What this machine has: cores and memory, within the limits of its container."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

_GROUP = Path("/sys/fs/cgroup")


def physical_cores() -> int:
    """Cores this process may use, counting two hardware threads of one core once, within the limit of its container."""
    if not hasattr(os, "sched_getaffinity"):
        return psutil.cpu_count(logical=False) or 1
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings.read_text() if siblings.exists() else str(cpu))
    limit = Path("/sys/fs/cgroup/cpu.max")
    share, _, period = limit.read_text().partition(" ") if limit.exists() else ("max", "", "")
    return len(cores) if share == "max" else max(1, min(len(cores), int(share) // int(period)))


def thread_counts() -> list[int]:
    """Numbers of threads that are worth trying, the usual one first: one for each core."""
    cores, logical = physical_cores(), psutil.cpu_count() or 1
    return list(
        dict.fromkeys([cores, max(1, cores - 1), max(1, cores * 3 // 4), max(1, cores // 2), max(cores, logical)])
    )


def free_memory() -> int:
    """Bytes that can be had without anything being swapped out, within the limit of the container."""
    free = int(psutil.virtual_memory().available)
    limit, used = _number(_GROUP / "memory.max"), _number(_GROUP / "memory.current")
    if limit is None or used is None:
        return free
    return max(0, min(free, limit - used + (_reclaimable() or 0)))


def memory_of(pid: int) -> int:
    """Bytes of memory that a process takes; 0 when it has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def free_space(folder: Path) -> int:
    """Bytes that can be written where the folder is."""
    return int(psutil.disk_usage(str(folder)).free)


def processor() -> str:
    """The processor's name and what it can do: what was measured on another one says nothing about this one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    wanted = ("model name", "flags", "Features", "CPU part")
    found = {line.partition(":")[0].strip(): line for line in lines if line.startswith(wanted)}
    return "\n".join(found.values()) or platform.machine()


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such limit, or "max"
        return None


def _reclaimable() -> int | None:
    """Bytes of files in memory, which are given back when somebody needs the room."""
    try:
        fields = dict(line.split() for line in (_GROUP / "memory.stat").read_text().splitlines())
        return int(fields["inactive_file"]) + int(fields["active_file"])
    except (OSError, KeyError, ValueError):
        return None
