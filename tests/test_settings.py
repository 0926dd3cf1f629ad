from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import load, require_loopback


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.5", "", None, "::", "example.org"])
def test_listening_beyond_this_machine_is_refused(address: str | None) -> None:
    with pytest.raises(SettingsError, match="no sign-in"):
        require_loopback(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_loopback_addresses_are_accepted(address: str) -> None:
    require_loopback(address)


def test_a_bad_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDWORK_PORT", "eighty")
    with pytest.raises(SettingsError, match="GROUNDWORK_PORT"):
        load()


def test_the_environment_chooses_the_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GROUNDWORK_MODELS", raising=False)
    monkeypatch.setenv("GROUNDWORK_DATA", str(tmp_path / "a"))
    assert load().database == tmp_path / "a" / "app.db"
    assert load().model_store == tmp_path / "a" / "models"
    monkeypatch.setenv("GROUNDWORK_MODELS", str(tmp_path / "m"))
    assert load().model_store == tmp_path / "m"
