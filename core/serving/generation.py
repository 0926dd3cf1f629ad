"""One request for an answer, and the news of it on its way through the engine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import GroundworkError, ModelCrashed, ModelUnavailable
from core.serving.chat_process import ChatProcess
from core.types import ChatMessage, GenerationOptions

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Position:
    """The place in the line: 1 is next, 0 means that the work begins. `seconds` is about how long that takes."""

    number: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Restarted:
    """The model's process ended (`why`, in a few words); the request goes on as soon as there is another."""

    why: str


@dataclass(frozen=True, slots=True)
class Progress:
    """`processed` of `total` prompt tokens are read; `cached` of them were known from before."""

    total: int
    cached: int
    processed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Token:
    """A chosen token: its log-probability, and (token, log-probability) of the most likely ones at its place."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, token: int, choice: Sequence[Any] | None) -> Token | None:
        """From what the process says of a choice: nothing, unless somebody asked."""
        if choice is None:
            return None
        logprob, top = choice
        return cls(token, float(logprob), tuple((int(other), float(value)) for other, value in top))


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer: whole characters, maybe none; `token` only if somebody asked for log-probabilities."""

    text: str
    token: Token | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer. `reason` is stop or length; times are in seconds.

    `prompt` and `first_token` count from the begin of the work, `generation` from the end of the prompt. `inner_state`
    is base64 of 16-bit floats, for who asked for it.
    """

    reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    queue: float
    prompt: float
    first_token: float
    generation: float
    inner_state: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer will not be finished."""

    error: GroundworkError


News = Position | Restarted | Progress | Text | Finish | Failure
Listener = Callable[[News], None]


@dataclass(slots=True)
class Counts:
    """Tokens since the start: of prompts, read and known from before, and of answers."""

    read: int = 0
    known: int = 0
    written: int = 0


SURE_TRIES = 1  # more at the same place, for a request that was alone in the process that ended
UNSURE_TRIES = 2  # for one that waited in it, or was not alone
PREPARED_TRIES = 2  # times that a process may end or hang while it turns the messages into tokens
SHORT_TRIES = 5  # in processes that end before they are where the one before them was


