"""Documents have tags; conversations ask certain kinds of documents; traces say which documents were asked."""

import sqlalchemy as sa
from alembic import op

revision = "0017_tags"
down_revision = "0016_deleted_incoming"


def upgrade() -> None:
    op.create_table(
        "document_tags",
        sa.Column("document_id", sa.String(32), nullable=False),
        sa.Column("tag", sa.String(60), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.id"], name=op.f("fk_document_tags_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document_id", "tag", name=op.f("pk_document_tags")),
    )
    op.create_index(op.f("ix_document_tags_tag"), "document_tags", ["tag"], unique=False)
    op.add_column("conversations", sa.Column("filters", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("traces", sa.Column("scope", sa.JSON()))
