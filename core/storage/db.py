"""The database: one engine, short transactions that say whether they write, and errors in our own words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pysqlite3
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

from core.errors import GroundworkError, MachineBusy, StorageBusy, StorageError, StorageFull

# The WAL-reset bug can corrupt a database that two connections write to; it is fixed from this version on.
OLDEST_SQLITE = (3, 51, 3)
BUSY_SECONDS = 10
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "secure_delete=ON",  # what is deleted is overwritten, not only forgotten
)


class Database:
    """A SQLite file. `read` and `write` give a session that commits on success and rolls back on error.

    Keep transactions short and never call a model, a parser or the network inside one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if pysqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StorageError(
                f"SQLite {pysqlite3.sqlite_version} can damage databases: install the pysqlite3 of requirements.txt."
            )
        self.engine = connect(path)
        self._reader = self.engine.execution_options(write=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session on one consistent snapshot. Raises StorageError."""
        with translated(self.path), Session(self._reader, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds the write lock from its first statement. Raises StorageError."""
        with translated(self.path), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def checkpoint(self) -> None:
        """Bring the file up to date and empty its log; left for the next time when somebody reads just now."""
        with translated(self.path):
            connection = self.engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.close()

    def close(self) -> None:
        self.engine.dispose()


def connect(path: Path, *, foreign_keys: bool = True) -> Engine:
    """An engine for the file. Migrations ask for one without foreign keys, because rewriting a table drops it."""
    engine = create_engine(f"sqlite:///{path}", module=pysqlite3, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in PRAGMAS:
            if foreign_keys or not pragma.startswith("foreign_keys"):
                connection.execute("PRAGMA " + pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("write", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def revision(path: Path) -> str | None:
    """The schema that the database has; None for a file that is not there, or not one of ours."""
    if not path.exists():
        return None
    connection = pysqlite3.connect(str(path), timeout=BUSY_SECONDS)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except pysqlite3.DatabaseError:
        return None  # whatever is wrong with it, the long way says it
    finally:
        connection.close()
    return str(row[0]) if row else None


def backup(path: Path, copy: Path) -> None:
    """Write a consistent copy, also while others write. A plain copy of the file would miss what is in the WAL."""
    draft = copy.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    source, target = pysqlite3.connect(str(path)), pysqlite3.connect(str(draft))
    try:
        source.backup(target)
    finally:
        target.close()
        source.close()
    draft.replace(copy)


def holds_document(copy: Path, document_id: str) -> bool:
    """Whether a copy of the database has this document; looking changes nothing. A copy that is damaged may have it."""
    try:
        with closing(pysqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return connection.execute("SELECT 1 FROM documents WHERE id = ?", (document_id,)).fetchone() is not None
    except pysqlite3.DatabaseError:
        return copy.exists()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say about a full, locked or broken disk, or too little memory, into sentences."""
    try:
        yield
    except GroundworkError:
        raise
    except OperationalError as error:
        raise _storage_error(str(error.orig), path) from error
    except DatabaseError as error:
        if "malformed" in str(error.orig) or "not a database" in str(error.orig):
            raise StorageError(
                f"The database {path} is damaged. Restore it from a backup; it was not changed."
            ) from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _full(path) from error
        if error.errno in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
            raise MachineBusy(
                f"This machine has no room for more work now ({error.strerror}). Close other programs or try again."
            ) from error
        raise


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """The same where nothing but a folder of ours is written to: whatever fails is its fault, not that of its content.

    Raises StorageFull, StorageError.
    """
    with translated(folder / "file"):
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise _not_writable(folder) from error
            reason = (error.strerror or type(error).__name__).lower()
            raise StorageError(f"The folder {folder} cannot be written to: {reason}. Nothing was lost.") from error


def _storage_error(reason: str, path: Path) -> StorageError:
    if "locked" in reason or "busy" in reason:
        return StorageBusy(f"The database is busy: another program has held it for {BUSY_SECONDS} s. Try again.")
    if "full" in reason or "disk I/O error" in reason:  # SQLite says the latter for a failed write too
        return _full(path)
    if "readonly" in reason or "unable to open" in reason:
        return _not_writable(path.parent)
    return StorageError(f"The database cannot do this: {reason}.")


def _not_writable(folder: Path) -> StorageError:
    return StorageError(f"The folder {folder} cannot be written to. Check its owner and permissions.")


def _full(path: Path) -> StorageFull:
    return StorageFull(f"The disk of {path.parent} is full. Free some space and try again; nothing was lost.")
