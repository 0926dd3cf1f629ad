"""The bodies of requests and answers: OpenAI's protocol with a few extensions, checked strictly."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from core.serving.embedder import Embedded
from core.serving.generation import Finish, Position, Progress
from core.types import ChatMessage, GenerationOptions

MAX_TOKENS = 131_072
DEFAULT_MAX_TOKENS = 512
MAX_TEXTS = 2_048  # of one embedding or counting request

Stop = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Content = Annotated[str, StringConstraints(max_length=4_000_000)]


class Body(BaseModel):
    """Unknown fields are refused: a setting that has no effect would be a lie."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TextPart(Body):
    """OpenAI's way to write a content in parts; only text is understood."""

    type: Literal["text"]
    text: Content


class Message(Body):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Content | Annotated[list[TextPart], Field(min_length=1, max_length=100)]

    def plain(self) -> ChatMessage:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return ChatMessage(self.role, text)


Messages = Annotated[list[Message], Field(min_length=1, max_length=1_000)]


class StreamOptions(Body):
    """`include_usage` is accepted, and the usage sent in any case."""

    include_usage: bool = False


class ChatBody(Body):
    """POST /v1/chat/completions. Extensions: priority, cache_prompt, return_progress."""

    model: Annotated[str, StringConstraints(max_length=200)] = ""
    messages: Messages
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=8)] | None = None
    n: Literal[1] | None = None
    user: Annotated[str, StringConstraints(max_length=200)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    priority: Literal["chat", "background"] = "chat"
    cache_prompt: bool = True
    return_progress: bool = False

    def options(self) -> GenerationOptions:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return GenerationOptions(
            max_tokens=self.max_completion_tokens or self.max_tokens or DEFAULT_MAX_TOKENS,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            seed=self.seed,
            stop=stop,
            priority=self.priority,
            cache_prompt=self.cache_prompt,
        )


class EmbeddingsBody(Body):
    """POST /v1/embeddings. Extension: priority."""

    model: Annotated[str, StringConstraints(max_length=200)] = ""
    input: Content | Annotated[list[Content], Field(min_length=1, max_length=MAX_TEXTS)]
    encoding_format: Literal["float", "base64"] = "float"
    user: Annotated[str, StringConstraints(max_length=200)] | None = None
    priority: Literal["query", "ingest"] = "query"

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class TokenizeBody(Body):
    """POST /tokenize: exactly one of the three."""

    content: Content | None = None
    contents: Annotated[list[Content], Field(max_length=MAX_TEXTS)] | None = None
    messages: Messages | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(given is not None for given in (self.content, self.contents, self.messages)) != 1:
            raise ValueError("give exactly one of content, contents and messages")
        return self


class LoadBody(Body):
    """POST /models/load."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]

    @field_validator("id")
    @classmethod
    def _printable(cls, model_id: str) -> str:
        if not model_id.isprintable():
            raise ValueError("an id has no control characters")
        return model_id


@dataclass(frozen=True, slots=True)
class Completion:
    """Writes the answers to one chat request, in one piece or in chunks."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def chunk(self, delta: dict[str, str], **extra: Any) -> dict[str, Any]:
        """A chunk of a stream with a piece of the answer, or with none and some extension."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return {**self._head("chat.completion.chunk"), "choices": [choice], **extra}

    def news(self, news: Position | Progress) -> dict[str, Any]:
        """A chunk that tells about the waiting or the reading."""
        if isinstance(news, Position):
            return self.chunk({}, queue_position=news.number)
        progress = {"total": news.total, "cache": news.cached, "processed": news.processed}
        return self.chunk({}, prompt_progress={**progress, "time_ms": _ms(news.seconds)})

    def last(self, finish: Finish) -> dict[str, Any]:
        """The last chunk of a stream."""
        body = self.chunk({}, **_costs(finish))
        body["choices"][0]["finish_reason"] = finish.reason
        return body

    def whole(self, text: str, finish: Finish) -> dict[str, Any]:
        """The answer in one piece."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish.reason}
        return {**self._head("chat.completion"), "choices": [choice], **_costs(finish)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def embeddings(model: str, found: Embedded, *, encoding: str) -> dict[str, Any]:
    """The answer to an embeddings request; base64 is that of little-endian 32-bit floats."""
    vectors: Iterable[Any] = found.vectors.tolist() if encoding == "float" else map(_base64, found.vectors)
    items = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    usage = {"prompt_tokens": found.tokens, "total_tokens": found.tokens}
    return {"object": "list", "data": items, "model": model, "usage": usage, "truncated": list(found.truncated)}


def _base64(vector: Any) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _costs(finish: Finish) -> dict[str, Any]:
    return {
        "usage": {
            "prompt_tokens": finish.prompt_tokens,
            "completion_tokens": finish.completion_tokens,
            "total_tokens": finish.prompt_tokens + finish.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": finish.cached_tokens},
        },
        "timings": {
            "queue_ms": _ms(finish.queue),
            "prompt_ms": _ms(finish.prompt),
            "first_token_ms": _ms(finish.first_token),
            "generation_ms": _ms(finish.generation),
        },
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
