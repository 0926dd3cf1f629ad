"""The child that reads one file: `python -m ingest.parse`, one request on stdin, one answer on stdout.

It reads files that strangers made, so it first gives up what it does not need: memory, time, network, programs, and
writing to anything but its answer. It ends when its work is done, when a limit is met, and when the process that
started it is gone.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any

if sys.platform != "win32":
    import resource

# How the child ends when it cannot answer; any other code is a crash.
MEMORY, TOO_LONG, DISK_FULL = 3, 4, 5
LONGEST_REQUEST = 1 << 16
LONG = 100_000  # characters; of a shorter text the worker, which has its patterns ready, looks for instructions faster
# Events of `sys.addaudithook` that reading a file has no reason to cause.
_FORBIDDEN = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile",
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.chflags", "os.utime", "os.setxattr", "os.removexattr", "shutil.", "sqlite3.connect",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_OWN_USERS_AND_NETWORK = 0x1000_0000 | 0x4000_0000  # CLONE_NEWUSER | CLONE_NEWNET of unshare(2)


def main() -> int:
    sys.excepthook = _report
    request = json.loads(sys.stdin.buffer.readline(LONGEST_REQUEST))
    answer = _take_stdout()
    _stand_nowhere()
    _leave_network()
    _write_nowhere()
    _set_limits(request)
    _end_with_parent()

    from core.errors import BadUpload  # imports count against the limits, so they come after them
    from core.types import Document
    from ingest import answers, loaders
    from ingest.loaders import page_view, pictures, raw

    _is_scratch(".")  # finds the temporary folder by trying to write, so it has to come before
    sys.addaudithook(_forbid)
    try:
        if request.get("view"):
            page_view.write_view(answer, Path(request["path"]), request["name"], request["view"])
        elif request.get("raw"):
            answers.write(answer, Document("", "", raw.raw_text(Path(request["path"]))))
        elif request.get("page"):
            pictures.write_picture(answer, Path(request["path"]), request["name"], int(request["page"]))
        else:
            document = loaders.load(Path(request["path"]), request["name"])
            if len(document.text) > LONG:
                from ingest.receipts import with_instructions

                document = with_instructions(document)
            answers.write(answer, document)
    except BadUpload as error:
        answers.write_refusal(answer, error)
    except (MemoryError, RecursionError):
        return MEMORY
    except OSError as error:
        if error.errno not in (errno.EFBIG, errno.ENOSPC):
            raise
        return TOO_LONG if error.errno == errno.EFBIG else DISK_FULL
    return 0


def _take_stdout() -> IO[bytes]:
    """The file of the answer, out of reach of libraries that print."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answer


def _leave_network() -> bool:
    """Go where there is no network, which binds libraries in C too; some kernels do not let us (core/readers.py).

    Before there is a second thread: the kernel refuses then. A hook of Python's (below) forbids the rest in any case.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    return bool(ctypes.CDLL(None).unshare(_OWN_USERS_AND_NETWORK) == 0)


def _write_nowhere() -> None:
    """Binds libraries in C too, where the kernel knows how. Before there is a second thread, like the network."""
    from ingest.landlock import write_nowhere

    sys.dont_write_bytecode = True  # it would be in vain
    write_nowhere()


def _set_limits(request: dict[str, Any]) -> None:
    if sys.platform == "win32":
        return  # there the parent alone watches
    seconds = math.ceil(request["seconds"]) + 1  # the parent's clock comes first: it has the better sentence
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
    """End when the other end of stdin is gone. On Linux the kernel sees to it too, even inside a library call."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _stand_nowhere() -> None:
    """Work in a folder that is gone already: nothing can be written into it, and no kill leaves it behind."""
    if sys.platform == "win32":
        return
    place = "groundwork-" + os.urandom(8).hex()
    try:
        os.mkdir(place, 0o700)
    except OSError:
        return  # a full disk: the answer will say so, if it does not fit either
    os.chdir(place)
    os.rmdir("../" + place)


def _forbid(event: str, arguments: tuple[object, ...]) -> None:
    """Python's own hook. It holds on every system, but for Python alone."""
    if event == "open":
        path, _mode, flags = arguments
        writes = isinstance(flags, int) and flags & _WRITING and not isinstance(path, int)  # a number is open already
        if not writes or path == os.devnull or _is_scratch(path):
            return
    elif not event.startswith(_FORBIDDEN) or (event == "os.remove" and _is_scratch(arguments[0])):
        return
    raise PermissionError(f"a reader of files must not use {event}{' to write' if event == 'open' else ''}")


def _is_scratch(path: object) -> bool:
    """Whether it is a temporary file, on a system that keeps no files in memory (ingest/loaders/inside.py)."""
    if hasattr(os, "memfd_create") or not isinstance(path, str):
        return False
    import tempfile

    folder = os.path.abspath(tempfile.gettempdir())
    return path == folder or (os.path.dirname(path) == folder and os.path.basename(path).startswith("tmp"))


def _report(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
    """Where it crashed and with what, for the log; never the message, which may quote the document."""
    import traceback

    sys.stderr.write("".join(traceback.format_tb(trace)) + kind.__name__)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # freeing a large document piece by piece can take longer than reading it
