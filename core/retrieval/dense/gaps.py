"""Where an index may lack ids: ranges of chunk ids, so that what is new is found without looking at what is known.

Chunk ids are never used twice and grow. So a vector that an index does not hold has an id in one of its gaps, and a gap
without chunks can never fill again, but for the last one, which is open.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Gap = tuple[int, int]  # first and last id, both included
Ids = NDArray[np.int64]
OPEN = 2**62  # the last id of the gap behind everything that is known
EVERYTHING: Gap = (0, OPEN)


def without(gap: Gap, found: Ids) -> list[Gap]:
    """What is left of a gap when these ids in it, sorted, are found."""
    edges = np.concatenate([[gap[0] - 1], found, [gap[1] + 1]])
    starts, ends = edges[:-1] + 1, edges[1:] - 1
    return [(int(a), int(b)) for a, b in zip(starts[starts <= ends], ends[starts <= ends], strict=True)]


def fill(gaps: Sequence[Gap], found: Ids) -> list[Gap]:
    """What is left of sorted gaps when these ids, sorted, are found."""
    left: list[Gap] = []
    for gap in gaps:
        first, last = np.searchsorted(found, [gap[0], gap[1] + 1])
        left += without(gap, found[first:last]) if first < last else [gap]
    return left


def open_end(gaps: Sequence[Gap], newest: int) -> list[Gap]:
    """The gaps with the open one cut at the newest id that exists; behind it another open one begins."""
    closed = [gap for gap in gaps if gap[1] < OPEN]
    start = next((gap[0] for gap in gaps if gap[1] == OPEN), newest + 1)
    if start <= newest:
        closed.append((start, newest))
    return [*closed, (max(start, newest + 1), OPEN)]
