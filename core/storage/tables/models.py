"""What was found out about models: examinations on this machine, and which of two answers people preferred."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, Id, new_id, now


class MeasurementRow(Base):
    """One examination of a model file on one machine."""

    __tablename__ = "measurements"
    __table_args__ = (Index("ix_measurements_model", "model"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    figures: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ComparisonRow(Base):
    """Two answers to one question: `left` and `right` as they were shown, `better` is left, right or same."""

    __tablename__ = "comparisons"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    question: Mapped[str] = mapped_column(Text)
    left: Mapped[dict[str, Any]] = mapped_column(default=dict)
    right: Mapped[dict[str, Any]] = mapped_column(default=dict)
    better: Mapped[str] = mapped_column(String(5))
    created_at: Mapped[datetime] = mapped_column(default=now)
