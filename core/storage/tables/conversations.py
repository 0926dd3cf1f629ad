"""Conversations as trees of messages, with what each answer rests on and what people said of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, Id, new_id, now
from core.types import MessageState


class ConversationRow(Base):
    """A tree of messages; `head_id` is the leaf of the branch that is shown."""

    __tablename__ = "conversations"
    __table_args__ = (Index(None, "owner_id", "updated_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200), default="")
    titled_by: Mapped[str] = mapped_column(String(10), default="")  # "", "model" or "person"
    collection_id: Mapped[str | None] = mapped_column(ForeignKey("collections.id", ondelete="SET NULL"))
    document_id: Mapped[str | None] = mapped_column(ForeignKey("documents.id", ondelete="SET NULL"))
    filters: Mapped[dict[str, Any]] = mapped_column(default=dict)  # which kinds of documents it asks
    head_id: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class MessageRow(Base):
    """Ids grow with time: the order of messages never depends on a clock."""

    __tablename__ = "messages"
    __table_args__ = (Index(None, "conversation_id"), Index(None, "state"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(10))
    content: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(12), default=MessageState.complete.value)
    error: Mapped[str] = mapped_column(Text, default="")
    query: Mapped[str] = mapped_column(Text, default="")  # what was searched for, when it is not the question
    pipeline_id: Mapped[str | None] = mapped_column(ForeignKey("pipelines.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)


class PassageRow(Base):
    """A passage of an answer by its place in the document: no copy of the text outlives the document."""

    __tablename__ = "passages"
    __table_args__ = (Index(None, "document_id"),)

    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[str | None] = mapped_column(ForeignKey("documents.id", ondelete="SET NULL"))
    document_title: Mapped[str] = mapped_column(String(400))
    start: Mapped[int] = mapped_column("start_offset")
    end: Mapped[int] = mapped_column("end_offset")
    page: Mapped[int | None]
    heading: Mapped[str] = mapped_column(Text, default="")
    score: Mapped[float]
    dense_score: Mapped[float | None]
    keyword_score: Mapped[float | None]
    in_prompt: Mapped[bool] = mapped_column(default=True)
    stages: Mapped[dict[str, Any]] = mapped_column(default=dict)  # scores of further stages, see core/chat/branches.py
    digest: Mapped[str] = mapped_column(String(16), default="")  # of its words: whether they still stand there
    kept: Mapped[list[Any]] = mapped_column(default=list)  # [start, end] of what was shown of it; empty: all


class CitationRow(Base):
    __tablename__ = "citations"
    __table_args__ = (Index(None, "document_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]
    document_id: Mapped[str | None] = mapped_column(ForeignKey("documents.id", ondelete="SET NULL"))
    document_title: Mapped[str] = mapped_column(String(400))
    start: Mapped[int] = mapped_column("start_offset")
    end: Mapped[int] = mapped_column("end_offset")
    page: Mapped[int | None]
    heading: Mapped[str] = mapped_column(Text, default="")
    support: Mapped[float]
    digest: Mapped[str] = mapped_column(String(16), default="")  # of its words; "" where earlier versions kept none


class FeedbackRow(Base):
    __tablename__ = "feedback"
    __table_args__ = (UniqueConstraint("message_id", "user_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    thumb: Mapped[int]  # 1 up, 0 down
    reasons: Mapped[list[Any]] = mapped_column(default=list)
    comment: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))


class TraceRow(Base):
    """What one turn did and cost; one to one with the assistant's message."""

    __tablename__ = "traces"

    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    spans: Mapped[list[Any]] = mapped_column(default=list)
    usage: Mapped[dict[str, Any]] = mapped_column(default=dict)
    ledger: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    verdict: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what checking found out, see core/chat/verdicts.py
    scope: Mapped[dict[str, Any] | None]  # which documents were asked; None of answers before that was kept
