"""A download on its way: the files so far and what is needed to go on after a crash."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from core.errors import Cancelled, ModelCorrupt

BLOCK = 1 << 20


class Partial:
    """The folder of an unfinished download. What another source left there is dropped at the first new bytes.

    `finished` names the parts whose bytes are safely in the files. Nothing here is trusted in the end: the hashes
    of the finished files decide.
    """

    def __init__(self, folder: Path, source: str) -> None:
        self.folder = folder
        self.files = folder / "files"
        self._state = folder / "state.json"
        self._source = source
        stored, sizes, finished = _read(self._state)
        self._ours = stored == source
        self._sizes = sizes if self._ours else {}
        self.finished = finished if self._ours else []

    def size(self, name: str) -> int:
        """Bytes of this file that have arrived."""
        with suppress(FileNotFoundError):
            return (self.files / name).stat().st_size if self._ours else 0
        return 0

    def done(self) -> int:
        """Bytes of all files that have arrived from this source."""
        return self.occupied() if self._ours else 0

    def occupied(self) -> int:
        """Bytes that the files here take, from whichever source they are."""
        return sum(sizes_below(self.files))

    def rewind(self) -> None:
        """Cut the files back to the finished parts; start over when they are shorter than that."""
        if any(self.size(name) < size for name, size in self._sizes.items()):
            self.clear()
        for path in [path for path in self.files.rglob("*") if path.is_file()] if self._ours else []:
            os.truncate(path, self._sizes.get(path.relative_to(self.files).as_posix(), 0))

    def append(self, name: str, pieces: Iterable[bytes], *, limit: int) -> None:
        """Add bytes to a file. Raises ModelCorrupt before it grows beyond `limit`."""
        self._claim()
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            size = file.tell()
            for piece in pieces:
                size += len(piece)
                if size > limit:
                    raise ModelCorrupt(f"{name} is longer than the {limit:,} bytes it should have")
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())

    def restart(self, name: str) -> None:
        """Forget what has arrived of one file."""
        if self._ours:
            (self.files / name).unlink(missing_ok=True)

    def record(self, part: str) -> None:
        """Note that all bytes of a part are in the files, so that it is never fetched again."""
        self.finished.append(part)
        paths = [path for path in self.files.rglob("*") if path.is_file()]
        self._sizes = {path.relative_to(self.files).as_posix(): path.stat().st_size for path in paths}
        self._write()

    def clear(self) -> None:
        """Delete everything that has arrived."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._ours, self._sizes, self.finished = False, {}, []

    def _claim(self) -> None:
        if not self._ours:
            shutil.rmtree(self.files, ignore_errors=True)
            self._ours = True
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write()

    def _write(self) -> None:
        state = {"source": self._source, "finished": self.finished, "sizes": self._sizes}
        draft = self._state.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._state)


def partial_source(folder: Path) -> str:
    """The label of the source that an unfinished download came from; empty when there is none."""
    return _read(folder / "state.json")[0]


def raise_if_cancelled(cancel: threading.Event) -> None:
    """Raise Cancelled when somebody asked for it."""
    if cancel.is_set():
        raise Cancelled("The download was stopped. What has arrived is kept; the next try goes on from there.")


def sizes_below(folder: Path) -> list[int]:
    """Sizes of the files in a folder that another program may be writing to and deleting from."""
    sizes = []
    for parent, _, names in os.walk(folder):  # passes over folders that vanish, as rglob does not
        for name in names:
            with suppress(FileNotFoundError):
                sizes.append(os.stat(os.path.join(parent, name)).st_size)
    return sizes


def _read(path: Path) -> tuple[str, dict[str, int], list[str]]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        sizes = {str(name): int(size) for name, size in state["sizes"].items()}
        return str(state["source"]), sizes, [str(part) for part in state["finished"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "", {}, []  # absent or damaged: the download starts over
