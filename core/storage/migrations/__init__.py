"""Bring a database to the schema of this version: with a backup, on a connection without foreign keys."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock
from sqlalchemy import Connection

from core.errors import DatabaseTooNew, StorageError
from core.storage.db import backup, connect, revision, translated

HERE = Path(__file__).parent
NEWEST = "0017_tags"


def upgrade(path: Path) -> None:
    """Create or migrate the database. Raises DatabaseTooNew, StorageError; the file is then as it was."""
    with translated(path):
        if revision(path) == NEWEST:  # nearly always; alembic takes longer to import than all else here
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".migration.lock")):
            _upgrade(path)


def _upgrade(path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(HERE))
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    existed = path.exists() and path.stat().st_size > 0
    engine = connect(path, foreign_keys=False)
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            if current == newest:
                return
            if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
                raise DatabaseTooNew(
                    f"The database {path} was made by a newer version of Groundwork. It was not changed: "
                    "start the newer version, or choose another folder with GROUNDWORK_DATA."
                )
            if existed and current is None and _has_tables(connection):
                raise StorageError(
                    f"{path} is not a database of Groundwork and was not changed. Set GROUNDWORK_DATA to another."
                )
        if existed and current is not None:
            _backup(path, current)
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise StorageError(
                    f"The migration of {path} left {len(broken)} broken references; the backup beside it is whole."
                )
    finally:
        engine.dispose()


def _has_tables(connection: Connection) -> bool:
    return bool(connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar())


def copies(path: Path) -> list[Path]:
    """The copies of the database that upgrades have made, each as large as it was then, with all that it held."""
    return sorted(path.parent.glob(f"{path.stem}.before-*.db"))


def drafts(path: Path) -> list[Path]:
    """Copies that are being made, or whose upgrade was killed."""
    return sorted(path.parent.glob(f"{path.stem}.before-*.tmp"))


def _backup(path: Path, revision: str) -> None:
    backup(path, path.with_name(f"{path.stem}.before-{revision}.db"))
