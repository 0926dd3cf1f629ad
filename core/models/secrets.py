"""Keys of other services, encrypted at rest: Fernet, with a key file that is not part of the database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from filelock import FileLock
from pydantic import SecretStr

from core.errors import KeyRefused, StorageError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

OWNER_ALONE = 0o600


class KeyVault:
    """Seals and opens keys. The file is made when the first key is sealed, readable for its owner alone.

    Whoever has a copy of the database, but not of this file, has no keys.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def seal(self, key: SecretStr) -> str:
        """The key as it may be stored. Raises StorageError."""
        try:
            with FileLock(self._file.with_suffix(".lock")):
                # A file that is gone or damaged is made again: what was sealed with it is lost in any case.
                fernet = self._read() or self._create()
        except OSError as error:
            raise StorageError(
                f"The file {self._file} for keys cannot be written ({error.strerror}). Check its owner and the disk."
            ) from error
        return fernet.encrypt(key.get_secret_value().encode()).decode()

    def open(self, sealed: str, *, owner: str) -> SecretStr:
        """The key again. Raises KeyRefused, with the name of the service it is for, when the file is lost."""
        from cryptography.fernet import InvalidToken

        try:
            if fernet := self._read():
                return SecretStr(fernet.decrypt(sealed.encode()).decode())
        except (OSError, InvalidToken):
            pass  # one sentence for all of them: the person can do the same thing about each
        raise KeyRefused(
            f"The stored key of {owner} cannot be read any more: the file {self._file.name} in the data folder is not "
            "the one it was encrypted with. Type the key again on the Models page."
        )

    def _read(self) -> Fernet | None:
        from cryptography.fernet import Fernet

        try:
            return Fernet(self._file.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _create(self) -> Fernet:
        from cryptography.fernet import Fernet

        content, draft = Fernet.generate_key(), self._file.with_suffix(f".{uuid4().hex}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ALONE), "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            draft.replace(self._file)
        finally:
            draft.unlink(missing_ok=True)
        return Fernet(content)
