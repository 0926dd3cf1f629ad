"""Examines a model on this machine: how fast it reads and writes, how well it knows prose, how it answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from core.models.exam import Exam
from core.serving.native.batch import Batch
from core.serving.native.chat_model import ChatModel
from core.serving.native.sampling import Sampler
from core.types import GenerationOptions

READ, DEEP, STREAMS = 512, 1024, 4
WRITE = 24  # tokens
ROUNDS = 2
PIECE = 128  # tokens whose logits are had at once for the perplexity
ANSWER = 40  # tokens at the most
Tell = Callable[[str, float], None]


class Examiner:
    """One examination; `tell` hears what is being done and the share that is done."""

    def __init__(self, chat: ChatModel, exam: Exam, tell: Tell) -> None:
        self._chat, self._exam, self._tell = chat, exam, tell
        self._context, self._batch = chat.context, Batch()

    def run(self) -> dict[str, Any]:
        """Speeds in tokens a second; `writing_deep` behind 1,024 tokens, `together` of four streams in sum.

        `perplexity` is that of plain prose, lower is better; `right` of `questions` were answered.
        """
        self._tell("Reading speed", 0.0)
        reading = max(self._read(READ) for _ in range(ROUNDS))
        self._tell("Writing speed", 0.15)
        writing = max(self._write(32) for _ in range(ROUNDS))
        deep = self._write(min(DEEP, self._context.cells - WRITE))
        self._tell("Four at a time", 0.4)
        together = max(self._together() for _ in range(ROUNDS))
        self._tell("Plain prose", 0.5)
        perplexity = self._perplexity()
        right = self._answer()
        self._tell("Done", 1.0)
        return {
            "reading": round(reading, 1),
            "writing": round(writing, 1),
            "writing_deep": round(deep, 1),
            "together": round(together, 1),
            "perplexity": round(perplexity, 3),
            "right": right,
            "questions": len(self._exam.questions),
        }

    def _step(self, tokens: list[int], place: int, *, sequence: int = 0, logits: int = 1) -> None:
        self._batch.clear()
        self._batch.add(tokens, sequence=sequence, position=place, logits=logits)
        self._context.decode(self._batch)

    def _fill(self, count: int) -> None:
        tokens = [(11 + place * 7) % self._chat.model.words for place in range(count)]
        for place in range(0, count, READ):
            self._step(tokens[place : place + READ], place)

    def _read(self, count: int) -> float:
        self._context.clear()
        begin = time.perf_counter()
        self._fill(count)
        return count / (time.perf_counter() - begin)

    def _write(self, depth: int) -> float:
        self._context.clear()
        self._fill(depth)
        begin = time.perf_counter()
        for place in range(depth, depth + WRITE):
            self._step([17], place)
        return WRITE / (time.perf_counter() - begin)

    def _together(self) -> float:
        self._context.clear()
        for stream in range(STREAMS):
            self._step([(5 + stream + place) % self._chat.model.words for place in range(32)], 0, sequence=stream)
        begin = time.perf_counter()
        for place in range(32, 32 + WRITE):
            self._batch.clear()
            for stream in range(STREAMS):
                self._batch.add([17 + stream], sequence=stream, position=place, logits=1)
            self._context.decode(self._batch)
        return STREAMS * WRITE / (time.perf_counter() - begin)

    def _perplexity(self) -> float:
        """exp of the mean negative log-likelihood of each token given those before it."""
        first = self._chat.model.first_token
        tokens = self._chat.model.tokenize(self._exam.text)
        tokens = tokens if first is None else [first, *tokens]
        self._context.clear()
        losses = []
        for place in range(0, len(tokens) - 1, PIECE):
            piece = tokens[place : place + PIECE]
            self._step(piece, place, logits=len(piece))
            for offset in range(len(piece)):
                if place + offset + 1 < len(tokens):
                    losses.append(self._loss(offset, tokens[place + offset + 1]))
        return math.exp(sum(losses) / len(losses))

    def _loss(self, place: int, token: int) -> float:
        logits = self._context.logits(place).astype(np.float64)
        peak = logits.max()
        return float(peak + np.log(np.exp(logits - peak).sum()) - logits[token])

    def _answer(self) -> int:
        """How many questions are answered rightly, greedily and one after the other."""
        right = 0
        for number, question in enumerate(self._exam.questions):
            self._tell("Questions on passages", 0.55 + 0.45 * number / len(self._exam.questions))
            tokens = self._chat.prompt(question.messages).tokens
            self._context.clear()
            for place in range(0, len(tokens), READ):
                self._step(tokens[place : place + READ], place)
            last = (len(tokens) - 1) % READ
            right += question.right(self._written(len(tokens), last))
        return right

    def _written(self, place: int, logits: int) -> str:
        sampler, raw = Sampler(GenerationOptions(), self._chat.model), b""
        for _ in range(ANSWER):
            token = sampler.sample(self._context, logits)
            piece = self._chat.model.piece(token)
            if piece is None:
                break
            raw += piece
            self._step([token], place)
            place, logits = place + 1, 0
        return raw.decode("utf-8", "replace")
