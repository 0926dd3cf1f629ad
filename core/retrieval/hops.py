"""A second, bounded search: what the first passages name by its title, and the query does not, may hold the rest.

"In which city was the director of Ed Wood born?" finds the film; its text names Tim Burton; his passage has the city.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from core.retrieval.candidates import Candidate
from core.retrieval.evidence import Weighed
from core.words import terms

if TYPE_CHECKING:
    import regex

SEEDS = 5  # passages whose names are followed
LINK = 0.3  # what it is worth to be named by the best passage; by others in proportion to their scores
MOST_NAMES = 60  # words with a capital that are looked for in titles
MOST_FOUND = 100  # chunks under such titles

Label = tuple[str, ...]  # the terms of a title


def names(seeds: Iterable[Candidate], weighed: Weighed) -> list[str]:
    """Terms of words with a capital that the query and the seeds' own titles do not have; first those said first.

    Scripts without capitals have no names that could be told from other words.
    """
    found: dict[str, None] = {}
    for seed in seeds:
        own = set(seed.heads)
        for word in _capitalised().findall(seed.text):
            for term in terms(word, seed.language):
                if term not in own and term not in weighed.place:
                    found[term] = None
    return list(found)[:MOST_NAMES]


def follow(seeds: Sequence[Candidate], found: Mapping[int, Candidate], telling: Container[str]) -> None:
    """Lift, for every title that a seed names, the best chunk under it; `found` holds the seeds too.

    A title counts when one of its terms is `telling`: "Introduction" names nothing.
    """
    if not seeds or seeds[0].score <= 0:
        return
    best: dict[Label, Candidate] = {}
    for one in found.values():
        for label in labels(one):
            known = best.get(label)
            if any(term in telling for term in label) and (known is None or one.score > known.score):
                best[label] = one
    lifted: dict[int, float] = {}
    for seed in seeds:
        own, held, text = labels(seed), frozenset(seed.words), f" {' '.join(seed.words)} "
        for label, one in best.items():
            if label not in own and held.issuperset(label) and f" {' '.join(label)} " in text:
                lifted[one.id] = max(lifted.get(one.id, 0.0), seed.score / seeds[0].score)
    for id, strength in lifted.items():
        found[id].parts["link"] = strength
        found[id].score += LINK * strength


def labels(one: Candidate) -> set[Label]:
    """The titles that a chunk stands under: its document's and that of its section, without what is in brackets."""
    return {label for title in (one.title, one.section) if (label := _label(title, one.language))}


@cache
def _capitalised() -> regex.Pattern[str]:
    import regex

    return regex.compile(r"\b\p{Lu}[\p{L}\p{M}\p{N}]+")


def telling_terms(
    found: Iterable[Candidate], frequencies: Callable[[set[str]], Mapping[str, int]], chunks: int
) -> set[str]:
    """The terms of titles that few chunks hold: no more than the root of how many there are."""
    counted = frequencies({term for one in found for label in labels(one) for term in label})
    return {term for term, count in counted.items() if count * count <= chunks}


@lru_cache(maxsize=1 << 14)
def _label(title: str, language: str) -> Label:
    return tuple(terms(title.split("(")[0], language))
