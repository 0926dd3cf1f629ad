"""Two answers to one question side by side: two models, or two versions of the answer prompt.

People say which is better. Who is who is not told before: the two stand in a random order.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import select

from core.chat.records import Recipe
from core.chat.request import AnswerRequest
from core.chat.turns import LiveTurn, job
from core.errors import Cancelled, Conflict, GroundworkError
from core.guard import clean_question
from core.prompts import Prompts
from core.storage.db import Database
from core.storage.tables import ComparisonRow
from core.types import Cited, Failed, Passage, Retrieved, Scope

if TYPE_CHECKING:
    from core.chat.chain import AnswerChain

log = logging.getLogger(__name__)

CHOICES = ("left", "right", "same")


@dataclass(frozen=True, slots=True)
class Contender:
    """One side: a chat model of this machine by its id, and a version of the answer prompt (0: the published one)."""

    model: str
    title: str
    prompt_version: int = 0

    @property
    def label(self) -> str:
        return f"{self.title}, prompt version {self.prompt_version}" if self.prompt_version else self.title


@dataclass
class Comparison:
    """A comparison that runs or has ended; sides are in the order in which they are shown, left first."""

    question: str
    sides: tuple[Contender, Contender]
    turns: tuple[LiveTurn, LiveTurn]
    id: str = field(default_factory=lambda: uuid4().hex)
    user_id: str = ""
    better: str = ""
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def active(self) -> bool:
        return any(turn.active for turn in self.turns)

    @property
    def complete(self) -> bool:
        """Whether there are two answers to choose from."""
        return not self.active and all(cited(turn) for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Tally:
    """How often people preferred each of two contenders, by their labels."""

    first: str
    second: str
    first_better: int
    second_better: int
    same: int


class Comparisons:
    """Runs comparisons, one at a time, and keeps what people chose."""

    def __init__(
        self, db: Database, prompts: Prompts, recipe: Callable[[], Recipe], chain: Callable[[str], AnswerChain]
    ) -> None:
        """`chain` makes the answer chain of a model by its id, and loads the model if need be."""
        self._db, self._prompts, self._recipe, self.chain = db, prompts, recipe, chain
        self._running: Comparison | None = None
        self._lock = threading.Lock()

    def start(self, question: str, scope: Scope, first: Contender, second: Contender) -> Comparison:
        """Answer with both, one after the other, from the same passages. Raises BadQuestion, Conflict."""
        question = clean_question(question)
        if first == second:
            raise Conflict("Choose two different models, or two different versions of the prompt.")
        sides = (first, second) if secrets.randbelow(2) else (second, first)
        turns = (LiveTurn("left", 0), LiveTurn("right", 0))
        comparison = Comparison(question, sides, turns, user_id=scope.owner_id)
        with self._lock:
            if self._running and self._running.active:
                raise Conflict("A comparison is running already. Wait for it, or stop it.")
            self._running = comparison
        threading.Thread(target=self._run, args=(comparison, scope), name="comparison", daemon=True).start()
        return comparison

    def undecided(self, *, user_id: str) -> Comparison | None:
        """A person's comparison that runs, or waits for the choice: a page that was loaded again goes on with it."""
        found = self._running
        if found is None or found.user_id != user_id or found.better:
            return None
        return found if found.active or found.complete else None

    def prefer(self, comparison: Comparison, better: str, *, user_id: str) -> None:
        """Keep which answer somebody finds better. Raises Conflict while there is nothing to choose."""
        if better not in CHOICES or not comparison.complete or comparison.better:
            raise Conflict("There are no two answers to choose from, or the choice is made already.")
        left, right = (_record(*side) for side in zip(comparison.sides, comparison.turns, strict=True))
        row = ComparisonRow(
            id=comparison.id, user_id=user_id, question=comparison.question, left=left, right=right, better=better
        )
        with self._db.write() as session:
            session.add(row)
        comparison.better = better

    def tallies(self) -> list[Tally]:
        """What people preferred so far, for each pair that was compared, the newest pair first."""
        with self._db.read() as session:
            rows = session.scalars(select(ComparisonRow).order_by(ComparisonRow.created_at.desc())).all()
            found = [(row.left["label"], row.right["label"], row.better) for row in rows]
        counts: dict[tuple[str, str], list[int]] = {}
        for left, right, better in found:
            first, second = sorted((left, right))
            winner = {"left": left, "right": right}.get(better)
            counted = counts.setdefault((first, second), [0, 0, 0])
            counted[0 if winner == first else 1 if winner == second else 2] += 1
        return [Tally(first, second, *counted) for (first, second), counted in counts.items()]

    def stop(self) -> None:
        """End what runs."""
        if self._running:
            self._running.cancel.set()

    def _run(self, comparison: Comparison, scope: Scope) -> None:
        passages: tuple[Passage, ...] | None = None
        for side, turn in zip(comparison.sides, comparison.turns, strict=True):
            with job(turn):
                try:
                    passages = self._answer(comparison, side, turn, scope, passages)
                except Cancelled as stopped:
                    turn.append(Failed(str(stopped), stopped.code))
                except GroundworkError as problem:
                    log.warning("comparison: %s: %s", side.model, problem)
                    turn.append(Failed(str(problem), problem.code))

    def _answer(
        self,
        comparison: Comparison,
        side: Contender,
        turn: LiveTurn,
        scope: Scope,
        passages: tuple[Passage, ...] | None,
    ) -> tuple[Passage, ...] | None:
        """Answer for one side; returns the passages, which the other side gets too."""
        version = side.prompt_version
        prompt = self._prompts.version("answer", version) if version else self._prompts.published("answer")
        request = AnswerRequest(
            question=comparison.question,
            scope=scope,
            answer_prompt=prompt.text,
            condense_prompt="",
            passages=passages,
            options=self._recipe().options,
            cancel=comparison.cancel,
        )
        for event in self.chain(side.model).stream(request):
            turn.append(event)
            if isinstance(event, Retrieved):
                passages = event.passages
        return passages


def cited(turn: LiveTurn) -> Cited | None:
    """The finished answer of a side."""
    return next((event for event in turn.events if isinstance(event, Cited)), None)


def _record(side: Contender, turn: LiveTurn) -> dict[str, object]:
    found = cited(turn)
    return {
        "model": side.model,
        "label": side.label,
        "prompt_version": side.prompt_version,
        "answer": found.text if found else "",
    }
