"""One query through all stages: both searches side by side, their union, and the order that the evidence gives."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from core.errors import ModelError
from core.retrieval import hops
from core.retrieval.about import about
from core.retrieval.beside import Beside
from core.retrieval.candidates import Candidate, mean_length, read
from core.retrieval.dense import DenseIndex
from core.retrieval.evidence import weigh
from core.retrieval.fusion import DENSE_WEIGHT, KEYWORD_WEIGHT, fuse
from core.retrieval.keyword import KeywordIndex
from core.retrieval.query import Query
from core.retrieval.second_stage import Judging, in_order
from core.retrieval.serving_index import ServingIndex
from core.retrieval.trust import knows, made_for, trusted
from core.storage.db import Database
from core.types import Scope

log = logging.getLogger(__name__)

CANDIDATES = 50  # of each search

_beside = Beside("dense")


@runtime_checkable
class Embedder(Protocol):
    """Texts to vectors of length 1, shape (len(texts), dimension)."""

    def embed(self, texts: list[str], *, priority: str, model: str = "") -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Nearest:
    """What the dense search found, and what it takes to compare more; without an embedder nothing."""

    found: dict[int, float]
    index: DenseIndex | None = None
    vector: NDArray[np.float32] | None = None


class Search:
    """One query in one scope. `candidates` is how many each of the two searches may bring."""

    def __init__(
        self, db: Database, dense: ServingIndex, keyword: KeywordIndex, embedder: Embedder, scope: Scope,
        candidates: int = CANDIDATES,
    ) -> None:  # fmt: skip
        self.db = db
        self.dense = dense
        self.keyword = keyword
        self.embedder = embedder
        self.scope = scope
        self.count = candidates

    def run(self, query: str, *, second_stage: bool = True) -> list[Candidate]:
        """The candidates with their scores, best first."""
        with self.db.read() as session:
            asked = self.keyword.understand(session, query, self.scope)
            if not asked.units:
                return []
            beside = _beside.submit(partial(self._nearest, query, asked.languages))
            by_keyword = dict(self.keyword.best(session, asked, self.scope, self.count))
        nearest = beside.wait() or Nearest({})  # in no transaction: a model is waited for
        weights = [DENSE_WEIGHT, KEYWORD_WEIGHT]
        fused = dict(fuse([list(nearest.found), list(by_keyword)], weights=weights))
        with self.db.read() as session:
            candidates = read(session, fused, self.scope)
            for id, one in candidates.items():
                one.keyword, one.dense = by_keyword.get(id), nearest.found.get(id)
                one.fused = one.score = fused[id]
            if not second_stage:
                return sorted(candidates.values(), key=lambda one: -one.fused)
            return self._judged(session, asked, nearest, candidates)

    def _judged(
        self, session: Session, asked: Query, nearest: Nearest, candidates: dict[int, Candidate]
    ) -> list[Candidate]:
        """The candidates in the order that all evidence gives, with those that the best of them name."""
        frequencies, chunks = self.keyword.rarity(session, asked)
        owner = self.scope.owner_id
        subjects = about(session, asked, frequencies, owner, self.keyword.counts.documents(session, owner))
        self._compare(nearest, candidates)
        judging = Judging(asked, weigh(asked, frequencies, chunks), subjects, mean_length(candidates.values()))
        judging.judge(candidates.values())
        return self._hop(session, judging, nearest, candidates)

    def _hop(
        self, session: Session, judging: Judging, nearest: Nearest, found: dict[int, Candidate]
    ) -> list[Candidate]:  # fmt: skip
        """The same with what the best of them name by its title."""
        seeds = in_order(found)[: hops.SEEDS]
        named = self.keyword.under(session, hops.names(seeds, judging.weighed), self.scope, hops.MOST_FOUND)
        added = read(session, [id for id in named if id not in found], self.scope)
        everyone, counts = found | added, self.keyword.counts
        telling = hops.telling_terms(everyone.values(), partial(counts.frequencies, session), counts.chunks(session))
        self._compare(nearest, added)
        judging.judge(added.values())
        hops.follow(seeds, everyone, telling)
        return in_order(everyone)

    def _nearest(self, query: str, library: tuple[str, ...]) -> Nearest:
        # One index from here on: another embedder may take over between the steps, and must not be asked with this
        # one's vector.
        index = self.dense.current()
        if not trusted(query, index.embedder, library):
            return Nearest({})
        try:
            vector = self.embedder.embed([query], priority="query", model=index.embedder)[0]
        except ModelError as error:
            log.warning("searching by keyword alone: %s", error)
            return Nearest({})
        return Nearest(dict(index.search(vector, self.scope, self.count)), index, vector)

    def _compare(self, nearest: Nearest, candidates: dict[int, Candidate]) -> None:
        """Give every candidate its cosine: what one search alone found is judged by both."""
        if nearest.index is None or nearest.vector is None:
            return
        languages = made_for(nearest.index.embedder)
        missing = [one.id for one in candidates.values() if one.dense is None and knows(languages, one.language)]
        for id, cosine in nearest.index.compare(nearest.vector, missing, self.scope).items():
            candidates[id].dense = cosine
