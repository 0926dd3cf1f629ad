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
        return _by_rows(table, truth, pull)
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


def _by_rows(table: NDArray[np.float64], truth: NDArray[np.float64], pull: float) -> NDArray[np.float64]:
    """The same with one unknown for each row: the weights are a sum of rows (the representer theorem)."""
    rows = len(table)
    alike = table @ table.T
    system = np.zeros((rows + 1, rows + 1))
    system[:rows, rows] = system[rows, :rows] = 1
    odds = np.zeros(rows)
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        bend = np.maximum(likely * (1 - likely), 1e-9)
        system[:rows, :rows] = alike + np.diag(pull / bend)
        solved = np.linalg.solve(system, np.append(odds + (truth - likely) / bend, 0))
        before, odds = odds, alike @ solved[:rows] + solved[rows]
        if np.abs(odds - before).max() < 1e-6:
            break
    return np.append(solved[rows:], table.T @ solved[:rows])
