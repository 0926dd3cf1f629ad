"""One measurement from beginning to end, for the command line and the page."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from core.errors import Cancelled
from core.evaluation import scoring
from core.evaluation.answers import AnswersResult, measure_answers
from core.evaluation.corpus import Corpus, Working, prepared, worker_process
from core.evaluation.dataset import Dataset, Question, sample
from core.evaluation.plain import PlainPipeline
from core.evaluation.progress import Stoppable, Watch
from core.evaluation.report import Report
from core.evaluation.retrieval import RetrievalResult, judged, measure_retrieval, retrieval_figures
from core.readiness import wait_until_ready
from core.services import Services
from core.settings import VERSION

RETRIEVAL, ANSWERS = "retrieval", "answers"
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Spec:
    """What to measure: `kind` is retrieval or answers, `plain` also asks the plain pipeline for comparison."""

    kind: str
    limit: int | None = None
    seed: int = 7
    plain: bool = False
    fresh: bool = False


@dataclass(slots=True)
class Measured:
    """What a measurement has so far, also when it is stopped; the questions are those that it is to ask."""

    questions: Sequence[Question] = ()
    retrieval: RetrievalResult = field(default_factory=RetrievalResult)
    answers: AnswersResult = field(default_factory=AnswersResult)
    notes: tuple[str, ...] = ()
    pipeline: dict[str, Any] = field(default_factory=dict)


def evaluate(
    main: Services,
    dataset: Dataset,
    spec: Spec,
    told: Watch,
    *,
    cancel: threading.Event | None = None,
    working: Working = worker_process,
) -> Report:
    """Measure; the model server must run or be starting. Once questions have been asked, stopping it (`cancel`, or
    Ctrl-C) gives a report of those; before that it raises Cancelled or KeyboardInterrupt."""
    cancel = cancel or threading.Event()
    watch, measured = Stoppable(told, cancel), Measured()
    questions = judged(dataset) if spec.kind == RETRIEVAL else dataset.questions
    measured.questions = sample(questions, spec.limit, spec.seed)
    wait_until_ready(main, chat=spec.kind == ANSWERS)
    with prepared(main, dataset, watch, working=working, fresh=spec.fresh) as corpus:
        measured.pipeline = pipeline_of(main)
        measured.notes = (*dataset.notes, *_unread(corpus))
        try:
            _measure(main, corpus, dataset, spec, measured, watch, cancel)
        except (Cancelled, KeyboardInterrupt):
            cancel.set()
            if not (measured.retrieval.items or measured.answers.items):
                raise
            return _report(dataset, spec, measured, "stopped")
    return _report(dataset, spec, measured, "complete")


def pipeline_of(services: Services) -> dict[str, Any]:
    """Everything that decides the answers, as it is stored with a run."""
    recipe = services.turns.records.recipe()
    published = {name: services.prompts.published(name) for name in ("answer", "condense")}
    return {
        "model": recipe.model,
        "model_sha256": recipe.model_sha256,
        "endpoint": recipe.endpoint,
        "embedder": recipe.embedder,
        "embedder_form": services.client.embedding_form(),
        "passages": recipe.passages,
        "sampling": asdict(recipe.options),
        "prompts": {name: version.version for name, version in published.items()},
        "version": VERSION,
    }


def _measure(
    main: Services, corpus: Corpus, dataset: Dataset, spec: Spec, measured: Measured, watch: Watch,
    cancel: threading.Event,
) -> None:  # fmt: skip
    if spec.kind == RETRIEVAL:
        measure_retrieval(corpus, dataset, measured.questions, measured.retrieval, watch)
        return
    plain = None
    if spec.plain:
        options = main.turns.records.recipe().options
        plain = PlainPipeline(main, texts_of(corpus, dataset), options)
    measure_answers(
        corpus, measured.questions, measured.answers, watch, seed=spec.seed, cancel=cancel, plain=plain
    )  # fmt: skip


def texts_of(corpus: Corpus, dataset: Dataset) -> list[tuple[str, str]]:
    """The texts that the plain pipeline searches: the entries, or the chunks of real files."""
    if dataset.entries:
        return [(entry.id, f"{entry.title}\n{entry.text}".strip()) for entry in dataset.entries]
    ids = corpus.services.chunks.chunk_ids(corpus.scope)
    chunks = corpus.services.chunks.load([int(id) for id in ids], corpus.scope)
    return [(str(chunk.id), f"{chunk.document_title}\n{chunk.text}") for chunk in chunks.values()]


def _report(dataset: Dataset, spec: Spec, measured: Measured, state: str) -> Report:
    report = _retrieval_report if spec.kind == RETRIEVAL else _answers_report
    return report(dataset, spec, measured, state)


def _retrieval_report(dataset: Dataset, spec: Spec, measured: Measured, state: str) -> Report:
    items, seconds = measured.retrieval.items, measured.retrieval.seconds
    languages = scoring.by_language(
        items, lambda item: item.language, lambda part: retrieval_figures(part, (), spec.seed)
    )  # fmt: skip
    return Report(
        spec.kind, dataset.name, dataset.sha256, len(items), spec.seed, measured.pipeline,
        retrieval_figures(items, seconds, spec.seed), languages, {}, measured.notes, state,
        tuple(item.as_dict() for item in items),
    )  # fmt: skip


def _answers_report(dataset: Dataset, spec: Spec, measured: Measured, state: str) -> Report:
    items = measured.answers.items
    figures = scoring.answer_figures(items, spec.seed)
    if spec.plain:
        figures |= scoring.plain_figures(items, spec.seed)
    return Report(
        spec.kind, dataset.name, dataset.sha256, len(items), spec.seed, measured.pipeline, figures,
        scoring.language_figures(items, spec.seed), {"risk–coverage": scoring.risk_coverage(items)},
        measured.notes, state, tuple(item.as_dict() for item in items),
    )  # fmt: skip


def _unread(corpus: Corpus) -> list[str]:
    if not corpus.unread:
        return []
    named = ", ".join(corpus.unread[:MOST_NAMED])
    return [f"{len(corpus.unread)} texts of the corpus could not be read, for example {named}."]
