"""Measures every form of a model on this machine against the plain one: how fast, and how near its vectors are.

`tell` hears {"at": form} before a form does anything, so that a crash is known to be the crash of that form;
{"done": n, "of": m} after every step; and one {"trial": form, "speed": texts a second, "cosine": the smallest,
"reason": why it cannot be used, or ""} for each form.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.serving.vectors import sample
from core.serving.vectors.conversion import convert
from core.serving.vectors.forms import FAULTS, PLAIN, Backend, Form, VectorModel, first_line, load
from core.serving.vectors.torch_model import TorchModel

log = logging.getLogger(__name__)

Tell = Callable[[dict[str, Any]], None]

BATCH_TEXTS = 16
TIMED_BATCHES = 2
ROUNDS = 3
ENOUGH = 15.0  # seconds; no further round begins after so many, on a slow or busy machine


def measure(model_id: str, folder: Path, forms: Sequence[Form], *, work: Path, threads: int, tell: Tell) -> None:
    """Measure the plain form and these others. Raises ModelCorrupt and StorageError."""
    steps = _Steps(tell, 2 + len(forms) + ROUNDS)
    texts = sample.texts()
    tell({"at": str(PLAIN)})
    plain = TorchModel(model_id, folder, PLAIN, threads=threads)
    wanted = plain.encode(texts).vectors
    steps.next()
    models: dict[Form, VectorModel] = {PLAIN: plain}
    cosines = {PLAIN: 1.0}
    lost = _convert(plain, model_id, folder, [form for form in forms if form.backend is Backend.openvino], work, tell)
    steps.next()
    for form in forms:
        if form not in lost:
            tell({"at": str(form)})
            try:
                model = load(model_id, folder, form, work=work, threads=threads)
                cosines[form] = float((model.encode(texts).vectors * wanted).sum(axis=1).min())
                models[form] = model
            except (ModelError, *FAULTS) as error:
                log.warning("%s of %s", form, model_id, exc_info=True)
                lost[form] = first_line(error)
        steps.next()
    for form, speed in _speeds(models, texts, steps).items():
        tell({"trial": str(form), "speed": speed, "cosine": cosines[form], "reason": ""})
    for form, reason in lost.items():
        tell({"trial": str(form), "speed": 0.0, "cosine": 0.0, "reason": reason})


def _convert(
    plain: TorchModel, model_id: str, folder: Path, forms: Sequence[Form], work: Path, tell: Tell
) -> dict[Form, str]:
    """Convert into the forms; say of all of them why it was not possible."""
    if not forms:
        return {}
    tell({"at": str(forms[0])})
    try:
        convert(plain, model_id, folder, forms, work=work)
    except (ModelError, *FAULTS) as error:
        log.warning("converting %s", model_id, exc_info=True)
        return dict.fromkeys(forms, first_line(error))
    return {}


def _speeds(models: dict[Form, VectorModel], texts: Sequence[str], steps: _Steps) -> dict[Form, float]:
    """Texts a second in the best of several rounds, in which the forms take turns.

    Whatever else runs on the machine can only slow a round down, and the first one prepares for new shapes.
    """
    timed = sorted(texts[: TIMED_BATCHES * BATCH_TEXTS], key=len)
    best = dict.fromkeys(models, 0.0)
    end = time.perf_counter() + ENOUGH
    for number in range(ROUNDS):
        if number and time.perf_counter() > end:
            break
        for form, model in models.items():
            steps.tell({"at": str(form)})
            began = time.perf_counter()
            for start in range(0, len(timed), BATCH_TEXTS):
                model.encode(timed[start : start + BATCH_TEXTS])
            best[form] = max(best[form], len(timed) / (time.perf_counter() - began))
        steps.next()
    return best


class _Steps:
    """Counts what is done."""

    def __init__(self, tell: Tell, total: int) -> None:
        self.tell, self._total, self._done = tell, total, 0

    def next(self) -> None:
        self._done += 1
        self.tell({"done": self._done, "of": self._total})
