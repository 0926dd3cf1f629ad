"""Models converted for OpenVINO, kept on the disk: one folder for a model, a form and a version of OpenVINO.

A folder appears whole or not at all, and is believed only while its files have the hashes that its plan gives.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from core.errors import ModelCorrupt, StorageError
from core.serving.vectors import sealed
from core.serving.vectors.forms import Form

log = logging.getLogger(__name__)

LAYOUT = 1  # of the folder; counts up when what is in it changes
ABANDONED = 3_600.0  # seconds; a draft that old has lost its writer
PLAN = "plan.json"
PARTS = ("model.xml", "model.bin", "tokenizer.json")
# What decides about the vectors; a README or a picture in the folder does not.
TELLING = {".json", ".txt", ".model", ".safetensors", ".bin"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a converted model is fed: `inputs` are its arguments by name, `pad` is the token that fills up."""

    dimension: int
    max_tokens: int
    pad: int
    inputs: tuple[str, ...]


def fingerprint(model_id: str, folder: Path) -> str:
    """The SHA-256 of everything in a model's folder that its vectors depend on. Raises ModelCorrupt."""
    whole = hashlib.sha256()
    try:
        for path in sorted(path for path in folder.rglob("*") if path.suffix in TELLING and path.is_file()):
            whole.update(f"{path.relative_to(folder).as_posix()}\0{sealed.digest(path)}\0".encode())
    except OSError as error:
        raise ModelCorrupt(
            f"The folder of the embedding model {model_id} cannot be read: {error.strerror}. Download it again."
        ) from error
    return whole.hexdigest()


def place(work: Path, marks: str, form: Form) -> Path:
    """The folder for the model with this fingerprint in this form."""
    key = hashlib.sha256(f"{LAYOUT}\0{marks}\0{version('openvino')}\0{form}".encode()).hexdigest()
    return work / f"{key[:20]}-{form}"


def read_plan(folder: Path) -> Plan | None:
    """The plan of a folder whose every file is as it was written; None otherwise."""
    try:
        value = sealed.read(folder / PLAN) or {}
        if value["name"] != folder.name or any(sealed.digest(folder / p) != value["files"][p] for p in PARTS):
            return None
        return Plan(**{**value["plan"], "inputs": tuple(value["plan"]["inputs"])})
    except (KeyError, TypeError, OSError):
        return None


def write(folder: Path, model_id: str, plan: Plan, fill: Callable[[Path], None]) -> None:
    """Let `fill` write PARTS into a folder beside it, which then takes the place of `folder`. Raises StorageError."""
    draft = folder.with_name(f".{folder.name}.{uuid4().hex}.tmp")
    try:
        draft.mkdir(parents=True)
        fill(draft)
        for part in PARTS:
            with (draft / part).open("rb") as file:
                os.fsync(file.fileno())
        files = {part: sealed.digest(draft / part) for part in PARTS}
        sealed.write(draft / PLAN, {"name": folder.name, "model": model_id, "files": files, "plan": asdict(plan)})
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    except OSError as error:
        raise StorageError(
            f"The embedding model {model_id} cannot be prepared in {folder.parent}: {error.strerror or error}. "
            "Free some space, or give the folder to the user who runs Groundwork."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def discard_others(work: Path, model_id: str, keep: Path | None) -> None:
    """Remove what was converted of a model before: for another version of it or of OpenVINO, or for a slower form."""
    for plan in work.glob(f"*/{PLAN}"):
        if plan.parent != keep and (sealed.read(plan) or {}).get("model") == model_id:
            log.info("removing %s", plan.parent)
            shutil.rmtree(plan.parent, ignore_errors=True)
    for draft in work.glob(".*.tmp"):
        if draft.stat().st_mtime < time.time() - ABANDONED:
            shutil.rmtree(draft, ignore_errors=True)
