"""From a question to passages: one search, or for a follow-up two side by side."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest

from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig

from core.chat.neighbours import merged
from core.chat.request import AnswerRequest
from core.chat.speaking import raise_if
from core.models.connection import unless_cancelled
from core.retrieval.retriever import HybridRetriever, from_langchain
from core.types import Event, Passage, Searching


def find(
    retriever: BaseRetriever, request: AnswerRequest, queries: Sequence[str], config: RunnableConfig | None
) -> Generator[Event, None, list[Passage]]:
    """The passages for the queries, of which the first is told. Yields what is searched for."""
    raise_if(request.cancel)
    yield Searching(queries[0])
    with request.trace.span("retrieve") as attributes:
        asked = list(dict.fromkeys(queries))
        searching = retriever.within(request.scope) if isinstance(retriever, HybridRetriever) else retriever
        # Embedding and reranking wait for the model server, and know nothing of Stop.
        results = [unless_cancelled(partial(searching.invoke, query, config), request.cancel) for query in asked]
        found = [[from_langchain(document, rank) for rank, document in enumerate(one, 1)] for one in results]
        together = side_by_side(found)[: _most(retriever)]
        attributes["passages"] = len(together)
        if len(found) > 1:
            attributes["queries"] = asked
    return merged(together)


def side_by_side(found: Sequence[Sequence[Passage]]) -> list[Passage]:
    """The first passages of each search in turns, then the second ones, and so on; ranks are counted anew.

    What one search puts first is there in any case: for a follow-up that is often only one of the two.
    """
    order: dict[tuple[str, int, int], Passage] = {}
    for ranked in zip_longest(*found):
        for passage in ranked:
            if passage is not None:
                order.setdefault((passage.document_id, passage.start, passage.end), passage)
    return [replace(passage, rank=rank) for rank, passage in enumerate(order.values(), 1)]


def _most(retriever: BaseRetriever) -> int | None:
    return retriever.k if isinstance(retriever, HybridRetriever) else None
