"""Documents know the changed bytes that are still to be read; until then they have those they were read from.

Jobs lose a flag that nobody read: a cancelled job says so by its status.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014_incoming"
down_revision = "0013_names"


def upgrade() -> None:
    op.add_column("documents", sa.Column("incoming_sha256", sa.String(64), nullable=False, server_default=""))
    op.add_column("documents", sa.Column("incoming_size", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_documents_incoming_sha256"), "documents", ["incoming_sha256"], unique=False)
    op.drop_column("jobs", "cancel_requested")
