"""From a question to passages: one search, or for a follow-up two side by side."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial

from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig

from core.chat.neighbours import merged
from core.chat.request import AnswerRequest
from core.chat.speaking import raise_if
from core.models.connection import unless_cancelled
from core.retrieval.retriever import HybridRetriever, from_langchain
from core.types import Event, Passage, Scope, Searching

RANK_DAMPING = 10  # of reciprocal rank fusion; small, because each search has found few passages and ranked them well
WIDER = 3  # times as many are looked at when two searches are put together
SECOND = 0.5  # weight of the search that only helps


def find(
    retriever: BaseRetriever, request: AnswerRequest, queries: Sequence[str], config: RunnableConfig | None
) -> Generator[Event, None, list[Passage]]:
    """The passages for the first query; what the others find moves up. Yields what is searched for."""
    raise_if(request.cancel)
    yield Searching(queries[0])
    with request.trace.span("retrieve") as attributes:
        asked = list(dict.fromkeys(queries))
        searching = _within(retriever, request.scope, times=WIDER if len(asked) > 1 else 1)
        # Embedding and reranking wait for the model server, and know nothing of Stop.
        results = [unless_cancelled(partial(searching.invoke, query, config), request.cancel) for query in asked]
        found = [[from_langchain(document, rank) for rank, document in enumerate(one, 1)] for one in results]
        together = side_by_side(found)[: _most(retriever)]
        attributes["passages"] = len(together)
        if len(found) > 1:
            attributes["queries"] = asked
    return merged(together)


def side_by_side(found: Sequence[Sequence[Passage]]) -> list[Passage]:
    """All passages in the order of all searches; ranks are counted anew."""
    if len(found) == 1:
        return list(found[0])
    scores: dict[tuple[str, int, int], float] = {}
    passages: dict[tuple[str, int, int], Passage] = {}
    for weight, ranking in zip((1.0, *[SECOND] * (len(found) - 1)), found, strict=True):
        for rank, passage in enumerate(ranking, 1):
            place = (passage.document_id, passage.start, passage.end)
            passages.setdefault(place, passage)
            scores[place] = scores.get(place, 0.0) + weight / (RANK_DAMPING + rank)
    best = sorted(scores, key=lambda place: -scores[place])
    return [replace(passages[place], rank=rank) for rank, place in enumerate(best, 1)]


def _within(retriever: BaseRetriever, scope: Scope, *, times: int) -> BaseRetriever:
    if not isinstance(retriever, HybridRetriever):
        return retriever
    return retriever.within(scope).model_copy(update={"k": retriever.k * times})


def _most(retriever: BaseRetriever) -> int | None:
    return retriever.k if isinstance(retriever, HybridRetriever) else None
