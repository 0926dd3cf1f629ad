"""Asks the model and turns what it streams into the events of a turn."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig

from core.chat.request import AnswerRequest
from core.errors import Cancelled, ModelError
from core.models.chat_model import arguments, progress, to_langchain
from core.traces import digest
from core.types import ChatMessage, Event, GenerationChunk, GenerationOptions, Reading, Token, Waiting

UNKNOWN = 0.5  # how likely anything is that no engine tells


@dataclass
class Spoken:
    """What the model said, with the log-probabilities of its tokens where it tells them."""

    text: str = ""
    logprobs: list[float] = field(default_factory=list)


class Speaker:
    """One model, asked aloud (its words are told as they come) or quietly."""

    def __init__(self, model: BaseChatModel) -> None:
        self.model = model

    def aloud(
        self, request: AnswerRequest, messages: Sequence[ChatMessage], config: RunnableConfig | None
    ) -> Generator[Event, None, Spoken]:
        """Yield the waiting, the reading and the words; return all of them. Raises ModelError, Cancelled."""
        spoken, restarted = Spoken(), ""
        with request.trace.span("generate") as attributes:
            attributes["prompt_sha256"] = digest(messages)
            for step in self._steps(request, messages, replace(request.options, top_logprobs=0), config):
                if step.restarted:
                    attributes["restarted"] = restarted = step.restarted
                if step.queue_position:
                    yield Waiting(step.queue_position, step.queue_seconds, restarted)
                if step.read_tokens is not None:
                    yield Reading(step.read_tokens, step.prompt_tokens or 0)
                if step.logprob is not None:
                    spoken.logprobs.append(step.logprob)
                if step.text:
                    spoken.text += step.text
                    yield Token(step.text)
                if step.finish_reason:
                    attributes["finish_reason"] = step.finish_reason
                if step.usage:
                    request.trace.usage = step.usage
                    request.trace.inner_state = step.inner_state
        spoken.text = spoken.text.strip()
        return spoken

    def quietly(
        self, request: AnswerRequest, messages: Sequence[ChatMessage], config: RunnableConfig | None, *,
        tokens: int, schema: str = "",
    ) -> str:  # fmt: skip
        """What the model says in at most so many tokens; `schema` is a JSON schema, which not every engine obeys."""
        options = GenerationOptions(max_tokens=tokens, seed=request.options.seed, json_schema=schema)
        return "".join(step.text for step in self._steps(request, messages, options, config)).strip()

    def agrees(self, request: AnswerRequest, messages: Sequence[ChatMessage], config: RunnableConfig | None) -> float:
        """How likely the model's next word is "yes", from 0 to 1."""
        options = GenerationOptions(max_tokens=1, seed=request.options.seed, top_logprobs=0)
        for step in self._steps(request, messages, options, config):
            if step.text.strip() and step.logprob is not None:
                likely = math.exp(min(0.0, step.logprob))
                return likely if step.text.strip().lower().startswith("y") else 1 - likely
        return UNKNOWN

    def _steps(
        self, request: AnswerRequest, messages: Sequence[ChatMessage], options: GenerationOptions,
        config: RunnableConfig | None,
    ) -> Iterator[GenerationChunk]:  # fmt: skip
        extra = arguments(self.model, options, request.cancel)
        for chunk in self.model.stream(_messages(messages), config, **extra):
            raise_if(request.cancel)
            yield progress(chunk)


def raise_if(cancel: threading.Event) -> None:
    """Raises Cancelled once somebody pressed Stop."""
    if cancel.is_set():
        raise Cancelled("Stopped.")


def _messages(messages: Sequence[ChatMessage]) -> list[BaseMessage]:
    if not messages:
        raise ModelError("The prompt is empty. Publish a version of it that has a [user] part.")
    return to_langchain(messages)
