"""One request for an answer, and the news of it on its way through the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.errors import GroundworkError
from core.serving.chat_model import ChatModel
from core.types import ChatMessage, GenerationOptions


@dataclass(frozen=True, slots=True)
class Position:
    """The place in the line: 1 is next, 0 means that the work begins."""

    number: int


@dataclass(frozen=True, slots=True)
class Progress:
    """`processed` of `total` prompt tokens are read; `cached` of them were known from before."""

    total: int
    cached: int
    processed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer: whole characters."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer. `reason` is stop or length; times are in seconds.

    `prompt` and `first_token` count from the begin of the work, `generation` from the end of the prompt.
    """

    reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    queue: float
    prompt: float
    first_token: float
    generation: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer will not be finished."""

    error: GroundworkError


News = Position | Progress | Text | Finish | Failure
Listener = Callable[[News], None]


@dataclass(slots=True, eq=False)
class Generation:
    """A request. `listener` hears all news until Finish or Failure, from any thread; it must return at once."""

    chat: ChatModel  # whose tokens the prompt consists of
    messages: Sequence[ChatMessage]
    options: GenerationOptions
    listener: Listener
    prompt: list[int]
    user: str = ""
    cancelled: bool = False
    done: bool = False
    cached_tokens: int = 0
    completion_tokens: int = 0
    _position: int | None = None
    _submitted: float = field(default_factory=time.monotonic)
    _started: float = 0.0
    _prompt_read: float = 0.0
    _first_token: float = 0.0

    @property
    def priority(self) -> str:
        return self.options.priority

    @property
    def cells(self) -> int:
        """Cells of the context that it may come to need."""
        return len(self.prompt) + self.options.max_tokens

    @property
    def repeatable(self) -> bool:
        """Whether the same request must give the same tokens again: a seed is set and nothing known is to be used."""
        return self.options.seed is not None and not self.options.cache_prompt

    @property
    def seconds(self) -> float:
        """Since the work began."""
        return time.monotonic() - self._started

    def announce(self, position: int) -> None:
        """Tell the place in the line, if it is news."""
        if position != self._position:
            self._position = position
            self.listener(Position(position))

    def start(self, cached_tokens: int) -> None:
        """The work begins; so many tokens of the prompt are known already."""
        self._started, self.cached_tokens = time.monotonic(), cached_tokens
        self.announce(0)

    def report(self, processed: int) -> None:
        """Tell how much of the prompt is read."""
        if processed == len(self.prompt):
            self._prompt_read = time.monotonic()
        self.listener(Progress(len(self.prompt), self.cached_tokens, processed, self.seconds))

    def tell(self, text: str) -> None:
        """Tell a piece of the answer."""
        self._first_token = self._first_token or time.monotonic()
        if text:
            self.listener(Text(text))

    def finish(self, reason: str) -> None:
        """Tell the end and what it took."""
        self.done = True
        self.listener(
            Finish(
                reason=reason,
                prompt_tokens=len(self.prompt),
                cached_tokens=self.cached_tokens,
                completion_tokens=self.completion_tokens,
                queue=self._started - self._submitted,
                prompt=self._prompt_read - self._started,
                first_token=self._first_token - self._started,
                generation=time.monotonic() - self._prompt_read,
            )
        )

    def fail(self, error: GroundworkError) -> None:
        """Tell that it ends without an answer."""
        self.done = True
        self.listener(Failure(error))
