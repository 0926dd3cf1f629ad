"""Passages of answers say what their words were, so that a replay knows whether they still stand there, and keep how
each stage of the search saw them."""

import sqlalchemy as sa
from alembic import op

revision = "0011_checking"
down_revision = "0010_answers"


def upgrade() -> None:
    op.add_column("passages", sa.Column("digest", sa.String(16), nullable=False, server_default=""))
    op.add_column("passages", sa.Column("stages", sa.JSON(), nullable=False, server_default="{}"))
