"""What happens to a question until it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


class Verdict(StrEnum):
    """How far the words of the documents bear a claim."""

    supported = "supported"
    weak = "weak"  # some of it, or without its numbers
    unsupported = "unsupported"


class Way(StrEnum):
    """How a question was answered."""

    documents = "documents"  # from passages that were searched for
    conversation = "conversation"  # from what was said before
    greeting = "greeting"
    summary = "summary"  # from a whole document, section by section
    general = "general"  # from what the model knows, because the documents do not hold it and the setting allows it


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of the answer: `Cited.text[start:end]`, and the numbers of the passages that it cites.

    `support` is the share of its content words that the quoted words hold, from 0 to 1.
    """

    start: int
    end: int
    verdict: Verdict
    support: float
    numbers: tuple[int, ...] = ()


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
class Summarising:
    """A document is being read section by section; `done` of `total` are."""

    done: int
    total: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class Remembering:
    """The beginning of the conversation does not fit any more and is being summarised: `messages` of it."""

    messages: int


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
    """The finished answer with its markers checked; `text` replaces what was streamed.

    `claims` are its sentences with what bears them; `unsupported` says that no words of the documents bear any of
    them, which belongs above the text. `confidence` is the calibrated probability, from 0 to 1, that the documents
    answer the question, and as this answer does: None where nothing was searched. Below the chosen point the answer has
    `abstained`: the text says what was searched and offers `nearest` (the numbers of passages), and what the model
    wrote is `draft`. `way` is how the question was answered. `signals` are what the confidence was computed from, by
    name.
    """

    text: str
    citations: tuple[Citation, ...]
    claims: tuple[Claim, ...] = ()
    unsupported: bool = False
    confidence: float | None = None
    abstained: bool = False
    nearest: tuple[int, ...] = ()
    draft: str = ""
    way: Way = Way.documents
    signals: Mapping[str, float] = field(default_factory=dict)


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


Event = (
    Waiting | Condensed | Searching | Remembering | Summarising | Retrieved | Reading | Token | Cited | Done | Failed
)
