"""Opening a file of a watched folder: the one that the scan saw, whole, and nothing that was put in its place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from core.errors import BadSource
from core.names import clean_name
from ingest.sources.scan import Seen


class Changing(Exception):
    """A file is not the one any more that the scan saw."""


@contextmanager
def opened(root: Path, path: str, seen: Seen) -> Iterator[BinaryIO]:
    """The file that the scan saw, and no other: not what a link put in its place leads to, nor one being written.

    Raises Changing, BadSource, OSError.
    """
    full = root / path
    if not Path(os.path.realpath(full)).is_relative_to(os.path.realpath(root)):
        raise BadSource(f"{clean_name(path)} leads out of the folder and is not read.")
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(full, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Changing
        yield cast(BinaryIO, _Steady(file, seen))


class _Steady:
    """A file that must be at its end what it was at its begin: `read` raises Changing at the end otherwise."""

    def __init__(self, file: BinaryIO, seen: Seen) -> None:
        self._file = file
        self._seen = seen

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        if not block:
            about = os.fstat(self._file.fileno())
            if (about.st_size, about.st_mtime_ns) != (self._seen.size, self._seen.mtime_ns):
                raise Changing
        return block
