"""What stands over a chunk may change, because documents are given other names; nothing else of a chunk may."""

from alembic import op

revision = "0013_names"
down_revision = "0012_batches"

STATEMENTS = (
    "DROP TRIGGER chunk_immutable",
    """CREATE TRIGGER chunk_immutable BEFORE UPDATE OF
    id, document_id, position, start_offset, end_offset, page, heading, text, context, section_start, section_end, words
    ON chunks BEGIN SELECT RAISE(ABORT, 'chunks are immutable: delete and insert'); END""",
    """CREATE TRIGGER chunk_words_update AFTER UPDATE OF head_words ON chunks BEGIN
    INSERT INTO chunk_words(chunk_words, rowid, words, head_words)
    VALUES ('delete', old.id, old.words, old.head_words);
    INSERT INTO chunk_words(rowid, words, head_words) VALUES (new.id, new.words, new.head_words); END""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
