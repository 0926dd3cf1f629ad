"""What the model server answers: OpenAI's protocol with a few extensions."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.serving.embedder import Embedded
from core.serving.generation import Finish, Position, Progress, Restarted, Text


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
    inner = {"inner_state": finish.inner_state} if finish.inner_state else {}
    return {
        **inner,
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
