"""Background work: jobs, and the batches that make one thing of many of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, Id, new_id, now
from core.types import JobStatus


class BatchRow(Base):
    """Files that were added together. Its parts are jobs, so nothing of their state is kept twice."""

    __tablename__ = "batches"
    __table_args__ = (Index(None, "owner_id", "created_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(400), default="")
    expected: Mapped[int] = mapped_column(default=0)  # files that were announced; they arrive one after the other
    state: Mapped[str] = mapped_column(String(12), default="open")  # open, paused, cancelled: for parts still to come
    created_at: Mapped[datetime] = mapped_column(default=now)
    touched_at: Mapped[datetime] = mapped_column(default=now)  # when the last of its files arrived
    seen: Mapped[bool] = mapped_column(default=False)  # it has ended and was put away


class BatchNoteRow(Base):
    """A file of a batch that became no job: refused before it was stored, or known already."""

    __tablename__ = "batch_notes"
    __table_args__ = (Index(None, "batch_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(400))
    kind: Mapped[str] = mapped_column(String(12))  # refused, known
    sentence: Mapped[str] = mapped_column(Text, default="")


class JobRow(Base):
    """`lane` is what has to be done next: read the file, or embed its chunks. Each lane has its own line."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "status", "lane", "priority", "created_at"),
        Index(None, "document_id"),
        Index(None, "batch_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(40))
    document_id: Mapped[str | None] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    batch_id: Mapped[str | None] = mapped_column(ForeignKey("batches.id", ondelete="SET NULL"))
    lane: Mapped[str] = mapped_column(String(10), default="read")
    priority: Mapped[int] = mapped_column(default=0)  # the higher one goes first
    status: Mapped[str] = mapped_column(String(20), default=JobStatus.queued.value)
    stage: Mapped[str] = mapped_column(String(40), default="")
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    stage_at: Mapped[datetime | None]  # when the stage began, and with how much done
    stage_from: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(default=0)  # bytes of the file
    chunks: Mapped[int] = mapped_column(default=0)  # known once it is read
    read_seconds: Mapped[float] = mapped_column(default=0.0)
    embed_seconds: Mapped[float] = mapped_column(default=0.0)
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str] = mapped_column(String(100), default="")
    lease_until: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
