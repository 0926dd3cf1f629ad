"""Batches, two lanes of jobs, vectors of several embedders, what a killed worker goes on from, deletions."""

import sqlalchemy as sa
from alembic import op

revision = "0005_ingest"
down_revision = "0004_measurements"


def upgrade() -> None:
    _create_batches()
    _extend_jobs()
    _extend_documents()
    _extend_vectors()
    _create_resumption()
    _create_deletions()


def _create_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_batches_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index(op.f("ix_batches_owner_id_created_at"), "batches", ["owner_id", "created_at"], unique=False)
    op.create_table(
        "batch_notes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_batch_notes_batch_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_notes")),
    )
    op.create_index(op.f("ix_batch_notes_batch_id"), "batch_notes", ["batch_id"], unique=False)


def _extend_jobs() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("batch_id", sa.String(length=32), nullable=True))
        jobs.add_column(sa.Column("lane", sa.String(length=10), nullable=False, server_default="read"))
        jobs.add_column(sa.Column("stage_at", sa.DateTime(), nullable=True))
        for name in ("priority", "stage_from", "size", "chunks"):
            jobs.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
        for name in ("read_seconds", "embed_seconds"):
            jobs.add_column(sa.Column(name, sa.Double(), nullable=False, server_default="0"))
        jobs.create_foreign_key(op.f("fk_jobs_batch_id"), "batches", ["batch_id"], ["id"], ondelete="SET NULL")
        jobs.drop_index("ix_jobs_status_created_at")
        line = ["status", "lane", "priority", "created_at"]
        jobs.create_index(op.f("ix_jobs_" + "_".join(line)), line, unique=False)
        jobs.create_index(op.f("ix_jobs_batch_id"), ["batch_id"], unique=False)


def _extend_documents() -> None:
    # Plainly added: a rewrite of the table would drop it, and with it what refers to it.
    op.add_column("documents", sa.Column("language", sa.String(length=8), nullable=False, server_default=""))
    op.add_column("documents", sa.Column("author", sa.String(length=400), nullable=False, server_default=""))
    op.add_column("documents", sa.Column("source", sa.Text(), nullable=False, server_default=""))
    op.add_column("documents", sa.Column("written_at", sa.DateTime(), nullable=True))
    op.add_column("documents", sa.Column("changed_at", sa.DateTime(), nullable=True))
    op.create_index(op.f("ix_documents_sha256"), "documents", ["sha256"], unique=False)
    op.add_column("document_texts", sa.Column("tables", sa.JSON(), nullable=False, server_default="[]"))


def _extend_vectors() -> None:
    op.rename_table("vectors", "vectors_before")
    op.create_table(
        "vectors",
        sa.Column("chunk_id", sa.Integer(), nullable=False),
        sa.Column("embedder", sa.String(length=200), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(length=32), nullable=True),
        sa.ForeignKeyConstraint(["chunk_id"], ["chunks.id"], name=op.f("fk_vectors_chunk_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("chunk_id", "embedder", name=op.f("pk_vectors")),
    )
    op.execute(
        "INSERT INTO vectors(chunk_id, embedder, dimension, data) "
        "SELECT chunk_id, embedder, dimension, data FROM vectors_before"
    )
    op.drop_table("vectors_before")
    op.create_index(op.f("ix_vectors_embedder_text_hash"), "vectors", ["embedder", "text_hash"], unique=False)


def _create_resumption() -> None:
    op.create_table(
        "vector_drafts",
        sa.Column("document_id", sa.String(length=32), nullable=False),
        sa.Column("embedder", sa.String(length=200), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.id"], name=op.f("fk_vector_drafts_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document_id", "embedder", "text_hash", name=op.f("pk_vector_drafts")),
    )
    op.create_index(
        op.f("ix_vector_drafts_embedder_text_hash"), "vector_drafts", ["embedder", "text_hash"], unique=False
    )
    op.create_table(
        "page_readings",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("reader", sa.String(length=200), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "reader", "page", name=op.f("pk_page_readings")),
    )


def _create_deletions() -> None:
    op.create_table(
        "deletions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("document_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("first_chunk", sa.Integer(), nullable=True),
        sa.Column("last_chunk", sa.Integer(), nullable=True),
        sa.Column("residues", sa.JSON(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(), nullable=False),
        sa.Column("checked_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_deletions_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletions")),
    )
    op.create_index(op.f("ix_deletions_owner_id"), "deletions", ["owner_id"], unique=False)
    op.create_index(op.f("ix_deletions_checked_at"), "deletions", ["checked_at"], unique=False)
