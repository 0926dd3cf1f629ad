"""Runs as rows: written while they go on, so that a crash leaves what was measured; read by the page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.evaluation.figures import Figure, difference
from core.living import is_alive, own_id
from core.storage.db import Database
from core.storage.tables import EvaluationItemRow, EvaluationRunRow, EvaluationScoreRow, now

RUNNING, COMPLETE, STOPPED, FAILED, INTERRUPTED = "running", "complete", "stopped", "failed", "interrupted"
CRASHED = "Groundwork ended while this was being measured."
BROKEN = "Something went wrong inside Groundwork while this was being measured."
LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as lists show it; `asked` of `wanted` questions are measured, `figures` come with its end."""

    id: str
    kind: str
    dataset: str
    dataset_sha256: str
    seed: int
    wanted: int
    asked: int
    state: str
    error: str
    pipeline: Mapping[str, Any]
    pipeline_hash: str
    extra: Mapping[str, Any]
    created_at: datetime
    ended_at: datetime | None
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """A question of a run."""

    question_id: str
    question: str
    score: float
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """The same question in two runs; `loss` is how much worse the second one is."""

    question_id: str
    question: str
    before: Item
    after: Item

    @property
    def loss(self) -> float:
        return self.before.score - self.after.score


class RunBook:
    """The runs of people. What is not theirs does not exist for them."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def begin(
        self, *, owner_id: str, kind: str, dataset: str, dataset_sha256: str, seed: int, wanted: int,
        pipeline: Mapping[str, Any],
    ) -> str:  # fmt: skip
        """Register a run of this process and return its id."""
        digest = hashlib.sha256(json.dumps(pipeline, sort_keys=True).encode()).hexdigest()
        row = EvaluationRunRow(
            owner_id=owner_id, kind=kind, dataset=dataset[:200], dataset_sha256=dataset_sha256, seed=seed,
            wanted=wanted, state=RUNNING, holder=own_id(), pipeline=dict(pipeline), pipeline_hash=digest,
        )  # fmt: skip
        with self.db.write() as session:
            session.add(row)
            session.flush()
            return row.id

    def add(self, run_id: str, items: Sequence[Item]) -> None:
        """Keep questions that were measured. Those of a run that was deleted meanwhile are dropped."""
        with self.db.write() as session:
            if session.get(EvaluationRunRow, run_id) is None:
                return
            first = _asked(session, [run_id]).get(run_id, 0)
            rows = [
                {"run_id": run_id, "position": position, "question_id": item.question_id[:LONGEST_ID],
                 "question": item.question, "score": item.score, "detail": dict(item.detail)}
                for position, item in enumerate(items, first)
            ]  # fmt: skip
            if rows:
                session.execute(insert(EvaluationItemRow), rows)

    def finish(
        self, run_id: str, state: str, *, figures: Mapping[str, Figure] | None = None,
        extra: Mapping[str, Any] | None = None, error: str = "",
    ) -> None:  # fmt: skip
        """The end of a run, in one transaction with its figures."""
        with self.db.write() as session:
            row = session.get(EvaluationRunRow, run_id)
            if row is None:
                return
            row.state, row.error, row.ended_at, row.extra = state, error, now(), dict(extra or {})
            session.execute(delete(EvaluationScoreRow).where(EvaluationScoreRow.run_id == run_id))
            session.add_all(
                EvaluationScoreRow(
                    run_id=run_id, name=name, position=position, value=figure.value, low=figure.low,
                    high=figure.high, n=figure.n,
                )
                for position, (name, figure) in enumerate((figures or {}).items())
            )  # fmt: skip

    @contextmanager
    def ending(self, run_id: str) -> Iterator[None]:
        """However the block ends, the run does not stay running."""
        try:
            yield
        finally:
            with self.db.write() as session:
                session.execute(
                    update(EvaluationRunRow)
                    .where(EvaluationRunRow.id == run_id, EvaluationRunRow.state == RUNNING)
                    .values(state=FAILED, error=BROKEN, ended_at=now())
                )

    def list_runs(self, *, owner_id: str, limit: int = 100) -> list[RunInfo]:
        """The newest first. Runs whose process is gone are marked as interrupted."""
        self._mark_interrupted(owner_id)
        newest = (
            select(EvaluationRunRow)
            .where(EvaluationRunRow.owner_id == owner_id)
            .order_by(EvaluationRunRow.created_at.desc(), EvaluationRunRow.id)
            .limit(limit)
        )
        with self.db.read() as session:
            rows = session.scalars(newest).all()
            ids = [row.id for row in rows]
            asked, figures = _asked(session, ids), _figures(session, ids)
            return [_info(row, asked.get(row.id, 0), figures.get(row.id, {})) for row in rows]

    def get(self, run_id: str, *, owner_id: str) -> RunInfo:
        with self.db.read() as session:
            row = _owned(session, run_id, owner_id)
            figures = _figures(session, [run_id]).get(run_id, {})
            return _info(row, _asked(session, [run_id]).get(run_id, 0), figures)

    def items(self, run_id: str, *, owner_id: str) -> list[Item]:
        """The questions of a run in the order in which they were asked."""
        with self.db.read() as session:
            _owned(session, run_id, owner_id)
            query = select(EvaluationItemRow).where(EvaluationItemRow.run_id == run_id)
            rows = session.scalars(query.order_by(EvaluationItemRow.position))
            return [Item(row.question_id, row.question, row.score, row.detail) for row in rows]

    def delete(self, run_id: str, *, owner_id: str) -> None:
        """Remove a run with its questions; one that goes on ends without a trace."""
        with self.db.write() as session:
            session.delete(_owned(session, run_id, owner_id))

    def compare(self, before_id: str, after_id: str, *, owner_id: str) -> tuple[list[Pair], Figure]:
        """The questions that both runs have, the largest loss first, and how much better the second is: in pairs.

        The same question has the same id and text; one of which nobody knows the right answer tells nothing.
        """
        before = {item.question_id: item for item in self.items(before_id, owner_id=owner_id)}
        after = {item.question_id: item for item in self.items(after_id, owner_id=owner_id)}
        pairs = [
            Pair(id, item.question, item, after[id])
            for id, item in before.items()
            if id in after and after[id].question == item.question and item.detail.get("judged", True)
        ]
        pairs.sort(key=lambda pair: -pair.loss)
        seed = self.get(after_id, owner_id=owner_id).seed
        scores = [pair.after.score for pair in pairs], [pair.before.score for pair in pairs]
        return pairs, difference(*scores, seed)

    def _mark_interrupted(self, owner_id: str) -> None:
        running = select(EvaluationRunRow.id, EvaluationRunRow.holder).where(
            EvaluationRunRow.owner_id == owner_id, EvaluationRunRow.state == RUNNING
        )
        with self.db.read() as session:
            dead = [id for id, holder in session.execute(running) if not is_alive(holder)]
        if dead:
            with self.db.write() as session:
                session.execute(
                    update(EvaluationRunRow)
                    .where(EvaluationRunRow.id.in_(dead), EvaluationRunRow.state == RUNNING)
                    .values(state=INTERRUPTED, error=CRASHED, ended_at=now())
                )


def _owned(session: Session, run_id: str, owner_id: str) -> EvaluationRunRow:
    row = session.get(EvaluationRunRow, run_id)
    if row is None or row.owner_id != owner_id:
        raise NotFound("There is no such measurement.")
    return row


def _asked(session: Session, run_ids: Sequence[str]) -> dict[str, int]:
    counts = (
        select(EvaluationItemRow.run_id, func.count())
        .where(EvaluationItemRow.run_id.in_(run_ids))
        .group_by(EvaluationItemRow.run_id)
    )
    return {row[0]: row[1] for row in session.execute(counts)}


def _figures(session: Session, run_ids: Sequence[str]) -> dict[str, dict[str, Figure]]:
    query = select(EvaluationScoreRow).where(EvaluationScoreRow.run_id.in_(run_ids))
    found: dict[str, dict[str, Figure]] = {}
    for row in session.scalars(query.order_by(EvaluationScoreRow.position)):
        found.setdefault(row.run_id, {})[row.name] = Figure(row.value, row.low, row.high, row.n)
    return found


def _info(row: EvaluationRunRow, asked: int, figures: Mapping[str, Figure]) -> RunInfo:
    return RunInfo(
        row.id, row.kind, row.dataset, row.dataset_sha256, row.seed, row.wanted, asked, row.state, row.error,
        row.pipeline, row.pipeline_hash, row.extra, row.created_at, row.ended_at, figures,
    )  # fmt: skip
