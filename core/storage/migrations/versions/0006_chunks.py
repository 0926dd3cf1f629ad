"""Chunks carry the header of their table and know their section; the keyword index looks into the header too."""

import sqlalchemy as sa
from alembic import op

revision = "0006_chunks"
down_revision = "0005_ingest"

# Chunks are immutable for the application, not for this migration: the trigger that keeps them so is made anew.
BEFORE = (
    "DROP TRIGGER chunk_immutable",
    "DROP TRIGGER chunk_words_insert",
    "DROP TRIGGER chunk_words_delete",
    "DROP TABLE chunk_words",
)
AFTER = (
    "UPDATE chunks SET section_start = start_offset, section_end = end_offset",
    """CREATE TRIGGER chunk_immutable BEFORE UPDATE ON chunks BEGIN
    SELECT RAISE(ABORT, 'chunks are immutable: delete and insert'); END""",
    """CREATE VIRTUAL TABLE chunk_words USING fts5(
    text, heading, context, content='chunks', content_rowid='id', tokenize="porter unicode61 remove_diacritics 2")""",
    """CREATE TRIGGER chunk_words_insert AFTER INSERT ON chunks BEGIN
    INSERT INTO chunk_words(rowid, text, heading, context) VALUES (new.id, new.text, new.heading, new.context); END""",
    """CREATE TRIGGER chunk_words_delete AFTER DELETE ON chunks BEGIN
    INSERT INTO chunk_words(chunk_words, rowid, text, heading, context)
    VALUES ('delete', old.id, old.text, old.heading, old.context); END""",
    "INSERT INTO chunk_words(chunk_words) VALUES ('rebuild')",
)


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql
    for statement in BEFORE:
        execute(statement)
    op.add_column("chunks", sa.Column("context", sa.Text(), nullable=False, server_default=""))
    op.add_column("chunks", sa.Column("section_start", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("chunks", sa.Column("section_end", sa.Integer(), nullable=False, server_default="0"))
    for statement in AFTER:
        execute(statement)
