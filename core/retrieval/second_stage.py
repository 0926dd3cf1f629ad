"""The second stage: the candidates of both searches in the order that all evidence together gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.retrieval.candidates import Candidate
from core.retrieval.evidence import Weighed, evidence
from core.retrieval.query import Phrase, Query, flat

# What each kind of evidence weighs; each is about from 0 to 1. docs/retrieval.md has what each is worth.
WORDS, NEAR, MEANING, ABOUT = 1.0, 0.2, 0.5, 0.4
IDENTIFIERS = 0.2


@dataclass(frozen=True, slots=True)
class Judging:
    """What the candidates of one query are judged by; `about` is what `about.about` says of their documents."""

    query: Query
    weighed: Weighed
    about: Mapping[str, float]
    mean_length: float

    def judge(self, found: Iterable[Candidate]) -> None:
        """Give each candidate its evidence and its score."""
        for one in found:
            self._weigh_up(one)

    def _weigh_up(self, one: Candidate) -> None:
        seen = evidence(self.weighed, one.words, one.heads, self.mean_length)
        text = flat(one.text) if self.query.phrases or self.query.identifiers else ""
        one.parts = {
            "words": seen.words,
            "near": seen.near,
            "head": seen.head,
            "meaning": max(0.0, one.dense or 0.0),
            "about": self.about.get(one.document_id, 0.0),
            "identifiers": _share(self.query.identifiers, lambda phrase: _alone(phrase.text, text)),
            "quoted": _share(self.query.phrases, lambda phrase: phrase.text in text),
        }
        one.score = (
            WORDS * seen.words
            + NEAR * seen.near
            + MEANING * one.parts["meaning"]
            + ABOUT * one.parts["about"]
            + IDENTIFIERS * one.parts["identifiers"]
        )


def in_order(found: Mapping[int, Candidate]) -> list[Candidate]:
    """The best first; what holds all that is in quotes before what holds less of it."""
    return sorted(found.values(), key=lambda one: (-one.parts.get("quoted", 0.0), -one.score, one.id))


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
