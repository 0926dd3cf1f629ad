"""A short examination for chat models, the same for every model, so that two of them can be compared."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.types import ChatMessage

_FILE = Path(__file__).with_name("exam.toml")
_SYSTEM = (
    "Read the passages and answer the question with the exact name, number or date from them, in one short sentence, "
    "followed by the number of the passage in brackets."
)


@dataclass(frozen=True, slots=True)
class ExamQuestion:
    """A question with its passages; the answer is right if it holds one of `expect`, letter case aside."""

    messages: tuple[ChatMessage, ...]
    expect: tuple[str, ...]

    def right(self, answer: str) -> bool:
        return any(words in answer.lower() for words in self.expect)


@dataclass(frozen=True, slots=True)
class Exam:
    """`text` is plain prose for the perplexity."""

    text: str
    questions: tuple[ExamQuestion, ...]


@cache
def exam() -> Exam:
    """The examination. Each question comes with its own passage and two others, its own at a different place each."""
    read = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    items = read["item"]
    questions = []
    for number, item in enumerate(items):
        others = [items[(number + step) % len(items)]["passage"] for step in (1, 5)]
        place = number % 3
        passages = [*others[:place], item["passage"], *others[place:]]
        text = "\n\n".join(f"[{place}] {passage}" for place, passage in enumerate(passages, 1))
        asked = ChatMessage("user", f"Passages:\n{text}\n\nQuestion: {item['question']}")
        questions.append(ExamQuestion((ChatMessage("system", _SYSTEM), asked), tuple(item["expect"])))
    return Exam(read["text"].strip(), tuple(questions))
