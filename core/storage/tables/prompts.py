"""Prompts as immutable versions, and the pipelines that answers are attributed to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, Id, new_id, now


class PromptRow(Base):
    """A purpose. `published` is the number of the version in use."""

    __tablename__ = "prompts"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    published: Mapped[int] = mapped_column(default=1)


class PromptVersionRow(Base):
    """Immutable: a trigger refuses updates of its text."""

    __tablename__ = "prompt_versions"
    __table_args__ = (UniqueConstraint("prompt", "version"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    prompt: Mapped[str] = mapped_column(ForeignKey("prompts.name", ondelete="CASCADE"))
    version: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    author_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)


class PublicationRow(Base):
    """One move of the pointer; a rollback is one too."""

    __tablename__ = "publications"

    id: Mapped[int] = mapped_column(primary_key=True)
    prompt: Mapped[str] = mapped_column(ForeignKey("prompts.name", ondelete="CASCADE"))
    from_version: Mapped[int]
    to_version: Mapped[int]
    author_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)


class PipelineRow(Base):
    """Prompt version + model + settings of retrieval and sampling: what an answer is attributed to.

    A model of this machine is known by its hash; one of another service by the address that was asked, `endpoint`.
    """

    __tablename__ = "pipelines"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    config_hash: Mapped[str] = mapped_column(String(64), unique=True)
    prompt_version_id: Mapped[str] = mapped_column(ForeignKey("prompt_versions.id"))
    model: Mapped[str] = mapped_column(String(200))
    model_sha256: Mapped[str] = mapped_column(String(64), default="")
    endpoint: Mapped[str] = mapped_column(String(500), default="")
    embedder: Mapped[str] = mapped_column(String(200))
    retrieval: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sampling: Mapped[dict[str, Any]] = mapped_column(default=dict)
    code_version: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(default=now)
