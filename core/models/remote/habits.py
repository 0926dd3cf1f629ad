"""What a service wants otherwise than the protocol says, learned from its refusals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from core.types import ChatMessage, GenerationOptions

# An answer is the same answer without these, or nearly so. `stop` is not among them: without it the answer is another.
DISPENSABLE = ("stream_options", "seed", "temperature", "top_p")
NEW_LIMIT = "max_completion_tokens"
REFUSED = {400, 404, 422, 500}  # 404 and 500 because some servers answer so to a body they do not understand


@dataclass(frozen=True, slots=True)
class Habits:
    """`without`: fields that it refuses; `new_limit`: it wants max_completion_tokens instead of max_tokens."""

    without: frozenset[str] = frozenset()
    new_limit: bool = False

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        return cls(frozenset(stored.get("without", ())) & frozenset(DISPENSABLE), bool(stored.get("new_limit")))

    def as_dict(self) -> dict[str, Any]:
        return {"without": sorted(self.without), "new_limit": self.new_limit}

    def body(self, model: str, messages: Sequence[ChatMessage], options: GenerationOptions) -> dict[str, Any]:
        """A request in the words this service understands; nothing of ours that it might not know."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            NEW_LIMIT if self.new_limit else "max_tokens": options.max_tokens,
            "temperature": options.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if options.top_p != 1:
            body["top_p"] = options.top_p
        if options.seed is not None:
            body["seed"] = options.seed
        if options.stop:
            body["stop"] = list(options.stop)
        return {name: value for name, value in body.items() if name not in self.without}

    def after(self, status: int, complaint: str, sent: Mapping[str, Any]) -> Self | None:
        """The habits to try next when this refusal names something that can be done without; else None."""
        if status not in REFUSED:
            return None
        if "max_tokens" in sent and NEW_LIMIT in complaint:
            return type(self)(self.without, new_limit=True)
        named = {name for name in DISPENSABLE if name in sent and re.search(rf"\b{name}\b", complaint)}
        return type(self)(self.without | named, self.new_limit) if named else None
