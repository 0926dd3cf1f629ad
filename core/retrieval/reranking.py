"""A CrossEncoder, where one is installed, reads the best candidates with the query: as many as there is time for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from core.errors import ModelError, ModelMissing
from core.retrieval.beside import Beside
from core.retrieval.candidates import Candidate
from core.retrieval.fusion import fuse
from core.retrieval.trust import knows, made_for
from core.words import tongue

log = logging.getLogger(__name__)

BUDGET_SECONDS = 0.3  # of the 400 ms that a search with this stage may take
FIRST, MOST = 8, 50  # pairs that are read while its pace is not known, and at the most
LONGEST_SECONDS = 5.0  # it is waited for: more than it should ever take
ASK_AGAIN_SECONDS = 300.0  # until then a server that has no reranker is not asked whether it got one
# It reads one passage at a time and knows nothing of the others: what the second stage says keeps a third of the vote.
WEIGHT, OWN_WEIGHT, DAMPING = 2.0, 1.0, 10

_beside = Beside("reranker", at_once=2)


class Reranker(Protocol):
    """How well each passage answers the query, and the model that says so. Raises ModelError."""

    def rerank(self, query: str, passages: Sequence[str]) -> tuple[str, list[float]]: ...


class Reranking:
    """Re-orders the head of a list. Remembers the pace of the model, and whether there is one. Thread-safe."""

    def __init__(self, model: Reranker) -> None:
        self.model = model
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._languages: tuple[str, ...] | None = None
        self._pace: float | None = None  # seconds for a pair

    def reorder(self, query: str, ranked: list[Candidate]) -> list[Candidate]:
        """The candidates, the best of them in the order that both stages together give; the rest as they were."""
        if len(ranked) < 2 or time.monotonic() < self._not_before:
            return ranked
        if self._languages is not None and not knows(self._languages, tongue(query)):
            return ranked
        head = ranked[: FIRST if self._pace is None else max(FIRST, min(MOST, int(BUDGET_SECONDS / self._pace)))]
        scores = self._scores(query, head)
        if not scores:
            return ranked
        for one, score in zip(head, scores, strict=True):
            one.rerank = score
        places = range(len(head))
        order = fuse(
            [sorted(places, key=lambda place: -scores[place]), places], weights=[WEIGHT, OWN_WEIGHT], k=DAMPING
        )
        # What holds the words in quotes stays before what does not: the sort keeps the order of equals.
        return sorted((head[place] for place, _ in order), key=lambda one: -one.parts["quoted"]) + ranked[len(head) :]

    def _scores(self, query: str, head: Sequence[Candidate]) -> list[float]:
        began = time.monotonic()
        texts = [one.text for one in head]
        try:
            answered = _beside.submit(partial(self.model.rerank, query, texts)).wait(LONGEST_SECONDS)
        except ModelError as error:
            if not isinstance(error, ModelMissing):
                log.warning("without the reranker: %s", error)
            answered = None
        if answered is None:
            self._not_before = time.monotonic() + ASK_AGAIN_SECONDS
            return []
        model, scores = answered
        with self._lock:
            pace = (time.monotonic() - began) / len(head)
            self._pace = pace if self._pace is None else (self._pace + pace) / 2
            self._languages = made_for(model)
        return scores if knows(self._languages, tongue(query)) else []
