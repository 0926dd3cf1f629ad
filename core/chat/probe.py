"""Reads in a model's inner state how an answer will fare: one weight for each number of the state.

Linear probes (Alain and Bengio 2016). Questions that people wrote over the very passage, so that it nearly answers
them, look like others from outside; inside the model they can be told apart to a good part (docs/answers.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.chat.logistic import logistic
from core.types import InnerState

ASKED, SAID = "asked", "said"  # whether the documents hold the answer, before it; whether it is right, in its words
FORM = 2  # what the numbers are: 1 was the state behind a layer, 2 is what a few layers add to it
APART = 10  # questions of each kind that a subject needs to show how it differs from others
PULL = 0.5  # of the weights towards nothing, for each number of the state; measured in docs/answers.md
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Probe:
    """The weights for a part of the states of one model, and what is added."""

    model: str
    part: str
    weights: tuple[float, ...]
    bias: float
    form: int = FORM

    @property
    def signal(self) -> str:
        """The name of the signal that it makes."""
        return f"inner_{self.part}"

    def read(self, state: InnerState | None) -> float | None:
        """The log of the odds of what it was fitted for; None for no state, or that of another model."""
        if state is None or state.model != self.model or len(values := numbers(state, self.part)) != len(self.weights):
            return None
        read = float(values @ np.asarray(self.weights)) + self.bias
        return read if np.isfinite(read) else None

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError, ValueError for what is none."""
        weights, part = tuple(float(weight) for weight in stored["weights"]), str(stored["part"])
        if part not in (ASKED, SAID) or not np.isfinite(weights).all():
            raise ValueError("weights are numbers, and for a part that there is")
        if stored.get("form") != FORM:
            raise ValueError("other numbers are read today")
        return cls(str(stored["model"]), part, weights, float(stored["bias"]))


def numbers(state: InnerState, part: str) -> NDArray[np.float64]:
    """The numbers of a part of a state, shape (width of the model,)."""
    return np.frombuffer(state.asked if part == ASKED else state.said, "<f2").astype(np.float64)


def fit_probe(
    states: Sequence[InnerState], part: str, truth: NDArray[np.float64], subjects: Sequence[str]
) -> tuple[Probe, NDArray[np.float64]]:
    """A probe, and what probes that never saw a question or its subject read in its state; shape (questions,).

    `truth` is 1 where it shall read above 0. The second is what other weights are to be fitted beside: in states that
    it was fitted on, a probe reads too well.
    """
    table = np.array([numbers(state, part) for state in states])
    named, aside = np.array(subjects), np.zeros(len(table))
    for fold in folds(subjects, truth):
        weights, bias = _weights(table[~fold], truth[~fold], named[~fold])
        aside[fold] = table[fold] @ weights + bias
    weights, bias = _weights(table, truth, named)
    rounded = tuple(round(float(weight), 6) for weight in weights)
    return Probe(states[0].model, part, rounded, round(bias, 6)), aside


def _weights(
    table: NDArray[np.float64], truth: NDArray[np.float64], subjects: NDArray[np.str_]
) -> tuple[NDArray[np.float64], float]:
    means, scales = table.mean(axis=0), table.std(axis=0) + 1e-6
    standing = (table - means) / scales
    apart = _apart(standing, truth, subjects)
    fitted = logistic(standing - (standing @ apart.T) @ apart, truth, pull=PULL * table.shape[1])
    weights = fitted[1:] / scales  # nothing drew them into those directions
    return weights, float(fitted[0] - means @ weights)


def _apart(table: NDArray[np.float64], truth: NDArray[np.float64], subjects: NDArray[np.str_]) -> NDArray[np.float64]:
    """Directions in which subjects differ whatever the truth, shape (directions, width): the next differs there too.

    Both kinds count the same in a subject's mean, or having more of one kind would pass for a subject's own.
    """
    means = [
        (table[own & (truth > 0)].mean(axis=0) + table[own & (truth <= 0)].mean(axis=0)) / 2
        for own in (subjects == subject for subject in np.unique(subjects))
        if min((own & (truth > 0)).sum(), (own & (truth <= 0)).sum()) >= APART
    ]
    if len(means) < 2 or 2 * len(means) > table.shape[1]:
        return np.zeros((0, table.shape[1]))
    return np.linalg.svd(np.array(means) - np.mean(means, axis=0), full_matrices=False)[2][: len(means) - 1]


def folds(subjects: Sequence[str], truth: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Parts of about the same size, to be tried with what was fitted on the others.

    What is about the same is in the same part, unless nothing of one kind is left without a part.
    """
    names, places, counts = np.unique(np.array(subjects), return_inverse=True, return_counts=True)
    part, sizes = np.zeros(len(names), int), np.zeros(min(FOLDS, len(names)))
    for name in np.argsort(-counts, kind="stable"):
        part[name] = int(sizes.argmin())
        sizes[part[name]] += counts[name]
    made = [part[places] == fold for fold in range(len(sizes))]
    if len(names) < len(truth) and any(len(set(truth[~fold])) < 2 for fold in made):
        return folds([str(place) for place in range(len(truth))], truth)
    return made
