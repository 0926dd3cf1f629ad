"""What happens to a question until it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.types.models import Usage
from core.types.retrieval import Citation, Passage


class MessageState(StrEnum):
    """Where a message is; only `writing` changes."""

    complete = "complete"
    writing = "writing"
    stopped = "stopped"  # by the person
    interrupted = "interrupted"  # by a crash
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The turn waits for the model; position 1 is next, which takes about `seconds` (None: nobody knows).

    `restarted` says why the model had to be started again in the middle of this answer.
    """

    position: int
    seconds: float | None = None
    restarted: str = ""


@dataclass(frozen=True, slots=True)
class Condensed:
    """A follow-up was rewritten into a query that stands alone."""

    query: str


@dataclass(frozen=True, slots=True)
class Searching:
    """The documents are being searched for `query`."""

    query: str


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The passages that go into the prompt, in the order of their numbers; `left_out` says what did not fit."""

    passages: tuple[Passage, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """The model has processed `done` of `total` prompt tokens."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """The finished answer with its markers checked; `text` replaces what was streamed."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete and stored."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn ended with an error; the sentence is for the person. `retry_after`: seconds, when something is busy."""

    message: str
    code: str
    retry_after: float | None = None


Event = Waiting | Condensed | Searching | Retrieved | Reading | Token | Cited | Done | Failed
