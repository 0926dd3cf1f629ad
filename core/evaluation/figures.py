"""Figures with what chance alone could make of them: bootstrap intervals, percentiles, paired differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
NORMAL = 1.96  # standard deviations that hold 95 %
AT_ONCE = 4_000_000  # drawn places that are held in memory together
Values = NDArray[np.float64]
Statistic = Callable[[Values], float]


@dataclass(frozen=True, slots=True)
class Figure:
    """A value over `n` questions and its 95 % interval; `n` 0 means that there was nothing to measure."""

    value: float
    low: float
    high: float
    n: int


NOTHING = Figure(0.0, 0.0, 0.0, 0)


def mean_of(values: Sequence[float | bool], seed: int) -> Figure:
    """The mean of one value for each question.

    A share of which all are alike has Wilson's interval (1927): a bootstrap would be certain after one question.
    """
    rows = np.asarray(values, dtype=np.float64)
    if not len(rows):
        return NOTHING
    if all(isinstance(value, bool) for value in values) and len(set(values)) == 1:
        return _alike(float(rows[0]), len(rows))
    rng = np.random.default_rng(seed)
    step = max(1, AT_ONCE // len(rows))
    means = np.concatenate(
        [
            rows[rng.integers(0, len(rows), (min(step, RESAMPLES - start), len(rows)))].mean(axis=1)
            for start in range(0, RESAMPLES, step)
        ]
    )
    return _figure(float(rows.mean()), means, len(rows))


def ratio_of(parts: Sequence[float], wholes: Sequence[float], seed: int) -> Figure:
    """The sum of the parts over the sum of the wholes, drawn by question: a question may have several citations."""
    pairs = np.column_stack([np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)])
    pairs = pairs[pairs[:, 1] > 0]
    return statistic_of(pairs, lambda rows: float(rows[:, 0].sum() / rows[:, 1].sum()), seed)


def percentile_of(values: Sequence[float], percent: float, seed: int) -> Figure:
    """A percentile, linearly between the neighbours."""
    return statistic_of(np.asarray(values, dtype=np.float64), lambda rows: float(np.percentile(rows, percent)), seed)


def statistic_of(rows: Values, statistic: Statistic, seed: int, resamples: int = RESAMPLES // 2) -> Figure:
    """Any statistic of the rows; one that is not a number for a draw leaves that draw out."""
    if not len(rows):
        return NOTHING
    value = statistic(rows)
    if np.isnan(value):
        return NOTHING
    rng = np.random.default_rng(seed)
    drawn = np.array([statistic(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(resamples)])
    drawn = drawn[~np.isnan(drawn)]
    return _figure(value, drawn if len(drawn) else np.array([value]), len(rows))


def difference(after: Sequence[float | bool], before: Sequence[float | bool], seed: int) -> Figure:
    """The mean of the differences of the same questions. Raises ValueError for lists of different length."""
    pairs = zip(after, before, strict=True)
    return mean_of([float(one) - float(other) for one, other in pairs], seed)


def _alike(value: float, n: int) -> Figure:
    """Wilson's interval of a share that is 0 or 1."""
    rest = NORMAL**2 / (n + NORMAL**2)
    return Figure(value, max(0.0, value - rest), min(1.0, value + rest), n)


def _figure(value: float, drawn: Values, n: int) -> Figure:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(value, float(low), float(high), n)
