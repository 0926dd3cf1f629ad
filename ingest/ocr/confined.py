"""Starts a recogniser in limits: `python -m ingest.ocr.confined MEMORY SECONDS OUTPUT COMMAND…` limits itself, then
becomes it.

It is left without network, and without any file to write to but its answer, where the kernel allows that
(core/readers.py).
"""

import os
import sys

from ingest.landlock import write_nowhere

if __name__ == "__main__":
    memory, seconds, output, *command = sys.argv[1:]
    if sys.platform != "win32":
        import resource

        limits = (
            (resource.RLIMIT_AS, int(memory)),
            (resource.RLIMIT_CPU, int(seconds)),
            (resource.RLIMIT_FSIZE, int(output)),
            (resource.RLIMIT_CORE, 0),
        )
        for limit, most in limits:
            try:
                resource.setrlimit(limit, (most, most))
            except (ValueError, OSError):
                continue  # macOS does not take the limit on memory
        os.nice(5)  # answers to people go first
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).unshare(0x1000_0000 | 0x4000_0000)  # CLONE_NEWUSER | CLONE_NEWNET
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with the worker
    write_nowhere()
    os.execv(command[0], command)
