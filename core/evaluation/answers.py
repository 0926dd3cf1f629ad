"""Whether answers are right, hold to what they cite, and are honest: every question goes the product's own way."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from core.chat.citations import MARKER
from core.chat.cutting import shown
from core.errors import Cancelled, GroundworkError, NotFound
from core.evaluation.corpus import Corpus
from core.evaluation.dataset import Question
from core.evaluation.diagnosis import Diagnosis
from core.evaluation.ledger import unaccounted
from core.evaluation.matching import overlap, says
from core.evaluation.plain import PlainPipeline
from core.evaluation.progress import Watch
from core.evaluation.retrieval import product_retriever, searched
from core.evaluation.told import Told
from core.guard import clean_question
from core.traces import Trace
from core.types import Citation, Cited, Event, GenerationOptions, InnerState, Passage, Retrieved, Token, Usage

Why = Callable[[Question, Cited, Sequence[Passage]], Diagnosis | None]

log = logging.getLogger(__name__)

MOST_FAILURES = 5  # in a row: then it is not the question


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer and what it cost; times in seconds, from the question to the first word and to the end."""

    text: str
    right: bool
    overlap: float
    prompt_tokens: int
    completion_tokens: int
    first: float
    total: float


NO_REPLY = Reply("", False, 0.0, 0, 0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Answered:
    """One question with its answer. `holding` passages were in the prompt and hold the expected answer.

    `draft_right` is whether what the model wrote was right, also where the product said instead that it does not know.
    `claims` and `supported` are the statements of the answer and those that the documents bear. `error` is the sentence
    of a question that failed: it counts as not right. `inner_state` is what calibrations are fitted on, as base64.
    """

    question: Question
    reply: Reply
    abstained: bool = False
    draft_right: bool = False
    confidence: float = 0.0
    signals: Mapping[str, float] = field(default_factory=dict)
    citations: int = 0
    verbatim: int = 0
    claims: int = 0
    supported: int = 0
    citing_answer: int = 0
    holding: int = 0
    unaccounted: int = 0
    left_out: tuple[str, ...] = ()
    ledger: Mapping[str, Any] = field(default_factory=dict)
    passages: tuple[Mapping[str, Any], ...] = ()
    plain: Reply | None = None
    cause: Mapping[str, str] | None = None
    inner_state: Mapping[str, str] | None = None
    error: str = ""

    @property
    def right(self) -> bool:
        """A question without an answer in the documents is answered rightly by saying so."""
        return self.reply.right if self.question.answerable else self.abstained

    @property
    def judged(self) -> bool:
        """Whether it can be told if the answer is right: something was expected, be it that there is none."""
        return bool(self.question.answers) or not self.question.answerable

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "right": self.right, "judged": self.judged}


@dataclass(slots=True)
class AnswersResult:
    """What is known so far."""

    items: list[Answered] = field(default_factory=list)


def measure_answers(
    corpus: Corpus,
    questions: Sequence[Question],
    result: AnswersResult,
    watch: Watch,
    *,
    options: GenerationOptions,
    cancel: threading.Event,
    plain: PlainPipeline | None = None,
    why: Why | None = None,
) -> None:
    """Fill `result`, question by question; `why` is asked about each miss. Raises Cancelled, and what keeps failing."""
    failures = 0
    for number, question in enumerate(questions):
        watch("Answering", number, len(questions))
        try:
            answered = ask(corpus, question, options=options, cancel=cancel, why=why)
            failures = 0
        except Cancelled:
            raise
        except GroundworkError as problem:
            failures += 1
            if failures == MOST_FAILURES:
                raise
            answered = Answered(question, NO_REPLY, error=str(problem))
        if plain is not None:  # also where the product failed: the pair counts, or failing would pay
            answered = replace(answered, plain=_ask_plain(plain, question, cancel))
        result.items.append(answered)
    watch("Answering", len(questions), len(questions))


