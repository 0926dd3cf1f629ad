"""An index in memory: exact while the vectors are few; many lie in lists of neighbours, a byte for each number.

Candidates of the second form are compared once more by the vectors in SQL (index.py), so the byte costs no precision:
what can be lost is a neighbour in a list that was not looked into.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import faiss

Ids = NDArray[np.int64]
Bits = NDArray[np.uint8]
Vectors = NDArray[np.float32]

NOTHING: Ids = np.zeros(0, dtype=np.int64)
LISTS_PER_ROOT = 1.0  # lists for n vectors: √n, as docs/index.md found
MOST_LISTS = 4096
ROUNDS = 10  # of k-means
SAMPLE_PER_LIST = 48  # vectors that k-means sees for each list
STALE = 4  # an index of lists is made anew when it has grown or shrunk so many times
BLOCK = 1 << 20  # bytes read or written at once


@dataclass(frozen=True, slots=True)
class Limits:
    """Where an index changes its ways, in numbers of vectors; tests give small ones."""

    exact: int = 30_000  # up to here every vector is compared
    probes: int = 64  # lists that are looked into beyond
    inline: int = 20_000  # up to here a search that finds no index makes it itself


class NearIndex:
    """Vectors under chunk ids, compared by inner product. Many may search at once, nobody while it is changed."""

    def __init__(self, index: faiss.Index, lists: int = 0, made_for: int = 0) -> None:
        self._index = index
        self.lists = lists  # 0: exact
        self.made_for = made_for  # vectors

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    @property
    def ntotal(self) -> int:
        return int(self._index.ntotal)

    def search(self, vector: Vectors, k: int, *, probes: int, allowed: Bits | None = None) -> tuple[Ids, Vectors]:
        """Up to k ids and their scores, best first.

        `allowed` has a bit for every id, lowest bit first; an id behind its end is not allowed.
        """
        import faiss

        # Of this thread: FAISS shares one search among the cores, and when a model works on one of them, the search
        # waits for that core with all others: 80 ms instead of 1 ms.
        faiss.omp_set_num_threads(1)
        selector = faiss.IDSelectorBitmap(len(allowed), faiss.swig_ptr(allowed)) if allowed is not None else None
        params = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        if self.lists:
            params = faiss.SearchParametersIVF(sel=selector, nprobe=min(probes, self.lists))  # type: ignore[call-arg]
        scores, ids = self._index.search(vector[None, :], min(k, max(1, self.ntotal)), params=params)
        there = ids[0] >= 0
        return ids[0][there], scores[0][there]

    def add(self, ids: Ids, vectors: Vectors) -> None:
        self._index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), ids)

    def remove(self, ids: Ids) -> None:
        self._index.remove_ids(ids)  # type: ignore[arg-type]

    def ids(self) -> Ids:
        """All ids, sorted."""
        import faiss

        if not self.lists:
            return np.sort(faiss.vector_to_array(self._index.id_map))  # type: ignore[attr-defined]
        stored = self._index.invlists  # type: ignore[attr-defined]
        parts = [
            faiss.rev_swig_ptr(stored.get_ids(number), stored.list_size(number)).copy()
            for number in range(self.lists)
            if stored.list_size(number)
        ]
        return np.sort(np.concatenate(parts)) if parts else NOTHING

    def outgrown(self, count: int, limits: Limits) -> bool:
        """Whether an index made today for so many vectors would be another one."""
        if not self.lists or not count:
            return count > limits.exact
        return count < limits.exact / 2 or not self.made_for / STALE <= count <= self.made_for * STALE

    def write(self, write: Callable[[bytes], int]) -> None:
        import faiss

        faiss.write_index(self._index, faiss.PyCallbackIOWriter(write, BLOCK))  # type: ignore[attr-defined]


def lists_for(count: int) -> int:
    return max(1, min(MOST_LISTS, int(LISTS_PER_ROOT * np.sqrt(count))))


def sample_size(count: int, limits: Limits) -> int:
    """How many vectors `make` wants to see before it can take in so many."""
    return 0 if count <= limits.exact else min(count, SAMPLE_PER_LIST * lists_for(count))


def make(dimension: int, count: int, sample: Vectors, limits: Limits, stopped: Callable[[], bool]) -> NearIndex | None:
    """An empty index for about so many vectors; None when `stopped` said so before it was ready."""
    import faiss

    if count <= limits.exact:
        return NearIndex(faiss.IndexIDMap(faiss.IndexFlatIP(dimension)))
    faiss.omp_set_num_threads(1)  # of this thread: the other core belongs to whoever is waiting for an answer
    lists = min(lists_for(count), len(sample))
    centres = _centres(sample, lists, stopped)
    if centres is None:
        return None
    quantizer = faiss.IndexFlatIP(dimension)
    quantizer.add(centres)
    kind = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexIVFScalarQuantizer(quantizer, dimension, lists, kind, faiss.METRIC_INNER_PRODUCT, True)
    index.train(sample)  # the centres stay: it only learns the range of each number
    return NearIndex(index, lists, count)


def _centres(sample: Vectors, lists: int, stopped: Callable[[], bool]) -> Vectors | None:
    """K-means on the sphere, one round after the other, because a round cannot be interrupted."""
    import faiss

    centres: Vectors | None = None
    settings: dict[str, Any] = {"spherical": True, "min_points_per_centroid": 1, "max_points_per_centroid": 10**6}
    for _ in range(ROUNDS):
        if stopped():
            return None
        kmeans = faiss.Kmeans(sample.shape[1], lists, niter=1, seed=1, **settings)
        kmeans.train(sample, init_centroids=centres)
        centres = kmeans.centroids
    return centres


def load(file: BinaryIO) -> NearIndex | None:
    """The index that `write` wrote; None when it is of another kind. Raises RuntimeError when FAISS cannot read it."""
    import faiss

    index = faiss.read_index(faiss.PyCallbackIOReader(file.read, BLOCK))  # type: ignore[attr-defined]
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        return None
    if isinstance(index, faiss.IndexIVFScalarQuantizer):
        return NearIndex(index, int(index.nlist), int((index.nlist / LISTS_PER_ROOT) ** 2))
    if isinstance(index, faiss.IndexIDMap) and isinstance(faiss.downcast_index(index.index), faiss.IndexFlat):
        return NearIndex(index)
    return None
