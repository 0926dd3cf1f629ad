"""The engine that answers: the model server of this machine, or the service that was chosen in its place."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from core.models import estimate
from core.models.client import ModelClient
from core.models.endpoints import Endpoints
from core.types import ChatMessage, GenerationChunk, GenerationOptions


class GuestEngine:
    """A certain chat model of this machine, which the model server loads beside the active one if need be."""

    def __init__(self, local: ModelClient, model_id: str) -> None:
        self.local = local
        self.model_id = model_id

    def chat(
        self, messages: Sequence[ChatMessage], options: GenerationOptions, cancel: threading.Event
    ) -> Iterator[GenerationChunk]:
        """Stream an answer, as ActiveEngine does. Raises ModelError when the model cannot be loaded."""
        name = "" if self.local.status().chat.id == self.model_id else self.model_id
        if name:
            self.local.invite(name)
        return self.local.chat(messages, options, cancel, model=name)

    def count(self, contents: Sequence[str]) -> list[int]:
        """Tokens by an estimate on the safe side: the model may not be loaded yet."""
        return [estimate.tokens(content) for content in contents]

    def count_messages(self, messages: Sequence[ChatMessage]) -> int:
        return estimate.prompt_tokens(messages)

    def context_tokens(self) -> int:
        """What the active model has room for; the guest is loaded with the same settings."""
        return self.local.context_tokens()


class ActiveEngine:
    """Looks up at every call which one it is. Embedding stays with the model server in any case."""

    def __init__(self, local: ModelClient, endpoints: Endpoints) -> None:
        self.local = local
        self.endpoints = endpoints

    def chat(
        self, messages: Sequence[ChatMessage], options: GenerationOptions, cancel: threading.Event
    ) -> Iterator[GenerationChunk]:
        """Stream an answer. Raises Cancelled once `cancel` is set, and the narrower ModelErrors."""
        endpoint = self.endpoints.active()
        engine = self.local if endpoint is None else self.endpoints.client(endpoint.id)
        return engine.chat(messages, options, cancel)

    def count(self, contents: Sequence[str]) -> list[int]:
        """Tokens of each text: exact for the model server, an estimate on the safe side for a service."""
        if self.endpoints.active() is None:
            return self.local.count(contents)
        return [estimate.tokens(content) for content in contents]

    def count_messages(self, messages: Sequence[ChatMessage]) -> int:
        """Tokens of the whole prompt, counted or estimated like those of a text."""
        if self.endpoints.active() is None:
            return self.local.count_messages(messages)
        return estimate.prompt_tokens(messages)

    def context_tokens(self) -> int:
        """Tokens that one prompt and its answer may have together."""
        endpoint = self.endpoints.active()
        return self.local.context_tokens() if endpoint is None else endpoint.context_tokens
