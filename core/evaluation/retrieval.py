"""Whether search finds what it should: every question is searched for, hits are counted as the texts they stand for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from core.errors import BadDataset, ModelUnavailable
from core.evaluation import ranking
from core.evaluation.corpus import Corpus
from core.evaluation.dataset import Dataset, Question
from core.evaluation.figures import Figure, mean_of, percentile_of
from core.evaluation.matching import says
from core.evaluation.progress import Watch
from core.types import Passage

if TYPE_CHECKING:
    from core.retrieval.retriever import HybridRetriever

DEPTH = 100  # texts of a ranking
PASSAGES = 2 * DEPTH  # asked for, because several may be of one text
ANSWER = "a passage with the answer"
SHOWN = 10  # ids of a ranking that are kept with its question


@dataclass(frozen=True, slots=True)
class Ranked:
    """What was found for one question: ids, best first, and the measures by name."""

    id: str
    question: str
    language: str
    found: tuple[str, ...]
    relevant: tuple[str, ...]
    scores: dict[str, float]
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class RetrievalResult:
    """What is known so far; a measurement that was stopped keeps what it has."""

    items: list[Ranked] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def judged(dataset: Dataset) -> list[Question]:
    """The questions that retrieval can be measured with: those whose texts are named; where no text is named for any
    question, those with an answer, which a passage has to hold. Raises BadDataset when there is none."""
    found = [question for question in dataset.questions if dataset.relevant.get(question.id)]
    if not dataset.relevant:
        found = [question for question in dataset.questions if question.answerable and question.answers]
    if not found:
        raise BadDataset(f"{dataset.name} says of no question which text answers it. Add qrels.tsv, or answers.")
    return found


def measure_retrieval(
    corpus: Corpus, dataset: Dataset, questions: Sequence[Question], result: RetrievalResult, watch: Watch
) -> None:
    """Fill `result`, question by question. Raises Cancelled through `watch`."""
    retriever = product_retriever(corpus)
    for number, question in enumerate(questions):
        watch("Searching", number, len(questions))
        relevant = dataset.relevant.get(question.id) or {ANSWER: 1.0}
        began = time.perf_counter()
        given = searched(corpus, retriever, question.text)
        seconds = time.perf_counter() - began
        result.seconds.append(seconds)
        # What people get comes first, as they get it: to look deeper changes the order a little.
        deeper = retriever.retrieve(question.text, k=PASSAGES)
        found = _ranking([*given, *deeper], corpus, dataset, question)[:DEPTH]
        scores = ranking.scores(found, relevant)
        result.items.append(
            Ranked(
                question.id, question.text, question.language, tuple(found[:SHOWN]), tuple(relevant), scores, seconds
            )
        )
    watch("Searching", len(questions), len(questions))


def searched(corpus: Corpus, retriever: HybridRetriever, query: str, k: int | None = None) -> list[Passage]:
    """The passages for a query. Raises ModelUnavailable when there is no embedder: people would then get what keyword
    search finds, but that is not what is to be measured."""
    passages = retriever.retrieve(query, k=k)
    if not any(passage.dense_score is not None for passage in passages):
        embedder = corpus.services.client.status().embedder
        if embedder.status != "ok":
            raise ModelUnavailable(embedder.error or "The model server went away while search was measured. Try again.")
    return passages


def _ranking(passages: Sequence[Passage], corpus: Corpus, dataset: Dataset, question: Question) -> list[str]:
    """Ids of texts, best first; where none are judged, places of passages, of which the first right one counts."""
    if dataset.relevant.get(question.id):
        return ranked_ids(passages, corpus, dataset)
    places = (
        ANSWER if says(passage.text, question.answers) else f"{passage.document_title} @{passage.start}"
        for passage in passages
    )
    return list(dict.fromkeys(places))


def product_retriever(corpus: Corpus) -> HybridRetriever:
    """The retriever of the product's own chain, looking at the corpus."""
    from core.retrieval.retriever import HybridRetriever  # LangChain takes a second to import

    retriever = corpus.services.chain().retriever
    if not isinstance(retriever, HybridRetriever):
        raise TypeError("the chain searches in a way that cannot be measured")
    return retriever.within(corpus.scope)


def ranked_ids(passages: Sequence[Passage], corpus: Corpus, dataset: Dataset) -> list[str]:
    """The texts that passages are of, each once, best first."""
    ids = (dataset.unit(id) for passage in passages for id in corpus.ids.get(passage.document_id, ()))
    return list(dict.fromkeys(ids))


def retrieval_figures(items: Sequence[Ranked], seconds: Sequence[float], seed: int) -> dict[str, Figure]:
    """Means with their intervals, and the time of a search in seconds."""
    names = list(items[0].scores) if items else []
    figures = {name: mean_of([item.scores[name] for item in items], seed) for name in names}
    if seconds:
        figures |= {f"search seconds p{percent}": percentile_of(seconds, percent, seed) for percent in (50, 95)}
    return figures
