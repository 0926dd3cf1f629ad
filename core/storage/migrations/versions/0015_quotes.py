"""Citations say what their words were: other words, of a document that was read again, are not shown as quoted."""

import sqlalchemy as sa
from alembic import op

revision = "0015_quotes"
down_revision = "0014_incoming"


def upgrade() -> None:
    op.add_column("citations", sa.Column("digest", sa.String(16), nullable=False, server_default=""))
