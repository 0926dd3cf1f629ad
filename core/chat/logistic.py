"""Logistic regression, by Newton's method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 60  # it is done after about ten


def logistic(table: NDArray[np.float64], truth: NDArray[np.float64], *, pull: float) -> NDArray[np.float64]:
    """Weights of a logistic regression, the bias first; `table` is (rows, columns), standardised.

    `pull` draws the weights towards nothing (ridge).
    """
    if table.shape[1] > table.shape[0]:  # the weights then lie in the space of the rows, where there are fewer of them
        basis = np.linalg.svd(table, full_matrices=False)[2]
        within = logistic(table @ basis.T, truth, pull=pull)
        return np.concatenate([within[:1], within[1:] @ basis])
    inputs = np.hstack([np.ones((len(table), 1)), table])
    ridge = np.diag([0.0] + [pull] * table.shape[1])
    weights = np.zeros(inputs.shape[1])
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        slope = inputs.T @ (likely - truth) + ridge @ weights
        bend = inputs.T @ (inputs * (likely * (1 - likely))[:, None]) + ridge + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(bend, slope)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    return weights
