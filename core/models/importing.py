"""Taking in a model file that is on this machine already."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadUpload, Cancelled, ModelCorrupt, StorageError, StorageFull
from core.models.catalog import CatalogModel
from core.models.gguf import Gguf, read_gguf
from core.models.local import make_model, new_id, write_card

log = logging.getLogger(__name__)

BLOCK = 4 << 20
DRAFTS = ("*.gguf.*.import", "*.quantized")  # of the store: files that become models once they are complete
DAMAGED = "While it was read, {name} changed or was damaged. Import it again."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that could be imported, and what it says of itself."""

    path: Path
    gguf: Gguf

    @property
    def title(self) -> str:
        """Its own name with its precision, or that of the file."""
        name = self.gguf.name.strip()
        return f"{name} {self.gguf.precision}".strip() if name else self.path.stem


def look_at(text: str) -> Candidate:
    """What a path leads to. Raises BadUpload for what is no file, ModelCorrupt for what is no chat model."""
    path = Path(text.strip().strip("\"'")).expanduser()
    if not path.is_absolute() or not path.is_file():
        raise BadUpload(f"{path} is no file on this machine. Give the whole path of a .gguf file.")
    found = read_gguf(path.resolve())
    if not found.template:
        raise ModelCorrupt(
            f"{path.name} brings no chat template, so it cannot lead a conversation. Take an instruct or chat version."
        )
    return Candidate(path.resolve(), found)


def import_model(
    candidate: Candidate, store: Path, *, title: str, progress: Callable[[float], None], cancel: threading.Event
) -> CatalogModel:
    """Copy a file into the store under a new id, with its hash. Raises Conflict, StorageFull, StorageError, Cancelled.

    Nothing is left of it unless it is complete.
    """
    model_id = new_id(title, store)
    target, draft = store / f"{model_id}.gguf", store / f"{model_id}.gguf.{os.getpid()}.import"
    try:
        store.mkdir(parents=True, exist_ok=True)
        sha256, size = _copy(candidate, draft, progress, cancel)
        draft.replace(target)
    except OSError as error:
        kind = StorageFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
        raise kind(f"{candidate.path.name} could not be copied into the model store ({error.strerror}).") from error
    finally:
        draft.unlink(missing_ok=True)
    model = described(model_id, candidate.gguf, title=title, sha256=sha256, size=size, origin="Imported from a file")
    write_card(model, store)
    return model


def sweep(store: Path, *, older_than: float) -> None:
    """Remove drafts that nothing was written to since then: who made them was killed. Raises StorageError."""
    for draft in (path for pattern in DRAFTS for path in store.glob(pattern)):
        try:
            if draft.stat().st_mtime < older_than:
                log.info("removing %s, which was never completed", draft.name)
                draft.unlink()
        except FileNotFoundError:
            log.debug("%s has been completed or removed meanwhile", draft.name)
        except OSError as error:
            raise StorageError(f"The unfinished {draft.name} cannot be removed ({error.strerror}).") from error


def described(model_id: str, gguf: Gguf, *, title: str, sha256: str, size: int, origin: str) -> CatalogModel:
    """The card of a local model, from what its file says."""
    precision = f", {gguf.precision}" if gguf.precision else ""
    return make_model(
        model_id,
        title=title,
        description=f"{origin}: {gguf.architecture}, {gguf.parameters / 1e9:.2g} billion parameters{precision}.",
        licence=gguf.licence or "licence not stated",
        context_tokens=gguf.context_tokens or 2048,
        size=size,
        sha256=sha256,
    )


def hash_of(path: Path, progress: Callable[[float], None] = lambda _share: None) -> str:
    """SHA-256 of a file in hexadecimal."""
    made, done, total = hashlib.sha256(), 0, max(1, path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            made.update(block)
            done += len(block)
            progress(done / total)
    return made.hexdigest()


def _copy(
    candidate: Candidate, draft: Path, progress: Callable[[float], None], cancel: threading.Event
) -> tuple[str, int]:
    made, done = hashlib.sha256(), 0
    with candidate.path.open("rb") as source, draft.open("xb") as target:
        while block := source.read(BLOCK):
            if cancel.is_set():
                raise Cancelled("The import was stopped.")
            target.write(block)
            made.update(block)
            done += len(block)
            progress(done / candidate.gguf.bytes)
        target.flush()
        os.fsync(target.fileno())
    if done != candidate.gguf.bytes:
        raise ModelCorrupt(DAMAGED.format(name=candidate.path.name))
    return made.hexdigest(), done
