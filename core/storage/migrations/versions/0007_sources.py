"""Web sites and watched folders, and what was found in each."""

import sqlalchemy as sa
from alembic import op

revision = "0007_sources"
down_revision = "0006_chunks"


def upgrade() -> None:
    _create_sources()
    _create_source_items()
    op.create_table(
        "source_documents",
        sa.Column("document_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.id"], name=op.f("fk_source_documents_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_source_documents")),
    )


def _create_sources() -> None:
    op.create_table(
        "sources",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("within", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.String(length=32), nullable=True),
        sa.Column("interval_minutes", sa.Integer(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("looking", sa.Boolean(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("identity", sa.String(length=100), nullable=False),
        sa.Column("looked_at", sa.DateTime(), nullable=True),
        sa.Column("next_at", sa.DateTime(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_sources_owner_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.id"], name=op.f("fk_sources_collection_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("owner_id", "kind", "address", name=op.f("uq_sources_owner_id_kind_address")),
    )


def _create_source_items() -> None:
    op.create_table(
        "source_items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.String(length=32), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("etag", sa.String(length=300), nullable=False),
        sa.Column("modified", sa.String(length=100), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mounted", sa.Boolean(), nullable=False),
        sa.Column("document_id", sa.String(length=32), nullable=True),
        sa.Column("previous_id", sa.String(length=32), nullable=True),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("gone_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name=op.f("fk_source_items_source_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.id"], name=op.f("fk_source_items_document_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["previous_id"], ["documents.id"], name=op.f("fk_source_items_previous_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_items")),
        sa.UniqueConstraint("source_id", "address", name=op.f("uq_source_items_source_id_address")),
    )
    op.create_index(op.f("ix_source_items_document_id"), "source_items", ["document_id"], unique=False)
    op.create_index(op.f("ix_source_items_previous_id"), "source_items", ["previous_id"], unique=False)
    op.create_index("ix_source_items_queue", "source_items", ["source_id", "wanted", "depth"], unique=False)
