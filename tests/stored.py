"""Vectors into the store, by the way that the worker takes."""

from __future__ import annotations

from typing import Any

from core.retrieval.store import Vectors
from core.retrieval.vectors import VectorStore, text_hash
from core.services import Services


def store_vectors(live: Services, document_id: str, vectors: Vectors, told: dict[str, Any] | None = None) -> list[int]:
    """Give these to the chunks that have none, in their order, and make the document ready; returns the chunks' ids."""
    store, embedder = VectorStore(live.db), live.settings.embedding_model
    chunks = [(id, text_hash(text)) for id, text in live.chunks.unembedded(document_id, embedder)]
    store.keep(document_id, embedder, [hash for _, hash in chunks], vectors, form="")
    store.finish(document_id, embedder, chunks, told or {})
    return [id for id, _ in chunks]
