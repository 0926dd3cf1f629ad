"""A request as the native process knows it, and the news that it sends home."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import GroundworkError
from core.serving.native.sampling import Choice, Sampler
from core.types import GenerationOptions

Item = list[Any]


class Outbox:
    """Collects the news of a step, which then travel in one message."""

    def __init__(self, send: Callable[[list[Item]], None]) -> None:
        self._send = send
        self._items: list[Item] = []
        self._lock = threading.Lock()

    def put(self, *item: Any) -> None:
        with self._lock:
            self._items.append(list(item))

    def flush(self) -> None:
        with self._lock:
            items, self._items = self._items, []
        if items:
            self._send(items)


@dataclass(slots=True, eq=False)
class Request:
    """`given` is all that the model reads before it writes: the prompt, and what was written before a crash.

    `system` is how many tokens of it the system prompt takes, `written` how many were written already.
    """

    id: int
    given: list[int]
    system: int
    written: int
    options: GenerationOptions
    sampler: Sampler
    outbox: Outbox
    cached: int = 0
    cancelled: bool = False
    done: bool = False
    completion_tokens: int = 0

    @property
    def background(self) -> bool:
        return self.options.priority == "background"

    @property
    def repeatable(self) -> bool:
        """Whether the same request must give the same tokens again: a seed is set and nothing known is to be used."""
        return self.options.seed is not None and not self.options.cache_prompt

    def start(self, cached: int) -> None:
        """The work begins; so many tokens are known already."""
        self.cached = cached
        self.outbox.put("start", self.id, cached)

    def report(self, processed: int) -> None:
        """Tell how much of the prompt is read."""
        self.outbox.put("read", self.id, processed, self.cached)

    def tell(self, token: int, text: str, choice: Choice | None = None) -> None:
        """Tell a token of the answer and the text that can be shown now."""
        self.outbox.put("text", self.id, token, text, choice.plain() if choice else None)

    def finish(self, text: str, reason: str) -> None:
        """Tell the end, and the text that had been held back."""
        self.done = True
        self.outbox.put("end", self.id, text, reason, self.cached, self.completion_tokens)

    def fail(self, error: GroundworkError) -> None:
        """Tell that it ends without an answer."""
        self.done = True
        self.outbox.put("fail", self.id, error.code, str(error))