@dataclass(slots=True, eq=False)
class Generation:
    """A request. `listener` hears all news until Finish or Failure, from any thread; it must return at once.

    `process` has its prompt as `prompt_tokens` tokens. `told` are the tokens of the answer so far: after a crash the
    answer goes on behind them.
    """

    messages: Sequence[ChatMessage]
    options: GenerationOptions
    listener: Listener
    user: str = ""
    number: int = field(default_factory=lambda: next(_numbers))
    process: ChatProcess | None = None
    model: str = ""
    prompt_tokens: int = 0
    told: list[int] = field(default_factory=list)
    interrupted: bool = False
    cancelled: bool = False
    done: bool = False
    cached_tokens: int = 0
    read: int = 0
    submitted: float = field(default_factory=time.monotonic)
    _mute: int = 0
    _unprepared: int = 0  # processes in a row that ended while they prepared it
    _lost_at: tuple[int, int] = (-1, 0)  # the furthest that it got in a process that ended: tokens told, tokens read
    _again: int = 0  # processes in a row that ended where the one before had
    _short: int = 0  # processes since it got further that ended before that place
    _announced: tuple[int, int] = (-1, 0)
    _started: float = 0.0
    _prompt_read: float = 0.0
    _first_token: float = 0.0

    @property
    def priority(self) -> str:
        return self.options.priority

    @property
    def cells(self) -> int:
        """Cells of the context that it may come to need."""
        return self.prompt_tokens + self.options.max_tokens

    @property
    def repeatable(self) -> bool:
        """Whether the same request must give the same tokens again: a seed is set and nothing known is to be used."""
        return self.options.seed is not None and not self.options.cache_prompt

    @property
    def queued(self) -> float:
        """Seconds from the request to the begin of the work."""
        return (self._started or time.monotonic()) - self.submitted

    def seconds_left(self, reading: float, writing: float, usual: float) -> float:
        """About how long it takes with the processor for itself, by the seconds a token and the usual length."""
        unread = self.prompt_tokens - max(self.read, self.cached_tokens)
        left = min(usual, self.options.max_tokens) - len(self.told)
        return unread * reading + max(1.0, left) * writing

    def announce(self, position: int, seconds: float = 0.0) -> None:
        """Tell the place in the line and about how long it will take, if that is news."""
        news = (position, round(seconds))
        if news != self._announced:
            self._announced = news
            self.listener(Position(position, seconds))

    def prepare(self, process: ChatProcess) -> None:
        """Have a process turn the messages into tokens.

        Raises ContextTooLong, BadQuestion, ModelUnavailable when the process ended meanwhile; ModelCrashed when that
        was not the first time, since then it seems to be the cause, or when it cannot go on with another model.
        """
        if self.told and self.model != process.id:
            raise ModelCrashed("The model ended in the middle of this answer and another one took over. Ask again.")
        try:
            self.prompt_tokens = process.prepare(self.number, self.messages, self.options)
        except ModelUnavailable as error:
            self._unprepared += 1
            if self._unprepared < PREPARED_TRIES:
                raise
            raise ModelCrashed("The model was lost twice before it had read this question. Ask differently.") from error
        self._unprepared = 0
        self.process, self.model = process, process.id

    def written_before(self) -> list[int]:
        """What the next process need not write again. A repeatable one is written again, but told only once."""
        self._mute = len(self.told) if self.repeatable else 0
        return [] if self.repeatable else self.told

    def start(self, cached_tokens: int) -> None:
        """The work begins; so many tokens of the prompt are known already."""
        self._started = self._started or time.monotonic()
        self.cached_tokens = cached_tokens
        self.announce(0)

    def report(self, processed: int, cached: int) -> None:
        """Tell how much of the prompt is read."""
        self.read, self.cached_tokens = min(processed, self.prompt_tokens), cached
        if processed >= self.prompt_tokens:
            self._prompt_read = time.monotonic()
        seconds = time.monotonic() - self._started
        self.listener(Progress(self.prompt_tokens, min(cached, self.prompt_tokens), self.read, seconds))

    def tell(self, token: int, text: str, chosen: Token | None) -> None:
        """Tell a token of the answer and the text that can be shown with it."""
        if self._mute:
            self._mute -= 1
            return
        self.told.append(token)
        self._first_token = self._first_token or time.monotonic()
        if text or chosen:
            self.listener(Text(text, chosen))

    def finish(
        self, text: str, reason: str, cached_tokens: int, completion_tokens: int, inner_state: str = ""
    ) -> Finish:  # fmt: skip
        """Tell the rest of the text, the end and what it took."""
        if text:
            self.listener(Text(text))
        self.done = True
        now = time.monotonic()
        read = self._prompt_read or now
        ended = Finish(
            reason=reason,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=min(cached_tokens, self.prompt_tokens),
            completion_tokens=completion_tokens,
            queue=self._started - self.submitted,
            prompt=read - self._started,
            first_token=(self._first_token or now) - self._started,
            generation=now - read,
            inner_state=inner_state,
        )
        self.listener(ended)
        return ended

    def fail(self, error: GroundworkError) -> None:
        """Tell that it ends without an answer."""
        self.done = True
        self.listener(Failure(error))

    def withdraw(self) -> None:
        """Let the process forget it: nobody wants the answer any more."""
        if self.process:
            self.process.drop(self.number)

    def delay(self, why: str) -> None:
        """Tell why the next process is not there yet, and then the place in the line again."""
        self._announced = (-1, 0)
        self.listener(Restarted(why))

    def interrupt(self, why: str, *, alone: bool) -> bool:
        """The process that worked on it has ended, and it waits for another; False if it seems to be the cause.

        It seems to be when it got just as far as the times before, in its prompt or its answer: a process that is
        killed by something else will hardly ever end at the same token three times. Who shared it with others, or of
        whom nothing was read yet, is less suspect; and so is who was on the way to that place again.
        """
        reached = (len(self.told), self.read)
        if reached > self._lost_at:
            self._again = self._short = 0
        elif reached == self._lost_at:
            self._again += 1
        else:
            self._short += 1
        certain = alone and self.read > self.cached_tokens
        if self._again > (SURE_TRIES if certain else UNSURE_TRIES) or self._short > SHORT_TRIES:
            return False
        self._lost_at = max(self._lost_at, reached)
        self.interrupted, self.process, self.read = True, None, 0
        self.listener(Restarted(why))
        return True


Ended = Callable[[Generation, Finish | GroundworkError], None]


def unheard(_generation: Generation, _end: Finish | GroundworkError) -> None:
    """For who keeps no statistics of how requests end."""
