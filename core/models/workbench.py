"""Longer work on models, in the background and with progress: importing, examining, making smaller."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from core.errors import Cancelled, Conflict, GroundworkError, ModelError
from core.models.catalog import CatalogModel, installed_path
from core.models.client import ModelClient
from core.models.gguf import read_gguf
from core.models.importing import Candidate, described, hash_of, import_model
from core.models.local import find_model, new_id, write_card
from core.storage.db import Database
from core.storage.tables import MeasurementRow

log = logging.getLogger(__name__)

PRECISIONS = {
    "Q8_0": "nearly no loss, about half of 16 bits",
    "Q6_K": "hardly any loss",
    "Q5_K_M": "little loss",
    "Q4_K_M": "the usual compromise",
    "Q4_0": "fast on most processors, some loss",
    "Q3_K_M": "noticeable loss",
    "Q2_K": "large loss, for trying out",
}
EXAMINED, MADE = 0.35, 0.65  # of making a smaller model: the share that is done after each of its first two parts


@dataclass(frozen=True, slots=True)
class Measurement:
    """One examination; speeds in tokens a second, see core/serving/native/examine.py for the names of `figures`."""

    model: str
    sha256: str
    figures: dict[str, Any]
    created_at: datetime


@dataclass
class Task:
    """Work that runs, or has ended; `error` and `outcome` are sentences for people."""

    kind: str
    model: str  # its id, or the name of the file
    phase: str = ""
    share: float = 0.0
    began: float = field(default_factory=time.monotonic)
    active: bool = True
    error: str = ""
    outcome: str = ""
    made: str = ""  # id of a new model
    cancel: threading.Event = field(default_factory=threading.Event)

    def seconds_left(self) -> float | None:
        """An estimate from the share that is done; None while it says too little."""
        gone = time.monotonic() - self.began
        return gone / self.share * (1 - self.share) if self.share > 0.05 and gone > 2 else None

    def told(self, phase: str, share: float) -> None:
        self.phase, self.share = phase, share


class Workbench:
    """One piece of work at a time: two would disturb each other's measurements."""

    def __init__(self, db: Database, client: ModelClient, store: Path) -> None:
        self._db, self._client, self._store = db, client, store
        self._lock = threading.Lock()
        self.task: Task | None = None

    def import_file(self, candidate: Candidate, title: str) -> Task:
        """Copy a model file into the store. Raises Conflict for a name that is taken."""
        new_id(title, self._store)

        def work(task: Task) -> str:
            copying = partial(task.told, "Copying")
            model = import_model(candidate, self._store, title=title, progress=copying, cancel=task.cancel)
            task.made = model.id
            return f"{model.title} is imported. It can be used now."

        return self._start(Task("import", candidate.path.name), work)

    def examine(self, model_id: str) -> Task:
        """Measure a model on this machine. Raises NotFound, ModelMissing, Conflict."""
        model = self._installed(model_id)
        return self._start(Task("examine", model.id), lambda task: _sentence(self._examine(model, task, 0, 1).figures))

    def quantize(self, model_id: str, kind: str, title: str) -> Task:
        """Make a smaller model beside this one, and examine both. Raises NotFound, ModelMissing, Conflict."""
        model, made = self._installed(model_id), new_id(title, self._store)
        return self._start(Task("quantize", model.id), lambda task: self._quantize(model, kind, made, title, task))

    def measurements(self, model_id: str, limit: int = 20) -> list[Measurement]:
        """The examinations of a model, the newest first."""
        return self._read(select(MeasurementRow).where(MeasurementRow.model == model_id), limit)

    def latest(self) -> dict[str, Measurement]:
        """The newest examination of each model by its id."""
        found = self._read(select(MeasurementRow), 500)
        return {measurement.model: measurement for measurement in reversed(found)}

    def close(self) -> None:
        """Stop what runs."""
        if self.task:
            self.task.cancel.set()

    def _start(self, task: Task, work: Callable[[Task], str]) -> Task:
        with self._lock:
            if self.task and self.task.active:
                raise Conflict(f"{self.task.model} is being worked on. Wait until that is done, or stop it.")
            self.task = task
        threading.Thread(target=self._run, args=(task, work), name=f"model-{task.kind}", daemon=True).start()
        return task

    def _run(self, task: Task, work: Callable[[Task], str]) -> None:
        try:
            task.outcome = work(task)
        except Cancelled:
            task.error = "Stopped. Nothing of it was kept."
        except GroundworkError as problem:
            log.warning("%s of %s ended: %s", task.kind, task.model, problem)
            task.error = str(problem)
        except OSError as problem:
            log.warning("%s of %s ended: %s", task.kind, task.model, problem)
            task.error = f"The model store cannot be written to ({problem.strerror}). Check its space and owner."
        finally:
            task.active = False

    def _examine(self, model: CatalogModel, task: Task, begin: float, end: float) -> Measurement:
        """Examine a model; the task's progress goes from `begin` to `end` meanwhile."""
        for message in self._client.work("/models/examine", {"id": model.id}, task.cancel):
            if "share" in message:
                task.told(str(message["phase"]), begin + (end - begin) * float(message["share"]))
            elif "result" in message:
                row = MeasurementRow(model=model.id, sha256=model.sha256, figures=message["result"])
                with self._db.write() as session:
                    session.add(row)
                    session.flush()
                    return Measurement(row.model, row.sha256, row.figures, row.created_at)
        raise ModelError("The model server ended before the examination did. Try again.")

    def _quantize(self, model: CatalogModel, kind: str, made: str, title: str, task: Task) -> str:
        known = [m for m in self.measurements(model.id, 1) if m.sha256 == model.sha256]
        before = known[0] if known else self._examine(model, task, 0, EXAMINED)
        draft = self._store / f"{made}.quantized"
        try:
            body = {"id": model.id, "kind": kind, "target": draft.name}
            for message in self._client.work("/models/quantize", body, task.cancel):
                if "share" in message:
                    task.told(f"Writing {kind}", EXAMINED + (MADE - EXAMINED) * 0.9 * float(message["share"]))
            task.told("Checking every byte", MADE - 0.03)
            sha256, gguf = hash_of(draft), read_gguf(draft)
            origin = f"Made from {model.title}"
            smaller = described(made, gguf, title=title, sha256=sha256, size=gguf.bytes, origin=origin)
            draft.replace(self._store / smaller.file)
            write_card(smaller, self._store)
        finally:
            draft.unlink(missing_ok=True)
        task.made = made
        after = self._examine(smaller, task, MADE, 1)
        return _difference(model, before, smaller, after)

    def _installed(self, model_id: str) -> CatalogModel:
        model = find_model(model_id, self._store)
        installed_path(model, self._store)
        return model

    def _read(self, query: Any, limit: int) -> list[Measurement]:
        with self._db.read() as session:
            rows = session.scalars(query.order_by(MeasurementRow.id.desc()).limit(limit)).all()
            return [Measurement(row.model, row.sha256, row.figures, row.created_at) for row in rows]


def _sentence(figures: dict[str, Any]) -> str:
    return (
        f"It reads {figures['reading']:.0f} and writes {figures['writing']:.0f} tokens a second, and answered "
        f"{figures['right']} of {figures['questions']} questions rightly."
    )


def _difference(model: CatalogModel, before: Measurement, smaller: CatalogModel, after: Measurement) -> str:
    old, new = before.figures, after.figures
    return (
        f"{smaller.title}: {smaller.bytes / 1e9:.2f} GB instead of {model.bytes / 1e9:.2f}, writes "
        f"{new['writing']:.0f} instead of {old['writing']:.0f} tokens a second, {new['right']} instead of "
        f"{old['right']} of {new['questions']} questions right, "
        f"perplexity {new['perplexity']:.2f} instead of {old['perplexity']:.2f}."
    )
