"""Measurements of search and answers. A run belongs to who started it; its figures and questions go with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, Id, new_id, now


class EvaluationRunRow(Base):
    """One measurement. `wanted` is how many questions it is to ask; `holder` is the process that works on it."""

    __tablename__ = "evaluation_runs"
    __table_args__ = (Index("ix_evaluation_runs_owner_id", "owner_id", "created_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    dataset: Mapped[str] = mapped_column(String(200))
    dataset_sha256: Mapped[str] = mapped_column(String(64))
    seed: Mapped[int]
    wanted: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(12))
    error: Mapped[str] = mapped_column(Text, default="")
    holder: Mapped[str] = mapped_column(String(40), default="")
    pipeline: Mapped[dict[str, Any]] = mapped_column(default=dict)
    pipeline_hash: Mapped[str] = mapped_column(String(64), default="")
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]


class EvaluationScoreRow(Base):
    """A figure of a run with its 95 % interval over `n` questions."""

    __tablename__ = "evaluation_scores"

    run_id: Mapped[str] = mapped_column(ForeignKey("evaluation_runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    position: Mapped[int]
    value: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    n: Mapped[int]


class EvaluationItemRow(Base):
    """A question of a run; `score` from 0 to 1 is what two runs are compared by, `detail` is all that is known."""

    __tablename__ = "evaluation_items"

    run_id: Mapped[str] = mapped_column(ForeignKey("evaluation_runs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    question_id: Mapped[str] = mapped_column(String(200))
    question: Mapped[str] = mapped_column(Text)
    score: Mapped[float]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
