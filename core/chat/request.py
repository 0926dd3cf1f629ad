"""What the answer chain is asked. Apart from the chain, so that those who only ask do not load LangChain."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from core.traces import Trace
from core.types import ChatMessage, GenerationOptions, Passage, Scope


@dataclass(frozen=True, slots=True)
class Habits:
    """Settings of how answers are made.

    `passage_tokens` and `history_tokens` are the most that passages and history may have in a prompt, 0: all that fits.
    `general` allows an answer from what the model knows, marked as such, where the documents do not hold one.
    """

    passage_tokens: int = 0
    history_tokens: int = 0
    general: bool = False


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """One question with everything that decides its answer.

    `history` is what was said after the first `summarised` messages, which `summary` stands for. `passages` given mean:
    do not search, answer from these as they are (to try a prompt on an earlier question). `prompts` are the texts of
    the other prompts by their purpose; a way of answering whose prompt is missing is not taken. `today` is the date
    that a prompt may name (ISO 8601); for a replay, that of the answer.
    """

    question: str
    scope: Scope
    answer_prompt: str
    condense_prompt: str
    history: tuple[ChatMessage, ...] = ()
    passages: tuple[Passage, ...] | None = None
    options: GenerationOptions = field(default_factory=GenerationOptions)
    cancel: threading.Event = field(default_factory=threading.Event)
    trace: Trace = field(default_factory=Trace)
    habits: Habits = field(default_factory=Habits)
    prompts: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    summarised: int = 0
    today: str = field(default_factory=lambda: date.today().isoformat())
