"""From a question to passages: one search, or for a follow-up two side by side."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig

from core.chat.neighbours import merged
from core.chat.request import AnswerRequest
from core.chat.speaking import raise_if
from core.retrieval.retriever import HybridRetriever, from_langchain
from core.types import Event, Passage, Scope, Searching

RANK_DAMPING = 10  # of reciprocal rank fusion; small, because each search has found few passages and ranked them well
SECOND = 0.5  # weight of the search that only helps


def find(
    retriever: BaseRetriever, request: AnswerRequest, queries: Sequence[str], config: RunnableConfig | None
) -> Generator[Event, None, list[Passage]]:
    """The passages for the first query; what the others find moves up. Yields what is searched for."""
    raise_if(request.cancel)
    yield Searching(queries[0])
    with request.trace.span("retrieve") as attributes:
        searching = _within(retriever, request.scope)
        found = [
            [from_langchain(document, rank) for rank, document in enumerate(searching.invoke(query, config), 1)]
            for query in dict.fromkeys(queries)
        ]
        together = side_by_side(found)
        attributes["passages"] = len(together)
        if len(found) > 1:
            attributes["queries"] = list(dict.fromkeys(queries))
    return merged(together)


def side_by_side(found: Sequence[Sequence[Passage]]) -> list[Passage]:
    """As many passages as the first search found, in the order of both; ranks are counted anew."""
    if len(found) == 1:
        return list(found[0])
    scores: dict[tuple[str, int, int], float] = {}
    passages: dict[tuple[str, int, int], Passage] = {}
    for weight, ranking in zip((1.0, *[SECOND] * (len(found) - 1)), found, strict=True):
        for rank, passage in enumerate(ranking, 1):
            place = (passage.document_id, passage.start, passage.end)
            passages.setdefault(place, passage)
            scores[place] = scores.get(place, 0.0) + weight / (RANK_DAMPING + rank)
    best = sorted(scores, key=lambda place: -scores[place])[: max(len(ranking) for ranking in found)]
    return [replace(passages[place], rank=rank) for rank, place in enumerate(best, 1)]


def _within(retriever: BaseRetriever, scope: Scope) -> BaseRetriever:
    return retriever.within(scope) if isinstance(retriever, HybridRetriever) else retriever
