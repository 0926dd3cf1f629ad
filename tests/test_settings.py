from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import load


def test_listening_beyond_this_machine_is_refused() -> None:
    with pytest.raises(SettingsError, match="GROUNDWORK_HOST.*no sign-in"):
        load(host="0.0.0.0")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_loopback_addresses_are_accepted(host: str) -> None:
    assert load(host=host).host == host


def test_a_bad_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDWORK_PORT", "eighty")
    with pytest.raises(SettingsError, match="GROUNDWORK_PORT"):
        load()


def test_the_environment_chooses_the_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GROUNDWORK_DATA", str(tmp_path / "a"))
    assert load().database == tmp_path / "a" / "app.db"
    assert load().model_store == tmp_path / "a" / "models"
    monkeypatch.setenv("GROUNDWORK_MODELS", str(tmp_path / "m"))
    assert load().model_store == tmp_path / "m"
