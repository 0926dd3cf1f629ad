"""Deletions know the changed bytes that were still to be read: they go too, and are looked for afterwards."""

import sqlalchemy as sa
from alembic import op

revision = "0016_deleted_incoming"
down_revision = "0015_quotes"


def upgrade() -> None:
    op.add_column("deletions", sa.Column("incoming_sha256", sa.String(64), nullable=False, server_default=""))
