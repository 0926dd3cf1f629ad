"""Starting the application where something is wrong: one sentence, an exit code, nothing changed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from core.models.catalog import find, is_installed
from core.settings import ROOT, load
from core.storage.db import Database
from core.storage.migrations import upgrade
from tests.application import Application, free_port, until

CHAT, EMBEDDER = "smollm2-135m-instruct-q4_1", "all-minilm-l6-v2"


def start(data: Path, port: int, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    env = {**os.environ, "GROUNDWORK_DATA": str(data), "GROUNDWORK_INGEST": "false", **environment}
    return subprocess.run(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    upgrade(tmp_path / "app.db")
    db = Database(tmp_path / "app.db")
    with db.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num='9999_future'"))
    db.close()
    ended = start(tmp_path, free_port())
    assert ended.returncode == 1
    assert "made by a newer version of Groundwork" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_damaged_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_bytes(b"not a database" * 500)
    ended = start(tmp_path, free_port())
    assert ended.returncode == 1
    assert "is damaged" in ended.stderr
    assert (tmp_path / "app.db").read_bytes() == b"not a database" * 500


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    ended = start(tmp_path, free_port(), GROUNDWORK_PASSAGES="many")
    assert ended.returncode == 1
    assert "GROUNDWORK_PASSAGES" in ended.stderr


def test_listening_for_others_is_refused(tmp_path: Path) -> None:
    ended = start(tmp_path, free_port(), STREAMLIT_SERVER_ADDRESS="0.0.0.0")
    assert ended.returncode == 1
    assert "there is no sign-in yet" in ended.stderr


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        ended = start(tmp_path, port)
    assert ended.returncode != 0
    assert f"{port}" in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    made = Application(tmp_path / "data", models=tmp_path / "models", chat_model=CHAT)
    yield made
    made.stop()


def reason(app: Application) -> str:
    """What /readyz says is wrong with the chat model."""

    def said() -> str:
        return str(app.http.get("/readyz").json()["chat"]["error"])

    return str(until(said, 30, "the model server says what is wrong"))


def test_a_missing_model_is_named_with_the_way_to_get_it(app: Application) -> None:
    app.start()
    assert "is not downloaded" in reason(app)
    body = {"messages": [{"role": "user", "content": "Hello there?"}]}
    assert app.http.post("/v1/chat/completions", json=body).status_code == 200  # nothing found needs no model
    assert app.http.get("/healthz").status_code == 200


@pytest.mark.model
def test_a_corrupted_model_file_is_named_and_the_application_lives(app: Application, tmp_path: Path) -> None:
    model = find(CHAT)
    path = tmp_path / "models" / model.file
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.write(b"GGUF" + b"\x03\x00\x00\x00" + b"\xff" * 64)
        file.truncate(model.bytes)
    app.start()
    assert "damaged" in reason(app)
    assert app.http.get("/healthz").status_code == 200


@pytest.mark.model
def test_a_second_application_on_the_same_folder_is_refused_and_sigterm_ends_everything(tmp_path: Path) -> None:
    store = load().model_store
    if not all(is_installed(find(model), store) for model in (CHAT, EMBEDDER)):
        pytest.skip(f"the test models are not in {store}; make test fetches them")
    app = Application(tmp_path / "data", models=store, chat_model=CHAT).start()
    try:
        second = start(tmp_path / "data", free_port())
        assert second.returncode == 1
        assert f"process {app.process.pid}" in second.stderr  # type: ignore[union-attr]
        until(lambda: len(app.descendants()) >= 2, 20, "both other processes run")
        family = app.descendants()
        app.stop(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=12)
        assert alive == []
        assert not list((tmp_path / "data" / "run").glob("model-server.json"))
    finally:
        app.stop()
    again = Application(tmp_path / "data", models=store, chat_model=CHAT).start()  # the lock did not stay behind
    again.stop()
    shutil.rmtree(tmp_path / "data")
