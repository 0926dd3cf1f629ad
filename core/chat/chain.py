"""The way of a question as one LangChain Runnable: condense, retrieve, fit, generate, cite; typed events come out."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from datetime import date
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig

from core.chat.citations import cite
from core.chat.condense import accept, stands_alone, transcript
from core.chat.context import TokenCounter, blocks, fit
from core.chat.neighbours import merged
from core.chat.request import AnswerRequest
from core.errors import Cancelled, ModelError
from core.models.chat_model import arguments, progress, to_langchain
from core.prompts import render
from core.retrieval.retriever import HybridRetriever, from_langchain
from core.types import (
    ChatMessage,
    Cited,
    Condensed,
    Done,
    Event,
    GenerationChunk,
    GenerationOptions,
    Passage,
    Reading,
    Retrieved,
    Scope,
    Searching,
    Token,
    Waiting,
)

CONDENSED_TOKENS = 96
NOTHING_FOUND = "I could not find this in your documents."


class AnswerChain(Runnable[AnswerRequest, Event]):
    """`stream` yields the events of a turn; `invoke` returns the finished answer with its citations."""

    def __init__(self, retriever: BaseRetriever, model: BaseChatModel, counter: TokenCounter) -> None:
        self.retriever = retriever
        self.model = model
        self.counter = counter

    def invoke(self, input: AnswerRequest, config: RunnableConfig | None = None, **kwargs: Any) -> Cited:
        return next(event for event in self.stream(input, config, **kwargs) if isinstance(event, Cited))

    def stream(
        self,
        input: AnswerRequest,
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ARG002 - LangChain's signature
    ) -> Iterator[Event]:
        """Raises the errors of core.errors; Cancelled when the request's event is set."""
        query = input.question
        if input.passages is None and input.history and not stands_alone(input.question):
            query = yield from self._condense(input, config)
        if input.passages is None:
            passages = yield from self._retrieve(input, query, config)
        else:
            passages = list(input.passages)
        if not passages and not input.history:  # nothing to answer from: the model could only make something up
            yield Retrieved(())
            yield Token(NOTHING_FOUND)
            yield Cited(NOTHING_FOUND, ())
            yield Done(input.trace.usage)
            return
        values = {"question": query, "today": date.today().isoformat()}
        frame = render(input.answer_prompt, values | {"passages": ""})
        with input.trace.span("fit"):
            history, kept, ledger = fit(
                frame, input.history, passages, counter=self.counter, answer_tokens=input.options.max_tokens
            )
        input.trace.ledger = ledger.as_dict()
        yield Retrieved(tuple(kept), ledger.left_out)
        prompt = render(input.answer_prompt, values | {"passages": blocks(kept)})
        text = yield from self._generate(input, [*prompt[:-1], *history, prompt[-1]], config)
        with input.trace.span("cite"):
            checked, citations = cite(text, kept, query)
        yield Cited(checked, citations)
        yield Done(input.trace.usage)

    def _condense(self, request: AnswerRequest, config: RunnableConfig | None) -> Generator[Event, None, str]:
        values = {"history": transcript(request.history), "question": request.question}
        options = GenerationOptions(max_tokens=CONDENSED_TOKENS, seed=request.options.seed)
        with request.trace.span("condense") as attributes:
            steps = self._steps(request, render(request.condense_prompt, values), options, config)
            text = "".join([step.text for step in steps])
            query = accept(text, request.question)
            attributes["query"] = query
        if query != request.question:
            yield Condensed(query)
        return query

    def _retrieve(
        self, request: AnswerRequest, query: str, config: RunnableConfig | None
    ) -> Generator[Event, None, list[Passage]]:
        _raise_if(request.cancel)
        yield Searching(query)
        with request.trace.span("retrieve") as attributes:
            found = _retriever(self.retriever, request.scope).invoke(query, config)
            attributes["passages"] = len(found)
        return merged([from_langchain(document, rank) for rank, document in enumerate(found, 1)])

    def _generate(
        self, request: AnswerRequest, messages: Sequence[ChatMessage], config: RunnableConfig | None
    ) -> Generator[Event, None, str]:
        pieces: list[str] = []
        restarted = ""
        with request.trace.span("generate") as attributes:
            for step in self._steps(request, messages, request.options, config):
                if step.restarted:
                    attributes["restarted"] = restarted = step.restarted
                if step.queue_position:
                    yield Waiting(step.queue_position, step.queue_seconds, restarted)
                if step.read_tokens is not None:
                    yield Reading(step.read_tokens, step.prompt_tokens or 0)
                if step.text:
                    pieces.append(step.text)
                    yield Token(step.text)
                if step.finish_reason:
                    attributes["finish_reason"] = step.finish_reason
                if step.usage:
                    request.trace.usage = step.usage
        return "".join(pieces).strip()

    def _steps(
        self,
        request: AnswerRequest,
        messages: Sequence[ChatMessage],
        options: GenerationOptions,
        config: RunnableConfig | None,
    ) -> Iterator[GenerationChunk]:
        extra = arguments(self.model, options, request.cancel)
        for chunk in self.model.stream(_messages(messages), config, **extra):
            _raise_if(request.cancel)
            yield progress(chunk)


def _messages(messages: Sequence[ChatMessage]) -> list[BaseMessage]:
    if not messages:
        raise ModelError("The prompt is empty. Publish a version of it that has a [user] part.")
    return to_langchain(messages)


def _retriever(retriever: BaseRetriever, scope: Scope) -> BaseRetriever:
    return retriever.within(scope) if isinstance(retriever, HybridRetriever) else retriever


def _raise_if(cancel: threading.Event) -> None:
    if cancel.is_set():
        raise Cancelled("Stopped.")
