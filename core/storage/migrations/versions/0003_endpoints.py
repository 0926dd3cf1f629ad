"""Model services elsewhere, and which of them a pipeline asked."""

import sqlalchemy as sa
from alembic import op

revision = "0003_endpoints"
down_revision = "0002_conversations"


def upgrade() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("context_tokens", sa.Integer(), nullable=False),
        sa.Column("key_sealed", sa.Text(), nullable=False),
        sa.Column("key_variable", sa.String(length=100), nullable=False),
        sa.Column("habits", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
        sa.UniqueConstraint("name", name=op.f("uq_endpoints_name")),
    )
    # SQLite adds a column in place: nothing that refers to pipelines is touched.
    op.add_column("pipelines", sa.Column("endpoint", sa.String(length=500), nullable=False, server_default=""))
