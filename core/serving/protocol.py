"""The bodies of requests: OpenAI's protocol with a few extensions, checked strictly."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from core.types import ChatMessage, GenerationOptions

MAX_TOKENS = 131_072
DEFAULT_MAX_TOKENS = 512
MAX_TEXTS = 2_048  # of one embedding or counting request
MAX_LISTED = 200_000  # characters whose tokens are listed: up to four each, so 6 MB of numbers at most
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
    return_progress, priority, return_inner_state.
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
    return_inner_state: bool = False

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
            inner_state=self.return_inner_state,
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
