"""The engine as a LangChain chat model, so that anything of that ecosystem can be put in its place, or on top."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict

from core.types import ChatMessage, GenerationChunk, GenerationOptions

ROLES: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
NAMES = {"human": "user", "ai": "assistant"}


@runtime_checkable
class ChatEngine(Protocol):
    """What answers: the model server's client, that of another service, or whichever of them is chosen."""

    def chat(
        self, messages: Sequence[ChatMessage], options: GenerationOptions, cancel: threading.Event
    ) -> Iterator[GenerationChunk]: ...

    def count(self, contents: Sequence[str]) -> list[int]: ...


class StepChunk(AIMessageChunk):
    """A streamed chunk that carries what the server said besides the text. LangChain adds chunks up: steps get lost."""

    step: GenerationChunk | None = None


class EngineChatModel(BaseChatModel):
    """Streams from an engine. News about waiting and reading come as chunks without text."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    client: ChatEngine
    options: GenerationOptions = GenerationOptions()

    @property
    def _llm_type(self) -> str:
        return "groundwork"

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        options: GenerationOptions = kwargs.get("options") or self.options
        if stop:
            options = replace(options, stop=tuple(stop))
        cancel: threading.Event = kwargs.get("cancel") or threading.Event()
        for step in self.client.chat(from_langchain(messages), options, cancel):
            chunk = ChatGenerationChunk(message=StepChunk(content=step.text, step=step))
            if run_manager and step.text:
                run_manager.on_llm_new_token(step.text, chunk=chunk)
            yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = "".join(str(chunk.message.content) for chunk in self._stream(messages, stop, run_manager, **kwargs))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])

    def get_num_tokens(self, text: str) -> int:
        return self.client.count([text])[0]


def arguments(model: BaseChatModel, options: GenerationOptions, cancel: threading.Event) -> dict[str, Any]:
    """How to call a model: ours takes options and can be stopped, a foreign one has options of its own."""
    return {"options": options, "cancel": cancel} if isinstance(model, EngineChatModel) else {}


def progress(chunk: BaseMessage) -> GenerationChunk:
    """What a streamed chunk says; of a foreign model's chunk only the text is known."""
    step = chunk.step if isinstance(chunk, StepChunk) else None
    return step or GenerationChunk(text=str(chunk.content))


def to_langchain(messages: Sequence[ChatMessage]) -> list[BaseMessage]:
    return [ROLES[message.role](content=message.content) for message in messages]


def from_langchain(messages: Sequence[BaseMessage]) -> list[ChatMessage]:
    return [ChatMessage(NAMES.get(message.type, message.type), str(message.content)) for message in messages]
