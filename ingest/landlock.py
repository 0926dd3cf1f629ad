"""Giving up to write, for libraries in C too: Landlock (man 7 landlock), which Linux has since 5.13.

Reading stays as it is, and so do files that are open already: the answer of a reader is one. Landlock knows nothing of
owners, permissions and times of files; those stand behind Python's hook alone (ingest/parse.py).
The C library has no functions for it: its system calls are made by number, which is the same on all machines.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS of prctl(2): the kernel asks for it first
_ITS_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH
_WRITE = 1 << 1
_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))  # folders, files, devices, sockets, pipes, links
_MOVE, _TRUNCATE = 1 << 13, 1 << 14  # known from versions 2 and 3 on


def write_nowhere() -> bool:
    """Let this thread, those that it starts, and what it becomes write to no file but /dev/null. It cannot be undone.

    False where the kernel does not know how, or does not let us.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    system = ctypes.CDLL(None)

    def call(number: int, *arguments: int | bytes | None) -> int:
        wide = (ctypes.c_long(value) if isinstance(value, int) else value for value in arguments)
        return int(system.syscall(ctypes.c_long(number), *wide))

    version = call(_CREATE_RULESET, None, 0, _ITS_VERSION)
    if version < 1:
        return False
    to_file = _WRITE | (_TRUNCATE if version >= 3 else 0)
    handled = struct.pack("=Q", to_file | _REMOVE_AND_MAKE | (_MOVE if version >= 2 else 0))
    rules = call(_CREATE_RULESET, handled, len(handled), 0)
    if rules < 0:
        return False
    try:
        _except_nothing(call, rules, to_file)
        one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
        return system.prctl(_NO_NEW_PRIVILEGES, one, none, none, none) == 0 and call(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def _except_nothing(call: Callable[..., int], rules: int, access: int) -> None:
    """Libraries write to /dev/null what nobody wants; where that cannot be allowed, it is forbidden like the rest."""
    try:
        device = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    call(_ADD_RULE, rules, _BENEATH, struct.pack("=Qi", access, device), 0)
    os.close(device)
