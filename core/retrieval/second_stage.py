"""The second stage: the candidates of both searches in the order that all evidence together gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from core.retrieval.candidates import Candidate
from core.retrieval.evidence import Weighed, evidence
from core.retrieval.query import Phrase, Query, flat

# What each kind of evidence weighs; each is about from 0 to 1. docs/retrieval.md has what each is worth.
WORDS, NEAR, MEANING = 1.0, 0.3, 0.5
IDENTIFIERS = 0.2
NEIGHBOUR = 0.05  # of the score of the better one of the chunks before and after


def judge(query: Query, weighed: Weighed, found: Mapping[int, Candidate]) -> list[Candidate]:
    """The candidates with their scores, best first; what holds the phrases in quotes comes before all else."""
    mean_length = max(1.0, fmean(len(one.words) for one in found.values())) if found else 1.0
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
        "identifiers": _share(text, query.identifiers),
        "quoted": _share(text, query.phrases),
    }
    one.score = (
        WORDS * seen.words + NEAR * seen.near + MEANING * one.parts["meaning"] + IDENTIFIERS * one.parts["identifiers"]
    )


def _share(text: str, phrases: Sequence[Phrase]) -> float:
    """How many of the phrases stand in a flat text word for word."""
    return sum(phrase.text in text for phrase in phrases) / len(phrases) if phrases else 0.0
