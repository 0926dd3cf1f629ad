"""The reference that answers are compared with: BM25's best three texts in a plain prompt, and nothing else."""

from __future__ import annotations

import math
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from core.models.active import ActiveEngine
from core.services import Services
from core.types import ChatMessage, GenerationChunk, GenerationOptions

BEST = 3
K1, B = 1.2, 0.75
WORD = re.compile(r"\w+")
SYSTEM = "You are a helpful assistant."
PROMPT = """Answer the question from the passages below, as briefly as possible.

{passages}

Question: {question}
Answer:"""


class Bm25:
    """The classic ranking over whole texts, in memory. `texts` are pairs of id and text."""

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self.texts: list[tuple[str, str]] = list(texts)
        self._postings: dict[str, list[tuple[int, int]]] = {}
        self._lengths: list[int] = []
        for number, (_, text) in enumerate(self.texts):
            words = WORD.findall(text.lower())
            self._lengths.append(len(words))
            for word, count in Counter(words).items():
                self._postings.setdefault(word, []).append((number, count))
        self._mean = sum(self._lengths) / len(self._lengths) if self._lengths else 1.0

    def best(self, query: str, k: int = BEST) -> list[tuple[str, str]]:
        """The k best texts, best first; of equals the earlier one."""
        scores: dict[int, float] = {}
        for word in dict.fromkeys(WORD.findall(query.lower())):
            postings = self._postings.get(word, ())
            weight = math.log(1 + (len(self.texts) - len(postings) + 0.5) / (len(postings) + 0.5))
            for number, count in postings:
                norm = K1 * (1 - B + B * self._lengths[number] / (self._mean or 1.0))
                scores[number] = scores.get(number, 0.0) + weight * count * (K1 + 1) / (count + norm)
        ranked = sorted(scores, key=lambda number: (-scores[number], number))
        return [self.texts[number] for number in ranked[:k]]


class PlainPipeline:
    """Answers a question as a first attempt at such a product would."""

    def __init__(self, main: Services, texts: Iterable[tuple[str, str]], options: GenerationOptions) -> None:
        self.index = Bm25(texts)
        self.engine = ActiveEngine(main.client, main.endpoints)
        self.options = options

    def messages(self, question: str) -> Sequence[ChatMessage]:
        found = (f"[{number}] {text}" for number, (_, text) in enumerate(self.index.best(question), 1))
        prompt = PROMPT.format(passages="\n\n".join(found), question=question)
        return [ChatMessage("system", SYSTEM), ChatMessage("user", prompt)]

    def stream(self, question: str, cancel: threading.Event) -> Iterator[GenerationChunk]:
        """The reply as the engine writes it."""
        return self.engine.chat(self.messages(question), self.options, cancel)
