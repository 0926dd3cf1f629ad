"""The way of a question as one LangChain Runnable: condense, retrieve, fit, generate, cite; typed events come out."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any, Protocol

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig

from core.chat.citations import check, unmarked
from core.chat.condense import beside, stands_alone
from core.chat.context import Composed, Limits, Said, TokenCounter, compose
from core.chat.finding import find
from core.chat.judging import NOT_FROM_DOCUMENTS, NOTHING_FOUND, Judge, abstention, general
from core.chat.outline import Outline
from core.chat.overview import summarise
from core.chat.phrases import HELLO, WELCOME, language_of_greeting
from core.chat.remembering import condense, remember
from core.chat.request import AnswerRequest
from core.chat.speaking import UNKNOWN, Speaker, Spoken
from core.chat.ways import is_thanks, way_of
from core.models.chat_model import ChatEngine, EngineChatModel
from core.prompts import render
from core.types import ChatMessage, Cited, Done, Event, Passage, Retrieved, Token, Way

__all__ = ["NOTHING_FOUND", "AnswerChain", "AnswerRequest"]


class CountingEngine(ChatEngine, TokenCounter, Protocol):
    """What answers, and counts as it does."""


class AnswerChain(Runnable[AnswerRequest, Event]):
    """`stream` yields the events of a turn; `invoke` returns the finished answer with its citations.

    `outline` reads whole documents; without it, and without the prompts that they need, the other ways of a question
    are not taken. `judge` says how sure an answer is.
    """

    def __init__(
        self, retriever: BaseRetriever, model: BaseChatModel, counter: TokenCounter, *, outline: Outline | None = None,
        judge: Judge | None = None,
    ) -> None:  # fmt: skip
        self.retriever = retriever
        self.model = model
        self.counter = counter
        self.outline = outline
        self.judge = judge or Judge()
        self._speaker = Speaker(model)

    def by(self, engine: CountingEngine) -> AnswerChain:
        """The same way of a question, answered by another model."""
        model = EngineChatModel(client=engine)
        return AnswerChain(self.retriever, model, engine, outline=self.outline, judge=self.judge)

    def invoke(self, input: AnswerRequest, config: RunnableConfig | None = None, **kwargs: Any) -> Cited:
        return next(event for event in self.stream(input, config, **kwargs) if isinstance(event, Cited))

    def stream(
        self,
        input: AnswerRequest,
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ARG002 - LangChain's signature
    ) -> Iterator[Event]:
        """Raises the errors of core.errors; Cancelled when the request's event is set."""
        cited = yield from self._answer(input, config)
        yield cited
        yield Done(input.trace.usage)

    def _answer(self, request: AnswerRequest, config: RunnableConfig | None) -> Generator[Event, None, Cited]:
        way = Way.documents if request.passages is not None else way_of(request.question, request.history)
        if way is Way.greeting:
            return (yield from _politely(request))
        if way is Way.conversation and request.prompts.get("talk"):
            return (yield from self._talk(request, config))
        able = self.outline if {"section", "digest"} <= set(request.prompts) else None
        if way is Way.summary and able and (document := able.meant(request.question, request.scope)):
            return (yield from summarise(self._speaker, request, able, document, self.counter, config))
        return (yield from self._from_documents(request, config))

    def _from_documents(self, request: AnswerRequest, config: RunnableConfig | None) -> Generator[Event, None, Cited]:
        query, passages = yield from self.search(request, config)
        narrowed = request.scope.narrowed
        if not passages and not request.history:  # nothing to answer from: the model could only make something up
            yield Retrieved(())
            return (yield from self._without(request, query, (), abstention(query, (), narrowed=narrowed), config))
        said = yield from remember(self._speaker, request, self.counter, config)
        composed = self._compose(request, query, said, passages)
        yield Retrieved(composed.passages, composed.ledger.left_out)
        judge = self.judge.of(request.scope.collection_id)
        options = replace(request.options, inner_state=request.options.inner_state or judge.probes)
        spoken = yield from self._speaker.aloud(replace(request, options=options), composed.messages, config)
        agreed = self._verified(request, query, composed, spoken, config)
        with request.trace.span("cite"):
            checked = check(spoken.text, composed.passages, query)
            inner = request.trace.inner_state
            cited = judge.judge(
                query, composed.passages, checked, spoken.logprobs, agreed=agreed, inner=inner, narrowed=narrowed
            )
        if cited.abstained:
            return (yield from self._without(request, query, composed.passages, cited, config))
        return cited

    def _verified(
        self, request: AnswerRequest, query: str, composed: Composed, spoken: Spoken, config: RunnableConfig | None
    ) -> float:
        """How sure the model is of its answer when it is asked: a word more, as all before it has just been read."""
        prompt = request.prompts.get("verify", "")
        # Asked where its word counts: so far it told nothing (docs/answers.md). An engine that tells no probabilities
        # would only be asked twice.
        if not prompt or not spoken.logprobs or not self.judge.of(request.scope.collection_id).weighs("agreed"):
            return UNKNOWN
        answered = ChatMessage("assistant", spoken.text)
        with request.trace.span("verify") as attributes:
            messages = [*composed.messages, answered, *render(prompt, {"question": query})]
            agreed = self._speaker.agrees(request, messages, config)
            attributes["agreed"] = round(agreed, 4)
        return agreed

    def search(
        self, request: AnswerRequest, config: RunnableConfig | None = None
    ) -> Generator[Event, None, tuple[str, list[Passage]]]:
        """The question as it stands alone, and the passages for it; a given request's own where it has some."""
        if request.passages is not None:
            return request.question, list(request.passages)
        query = yield from condense(self._speaker, request, config)
        queries = [query]
        if request.history and not stands_alone(request.question):
            leaning = beside(request.question, request.history)
            queries = [leaning, query] if query == request.question else [query, leaning]  # the better one first
        passages = yield from find(self.retriever, request, queries, config)
        return query, passages

    def _compose(self, request: AnswerRequest, query: str, said: Said, passages: list[Passage]) -> Composed:
        values = {"question": query, "today": request.today}
        most = 0 if request.passages is not None else request.habits.passage_tokens  # given ones are cut already
        limits = Limits(request.options.max_tokens, most, request.habits.history_tokens)
        with request.trace.span("fit"):
            composed = compose(request.answer_prompt, values, said, passages, counter=self.counter, limits=limits)
        request.trace.ledger = composed.ledger.as_dict()
        return composed

    def _without(
        self, request: AnswerRequest, query: str, passages: tuple[Passage, ...], abstained: Cited,
        config: RunnableConfig | None,
    ) -> Generator[Event, None, Cited]:  # fmt: skip
        """The end of a question that the documents do not answer: what was searched, or what the model knows."""
        prompt = request.prompts.get("general", "") if request.habits.general else ""
        if not prompt:
            if not passages:
                yield Token(abstained.text)
            return abstained
        values = {"question": query, "today": request.today}
        composed = compose(
            prompt, values, Said(), (), counter=self.counter, limits=Limits(request.options.max_tokens)
        )  # fmt: skip
        request.trace.ledger = request.trace.ledger or composed.ledger.as_dict()
        yield Token(f"\n\n{NOT_FROM_DOCUMENTS}\n\n" if passages else f"{NOT_FROM_DOCUMENTS}\n\n")
        spoken = yield from self._speaker.aloud(request, composed.messages, config)
        return general(spoken.text, abstained)

    def _talk(self, request: AnswerRequest, config: RunnableConfig | None) -> Generator[Event, None, Cited]:
        """Answer from what was said; nothing is searched, and nothing is cited."""
        said = yield from remember(self._speaker, request, self.counter, config)
        composed = self._compose(replace(request, answer_prompt=request.prompts["talk"]), request.question, said, [])
        yield Retrieved((), composed.ledger.left_out)
        spoken = yield from self._speaker.aloud(request, composed.messages, config)
        return Cited(unmarked(spoken.text), (), way=Way.conversation)


def _politely(request: AnswerRequest) -> Generator[Event, None, Cited]:
    polite = WELCOME if is_thanks(request.question) else HELLO
    text = polite[language_of_greeting(request.question)]
    yield Retrieved(())
    yield Token(text)
    return Cited(text, (), way=Way.greeting)
