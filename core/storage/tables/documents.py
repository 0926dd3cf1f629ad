"""People, documents with their chunks and vectors, and what is left to say of deleted ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, Id, new_id, now
from core.types import DocumentStatus


class UserRow(Base):
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(default=now)


class PreferenceRow(Base):
    """Choices made in the application, such as the active chat model."""

    __tablename__ = "preferences"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class CollectionRow(Base):
    __tablename__ = "collections"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=now)


class DocumentRow(Base):
    __tablename__ = "documents"
    __table_args__ = (
        UniqueConstraint("owner_id", "sha256"), Index(None, "status"), Index(None, "sha256"),
        Index(None, "incoming_sha256"),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(400))
    title: Mapped[str] = mapped_column(String(400), default="")
    media_type: Mapped[str] = mapped_column(String(200), default="")
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    status: Mapped[str] = mapped_column(String(20), default=DocumentStatus.queued.value)
    error: Mapped[str] = mapped_column(Text, default="")
    receipt: Mapped[dict[str, Any]] = mapped_column(default=dict)
    language: Mapped[str] = mapped_column(String(8), default="")
    author: Mapped[str] = mapped_column(String(400), default="")
    source: Mapped[str] = mapped_column(Text, default="")  # where it came from, such as a web address
    written_at: Mapped[datetime | None]  # as the file says: when it was made and when it was last changed
    changed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    ready_at: Mapped[datetime | None]
    # Changed bytes that are still to be read; those of `sha256` are what the text was read from.
    incoming_sha256: Mapped[str] = mapped_column(String(64), default="")
    incoming_size: Mapped[int] = mapped_column(default=0)


class CollectionDocumentRow(Base):
    __tablename__ = "collection_documents"
    __table_args__ = (Index(None, "document_id"),)

    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True)
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)


class DocumentTagRow(Base):
    """A word that its owner put on a document."""

    __tablename__ = "document_tags"
    __table_args__ = (Index(None, "tag"),)

    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(60), primary_key=True)


class DocumentTextRow(Base):
    """What was read from the file. Kept apart so that lists of documents never load it."""

    __tablename__ = "document_texts"

    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    pages: Mapped[list[Any]] = mapped_column(default=list)
    headings: Mapped[list[Any]] = mapped_column(default=list)
    tables: Mapped[list[Any]] = mapped_column(default=list)


class ChunkRow(Base):
    """The text of a chunk is `document_texts.text[start:end]`; it is repeated here so that it is read with the row.

    `words` and `head_words` are the terms of the text and of what stands over it (core/words), which the keyword index
    holds.
    """

    __tablename__ = "chunks"
    __table_args__ = (UniqueConstraint("document_id", "position"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    position: Mapped[int]
    start: Mapped[int] = mapped_column("start_offset")
    end: Mapped[int] = mapped_column("end_offset")
    page: Mapped[int | None]
    heading: Mapped[str] = mapped_column(Text, default="")
    text: Mapped[str] = mapped_column(Text)
    context: Mapped[str] = mapped_column(Text, default="")
    section_start: Mapped[int] = mapped_column(default=0)
    section_end: Mapped[int] = mapped_column(default=0)
    words: Mapped[str] = mapped_column(Text, default="")
    head_words: Mapped[str] = mapped_column(Text, default="")


class VectorRow(Base):
    """One embedding: float32, little endian, normalised. FAISS is a cache over these rows.

    A chunk has one for each embedder: while an index for another one is built, the vectors of the first still serve.
    `text_hash` is the SHA-256 of what was embedded, so that the same text is not embedded twice; None when unknown.
    """

    __tablename__ = "vectors"
    __table_args__ = (Index(None, "embedder", "text_hash"),)

    chunk_id: Mapped[int] = mapped_column(ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True)
    embedder: Mapped[str] = mapped_column(String(200), primary_key=True)
    dimension: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)
    text_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))


class VectorDraftRow(Base):
    """A vector that is computed, but waits for the others of its document: a killed worker goes on from here."""

    __tablename__ = "vector_drafts"
    __table_args__ = (Index(None, "embedder", "text_hash"),)

    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    embedder: Mapped[str] = mapped_column(String(200), primary_key=True)
    text_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    dimension: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)


class PageReadingRow(Base):
    """A page that was read from its picture, kept when it is finished: a killed worker goes on with the next one.

    `reader` names what read it, with version and languages: another one reads the page again.
    """

    __tablename__ = "page_readings"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    reader: Mapped[str] = mapped_column(String(200), primary_key=True)
    page: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float]
    seconds: Mapped[float]


class DeletionRow(Base):
    """What was deleted and what a search for its remains found: outlives the document, and holds none of its text."""

    __tablename__ = "deletions"
    __table_args__ = (Index(None, "checked_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    document_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(400))
    sha256: Mapped[str] = mapped_column(String(64))
    incoming_sha256: Mapped[str] = mapped_column(String(64), default="")  # of changed bytes that were still to be read
    first_chunk: Mapped[int | None]
    last_chunk: Mapped[int | None]
    residues: Mapped[dict[str, Any]] = mapped_column(default=dict)  # place → how many pieces are left there
    deleted_at: Mapped[datetime] = mapped_column(default=now)
    checked_at: Mapped[datetime | None]


class IndexStateRow(Base):
    """One row: every change of the set of vectors raises `generation`, so that caches know they are old."""

    __tablename__ = "index_state"

    id: Mapped[int] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(default=0)
