"""How well confidence tells right from wrong, and what can be answered from what cannot. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.chat.confidence import auroc

__all__ = ["auroc", "balanced_accuracy", "best_threshold", "curve", "right_among"]

MOST_CONFIDENT = 0.7
STEPS = 20


def right_among(confidence: NDArray[np.float64], right: NDArray[np.float64], share: float) -> float:
    """The mean of `right` among the most confident share; equals at its edge count in part, so order means nothing."""
    if not len(confidence):
        return float("nan")
    wanted = max(1, round(share * len(confidence)))
    edge = np.sort(confidence)[::-1][wanted - 1]
    above, level = confidence > edge, confidence == edge
    rest = wanted - int(above.sum())
    return float((right[above].sum() + rest * right[level].mean()) / wanted)


def curve(confidence: Sequence[float], right: Sequence[bool], steps: int = STEPS) -> list[tuple[float, float]]:
    """Coverage and the share that is wrong in it, from the most confident few to all."""
    values, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not len(values):
        return []
    shares = [step / steps for step in range(1, steps + 1)]
    return [(share, 1.0 - right_among(values, hits, share)) for share in shares]


def balanced_accuracy(answered: NDArray[np.bool_], answerable: NDArray[np.bool_]) -> float:
    """The mean of: what can be answered and was, what cannot and was not."""
    if not answerable.any() or answerable.all():
        return float("nan")
    return float((answered[answerable].mean() + (~answered[~answerable]).mean()) / 2)


def best_threshold(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """The threshold (answer when the score is at least that) with the best balanced accuracy, and that accuracy.

    Both kinds must be there.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, kinds = scores[order], positive[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # the last of each group of equals
    taken = np.cumsum(kinds)[ends] / kinds.sum()
    refused = 1 - np.cumsum(~kinds)[ends] / (~kinds).sum()
    accuracy = (taken + refused) / 2
    best = int(np.argmax(accuracy))
    return float(ranked[ends[best]]), float(accuracy[best])
