"""What the answer chain is asked. Apart from the chain, so that those who only ask do not load LangChain."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from core.traces import Trace
from core.types import ChatMessage, GenerationOptions, Passage, Scope


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """One question with everything that decides its answer.

    `passages` given means: do not search, answer from these (to try a prompt on an earlier question).
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
