"""Where documents come from by themselves: web sites and watched folders, and what was found in each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, Id, new_id, now


class SourceRow(Base):
    """A web address with its depth, or a folder. `round` counts the looks; an item that was asked in this one has it.

    `base` is the host that the start page was found at, `identity` the device and number of a folder.
    """

    __tablename__ = "sources"
    __table_args__ = (UniqueConstraint("owner_id", "kind", "address"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(10))
    address: Mapped[str] = mapped_column(Text)
    base: Mapped[str] = mapped_column(Text, default="")
    depth: Mapped[int] = mapped_column(default=0)
    within: Mapped[str] = mapped_column(Text, default="")
    collection_id: Mapped[str | None] = mapped_column(ForeignKey("collections.id", ondelete="SET NULL"))
    interval_minutes: Mapped[int] = mapped_column(default=0)
    paused: Mapped[bool] = mapped_column(default=False)
    looking: Mapped[bool] = mapped_column(default=False)
    wanted: Mapped[bool] = mapped_column(default=True)
    round: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    identity: Mapped[str] = mapped_column(String(100), default="")
    looked_at: Mapped[datetime | None]
    next_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class SourceItemRow(Base):
    """One page or file. `document_id` is what questions find now; `previous_id` what they find until that is ready.

    Pages have `etag` and `modified` as their server named them, files `mtime_ns` and `size`; `mounted` files lie on
    another disk than the folder itself. `wanted` and `seen` are the last looks that had it to do and that did it.
    """

    __tablename__ = "source_items"
    __table_args__ = (
        UniqueConstraint("source_id", "address"),
        Index(None, "document_id"),
        Index(None, "previous_id"),
        Index("ix_source_items_queue", "source_id", "wanted", "depth"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    address: Mapped[str] = mapped_column(Text)
    depth: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(20))
    error: Mapped[str] = mapped_column(Text, default="")
    sha256: Mapped[str] = mapped_column(String(64), default="")
    etag: Mapped[str] = mapped_column(String(300), default="")
    modified: Mapped[str] = mapped_column(String(100), default="")
    mtime_ns: Mapped[int] = mapped_column(BigInteger, default=0)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    mounted: Mapped[bool] = mapped_column(default=False)
    document_id: Mapped[str | None] = mapped_column(ForeignKey("documents.id", ondelete="SET NULL"))
    previous_id: Mapped[str | None] = mapped_column(ForeignKey("documents.id", ondelete="SET NULL"))
    wanted: Mapped[int] = mapped_column(default=0)
    seen: Mapped[int] = mapped_column(default=0)
    gone_at: Mapped[datetime | None]


class SourceDocumentRow(Base):
    """A document that came from sources alone: it goes when no item has it. Adding it by hand takes it out of here."""

    __tablename__ = "source_documents"

    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
