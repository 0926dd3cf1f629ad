"""A request as the native process knows it, and the news that it sends home."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import GroundworkError
from core.serving.native.sampling import Choice, Sampler
from core.types import GenerationOptions

TOGETHER = 0.04  # seconds that news of a step may wait for those of the next: less often than that, nobody reads them

Item = list[Any]


class Outbox:
    """Collects the news of a step or two, which then travel in one message.

    Whoever hears of every single token takes a core for it, and the step that is being computed waits for that core.
    """

    def __init__(self, send: Callable[[list[Item]], None]) -> None:
        self._send = send
        self._items: list[Item] = []
        self._lock = threading.Lock()
        self._urgent, self._sent = False, 0.0

    def put(self, *item: Any, urgent: bool = False) -> None:
        """Add an item; an urgent one waits for the end of its step only."""
        with self._lock:
            self._items.append(list(item))
            self._urgent |= urgent

    def flush(self, *, now: bool = True) -> None:
        """Send everything; or, unless `now`, only if something is urgent or the last message was long ago."""
        with self._lock:
            moment = time.monotonic()
            if not (now or self._urgent or moment - self._sent >= TOGETHER):
                return
            items, self._items = self._items, []
            self._urgent, self._sent = False, moment
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
    def prompt(self) -> list[int]:
        """The tokens of the prompt alone."""
        return self.given[: len(self.given) - self.written]

    @property
    def repeatable(self) -> bool:
        """Whether the same request must give the same tokens again: a seed is set and nothing known is to be used."""
        return self.options.seed is not None and not self.options.cache_prompt

    def start(self, cached: int) -> None:
        """The work begins; so many tokens are known already."""
        self.cached = cached
        self.outbox.put("start", self.id, cached, urgent=True)

    def report(self, processed: int) -> None:
        """Tell how much of the prompt is read."""
        self.outbox.put("read", self.id, processed, self.cached)

    def tell(self, token: int, text: str, choice: Choice | None = None) -> None:
        """Tell a token of the answer and the text that can be shown now."""
        first = self.completion_tokens == 1
        self.outbox.put("text", self.id, token, text, choice.plain() if choice else None, urgent=first)

    def finish(self, text: str, reason: str, inner_state: str = "") -> None:
        """Tell the end, and the text that had been held back; `inner_state` is base64 of 16-bit floats."""
        self.done = True
        self.outbox.put("end", self.id, text, reason, self.cached, self.completion_tokens, inner_state, urgent=True)

    def fail(self, error: GroundworkError) -> None:
        """Tell that it ends without an answer."""
        self.done = True
        self.outbox.put("fail", self.id, error.code, str(error), urgent=True)
