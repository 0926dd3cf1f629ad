"""Batches know when the last file came, and that they were put away without forgetting that they were cancelled."""

import sqlalchemy as sa
from alembic import op

revision = "0012_batches"
down_revision = "0011_checking"


def upgrade() -> None:
    op.add_column(
        "batches", sa.Column("touched_at", sa.DateTime(), nullable=False, server_default="1970-01-01 00:00:00")
    )
    op.add_column("batches", sa.Column("seen", sa.Boolean(), nullable=False, server_default="0"))
    op.execute("UPDATE batches SET touched_at = created_at")
    op.execute(
        "UPDATE batches SET seen = 1, state = CASE WHEN EXISTS (SELECT 1 FROM jobs WHERE jobs.batch_id = batches.id "
        "AND jobs.status = 'cancelled') THEN 'cancelled' ELSE 'open' END WHERE state = 'seen'"
    )
