"""Chunks carry the terms that they are found by: split and stemmed by their language, in any script."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from core.words import chunk_words, head_words

revision = "0008_search"
down_revision = "0007_sources"

AT_ONCE = 2000  # chunks
BEFORE = (
    "DROP TRIGGER chunk_immutable",
    "DROP TRIGGER chunk_words_insert",
    "DROP TRIGGER chunk_words_delete",
    "DROP TABLE chunk_words",
)
# Terms have no ASCII signs but letters and digits, and are separated by blanks: nothing more is left to the tokenizer.
AFTER = (
    """CREATE TRIGGER chunk_immutable BEFORE UPDATE ON chunks BEGIN
    SELECT RAISE(ABORT, 'chunks are immutable: delete and insert'); END""",
    """CREATE VIRTUAL TABLE chunk_words USING fts5(
    words, head_words, content='chunks', content_rowid='id', tokenize='ascii')""",
    """CREATE TRIGGER chunk_words_insert AFTER INSERT ON chunks BEGIN
    INSERT INTO chunk_words(rowid, words, head_words) VALUES (new.id, new.words, new.head_words); END""",
    """CREATE TRIGGER chunk_words_delete AFTER DELETE ON chunks BEGIN
    INSERT INTO chunk_words(chunk_words, rowid, words, head_words)
    VALUES ('delete', old.id, old.words, old.head_words); END""",
    "INSERT INTO chunk_words(chunk_words) VALUES ('rebuild')",
    "CREATE VIRTUAL TABLE chunk_words_terms USING fts5vocab(chunk_words, row)",
)
OLD = """
    SELECT chunks.id, chunks.text, chunks.context, chunks.heading, documents.title, documents.name, documents.language
    FROM chunks JOIN documents ON documents.id = chunks.document_id
    WHERE chunks.id > ? ORDER BY chunks.id LIMIT ?"""


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql
    for statement in BEFORE:
        execute(statement)
    op.add_column("chunks", sa.Column("words", sa.Text(), nullable=False, server_default=""))
    op.add_column("chunks", sa.Column("head_words", sa.Text(), nullable=False, server_default=""))
    for rows in _terms():
        execute("UPDATE chunks SET words = ?, head_words = ? WHERE id = ?", rows)
    for statement in AFTER:
        execute(statement)


def _terms() -> Iterator[list[tuple[str, str, int]]]:
    """Words, words of the headings, and id of the chunks that there are, some at a time."""
    last = 0
    while rows := op.get_bind().exec_driver_sql(OLD, (last, AT_ONCE)).fetchall():
        yield [
            (chunk_words(text, context, language), head_words(heading, title, name, language), id)
            for id, text, context, heading, title, name, language in rows
        ]
        last = rows[-1][0]
