"""One measurement from beginning to end, for the command line and the page: measured, stored, reported."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from core.errors import Cancelled, GroundworkError
from core.evaluation import scoring
from core.evaluation.answers import measure_answers
from core.evaluation.corpus import Corpus, Working, prepared, worker_process
from core.evaluation.dataset import Dataset, Question, sample
from core.evaluation.plain import PlainPipeline
from core.evaluation.progress import Stoppable, Watch
from core.evaluation.recording import Measured, Recorder
from core.evaluation.report import Report
from core.evaluation.retrieval import judged, measure_retrieval, retrieval_figures
from core.evaluation.runs import COMPLETE, FAILED, STOPPED, RunBook
from core.evaluation.why import why_missed
from core.purposes import PURPOSES
from core.readiness import wait_until_ready
from core.services import Services
from core.settings import VERSION
from core.types import Scope

RETRIEVAL, ANSWERS = "retrieval", "answers"
MOST_NAMED = 5
READY_SECONDS = 600.0  # nobody sits before it: a slow first start must not end a long measurement


@dataclass(frozen=True, slots=True)
class Spec:
    """What to measure: `kind` is retrieval or answers, `plain` also asks the plain pipeline for comparison, `why` names
    the cause of each miss. With `own`, one's own documents are asked instead of the dataset's. `behind` lets people who
    wait for an answer go first."""

    kind: str
    limit: int | None = None
    seed: int = 7
    plain: bool = False
    fresh: bool = False
    why: bool = False
    own: Scope | None = None
    behind: bool = False


def evaluate(
    main: Services,
    dataset: Dataset,
    spec: Spec,
    told: Watch,
    *,
    cancel: threading.Event | None = None,
    working: Working = worker_process,
) -> Report:
    """Measure, and store the run; the model server must run or be starting. Once questions have been asked, stopping it
    (`cancel`, or Ctrl-C) gives a report of those; before that it raises Cancelled or KeyboardInterrupt."""
    cancel = cancel or threading.Event()
    watch, owner_id = Stoppable(told, cancel), main.accounts.who().id
    candidates = judged(dataset) if spec.kind == RETRIEVAL else dataset.questions
    questions = sample(candidates, spec.limit, spec.seed)
    wait_until_ready(main, READY_SECONDS, chat=spec.kind == ANSWERS)
    with _corpus(main, dataset, spec, watch, working) as corpus:
        notes, pipeline = (*dataset.notes, *_unread(corpus)), pipeline_of(main, corpus.scope)
        book, measured = RunBook(main.db), Measured()
        run_id = book.begin(
            owner_id=owner_id, kind=spec.kind, dataset=dataset.name, dataset_sha256=dataset.sha256, seed=spec.seed,
            wanted=len(questions), pipeline=pipeline,
        )  # fmt: skip
        recorder = Recorder(watch, book, run_id, measured)
        corpus.services.chain()  # what it loads is not to be part of the first question's time
        main.client.prepare()
        with book.ending(run_id):
            state = COMPLETE
            try:
                _measure(main, corpus, dataset, spec, questions, measured, recorder, cancel)
            except (Cancelled, KeyboardInterrupt):
                cancel.set()
                state = STOPPED
                if not measured.items:
                    book.finish(run_id, STOPPED, error="Stopped before a question was asked.")
                    raise
            except GroundworkError as problem:
                recorder.write()
                book.finish(run_id, FAILED, error=str(problem))
                raise
            recorder.write()
            report = replace(_report(dataset, spec, measured, pipeline, notes, state), run_id=run_id)
            book.finish(run_id, state, figures=report.figures, extra=_stored(report))
    return report


def pipeline_of(services: Services, scope: Scope) -> dict[str, Any]:
    """Everything that decides the answers, as it is stored with a run."""
    recipe = services.turns.records.recipe()
    published = {name: services.prompts.published(name) for name in PURPOSES}
    return {
        **{name: value for name, value in asdict(recipe).items() if name != "options"},
        "sampling": asdict(recipe.options),
        "calibration": services.turns.records.calibration(scope.collection_id),
        "embedder_form": services.client.embedding_form(),
        "prompts": {name: version.version for name, version in published.items()},
        "version": VERSION,
    }


@contextmanager
def _corpus(main: Services, dataset: Dataset, spec: Spec, watch: Watch, working: Working) -> Iterator[Corpus]:
    if spec.own is None:
        with prepared(main, dataset, watch, working=working, fresh=spec.fresh) as corpus:
            yield corpus
        return
    ids: dict[str, tuple[str, ...]] = {}
    named = {id for ids_of in dataset.relevant.values() for id in ids_of}
    for document in main.documents.list_documents(
        owner_id=spec.own.owner_id, collection_id=spec.own.collection_id
    ):  # fmt: skip
        names = (document.id, document.name, document.title, document.name.rpartition(".")[0])
        ids[document.id] = (next((name for name in names if name in named), document.name),)
    yield Corpus(main, spec.own, ids)


def _measure(
    main: Services, corpus: Corpus, dataset: Dataset, spec: Spec, questions: Sequence[Question], measured: Measured,
    watch: Watch, cancel: threading.Event,
) -> None:  # fmt: skip
    if spec.kind == RETRIEVAL:
        measure_retrieval(corpus, dataset, questions, measured.retrieval, watch)
        return
    options = replace(main.turns.records.recipe().options, seed=spec.seed)
    if spec.behind:
        options = replace(options, priority="background")
    plain = PlainPipeline(main, texts_of(corpus, dataset), options) if spec.plain else None
    why = partial(why_missed, corpus, dataset) if spec.why else None
    measure_answers(corpus, questions, measured.answers, watch, options=options, cancel=cancel, plain=plain, why=why)


def texts_of(corpus: Corpus, dataset: Dataset) -> list[tuple[str, str]]:
    """The texts that the plain pipeline searches: the entries, or the chunks of real files."""
    if dataset.entries:
        return [(entry.id, f"{entry.title}\n{entry.text}".strip()) for entry in dataset.entries]
    ids = corpus.services.chunks.chunk_ids(corpus.scope)
    chunks = corpus.services.chunks.load([int(id) for id in ids], corpus.scope)
    return [(str(chunk.id), f"{chunk.document_title}\n{chunk.text}") for chunk in chunks.values()]


def _report(
    dataset: Dataset, spec: Spec, measured: Measured, pipeline: dict[str, Any], notes: tuple[str, ...], state: str
) -> Report:
    seed, items = spec.seed, tuple(item.as_dict() for item in measured.items)
    if spec.kind == RETRIEVAL:
        ranked = measured.retrieval.items
        figures = retrieval_figures(ranked, measured.retrieval.seconds, seed)
        languages = scoring.by_language(
            ranked, lambda item: item.language, lambda part: retrieval_figures(part, (), seed)
        )  # fmt: skip
        extra: dict[str, Any] = {}
    else:
        answered = measured.answers.items
        figures = scoring.answer_figures(answered, seed)
        if spec.plain:
            figures |= scoring.plain_figures(answered, seed)
        languages = scoring.language_figures(answered, seed)
        extra = {"risk_coverage": scoring.risk_coverage(answered), "causes": scoring.causes(answered)}
    return Report(
        spec.kind, dataset.name, dataset.sha256, len(items), seed, pipeline, figures, languages, extra, notes, state,
        items,
    )  # fmt: skip


def _stored(report: Report) -> dict[str, Any]:
    """What is kept with a run beside its figures."""
    languages = {
        language: {name: asdict(figure) for name, figure in figures.items()}
        for language, figures in report.by_language.items()
    }
    return {**report.extra, "by_language": languages, "notes": list(report.notes)}


def _unread(corpus: Corpus) -> list[str]:
    if not corpus.unread:
        return []
    named = ", ".join(corpus.unread[:MOST_NAMED])
    return [f"{len(corpus.unread)} texts of the corpus could not be read, for example {named}."]
