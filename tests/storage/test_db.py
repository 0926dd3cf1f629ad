from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pysqlite3
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from core.chat.conversations import Conversations
from core.chat.making import making_of
from core.errors import DatabaseTooNew, StorageBusy, StorageError
from core.storage import db as db_module
from core.storage import migrations
from core.storage.db import Database
from core.storage.migrations import upgrade
from core.storage.tables import (
    Base,
    BatchRow,
    ChunkRow,
    DocumentRow,
    DocumentTextRow,
    JobRow,
    PreferenceRow,
    PromptRow,
    PromptVersionRow,
    UserRow,
    VectorRow,
)
from core.types import NO_FILTERS, Filters, Scope
from core.words import chunk_words, head_words, stem


@pytest.fixture
def db(tmp_path: Path):  # type: ignore[no-untyped-def]
    upgrade(tmp_path / "app.db")
    made = Database(tmp_path / "app.db")
    yield made
    made.close()


def fill(db: Database) -> None:
    with db.write() as session:
        session.add(UserRow(id="u", name="U", role="admin"))
        session.flush()
        session.add(DocumentRow(id="d", owner_id="u", name="n", sha256="0" * 64, size=1))
        session.flush()
        row = ChunkRow(document_id="d", position=0, start=0, end=9, text="Warranties last", heading="Terms")
        row.words, row.head_words = chunk_words(row.text, "", "en"), head_words(row.heading, "", "", "en")
        session.add(row)


def matches(db: Database, word: str) -> int:
    with db.read() as session:
        query = text("SELECT count(*) FROM chunk_words WHERE chunk_words MATCH :word")
        return int(session.execute(query, {"word": f'"{stem(word, "en")}"'}).scalar_one())


def test_migrations_make_the_schema_of_the_tables(db: Database) -> None:
    with db.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    # The virtual table of the keyword index and its shadows are not SQLAlchemy's.
    assert [d for d in differences if not (d[0] == "remove_table" and d[1].name.startswith("chunk_words"))] == []


def test_the_short_way_for_a_current_database_knows_the_newest_migration(db: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert migrations.NEWEST == ScriptDirectory.from_config(config).get_current_head() == db_module.revision(db.path)


def test_sqlite_is_free_of_the_wal_reset_bug() -> None:
    assert pysqlite3.sqlite_version_info >= db_module.OLDEST_SQLITE


def test_an_affected_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pysqlite3, "sqlite_version_info", (3, 40, 1))
    with pytest.raises(StorageError, match="can damage databases"):
        Database(tmp_path / "x.db")


def test_the_pragmas_hold_on_every_connection(db: Database) -> None:
    with db.read() as session:
        asked = {
            name: session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0}


