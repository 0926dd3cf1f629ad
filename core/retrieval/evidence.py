"""How well the words of a chunk answer those of a query: exact BM25 over text and heads, and how near they stand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.retrieval.query import Query

K1, B = 1.2, 0.75  # of BM25
HEAD = 0.5  # a term over the chunk counts like so many occurrences in a text of mean length
WINDOW = 16  # terms that are looked at together: about a sentence without its function words' weight


@dataclass(frozen=True, slots=True)
class Weighed:
    """The words of a query by their rarity: `place` says for each term of the index which unit it is a form of."""

    weights: tuple[float, ...]
    place: Mapping[str, int]

    @property
    def total(self) -> float:
        return sum(self.weights)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Each from 0 to 1, where 1 is the most that the query allows.

    `words`: BM25. `near`: the rarity of the words that stand within one window. `head`: that of the words in the heads.
    """

    words: float
    near: float
    head: float


def weigh(query: Query, frequencies: Mapping[str, int], chunks: int) -> Weighed:
    """The units of a query with their inverse document frequency; words that no chunk holds weigh nothing."""
    weights: list[float] = []
    place: dict[str, int] = {}
    for unit in query.units:
        found = min(chunks, sum(frequencies.get(form, 0) for form in unit.forms))
        if not found:
            continue
        for form in unit.forms:
            place.setdefault(form, len(weights))
        weights.append(math.log(1 + (chunks - found + 0.5) / (found + 0.5)))
    return Weighed(tuple(weights), place)


def evidence(weighed: Weighed, words: Sequence[str], heads: Sequence[str], mean_length: float) -> Evidence:
    """What the terms of a chunk and of its heads say; `mean_length` in terms."""
    place, weights = weighed.place, weighed.weights
    hits = [(at, unit) for at, word in enumerate(words) if (unit := place.get(word)) is not None]
    above = {unit for word in heads if (unit := place.get(word)) is not None}
    counts: dict[int, float] = {}
    length = 1 - B + B * len(words) / mean_length
    for _, unit in hits:
        counts[unit] = counts.get(unit, 0.0) + 1 / length
    for unit in above:
        counts[unit] = counts.get(unit, 0.0) + HEAD
    total = weighed.total or 1.0
    score = sum(weights[unit] * count / (count + K1) for unit, count in counts.items())
    head = sum(weights[unit] for unit in above)
    return Evidence(score / total, _nearest(hits, weights) / total, head / total)


def _nearest(hits: Sequence[tuple[int, int]], weights: Sequence[float]) -> float:
    """The most that distinct words weigh which stand in one window."""
    best = inside = 0.0
    held: dict[int, int] = {}
    first = 0
    for at, unit in hits:
        held[unit] = held.get(unit, 0) + 1
        if held[unit] == 1:
            inside += weights[unit]
        while hits[first][0] <= at - WINDOW:
            gone = hits[first][1]
            held[gone] -= 1
            if not held[gone]:
                inside -= weights[gone]
            first += 1
        best = max(best, inside)
    return best
