"""Answers say what of their passages was shown to the model, and what checking them found out."""

import sqlalchemy as sa
from alembic import op

revision = "0010_answers"
down_revision = "0009_evaluation"


def upgrade() -> None:
    op.add_column("passages", sa.Column("kept", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("traces", sa.Column("verdict", sa.JSON(), nullable=False, server_default="{}"))
