"""The bodies of requests and answers: OpenAI's protocol with a few extensions, checked strictly."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from core.serving.embedder import Embedded
from core.serving.generation import Finish, Position, Progress, Restarted, Text
from core.types import ChatMessage, GenerationOptions

MAX_TOKENS = 131_072
DEFAULT_MAX_TOKENS = 512
MAX_TEXTS = 2_048  # of one embedding or counting request
ANY_OBJECT = '{"type": "object"}'

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


class Schema(Body):
    """The JSON schema of a response format; `strict` is accepted, the answer obeys in any case."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    name: Annotated[str, StringConstraints(max_length=200)] = ""
    description: Annotated[str, StringConstraints(max_length=2_000)] = ""
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    strict: bool | None = None


class ResponseFormat(Body):
    """What the answer has to look like."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: Schema | None = None

    @model_validator(mode="after")
    def _with_schema(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema belongs to the type json_schema, and only to it")
        return self

    def plain(self) -> str:
        """The schema as text; "" without one."""
        if self.json_schema:
            return json.dumps(self.json_schema.schema_)
        return ANY_OBJECT if self.type == "json_object" else ""


class ChatBody(Body):
    """POST /v1/chat/completions.

    Extensions, named as llama.cpp's server names them where it has them: top_k, min_p, repeat_penalty, cache_prompt,
    return_progress, priority.
    """

    model: Annotated[str, StringConstraints(max_length=200)] = ""
    messages: Messages
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=8)] | None = None
    n: Literal[1] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=1_024)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    repeat_penalty: Annotated[float, Field(gt=0, le=10)] = 1.0
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
            top_k=self.top_k,
            min_p=self.min_p,
            frequency_penalty=self.frequency_penalty or 0.0,
            presence_penalty=self.presence_penalty or 0.0,
            repeat_penalty=self.repeat_penalty,
            logit_bias=tuple((int(token), bias) for token, bias in (self.logit_bias or {}).items()),
            json_schema=self.response_format.plain() if self.response_format else "",
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )

    @field_validator("logit_bias")
    @classmethod
    def _tokens(cls, biases: dict[str, float] | None) -> dict[str, float] | None:
        if biases and not all(token.isascii() and token.isdigit() and len(token) < 10 for token in biases):
            raise ValueError("the keys are numbers of tokens")
        return biases

    @model_validator(mode="after")
    def _top_needs_logprobs(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs")
        return self


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


class RerankBody(Body):
    """POST /v1/rerank, as Jina, Cohere and llama.cpp's server have it."""

    model: Annotated[str, StringConstraints(max_length=200)] = ""
    query: Content
    documents: Annotated[list[Content], Field(min_length=1, max_length=MAX_TEXTS)]
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = False


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


class QuantizeBody(LoadBody):
    """POST /models/quantize."""

    kind: Annotated[str, StringConstraints(max_length=20)]
    target: Annotated[str, StringConstraints(max_length=200)]


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

    def text(self, news: Text) -> dict[str, Any]:
        """A chunk with a piece of the answer."""
        body = self.chunk({"content": news.text})
        if news.token:
            body["choices"][0]["logprobs"] = {"content": [_chosen(news)], "refusal": None}
        return body

    def news(self, news: Position | Restarted | Progress) -> dict[str, Any]:
        """A chunk that tells about the waiting or the reading."""
        if isinstance(news, Restarted):
            return self.chunk({}, restarted=news.why)
        if isinstance(news, Position):
            return self.chunk({}, queue_position=news.number, queue_seconds=round(news.seconds, 1))
        progress = {"total": news.total, "cache": news.cached, "processed": news.processed}
        return self.chunk({}, prompt_progress={**progress, "time_ms": _ms(news.seconds)})

    def last(self, finish: Finish) -> dict[str, Any]:
        """The last chunk of a stream."""
        body = self.chunk({}, **_costs(finish))
        body["choices"][0]["finish_reason"] = finish.reason
        return body

    def whole(self, texts: Sequence[Text], finish: Finish) -> dict[str, Any]:
        """The answer in one piece."""
        message = {"role": "assistant", "content": "".join(news.text for news in texts), "refusal": None}
        chosen = [_chosen(news) for news in texts if news.token]
        logprobs = {"content": chosen, "refusal": None} if chosen else None
        choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish.reason}
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


def _chosen(news: Text) -> dict[str, Any]:
    """A token's log-probability. Tokens are told by their numbers: alone, many are no whole characters."""
    token = news.token
    assert token
    top = [{"token": str(other), "bytes": None, "logprob": round(value, 6)} for other, value in token.top]
    return {"token": str(token.id), "bytes": None, "logprob": round(token.logprob, 6), "top_logprobs": top}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
