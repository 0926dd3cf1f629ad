"""Follow-ups: when a question needs the conversation to be understood, and what comes back from the rewriting."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.types import ChatMessage

REFERRING = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|that|these|those|there|then|one|ones|same|"
    r"other|others|another|former|latter|above|previous|else|also|more|again|instead|such|so|why|both)\b|"
    r"^\s*(?:and|or|but|what about|how about)\b",
    re.IGNORECASE,
)
SHORTEST_ALONE = 5  # words
MOST_EXCHANGES = 3
LONGEST_ANSWER = 400  # characters of an earlier answer that the rewriting needs to see


def stands_alone(question: str) -> bool:
    """Whether a question clearly needs no rewriting; in doubt it does. Only judged for plain English text."""
    return question.isascii() and len(question.split()) >= SHORTEST_ALONE and not REFERRING.search(question)


def transcript(history: Sequence[ChatMessage]) -> str:
    """The last exchanges as text for the rewriting prompt; long answers are shortened and say so by an ellipsis."""
    lines = []
    for message in history[-2 * MOST_EXCHANGES :]:
        name = "Person" if message.role == "user" else "Assistant"
        text = " ".join(message.content.split())
        lines.append(f"{name}: {text[:LONGEST_ANSWER]}{'…' if len(text) > LONGEST_ANSWER else ''}")
    return "\n".join(lines)


def accept(rewritten: str, question: str) -> str:
    """The rewritten question, or the original when what came back cannot be one."""
    lines = [line.strip(" \"'“”") for line in rewritten.strip().splitlines() if line.strip()]
    first = re.sub(r"^(?:rewritten )?question:\s*", "", lines[0], flags=re.IGNORECASE) if lines else ""
    return first if first and len(first) <= 3 * len(question) + 200 else question
