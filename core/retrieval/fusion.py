"""Reciprocal rank fusion of rankings whose scores cannot be compared (Cormack, Clarke, Büttcher, SIGIR 2009)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def fuse(
    rankings: Sequence[Sequence[int]], *, weights: Sequence[float] | None = None, k: int = 60
) -> list[tuple[int, float]]:
    """Items with their fused score, best first; each ranking gives weight / (k + rank). Ties keep first-seen order."""
    scores: Counter[int] = Counter()
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, item in enumerate(ranking, 1):
            scores[item] += weight / (k + rank)  # type: ignore[assignment]  # a Counter of floats
    return [(item, float(score)) for item, score in scores.most_common()]
