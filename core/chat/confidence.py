"""How likely an answer is right: a logistic model over its signals.

It is fitted on questions with known answers and questions without any, and kept as a small JSON. One may ship with
Groundwork; those that are fitted here are in the data folder, and go before it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.chat.logistic import logistic
from core.chat.probe import ASKED, SAID, Probe, fit_probe, folds
from core.errors import SettingsError
from core.settings import ROOT
from core.types import InnerState

CALIBRATION = ROOT / "data" / "calibration.json"  # that ships, where one does
OWN = "own.json"  # of this installation, in its folder of calibrations
PULL = 3.0  # of the weights towards nothing: the signals say much of the same
KEEP = 0.98  # share of the right answers that the chosen point lets through
POINTS = 40  # of the curve
FEWEST = 40  # questions of each kind that a fit needs


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal: its mean, its spread and its weight."""

    mean: float
    scale: float
    weight: float


@dataclass(frozen=True, slots=True)
class Point:
    """Answering from `threshold` on: the share of the questions that is answered, and the wrong share of those."""

    threshold: float
    coverage: float
    risk: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted model. Below `point` an answer is not given as one.

    `point`, `auroc` (of what the documents answer and what not) and `curve` are from questions about other subjects
    than those that were fitted on. With `probes` it is only for the answers of their model.
    """

    signals: Mapping[str, Signal]
    bias: float
    point: float
    fitted_on: str
    questions: int
    auroc: float
    curve: tuple[Point, ...] = ()
    probes: tuple[Probe, ...] = ()

    def confidence(self, found: Mapping[str, float], inner: InnerState | None = None) -> float | None:
        """The probability that the documents answer the question, and this is how; None for another model."""
        found = dict(found)
        for probe in self.probes:
            if (read := probe.read(inner)) is None:
                return None
            found[probe.signal] = read
        total = self.bias
        for name, signal in self.signals.items():
            total += signal.weight * (found.get(name, signal.mean) - signal.mean) / signal.scale
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))

    @property
    def name(self) -> str:
        """What it was fitted on, and a hash of its numbers: two of the same questions may differ."""
        numbers = json.dumps(self.as_dict(), sort_keys=True)
        return f"{self.fitted_on} {hashlib.sha256(numbers.encode()).hexdigest()[:12]}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError, ValueError for what is none."""
        signals = {
            str(name): Signal(**{k: float(v) for k, v in one.items()}) for name, one in stored["signals"].items()
        }
        if not all(signal.scale > 0 and math.isfinite(signal.weight) for signal in signals.values()):
            raise ValueError("scales are above 0")
        probes = tuple(Probe.from_dict(one) for one in stored.get("probes", ()))
        if {name for name in signals if name.startswith("inner")} != {probe.signal for probe in probes}:
            raise ValueError("a signal of inner states and its probe come together")
        curve = tuple(Point(**{k: float(v) for k, v in one.items()}) for one in stored.get("curve", ()))
        return cls(
            signals, float(stored["bias"]), float(stored["point"]), str(stored["fitted_on"]), int(stored["questions"]),
            float(stored["auroc"]), curve, probes,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer whose truth is known, for fitting: whether the documents hold an answer, and whether this was right.

    `subject` names what it is about: a fit is tried on other subjects.
    """

    signals: Mapping[str, float]
    answerable: bool
    right: bool
    inner: InnerState | None = None
    subject: str = ""


def fit(rows: Sequence[Judged], *, name: str) -> Calibration:
    """Fit a calibration. Raises SettingsError when there are too few questions of one kind."""
    answerable, right = _truth(rows)
    if min(answerable.sum(), right.sum(), len(rows) - answerable.sum()) < FEWEST:
        raise SettingsError(
            f"{FEWEST} questions with an answer in the documents, {FEWEST} without one, and {FEWEST} right answers are "
            "the least to fit on."
        )
    sure = _tried(rows)
    return replace(
        _fitted(rows, name),
        point=round(float(np.quantile(sure[right > 0], 1 - KEEP)), 4),
        auroc=round(auroc(sure, answerable > 0), 4),
        curve=curve(sure, right > 0),
    )


def _truth(rows: Sequence[Judged]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """1 where the documents hold the answer, and 1 where it is right as well."""
    answerable = np.array([row.answerable for row in rows], dtype=np.float64)
    return answerable, answerable * np.array([row.right for row in rows], dtype=np.float64)


def _tried(rows: Sequence[Judged]) -> NDArray[np.float64]:
    """How sure a calibration is of each answer that was fitted on others, about other subjects."""
    sure = np.zeros(len(rows))
    for fold in folds(_subjects(rows), _truth(rows)[1]):
        fitted = _fitted([row for row, out in zip(rows, fold, strict=True) if not out], "")
        for place in np.flatnonzero(fold).tolist():
            sure[place] = fitted.confidence(rows[place].signals, rows[place].inner) or 0.0
    return sure


def _fitted(rows: Sequence[Judged], name: str) -> Calibration:
    probes, read = _probed(rows)
    found = [{**row.signals, **inner} for row, inner in zip(rows, read, strict=True)]
    names = sorted({name for each in found for name in each})
    table = np.array([[each.get(name, 0.0) for name in names] for each in found], dtype=np.float64)
    means, scales = table.mean(axis=0), table.std(axis=0)
    scales[scales < 1e-9] = 1.0
    weights = logistic((table - means) / scales, _truth(rows)[1], pull=PULL)
    signals = {
        name: Signal(*(round(float(value), 5) for value in parts))
        for name, *parts in zip(names, means, scales, weights[1:], strict=True)
    }
    return Calibration(signals, round(float(weights[0]), 5), 0.0, name, len(rows), 0.0, probes=probes)


def _probed(rows: Sequence[Judged]) -> tuple[tuple[Probe, ...], Sequence[Mapping[str, float]]]:
    """Probes where all answers came with a state of the same model, and what they read in each."""
    states = [row.inner for row in rows if row.inner is not None]
    if len(states) < len(rows) or len({(state.model, len(state.asked)) for state in states}) != 1:
        return (), [{}] * len(rows)
    answerable, right = _truth(rows)
    asked, before = fit_probe(states, ASKED, answerable, _subjects(rows))
    said, after = fit_probe(states, SAID, right, _subjects(rows))
    read = [{asked.signal: float(one), said.signal: float(two)} for one, two in zip(before, after, strict=True)]
    return (asked, said), read


def _subjects(rows: Sequence[Judged]) -> list[str]:
    return [row.subject or str(place) for place, row in enumerate(rows)]


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The chance that a positive has a higher score than a negative, ties half; not a number where one is missing."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]  # of equals the mean
    won = ranks[positive].sum() - positives * (positives + 1) / 2
    return float(won / (positives * negatives))


def curve(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[Point, ...]:
    """Risk by coverage: of the surest questions, the share that was not answered rightly."""
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    places = np.unique(np.linspace(1, len(order), min(POINTS, len(order))).astype(int)) - 1
    return tuple(
        Point(round(float(sure[order[place]]), 4), round((place + 1) / len(order), 4), round(float(wrong[place]), 4))
        for place in places
    )


def load(path: Path) -> Calibration:
    """Read a calibration. Raises SettingsError when the file is none."""
    try:
        return Calibration.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingsError(
            f"{path.name} is no calibration of answers. Make one with `python -m core calibrate`."
        ) from error


def save(calibration: Calibration, path: Path) -> None:
    """Write it beside and put it in place, so that nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(calibration.as_dict(), indent=1) + "\n", encoding="utf-8")
    beside.replace(path)
