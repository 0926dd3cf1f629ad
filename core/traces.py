"""What one turn did, step by step: timed spans and the ledger of its context."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.types import ChatMessage, InnerState, Scope, Usage


@dataclass(frozen=True, slots=True)
class Span:
    """One timed step of a turn; `started` in seconds since the turn began."""

    name: str
    started: float
    seconds: float
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Trace:
    """Collects while a turn runs; the turn stores it at its end, however it ends."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.spans: list[Span] = []
        self.ledger: dict[str, Any] = {}
        self.usage = Usage()
        self.scope: Scope | None = None  # which documents were asked
        self.inner_state: InnerState | None = None  # for who calibrates; it is not stored

    @contextmanager
    def span(self, name: str) -> Iterator[dict[str, Any]]:
        """Time a step; what is put into the dictionary becomes its attributes."""
        attributes: dict[str, Any] = {}
        started = time.perf_counter()
        try:
            yield attributes
        finally:
            seconds = time.perf_counter() - started
            self.spans.append(Span(name, round(started - self._began, 4), round(seconds, 4), attributes))

    def seconds(self) -> dict[str, float]:
        """Seconds by step, in the order they began."""
        return {span.name: span.seconds for span in sorted(self.spans, key=lambda span: span.started)}


def digest(messages: Sequence[ChatMessage]) -> str:
    """What tells whether two prompts are the same, without keeping what they say."""
    said = json.dumps([[message.role, message.content] for message in messages], ensure_ascii=False)
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()
