from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.errors import KeyRefused, StorageError
from core.models.secrets import KeyVault

KEY = SecretStr("sesame-open-1234")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.secret"


def test_a_key_comes_back_as_it_was(file: Path) -> None:
    sealed = KeyVault(file).seal(KEY)
    assert KEY.get_secret_value() not in sealed
    assert KeyVault(file).open(sealed, owner="x") == KEY


def test_the_file_is_for_its_owner_alone_and_made_once(file: Path) -> None:
    KeyVault(file).seal(KEY)
    first = file.read_bytes()
    KeyVault(file).seal(KEY)
    assert file.read_bytes() == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KEY.get_secret_value().encode() not in first


def test_many_who_begin_at_once_make_one_file(file: Path) -> None:
    sealed: list[str] = []
    threads = [threading.Thread(target=lambda: sealed.append(KeyVault(file).seal(KEY))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {KeyVault(file).open(one, owner="x").get_secret_value() for one in sealed} == {KEY.get_secret_value()}
    assert sorted(path.name for path in file.parent.iterdir()) == ["keys.lock", "keys.secret"]


@pytest.mark.parametrize("damage", [b"", b"not a key", b"A" * 44])
def test_a_lost_file_asks_for_the_key_again_and_a_new_one_works(file: Path, damage: bytes) -> None:
    vault = KeyVault(file)
    sealed = vault.seal(KEY)
    file.write_bytes(damage) if damage else file.unlink()
    with pytest.raises(KeyRefused, match=r"stored key of Box .*Type the key again") as raised:
        vault.open(sealed, owner="Box")
    assert raised.value.__cause__ is None
    assert vault.open(vault.seal(KEY), owner="Box") == KEY


def test_a_file_that_was_exchanged_opens_nothing(file: Path, tmp_path: Path) -> None:
    sealed = KeyVault(file).seal(KEY)
    KeyVault(tmp_path / "other.secret").seal(KEY)
    (tmp_path / "other.secret").replace(file)
    with pytest.raises(KeyRefused):
        KeyVault(file).open(sealed, owner="x")


@pytest.mark.parametrize("sealed", ["", "x", "gAAAA", "ä"])
def test_what_was_never_sealed_is_not_opened(file: Path, sealed: str) -> None:
    vault = KeyVault(file)
    vault.seal(KEY)
    with pytest.raises(KeyRefused):
        vault.open(sealed, owner="x")


def test_a_folder_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "keys.secret").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        KeyVault(tmp_path / "keys.secret").seal(KEY)
