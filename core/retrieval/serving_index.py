"""The index of the embedder that serves: when another one takes over, the next search is in its index."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.retrieval.dense import DenseIndex
from core.retrieval.serving import serving
from core.retrieval.store import ChunkStore
from core.storage.db import translated


class ServingIndex:
    """Looks like the index of one embedder, `embedder`; there is one in memory at any time. Thread-safe."""

    def __init__(self, store: ChunkStore, wanted: str, folder: Path) -> None:
        self._store, self._wanted, self._folder = store, wanted, folder
        self._lock = threading.Lock()
        self._index = DenseIndex(store, self.serving(), folder)

    def serving(self) -> str:
        with self._store.db.read() as session:
            return serving(session, self._wanted)

    def current(self) -> DenseIndex:
        """The index to search in now."""
        embedder = self.serving()
        with self._lock:
            if self._index.embedder != embedder:
                before, self._index = self._index, DenseIndex(self._store, embedder, self._folder)
                before.upkeep.stop()
                before.path.unlink(missing_ok=True)
            return self._index

    @property
    def embedder(self) -> str:
        return self.current().embedder

    @property
    def path(self) -> Path:
        return self.current().path

    def warm(self) -> int:
        """Bring the index up to date and return its number of vectors."""
        return self.current().warm()

    def stored_ids(self) -> NDArray[np.int64]:
        return self.current().stored_ids()

    def save(self) -> None:
        """Write the index to its file. Raises StorageFull; the file that was there stays as it was."""
        index = self.current()
        with translated(index.path):
            index.save()

    def close(self) -> None:
        """End what goes on behind, and save what there is."""
        self.current().close()
