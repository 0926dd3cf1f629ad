"""From a query to passages, each with what every stage said of it; usable as any LangChain retriever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from core.retrieval.candidates import Candidate
from core.retrieval.diversity import chosen
from core.retrieval.keyword import KeywordIndex
from core.retrieval.reasons import reasons
from core.retrieval.reranking import Reranking
from core.retrieval.search import CANDIDATES, Embedder, Search
from core.retrieval.serving_index import ServingIndex
from core.retrieval.store import ChunkStore, StoredChunk
from core.types import Passage, Scope

__all__ = ["CANDIDATES", "Embedder", "HybridRetriever", "from_langchain", "to_langchain"]

DIAGNOSED = 100


class HybridRetriever(BaseRetriever):
    """Passages of one scope. While the embedder is not there, keyword search alone answers.

    Without `second_stage` the order is that of the fused searches; without `reranking` no CrossEncoder is asked.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)

    store: ChunkStore
    dense: ServingIndex
    keyword: KeywordIndex
    embedder: Embedder
    scope: Scope
    k: int = 3
    second_stage: bool = True
    reranking: Reranking | None = None

    def within(self, scope: Scope) -> HybridRetriever:
        """The same retriever, looking only at what `scope` may see."""
        return self.model_copy(update={"scope": scope})

    def retrieve(self, query: str, *, k: int | None = None) -> list[Passage]:
        """The best passages for the query, rank 1 first."""
        wanted = k or self.k
        return self._passages(chosen(self._search(query, max(CANDIDATES, wanted)), wanted))

    def candidates(self, query: str, k: int = DIAGNOSED) -> list[Passage]:
        """As `retrieve`, but the k best that were looked at, with what every stage said of them: for diagnosis."""
        return self._passages(self._search(query, k)[:k])

    def _search(self, query: str, candidates: int) -> list[Candidate]:
        search = Search(self.store.db, self.dense, self.keyword, self.embedder, self.scope, candidates)
        found = search.run(query, second_stage=self.second_stage)
        return self.reranking.reorder(query, found) if self.reranking and self.second_stage else found

    def _passages(self, found: Sequence[Candidate]) -> list[Passage]:
        chunks = self.store.load([one.id for one in found], self.scope)
        there = [one for one in found if one.id in chunks]
        return [_passage(chunks[one.id], rank, one) for rank, one in enumerate(there, 1)]

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain's signature
    ) -> list[LangChainDocument]:
        return [to_langchain(passage) for passage in self.retrieve(query)]


def _passage(chunk: StoredChunk, rank: int, one: Candidate) -> Passage:
    return Passage(
        chunk_id=chunk.id, document_id=chunk.document_id, document_title=chunk.document_title, text=chunk.text,
        start=chunk.start, end=chunk.end, page=chunk.page, heading=chunk.heading, rank=rank, score=one.score,
        dense_score=one.dense, keyword_score=one.keyword, context=chunk.context, section=chunk.section,
        section_start=chunk.section_start, fused_score=one.fused, rerank_score=one.rerank,
        evidence=tuple(one.parts.items()), why=reasons(one),
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