def ask(
    corpus: Corpus,
    question: Question,
    *,
    options: GenerationOptions,
    cancel: threading.Event,
    why: Why | None = None,
) -> Answered:  # fmt: skip
    """One question through the answer chain, looked at from all sides."""
    trace = Trace()
    text = clean_question(question.text)
    records = corpus.services.turns.records
    request = records.draft(text, corpus.scope, history=(), cancel=cancel, trace=trace)
    request = replace(request, options=replace(options, inner_state=True))
    began = time.perf_counter()
    cited, kept, left_out, first = _followed(corpus.services.chain().stream(request), began)
    total = time.perf_counter() - began
    found = searched(corpus, product_retriever(corpus), text)
    holds = [says(shown(passage), question.answers) for passage in kept]
    texts = _Texts(corpus)
    told = Told.of(cited)
    reply = _reply(question, cited.text, trace.usage, first or total, total)
    if cited.abstained:  # it quotes the nearest sentences, and says that they are no answer
        reply = replace(reply, right=False)
    cause = why(question, cited, kept) if why and not reply.right else None
    citing = [citation for citation in cited.citations if _cites_answer(citation, kept, holds, question)]
    return Answered(
        question, reply,
        abstained=told.abstained,
        draft_right=question.answerable and says(MARKER.sub("", told.draft), question.answers),
        confidence=told.confidence,
        signals=told.signals,
        citations=len(cited.citations),
        verbatim=sum(texts.verbatim(citation) for citation in cited.citations),
        claims=told.claims,
        supported=told.supported,
        citing_answer=len(citing),
        holding=sum(holds),
        unaccounted=unaccounted(found, kept, trace),
        left_out=left_out,
        ledger=trace.ledger,
        passages=tuple(_place(passage) for passage in kept),
        cause=cause.as_dict() if cause else None,
        inner_state=_plain(trace.inner_state),
    )  # fmt: skip


def _plain(state: InnerState | None) -> dict[str, str] | None:
    if state is None:
        return None
    parts = {"asked": state.asked, "said": state.said}
    return {"model": state.model, **{name: base64.b64encode(part).decode() for name, part in parts.items()}}


def _followed(events: Iterator[Event], began: float) -> tuple[Cited, tuple[Passage, ...], tuple[str, ...], float]:
    cited, first = Cited("", ()), 0.0
    kept: tuple[Passage, ...] = ()
    left_out: tuple[str, ...] = ()
    for event in events:
        if isinstance(event, Token) and not first:
            first = time.perf_counter() - began
        elif isinstance(event, Retrieved):
            kept, left_out = event.passages, event.left_out
        elif isinstance(event, Cited):
            cited = event
    return cited, kept, left_out, first


def _cites_answer(citation: Citation, kept: Sequence[Passage], holds: Sequence[bool], question: Question) -> bool:
    inside = 1 <= citation.number <= len(kept) and holds[citation.number - 1]
    return inside or says(citation.quote, question.answers)


def _place(passage: Passage) -> dict[str, Any]:
    names = ("document_id", "document_title", "start", "end", "page", "score")
    return {name: getattr(passage, name) for name in names}


@dataclass(slots=True)
class _Texts:
    """The stored texts that citations point into, each read once."""

    corpus: Corpus
    known: dict[str, str] = field(default_factory=dict)

    def verbatim(self, citation: Citation) -> bool:
        """Whether the place that the citation names holds just the words that it shows."""
        if citation.document_id not in self.known:
            try:
                stored = self.corpus.services.documents.text(
                    citation.document_id, owner_id=self.corpus.scope.owner_id
                ).text
            except NotFound:
                stored = ""
            self.known[citation.document_id] = stored
        return self.known[citation.document_id][citation.start : citation.end] == citation.quote != ""


def _ask_plain(plain: PlainPipeline, question: Question, cancel: threading.Event) -> Reply:
    began = time.perf_counter()
    first = 0.0
    pieces: list[str] = []
    usage = Usage()
    try:
        for chunk in plain.stream(question.text, cancel):
            if chunk.text:
                first = first or time.perf_counter() - began
                pieces.append(chunk.text)
            usage = chunk.usage or usage
    except Cancelled:
        raise
    except GroundworkError as problem:  # the product's answer is there already, and is kept
        log.warning("the plain pipeline failed: %s", problem)
        return NO_REPLY
    total = time.perf_counter() - began
    return _reply(question, "".join(pieces).strip(), usage, first or total, total)


def _reply(question: Question, text: str, usage: Usage, first: float, total: float) -> Reply:
    words = MARKER.sub("", text)  # the number of a passage is no answer
    return Reply(
        text, question.answerable and says(words, question.answers), overlap(words, question.answers),
        usage.prompt_tokens, usage.completion_tokens, first, total,
    )  # fmt: skip
