"""The second stage: the candidates of both searches in the order that all evidence together gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from core.retrieval.candidates import Candidate
from core.retrieval.evidence import Weighed, evidence
from core.retrieval.query import Phrase, Query, flat

# What each kind of evidence weighs; each is about from 0 to 1. docs/retrieval.md has what each is worth.
WORDS, NEAR, MEANING = 1.0, 0.3, 0.5
IDENTIFIERS = 0.2
NEIGHBOUR = 0.05  # of the score of the better one of the chunks before and after


def judge(query: Query, weighed: Weighed, found: Mapping[int, Candidate], mean_length: float) -> list[Candidate]:
    """The candidates with their scores, best first; what holds the phrases in quotes comes before all else."""
    for one in found.values():
        _weigh_up(one, query, weighed, mean_length)
    return in_order(found)


def in_order(found: Mapping[int, Candidate]) -> list[Candidate]:
    """The best first; what holds all that is in quotes before what holds less of it."""
    return sorted(found.values(), key=lambda one: (-one.parts.get("quoted", 0.0), -one.score, one.id))


def _weigh_up(one: Candidate, query: Query, weighed: Weighed, mean_length: float) -> None:
    seen = evidence(weighed, one.words, one.heads, mean_length)
    text = flat(one.text) if query.phrases or query.identifiers else ""
    one.held = seen.held
    one.parts = {
        "words": seen.words,
        "near": seen.near,
        "head": seen.head,
        "meaning": max(0.0, one.dense or 0.0),
        "identifiers": _share(query.identifiers, lambda phrase: _alone(phrase.text, text)),
        "quoted": _share(query.phrases, lambda phrase: phrase.text in text),
    }
    one.score = (
        WORDS * seen.words + NEAR * seen.near + MEANING * one.parts["meaning"] + IDENTIFIERS * one.parts["identifiers"]
    )


def _share(phrases: Sequence[Phrase], stands: Callable[[Phrase], bool]) -> float:
    """How many of the phrases stand in a text, from 0 to 1."""
    return sum(map(stands, phrases)) / len(phrases) if phrases else 0.0


def _alone(name: str, text: str) -> bool:
    """Whether a name stands in a text and is not a part of a longer one: AB-120 is not in AB-1203."""
    at = text.find(name)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(name) : at + len(name) + 1]
        if not before.isalnum() and not after.isalnum():
            return True
        at = text.find(name, at + 1)
    return False
