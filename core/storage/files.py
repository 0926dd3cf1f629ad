"""Uploaded bytes, stored once under the hash of their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from core.errors import BadUpload
from core.storage.db import translated, writing

BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """Bytes that are safe on the disk, but not kept yet; `size` in bytes."""

    sha256: str
    size: int
    draft: Path


class FileStore:
    """A folder of files named by their SHA-256. Names that people give never become paths."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """The file with this content. The only place that joins a path out of data."""
        if not _is_sha256(sha256):
            raise ValueError("not a SHA-256")
        return self.folder / sha256

    @contextmanager
    def receive(self, source: BinaryIO, *, name: str, limit: int) -> Iterator[ReceivedFile]:
        """Copy, hash and sync. What is not kept within the `with` block is gone after it.

        Raises BadUpload when there are more than `limit` bytes or none, StorageFull, StorageError when the folder may
        not be written to; what goes wrong with `source` itself stays an OSError.
        """
        with translated(self.folder):
            with writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            draft = self.folder / f".{uuid4().hex}.tmp"
            try:
                yield self._write(source, draft, name, limit)
            finally:
                draft.unlink(missing_ok=True)

    def keep(self, received: ReceivedFile) -> None:
        """Give the bytes their final name. In the transaction that registers them: whoever deletes the last document
        with these bytes removes the file under the same lock, so neither can come between the other's two steps."""
        with writing(self.folder):
            os.replace(received.draft, self.path(received.sha256))
            _sync(self.folder)

    def _write(self, source: BinaryIO, draft: Path, name: str, limit: int) -> ReceivedFile:
        digest, size = hashlib.sha256(), 0
        with writing(self.folder):
            opened = draft.open("xb")
        with opened as file:
            while block := source.read(BLOCK):
                size += len(block)
                if size > limit:
                    raise BadUpload(f"{name} is larger than {limit >> 20} MB. Split it, or upload the part you need.")
                digest.update(block)
                with writing(self.folder):
                    file.write(block)
            if size == 0:
                raise BadUpload(f"{name} is empty. Choose a file that has content.")
            with writing(self.folder):
                file.flush()
                os.fsync(file.fileno())
        return ReceivedFile(digest.hexdigest(), size, draft)

    def remove(self, sha256: str) -> None:
        self.path(sha256).unlink(missing_ok=True)

    def stored(self) -> Iterator[str]:
        """The hashes of all files that are complete; what others have put into the folder is not ours."""
        if self.folder.is_dir():
            yield from (entry.name for entry in self.folder.iterdir() if _is_sha256(entry.name))

    def orphans(self, known: set[str], *, older_than: float) -> list[str]:
        """The hashes of complete files that are not among the known ones; `older_than` as for `drafts`."""
        return sorted(sha256 for sha256 in set(self.stored()) - known if _untouched(self.path(sha256), older_than))

    def drafts(self, *, older_than: float) -> list[Path]:
        """Unfinished files whose writer is gone: not touched since `older_than`, in seconds since the epoch."""
        found = self.folder.glob(".*.tmp") if self.folder.is_dir() else ()
        return [draft for draft in found if _untouched(draft, older_than)]


def _is_sha256(name: str) -> bool:
    return len(name) == 64 and all(c in "0123456789abcdef" for c in name)


def _untouched(path: Path, since: float) -> bool:
    """Whether the file is there and was not written to; an upload may end, and take its draft away, at any time."""
    try:
        return path.stat().st_mtime < since
    except FileNotFoundError:
        return False


def _sync(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
