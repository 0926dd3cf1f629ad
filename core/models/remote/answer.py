"""What a service has said so far of one answer: text, why it ended, and what it cost. Everything in it may be wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.types import Usage

FILTERED = "content_filter"
HALVES = re.compile("[\ud800-\udfff]")
LENGTH = {"length", "max_tokens", "model_length"}


@dataclass
class Answer:
    """`finish` is the service's own reason; until there is one, the answer is not whole."""

    began: float = field(default_factory=time.monotonic)
    first: float | None = None
    characters: int = 0
    progressed: bool = False  # whether the last event brought text, or thinking before it
    thought: bool = False
    finish: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    _half: str = ""

    @property
    def begun(self) -> bool:
        """Whether text has come: from then on nothing is asked a second time."""
        return self.characters > 0

    def take(self, event: Mapping[str, Any]) -> str:
        """The text in an event, or in a whole answer. What is not understood is passed over."""
        self.progressed = False
        if isinstance(usage := event.get("usage"), Mapping):
            self.usage = usage
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            return ""
        if isinstance(finish := choice.get("finish_reason"), str) and finish:
            self.finish = finish
        said = choice.get("delta") or choice.get("message")
        if not isinstance(said, Mapping):
            return ""
        text = self._whole(_text(said.get("content")) or _text(said.get("refusal")))
        thinks = bool(said.get("reasoning_content") or said.get("reasoning"))
        self.progressed, self.thought = thinks or bool(text), thinks or self.thought
        if text and self.first is None:
            self.first = time.monotonic()
        self.characters += len(text)
        return text

    def _whole(self, text: str) -> str:
        """The text in whole characters: JSON can cut one in two, and a half of one cannot be stored."""
        text = self._half + text
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        text = text.removesuffix(self._half) if self._half else text
        if HALVES.search(text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text

    def reason(self) -> str:
        """The end in the words of the OpenAI protocol, which others vary."""
        return "length" if self.finish in LENGTH else "stop"

    def cost(self) -> Usage:
        """Tokens as the service counts them, 0 where it does not; times on our own clock."""
        details = self.usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
        now = time.monotonic()
        return Usage(
            prompt_tokens=_count(self.usage.get("prompt_tokens")),
            cached_tokens=_count(cached),
            completion_tokens=_count(self.usage.get("completion_tokens")),
            first_token_seconds=(self.first or now) - self.began,
            total_seconds=now - self.began,
        )


def _text(content: object) -> str:
    """Text, also where it comes in parts of which only some are meant to be read."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _count(number: object) -> int:
    return number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else 0
