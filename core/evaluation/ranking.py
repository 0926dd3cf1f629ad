"""How good a ranking is: recall, reciprocal rank, nDCG. Pure, and equal to what trec_eval computes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

CUTS = (1, 3, 5, 10, 100)
GAIN_CUT = 10


def scores(found: Sequence[str], relevant: Mapping[str, float]) -> dict[str, float]:
    """All measures of one question, by name. `found` are ids, best first, each once; `relevant` must not be empty."""
    measures = {f"recall@{cut}": recall(found, relevant, cut) for cut in CUTS}
    return {**measures, "MRR": reciprocal_rank(found, relevant), f"nDCG@{GAIN_CUT}": ndcg(found, relevant, GAIN_CUT)}


def recall(found: Sequence[str], relevant: Mapping[str, float], cut: int) -> float:
    """The share of the relevant ids that is among the first `cut`."""
    return len(set(found[:cut]) & set(relevant)) / len(relevant)


def reciprocal_rank(found: Sequence[str], relevant: Mapping[str, float]) -> float:
    """One over the place of the first relevant id, 0 without one."""
    return next((1 / place for place, id in enumerate(found, 1) if id in relevant), 0.0)


def ndcg(found: Sequence[str], relevant: Mapping[str, float], cut: int) -> float:
    """Discounted gain over that of the best possible order; the gain of an id is its score."""
    best = _discounted(sorted(relevant.values(), reverse=True)[:cut])
    return _discounted([relevant.get(id, 0.0) for id in found[:cut]]) / best if best else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))
