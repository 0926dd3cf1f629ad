"""Which form of an embedding model is fastest here without changing its vectors: measured once on every machine."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.errors import ModelBusy, ModelError, ModelMissing, StorageError, from_code
from core.serving.vectors import converted, errand, sealed
from core.serving.vectors.forms import FORMS, PLAIN, Backend, Form, survey
from core.serving.vectors.processor import processor

log = logging.getLogger(__name__)

LAYOUT = 1  # of the file, and of the way to measure
COSINE = 0.999  # the smallest that a form may have to the plain one, over every text of the sample
GAIN = 1.1  # how much faster than the plain form another must be to be taken
LIBRARIES = ("torch", "sentence-transformers", "transformers", "tokenizers", "openvino")

# Called with the number of steps done, of all steps, and the form that is being measured.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """What was measured of a form: `speed` in texts a second, the smallest `cosine`, and why it cannot be used."""

    form: Form
    speed: float
    cosine: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The form to load, and what it was chosen from."""

    form: Form
    trials: tuple[Trial, ...]


def decide(trials: Sequence[Trial]) -> Form:
    """The fastest form that gives the same vectors; the plain one unless another is clearly faster."""
    plain = next((trial.speed for trial in trials if trial.form == PLAIN), 0.0)
    good = [trial for trial in trials if not trial.reason and trial.cosine >= COSINE]
    best = max(good, key=lambda trial: trial.speed, default=None)
    return best.form if best and best.speed >= GAIN * plain else PLAIN


def choose(model_id: str, folder: Path, *, work: Path, threads: int, progress: Progress | None = None) -> Choice:
    """The choice kept in `work`, or a new one, which takes half a minute in a process of its own.

    Raises ModelMissing and ModelCorrupt. A form that fails, or even crashes, is only not chosen. What is not valid on
    this machine, with these libraries or for this version of the model is measured again.
    """
    if not folder.is_dir():
        raise ModelMissing(f"The folder {folder} of the model {model_id} is not there. Download the model again.")
    marks = converted.fingerprint(model_id, folder)
    file, key = work / f"choice-{marks[:20]}.json", conditions(marks, threads)
    kept = read(file, key)
    if kept:
        return kept
    try:
        work.mkdir(parents=True, exist_ok=True)
        trials = _measure(model_id, folder, work, threads, progress or _silent)
        choice = Choice(decide(trials), tuple(trials))
        write(file, choice, key)
    except (OSError, StorageError, ModelBusy) as error:
        # Not kept: with more space, another owner of the folder or less to do it may be better next time.
        log.warning("the forms of %s cannot be measured: %s", model_id, error)
        return Choice(PLAIN, tuple(Trial(form, 0.0, 0.0, str(error)) for form in FORMS if form != PLAIN))
    log.info("%s is computed as %s", model_id, choice.form)
    light = choice.form.backend is Backend.openvino
    converted.discard_others(work, model_id, converted.place(work, marks, choice.form) if light else None)
    return choice


def write(file: Path, choice: Choice, conditions: Mapping[str, Any]) -> None:
    """Keep a choice and the conditions it was made under. Raises OSError."""
    trials = [{**asdict(trial), "form": str(trial.form)} for trial in choice.trials]
    sealed.write(file, {"conditions": conditions, "form": str(choice.form), "trials": trials})


def read(file: Path, conditions: Mapping[str, Any]) -> Choice | None:
    """A kept choice; None if it was made under other conditions, or is not as it was written."""
    value = sealed.read(file)
    if value is None or value.get("conditions") != conditions:
        return None
    try:
        trials = [
            Trial(Form.parse(one["form"]), float(one["speed"]), float(one["cosine"]), str(one["reason"]))
            for one in value["trials"]
        ]
        return Choice(Form.parse(value["form"]), tuple(trials))
    except (KeyError, TypeError, ValueError):
        return None


def _measure(model_id: str, folder: Path, work: Path, threads: int, progress: Progress) -> list[Trial]:
    """Every form once; again without the one in which the process crashed."""
    reasons = survey()
    lost = [Trial(form, 0.0, 0.0, reason) for form, reason in reasons.items() if reason]
    while True:
        forms = [form for form in FORMS if form not in (PLAIN, *(trial.form for trial in lost))]
        request = {"task": "measure", "model": model_id, "folder": str(folder), "work": str(work)}
        trials, crashed, code = _follow(
            errand.run({**request, "forms": list(map(str, forms)), "threads": threads}), progress
        )
        if code == 0:
            return sorted([*trials, *lost], key=lambda trial: FORMS.index(trial.form))
        if crashed == PLAIN:
            raise ModelError(
                f"The embedding model {model_id} cannot be used: the process that tried it ended with code {code}. "
                "The log of the model server tells more."
            )
        log.warning("%s of %s ended its process with code %s", crashed, model_id, code)
        lost.append(Trial(crashed, 0.0, 0.0, f"the process that tried it ended with code {code}"))


def _follow(news: Iterator[dict[str, Any]], progress: Progress) -> tuple[list[Trial], Form, int]:
    """The trials, the form that was tried last, and the code with which the process ended."""
    trials, at, code = [], PLAIN, 0
    for one in news:
        if "error" in one:
            raise from_code(one["error"], one["message"])
        if "at" in one:
            at = Form.parse(one["at"])
        elif "done" in one:
            progress(one["done"], one["of"], str(at))
        elif "trial" in one:
            trials.append(Trial(Form.parse(one["trial"]), one["speed"], one["cosine"], one["reason"]))
        else:
            code = one["ended"]
    return trials, at, code


def _silent(_done: int, _of: int, _form: str, /) -> None:
    """Progress that nobody wants to hear of."""


def conditions(marks: str, threads: int) -> dict[str, Any]:
    """All that a choice depends on: it is valid only while every value here is the same."""
    flags = hashlib.sha256(" ".join(sorted(processor().flags)).encode()).hexdigest()[:20]
    versions = {name: _version(name) for name in LIBRARIES}
    named = {"model": marks, "processor": processor().name, "flags": flags, "threads": threads}
    return {"layout": LAYOUT, **named, "versions": versions}


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
