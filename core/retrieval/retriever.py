"""From a query to passages: keyword and dense search side by side, fused; usable as any LangChain retriever."""

from __future__ import annotations

import logging
from dataclasses import asdict, fields
from typing import Protocol, runtime_checkable

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from numpy.typing import NDArray
from pydantic import ConfigDict

from core.errors import ModelError
from core.retrieval.fusion import DENSE_WEIGHT, KEYWORD_WEIGHT, fuse
from core.retrieval.keyword import KeywordIndex
from core.retrieval.serving_index import ServingIndex
from core.retrieval.store import ChunkStore, StoredChunk
from core.types import Passage, Scope

log = logging.getLogger(__name__)

CANDIDATES = 50


@runtime_checkable
class Embedder(Protocol):
    """Texts to vectors of length 1, shape (len(texts), dimension)."""

    def embed(self, texts: list[str], *, priority: str, model: str = "") -> NDArray[np.float32]: ...


class HybridRetriever(BaseRetriever):
    """Passages of one scope. While the embedder is not there, keyword search alone answers."""

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)

    store: ChunkStore
    dense: ServingIndex
    keyword: KeywordIndex
    embedder: Embedder
    scope: Scope
    k: int = 3

    def within(self, scope: Scope) -> HybridRetriever:
        """The same retriever, looking only at what `scope` may see."""
        return self.model_copy(update={"scope": scope})

    def retrieve(self, query: str, *, k: int | None = None) -> list[Passage]:
        """The best passages for the query, rank 1 first."""
        by_keyword = dict(self.keyword.search(query, self.scope, CANDIDATES))
        by_vector = dict(self._dense(query))
        weights = [DENSE_WEIGHT, KEYWORD_WEIGHT]
        fused = fuse([list(by_vector), list(by_keyword)], weights=weights)[: k or self.k]
        chunks = self.store.load([id for id, _ in fused], self.scope)
        found = [(chunks[id], score) for id, score in fused if id in chunks]
        return [
            _passage(chunk, rank, score, by_vector.get(chunk.id), by_keyword.get(chunk.id))
            for rank, (chunk, score) in enumerate(found, 1)
        ]

    def _dense(self, query: str) -> list[tuple[int, float]]:
        # One index from here on: another embedder may take over between the two steps, and must not be asked with this
        # one's vector.
        index = self.dense.current()
        try:
            vector = self.embedder.embed([query], priority="query", model=index.embedder)[0]
        except ModelError as error:
            log.warning("searching by keyword alone: %s", error)
            return []
        return index.search(vector, self.scope, CANDIDATES)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain's signature
    ) -> list[LangChainDocument]:
        return [to_langchain(passage) for passage in self.retrieve(query)]


def _passage(chunk: StoredChunk, rank: int, score: float, dense: float | None, keyword: float | None) -> Passage:
    return Passage(
        chunk_id=chunk.id, document_id=chunk.document_id, document_title=chunk.document_title, text=chunk.text,
        start=chunk.start, end=chunk.end, page=chunk.page, heading=chunk.heading, rank=rank, score=score,
        dense_score=dense, keyword_score=keyword, context=chunk.context, section=chunk.section,
        section_start=chunk.section_start,
    )  # fmt: skip


def to_langchain(passage: Passage) -> LangChainDocument:
    metadata = {name: value for name, value in asdict(passage).items() if name != "text"}
    return LangChainDocument(page_content=passage.text, metadata=metadata)


def from_langchain(document: LangChainDocument, rank: int) -> Passage:
    """A passage again; of a foreign retriever's document only text and title are known."""
    known = {field.name for field in fields(Passage)}
    foreign = {
        "chunk_id": 0, "document_id": "", "document_title": str(document.metadata.get("source", "")), "start": 0,
        "end": len(document.page_content), "page": None, "heading": "", "score": 0.0,
    }  # fmt: skip
    values = foreign | {name: value for name, value in document.metadata.items() if name in known}
    return Passage(**(values | {"text": document.page_content, "rank": rank}))
