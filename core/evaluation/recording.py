"""Keeps a measurement while it goes on: whatever ends it, the questions that were asked are there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.evaluation.answers import Answered, AnswersResult
from core.evaluation.progress import Watch
from core.evaluation.retrieval import Ranked, RetrievalResult
from core.evaluation.runs import Item, RunBook

SECONDS = 2.0  # between two times that questions are written


@dataclass(slots=True)
class Measured:
    """What a measurement has so far."""

    retrieval: RetrievalResult = field(default_factory=RetrievalResult)
    answers: AnswersResult = field(default_factory=AnswersResult)

    @property
    def items(self) -> Sequence[Ranked] | Sequence[Answered]:
        return self.retrieval.items or self.answers.items


@dataclass(slots=True)
class Recorder:
    """Told of the progress, it passes that on and writes down what has come since the last time."""

    told: Watch
    book: RunBook
    run_id: str
    measured: Measured
    written: int = 0
    last: float = field(default_factory=time.monotonic)

    def __call__(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() - self.last > SECONDS:
            self.write()
        self.told(stage, done, total)

    def write(self) -> None:
        new = self.measured.items[self.written :]
        self.book.add(self.run_id, [item_of(each) for each in new])
        self.written, self.last = self.written + len(new), time.monotonic()


def item_of(measured: Ranked | Answered) -> Item:
    """A question as it is stored: compared by nDCG@10, or by whether its answer was right."""
    if isinstance(measured, Ranked):
        return Item(measured.id, measured.question, measured.scores["nDCG@10"], measured.as_dict())
    question = measured.question
    return Item(question.id, question.text, float(measured.right), measured.as_dict())
