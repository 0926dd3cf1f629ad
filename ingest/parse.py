"""The child that reads one file: `python -m ingest.parse`, one request on stdin, one document on stdout.

It reads files that strangers made, so it first gives up what it does not need: memory, time, disk, network and
programs. It ends when its work is done, when a limit is met, and when the process that started it is gone.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
from typing import IO, Any

if sys.platform != "win32":
    import resource

# Events of `sys.addaudithook` that a reader of files has no reason to cause.
_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile")
LONGEST_REQUEST = 1 << 16
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline(LONGEST_REQUEST))
    answer = _take_stdout()
    _set_limits(request)
    _end_with_parent()
    from ingest.reader import read

    sys.addaudithook(_forbid)
    read(request["path"], request["name"], answer)
    os._exit(0)  # freeing a large document piece by piece can take longer than reading it


def _take_stdout() -> IO[bytes]:
    """The pipe or file of the answer, out of reach of libraries that print."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answer


def _set_limits(request: dict[str, Any]) -> None:
    if sys.platform == "win32":
        return  # there the parent watches
    seconds = math.ceil(request["seconds"]) + 1  # the parent's clock comes first, with the better sentence
    for limit, most in (
        (resource.RLIMIT_AS, request["memory"]),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, request["output"]),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(limit, (most, most))
        except (ValueError, OSError):
            continue  # macOS knows the limit on memory but does not take it; the parent watches


def _end_with_parent() -> None:
    """End when the other end of stdin is gone. On Linux the kernel sees to it as well, even inside a library call."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
        os.rmdir(os.getcwd())  # nothing can be written there, and nothing is left should the parent be killed


def _forbid(event: str, _arguments: tuple[object, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"a reader of files must not use {event}")


if __name__ == "__main__":
    main()