def test_eight_writers_lose_no_update(db: Database) -> None:
    with db.write() as session:
        session.add(PreferenceRow(name="n", value="0"))

    def work() -> None:
        for _ in range(30):
            with db.write() as session:
                row = session.get_one(PreferenceRow, "n")
                row.value = str(int(row.value) + 1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.read() as session:
        assert session.get_one(PreferenceRow, "n").value == "240"


def test_the_keyword_index_follows_the_chunks_through_cascades(db: Database) -> None:
    fill(db)
    assert matches(db, "warranty") == 1
    with db.write() as session:
        session.delete(session.get_one(DocumentRow, "d"))
    assert matches(db, "warranty") == 0


def test_an_error_rolls_everything_back(db: Database) -> None:
    with pytest.raises(ZeroDivisionError), db.write() as session:
        session.add(PreferenceRow(name="half", value="1"))
        session.flush()
        1 / 0  # noqa: B018
    with db.read() as session:
        assert session.get(PreferenceRow, "half") is None


def test_prompt_versions_and_chunks_cannot_be_changed(db: Database) -> None:
    fill(db)
    with db.write() as session:
        session.add(PromptRow(name="p"))
        session.flush()
        session.add(PromptVersionRow(id="v", prompt="p", version=1, text="a", reason="r"))
    for statement in ("UPDATE prompt_versions SET text='b'", "UPDATE chunks SET text='b'"):
        with pytest.raises(IntegrityError, match="immutable"), db.write() as session:
            session.execute(text(statement))


def test_a_locked_database_is_named_as_busy(db: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(db_module, "BUSY_SECONDS", 0.2)
    other = Database(tmp_path / "app.db")
    blocker = pysqlite3.connect(str(tmp_path / "app.db"), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StorageBusy, match="busy"), other.write() as session:
            session.add(PreferenceRow(name="x", value="1"))
    finally:
        blocker.close()
        other.close()


def test_a_database_of_the_future_is_left_untouched(db: Database, tmp_path: Path) -> None:
    with db.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num='9999_future'"))
    db.close()
    with pytest.raises(DatabaseTooNew, match="newer version"):
        upgrade(tmp_path / "app.db")
    again = Database(tmp_path / "app.db")
    with again.read() as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999_future"
    again.close()


def test_a_file_that_is_no_database_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StorageError, match="damaged"):
        upgrade(path)
    assert path.read_bytes().startswith(b"this is not")


def test_somebody_elses_database_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    connection = pysqlite3.connect(str(path))
    connection.execute("CREATE TABLE theirs(x)")
    connection.close()
    with pytest.raises(StorageError, match="not a database of Groundwork"):
        upgrade(path)


OLD_ROWS = (
    "INSERT INTO users(id, name, role, created_at) VALUES ('u', 'U', 'admin', '2026-01-01')",
    "INSERT INTO documents(id, owner_id, name, title, media_type, sha256, size, status, error, receipt, created_at)"
    " VALUES ('d', 'u', 'n', 'n', '', 'x', 1, 'ready', '', '{}', '2026-01-01')",
    "INSERT INTO document_texts(document_id, text, pages, headings) VALUES ('d', 'Warranties last', '[]', '[]')",
    "INSERT INTO chunks(document_id, position, start_offset, end_offset, heading, text)"
    " VALUES ('d', 0, 0, 15, 'Terms', 'Warranties last')",
    "INSERT INTO vectors(chunk_id, embedder, dimension, data) VALUES (1, 'e', 1, x'00000000')",
    "INSERT INTO jobs(id, owner_id, kind, document_id, status, stage, done, total, attempts, worker, cancel_requested,"
    " error, created_at) VALUES ('j', 'u', 'ingest', 'd', 'done', '', 0, 0, 1, '', 0, '', '2026-01-01')",
)


def first_version(path: Path) -> None:
    """A database as an installation has it that knew only the first migration, with one document of one chunk."""
    earlier_version(path, "0001_documents", OLD_ROWS)


def earlier_version(path: Path, revision: str, rows: Sequence[str]) -> None:
    """A database as an installation has it that knew the migrations up to this one."""
    engine = db_module.connect(path, foreign_keys=False)
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    with engine.begin() as connection:
        for statement in rows:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_migration_keeps_a_backup_and_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    first_version(path)
    upgrade(path)
    assert (tmp_path / "app.before-0001_documents.db").exists()
    again = Database(path)
    with again.read() as session:
        assert session.scalar(select(ChunkRow.text)) == "Warranties last"
        assert session.scalar(select(PromptRow.name)) is None
        vector = session.scalars(select(VectorRow)).one()
        assert (vector.chunk_id, vector.embedder, vector.data, vector.text_hash) == (1, "e", bytes(4), None)
        job = session.scalars(select(JobRow)).one()
        assert (job.id, job.lane, job.priority, job.batch_id) == ("j", "read", 0, None)
        assert session.scalar(select(DocumentTextRow.tables)) == []
    assert matches(again, "warranties") == 1
    again.close()


def test_batches_that_were_put_away_remember_again_that_they_were_cancelled(tmp_path: Path) -> None:
    batch = (
        "INSERT INTO batches(id, owner_id, name, expected, state, created_at)"
        " VALUES ('{0}', 'u', '', 0, '{1}', '2026-01-01 10:00:00.000000')"
    )
    job = (
        "INSERT INTO jobs(id, owner_id, kind, batch_id, status, stage, done, total, attempts, worker, cancel_requested,"
        " error, created_at) VALUES ('{0}', 'u', 'ingest', '{0}', '{1}', '', 0, 0, 1, '', 0, '', '2026-01-01')"
    )
    states = {"ended": "seen", "cancelled": "seen", "waiting": "paused"}
    rows = [OLD_ROWS[0], *(batch.format(*one) for one in states.items()), job.format("ended", "done")]
    earlier_version(tmp_path / "app.db", "0011_checking", [*rows, job.format("cancelled", "cancelled")])
    upgrade(tmp_path / "app.db")
    again = Database(tmp_path / "app.db")
    with again.read() as session:
        found = {row.id: (row.state, row.seen) for row in session.scalars(select(BatchRow))}
        assert found == {"ended": ("open", True), "cancelled": ("cancelled", True), "waiting": ("paused", False)}
        assert all(row.touched_at == row.created_at for row in session.scalars(select(BatchRow)))
    again.close()


def test_answers_of_earlier_versions_asked_what_their_conversation_asks(tmp_path: Path) -> None:
    path, when = tmp_path / "app.db", "'2026-01-01'"
    rows = [
        f"INSERT INTO users VALUES ('me', 'Me', 'admin', {when})",
        f"INSERT INTO conversations (id, owner_id, title, titled_by, created_at, updated_at) VALUES "
        f"('c', 'me', '', '', {when}, {when})",
        f"INSERT INTO messages (id, conversation_id, role, content, state, error, query, created_at) VALUES "
        f"(1, 'c', 'user', 'Why?', 'complete', '', '', {when})",
        f"INSERT INTO messages (id, conversation_id, parent_id, role, content, state, error, query, created_at) VALUES "
        f"(2, 'c', 1, 'assistant', 'So.', 'complete', '', '', {when})",
        f"INSERT INTO traces (message_id, owner_id, spans, usage, ledger, created_at, verdict) VALUES "
        f"(2, 'me', '[]', '{{}}', '{{}}', {when}, '{{}}')",
    ]
    earlier_version(path, "0016_deleted_incoming", rows)
    upgrade(path)
    again = Database(path)
    assert Conversations(again).get("c", owner_id="me").filters == NO_FILTERS
    assert making_of(again, 2, owner_id="me").scope == Scope("me")
    Conversations(again).set_filters("c", Filters(tags=("new",)), owner_id="me")
    assert making_of(again, 2, owner_id="me").scope == Scope("me", filters=Filters(tags=("new",)))
    again.close()


def test_what_stands_over_a_chunk_may_change_and_is_searched_at_once(db: Database) -> None:
    fill(db)
    with db.write() as session:
        session.execute(update(ChunkRow).values(head_words=stem("conditions", "en")))
    assert [matches(db, word) for word in ("terms", "conditions", "warranties")] == [0, 1, 1]
    with pytest.raises(IntegrityError, match="immutable"), db.write() as session:
        session.execute(update(ChunkRow).values(words="other"))
    with db.write() as session:
        session.execute(text("INSERT INTO chunk_words(chunk_words, rank) VALUES ('integrity-check', 1)"))


def test_chunks_of_earlier_versions_are_their_own_section_and_stay_searchable(tmp_path: Path) -> None:
    first_version(tmp_path / "app.db")
    upgrade(tmp_path / "app.db")
    again = Database(tmp_path / "app.db")
    with again.read() as session:
        row = session.scalars(select(ChunkRow)).one()
        assert (row.context, row.section_start, row.section_end) == ("", 0, 15)
    assert matches(again, "warranty") == matches(again, "terms") == 1
    with pytest.raises(IntegrityError, match="immutable"), again.write() as session:
        session.execute(text("UPDATE chunks SET text='b'"))
    with again.write() as session:
        session.execute(text("INSERT INTO chunk_words(chunk_words, rank) VALUES ('integrity-check', 1)"))
    again.close()
