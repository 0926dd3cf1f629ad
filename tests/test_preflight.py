"""What is said about a machine that lacks something, before anything is installed."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from core import preflight
from core.settings import ROOT

SOURCE = ROOT / "core" / "preflight.py"


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where nothing is set up yet, with a port that is free."""
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VENV", str(tmp_path / "environment"))
    monkeypatch.setenv("GROUNDWORK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GROUNDWORK_MODELS", str(tmp_path / "models"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        monkeypatch.setenv("GROUNDWORK_PORT", str(listener.getsockname()[1]))


def test_it_runs_as_a_script_and_writes_nothing(tmp_path: Path) -> None:
    # As a script its folder comes first in sys.path, where a types.py of ours would hide Python's own.
    ended = subprocess.run([sys.executable, str(SOURCE)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("This machine: Python ")
    assert list(tmp_path.iterdir()) == []


def test_an_old_python_can_read_it_and_it_needs_nothing_that_is_not_pythons() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = {a.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    assert imported <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


def test_a_machine_that_has_everything_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main(["--for", "run"]) == 0
    assert "a working C++ compiler" in capsys.readouterr().out


def test_everything_that_is_missing_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PATH", str(tmp_path / "bare"))
    monkeypatch.setenv("GROUNDWORK_DATA", str(tmp_path / "file" / "data"))
    monkeypatch.setattr(preflight, "OLDEST_PYTHON", (9, 0))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setenv("GROUNDWORK_PORT", str(port))
        assert preflight.main(["--for", "run"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 5
    assert "Groundwork needs 3.11 or newer" in said[1]
    assert "There is no C compiler and no C++ compiler and no make" in said[2]
    assert "sudo apt install g++ make" in said[2]
    assert f"{tmp_path / 'file' / 'data'} cannot be written to" in said[3]
    assert f"Port {port} is in use" in said[4]
    assert f"make run GROUNDWORK_PORT={port + 1}" in said[4]


def test_a_compiler_that_cannot_compile_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert preflight.main([]) == 1
    assert f"The C++ compiler {broken} cannot build a small program" in capsys.readouterr().err


def test_a_small_disk_is_said_with_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "MODELS", {"run": 1e15, "test": 1e15})
    assert preflight.main([]) == 1
    assert "need 1000003" in capsys.readouterr().err
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "some.gguf").write_bytes(b"")
    assert preflight.main([]) == 0


def test_little_memory_is_a_warning_and_very_little_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "MEMORY_WANTED", {"run": 1e15, "test": 1e15})
    assert preflight.main([]) == 0
    assert "Note: The default model, the embedder and the pages want 1000000 GB" in capsys.readouterr().out
    monkeypatch.setattr(preflight, "MEMORY_NEEDED", {"run": 1e15, "test": 1e15})
    assert preflight.main([]) == 1
    assert "it would not start" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_number_that_is_no_port_is_refused(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GROUNDWORK_PORT", port)
    assert preflight.main(["--for", "run"]) == 1
    assert f"GROUNDWORK_PORT is {port}, which is no port" in capsys.readouterr().err
    assert preflight.main(["--for", "test"]) == 0


def test_a_finished_environment_needs_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "groundwork.json").write_text("{}")
    (tmp_path / "bare").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bare"))
    assert preflight.main([]) == 0
    assert os.listdir(tmp_path / "bare") == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a program give up the network")
def test_a_kernel_that_leaves_readers_their_network_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = tmp_path / "python"
    refused.write_text("#!/bin/sh\nexit 1\n")
    refused.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(refused))
    assert preflight.main([]) == 0
    assert "Note: This kernel does not let a program give up the network" in capsys.readouterr().out
