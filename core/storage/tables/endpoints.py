"""Model services elsewhere that speak the OpenAI protocol."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, Id, new_id, now


class EndpointRow(Base):
    """A model service elsewhere. Its key is encrypted, or is in the environment under the name `key_variable`."""

    __tablename__ = "endpoints"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100))
    url: Mapped[str] = mapped_column(String(500))
    model: Mapped[str] = mapped_column(String(200))
    context_tokens: Mapped[int]
    key_sealed: Mapped[str] = mapped_column(Text, default="")
    key_variable: Mapped[str] = mapped_column(String(100), default="")
    habits: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what the service was found to want or refuse
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
