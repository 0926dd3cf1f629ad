"""Search by meaning in what a scope may see."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.retrieval.dense.feed import VectorFeed
from core.retrieval.dense.index_file import read
from core.retrieval.dense.near import NOTHING, Bits, Ids, Limits
from core.retrieval.dense.upkeep import Held, Upkeep
from core.retrieval.store import ChunkStore
from core.types import Scope

Vector = NDArray[np.float32]
Found = list[tuple[int, float]]

EXACT_SCOPE = 1000  # chunks that are compared one by one, without the index
SCOPES_KEPT = 32
WIDER = 5  # times as many candidates, when the scope may not see enough of the first ones


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a scope saw in a generation: a bit for every id, and the ids themselves where they are few."""

    generation: int
    count: int
    bits: Bits
    few: Ids | None


class DenseIndex:
    """The vectors of one embedder, compared by inner product. Thread-safe; searches do not wait for one another.

    Candidates of the index are compared by their vectors in SQL, joined with what the scope may see: scores are exact,
    and an index that is behind shows nothing that is gone or foreign.
    """

    def __init__(self, store: ChunkStore, embedder: str, folder: Path, limits: Limits | None = None) -> None:
        self.embedder = embedder
        self.path = folder / f"{hashlib.sha256(embedder.encode()).hexdigest()[:16]}.faiss"
        self.limits = limits or Limits()
        self.feed = VectorFeed(store.db, embedder)
        self.upkeep = Upkeep(self.feed, self.path, self.limits)
        self._scopes: dict[Scope, Allowed] = {}

    def warm(self) -> int:
        """Bring the index up to date and return its number of vectors; a first build of many goes on behind it."""
        return self.upkeep.warm()

    def ids(self) -> Ids:
        """The chunk ids that the index holds now, sorted."""
        held = self.upkeep.held
        return held.ids if held is not None else NOTHING

    def stored_ids(self) -> Ids:
        """The chunk ids that the file on the disk holds."""
        stored, _ = read(self.path)
        return stored.ids() if stored is not None else NOTHING

    def save(self) -> None:
        """Write the index, without what is deleted, beside the database, so that the next start need not rebuild it."""
        self.upkeep.save()

    def close(self) -> None:
        """End what goes on behind, and save what there is."""
        self.upkeep.stop()
        self.upkeep.save()

    def search(self, vector: Vector, scope: Scope, k: int) -> Found:
        """The k nearest chunks in the scope as (chunk id, cosine), best first. `vector` has shape (dimension,)."""
        generation = self.upkeep.refresh()
        if scope.narrowed:
            return self._within(vector, scope, k, generation)
        held = self.upkeep.held
        if held is None or held.index.dimension != len(vector):
            return []
        # Nearly everything is the owner's: look first, ask then.
        wanted = 2 * k + 10
        for _ in range(2):
            candidates = self._candidates(held, vector, wanted)
            found = self._compared(vector, candidates, scope, k)
            if len(found) >= k or wanted >= held.index.ntotal:
                return found
            wanted *= WIDER
        return self._within(vector, scope, k, generation)

    def compare(self, vector: Vector, ids: Iterable[int], scope: Scope) -> dict[int, float]:
        """The cosine of each of these chunks that the scope may see and that has a vector."""
        wanted = np.fromiter(ids, dtype=np.int64)
        return dict(self._compared(vector, wanted, scope, len(wanted))) if len(wanted) else {}

    def _within(self, vector: Vector, scope: Scope, k: int, generation: int) -> Found:
        allowed = self._allowed(scope, generation)
        if allowed.few is not None:
            return self._compared(vector, allowed.few, scope, k)
        held = self.upkeep.held
        if held is None or held.index.dimension != len(vector):
            return []
        # The fewer are allowed, the more lists hold the nearest of them, and the less there is to compare in each.
        probes = int(self.limits.probes * max(1.0, len(held.ids) / allowed.count))
        candidates = self._candidates(held, vector, 2 * k + 10, allowed.bits, probes)
        return self._compared(vector, candidates, scope, k)

    def _candidates(self, held: Held, vector: Vector, k: int, bits: Bits | None = None, probes: int = 0) -> Ids:
        with self.upkeep.lock.reading():
            return held.index.search(vector, k, probes=probes or self.limits.probes, allowed=bits)[0]

    def _compared(self, vector: Vector, candidates: Ids, scope: Scope, k: int) -> Found:
        ids, vectors = self.feed.visible_vectors(candidates, scope, len(vector))
        scores = vectors @ vector
        best = np.argsort(-scores, kind="stable")[:k]
        return [(int(ids[n]), float(scores[n])) for n in best]

    def _allowed(self, scope: Scope, generation: int) -> Allowed:
        kept = self._scopes.get(scope)
        if kept is None or kept.generation != generation:
            if len(self._scopes) >= SCOPES_KEPT:
                self._scopes.clear()
            ids = self.feed.visible_ids(scope)
            flags = np.zeros(int(ids[-1]) + 1 if len(ids) else 1, dtype=bool)
            flags[ids] = True
            few = ids if len(ids) <= EXACT_SCOPE else None
            kept = Allowed(generation, len(ids), np.packbits(flags, bitorder="little"), few)
            self._scopes[scope] = kept
        return kept
