"""FAISS as a checked cache over the vectors in SQL: rebuilt when in doubt, never trusted because it loaded."""

from __future__ import annotations

import hashlib
import logging
import os
import struct
import threading
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from core.retrieval.store import ChunkStore
from core.types import Scope

log = logging.getLogger(__name__)

MAGIC = b"GWINDEX1"
HEADER = len(MAGIC) + 8 + 32  # magic, generation, SHA-256 of generation and data
NOTHING: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
SCOPES_KEPT = 32


class DenseIndex:
    """Exact search by inner product over the vectors of one embedder. Thread-safe.

    The ids are chunk ids, which are never used twice; so an old index becomes current by adding and removing ids.
    """

    def __init__(self, store: ChunkStore, embedder: str, folder: Path) -> None:
        self.store = store
        self.embedder = embedder
        self.path = folder / f"{hashlib.sha256(embedder.encode()).hexdigest()[:16]}.faiss"
        self._lock = threading.Lock()
        self._index: faiss.IndexIDMap2 | None = None
        self._ids = NOTHING
        self._generation = -1
        self._saved = -1
        self._scopes: dict[Scope, NDArray[np.uint8]] = {}

    def search(self, vector: NDArray[np.float32], scope: Scope, k: int) -> list[tuple[int, float]]:
        """The k nearest chunks in the scope as (chunk id, cosine), best first. `vector` has shape (dimension,)."""
        with self._lock:
            self._refresh()
            if self._index is None or not len(self._ids) or self._index.d != len(vector):
                return []
            allowed = self._allowed(scope)
            selector = faiss.IDSelectorBitmap(len(allowed) * 8, faiss.swig_ptr(allowed))
            scores, ids = self._index.search(vector[None, :], k, params=faiss.SearchParameters(sel=selector))  # type: ignore[call-arg]
        return [(int(id), float(score)) for id, score in zip(ids[0], scores[0], strict=True) if id >= 0]

    def warm(self) -> int:
        """Bring the index up to date and return its number of vectors."""
        with self._lock:
            self._refresh()
            return len(self._ids)

    def ids(self) -> NDArray[np.int64]:
        """The chunk ids that the index holds now."""
        return self._ids

    def stored_ids(self) -> NDArray[np.int64]:
        """The chunk ids that the file on the disk holds."""
        index, _ = read(self.path)
        return faiss.vector_to_array(index.id_map) if index is not None else NOTHING

    def save(self) -> None:
        """Write the index beside the database, so that the next start need not rebuild it."""
        with self._lock:
            if self._index is not None and self._saved != self._generation:
                write(self._index, self._generation, self.path)
                self._saved = self._generation

    def _refresh(self) -> None:
        if self._index is None:
            self._index, self._generation = read(self.path)
            self._ids = faiss.vector_to_array(self._index.id_map) if self._index is not None else NOTHING
            self._saved = self._generation
        current = self.store.generation()
        if current == self._generation:
            return
        if current < self._generation:  # an older database was restored under us
            self._index, self._ids = None, NOTHING
        changes = self.store.changes(self.embedder, self._ids)
        if len(changes.removed) and self._index is not None:
            self._index.remove_ids(changes.removed)  # type: ignore[arg-type]
        if len(changes.added):
            if self._index is None or self._index.d != changes.vectors.shape[1]:
                self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(changes.vectors.shape[1]))
            self._index.add_with_ids(np.ascontiguousarray(changes.vectors, dtype=np.float32), changes.added)
        self._ids = faiss.vector_to_array(self._index.id_map) if self._index is not None else NOTHING
        self._generation = changes.generation
        self._scopes.clear()

    def _allowed(self, scope: Scope) -> NDArray[np.uint8]:
        """A bit for every chunk id, set where the scope may see it; kept until the generation changes."""
        if scope not in self._scopes:
            if len(self._scopes) >= SCOPES_KEPT:
                self._scopes.clear()
            flags = np.zeros(int(self._ids.max()) + 1, dtype=bool)
            visible = self.store.chunk_ids(scope)
            flags[visible[visible < len(flags)]] = True
            self._scopes[scope] = np.packbits(flags, bitorder="little")
        return self._scopes[scope]


def write(index: faiss.Index, generation: int, path: Path) -> None:
    """Store the index: complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stamp, data = struct.pack("<q", generation), faiss.serialize_index(index).tobytes()
    draft = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(MAGIC + stamp + hashlib.sha256(stamp + data).digest() + data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def read(path: Path) -> tuple[faiss.IndexIDMap2 | None, int]:
    """The stored index and its generation; None and -1 when there is none or it is not whole."""
    data = path.read_bytes() if path.exists() else b""
    stamp, seal, body = data[8:16], data[16:HEADER], data[HEADER:]
    if data[:8] != MAGIC or hashlib.sha256(stamp + body).digest() != seal:
        if data:
            log.warning("the index file is damaged and is rebuilt from the database")
        return None, -1
    owner = faiss.deserialize_index(np.frombuffer(body, dtype="uint8"))
    index = faiss.downcast_index(owner)
    owner.this.disown()  # type: ignore[attr-defined]  # the downcast object is a view of what `owner` would free
    index.this.own(True)  # type: ignore[attr-defined]
    if not isinstance(index, faiss.IndexIDMap2):
        return None, -1
    return index, int(struct.unpack("<q", stamp)[0])
