"""The choice of what goes into a context: one document must not fill it while others have as much to say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil

from core.retrieval.candidates import Candidate

SHARE = 2 / 3  # of the passages that one document may have
CLOSE = 0.8  # of a passage's score that one of another document needs to take its place


def chosen(ranked: Sequence[Candidate], wanted: int) -> list[Candidate]:
    """The best `wanted` in their order; from a document that has its share already only what is far better."""
    most, taken = ceil(SHARE * wanted), Counter[str]()
    left, kept = list(range(len(ranked))), list[int]()
    while left and len(kept) < wanted:
        best = left[0]
        if taken[ranked[best].document_id] >= most:
            enough = CLOSE * ranked[best].score
            best = next(
                (at for at in left if taken[ranked[at].document_id] < most and ranked[at].score >= enough), best
            )
        left.remove(best)
        kept.append(best)
        taken[ranked[best].document_id] += 1
    return [ranked[at] for at in sorted(kept)]
