"""How the model server starts, ends, and gets over a broken model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from core.models.catalog import find
from core.settings import ROOT
from tests.contracts.engine import words
from tests.serving.conftest import CHAT, EMBEDDER, HELLO, SECRET, Server, post, raw_request

pytestmark = pytest.mark.model


def test_broken_model_leaves_a_server_that_can_load_another(
    start: Callable[..., Server], store: Path, tmp_path: Path
) -> None:
    model = find(CHAT)
    with (tmp_path / model.file).open("wb") as broken:
        broken.write(b"GGUF\x03\0\0\0 and then nothing of use")
        broken.truncate(model.bytes)
    server = start(tmp_path, context=512)
    health = server.wait(lambda health: "loading" not in (health["chat"]["status"], health["embedder"]["status"]))
    assert health["status"] == health["chat"]["status"] == health["embedder"]["status"] == "error"
    assert model.file in health["chat"]["error"]
    assert EMBEDDER in health["embedder"]["error"]
    status, answer, headers = post(server, "/v1/chat/completions", {"messages": HELLO})
    assert (status, answer["error"]["code"]) == (503, "model_unavailable")
    assert answer["error"]["message"] == health["chat"]["error"]
    assert headers["Retry-After"]

    (tmp_path / model.file).unlink()
    (tmp_path / model.file).symlink_to(store / model.file)
    assert post(server, "/models/load", {"id": CHAT})[0] == 202
    server.wait(lambda health: health["chat"]["status"] == "ok")
    assert post(server, "/v1/chat/completions", {"messages": HELLO, "max_tokens": 2})[0] == 200


def test_server_does_not_start_without_a_secret(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core.serving", "--data", str(tmp_path), "--models", str(tmp_path)]
    command += ["--chat", CHAT, "--embedder", EMBEDDER]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "secret" in ended.stderr
    assert not (tmp_path / "run").exists()


def test_address_file_is_private_and_goes_with_the_server(start: Callable[..., Server], store: Path) -> None:
    server = start(store)
    address = json.loads(server.address_file.read_text())
    assert server.address_file.stat().st_mode & 0o777 == 0o600
    assert {name: address[name] for name in ("pid", "port", "secret")} == {
        "pid": server.process.pid,
        "port": server.port,
        "secret": SECRET,
    }
    assert abs(address["started"] - time.time()) < 60
    server.process.terminate()
    assert server.process.wait(10) == 0
    assert not server.address_file.exists()


def test_server_that_was_replaced_leaves_the_address_of_the_new_one(start: Callable[..., Server], store: Path) -> None:
    server = start(store)
    server.address_file.write_text(json.dumps({"pid": os.getpid(), "port": 1, "secret": ""}))
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0
    assert json.loads(server.address_file.read_text())["pid"] == os.getpid()


def test_server_ends_with_its_parent_even_in_the_middle_of_an_answer(start: Callable[..., Server], store: Path) -> None:
    server = start(store)
    server.wait(lambda health: health["chat"]["status"] == "ok")
    body = {"messages": [{"role": "user", "content": words(300)}], "max_tokens": 500}
    with raw_request(server, body):
        server.wait(lambda health: health["queue"]["running"] == 1)
        assert server.process.stdin
        server.process.stdin.close()  # what happens to the pipe when the parent is killed
        assert server.process.wait(10) == 0
    assert not server.address_file.exists()


def test_server_stops_in_the_middle_of_an_answer(start: Callable[..., Server], store: Path) -> None:
    server = start(store)
    server.wait(lambda health: health["chat"]["status"] == "ok")
    asked: list[Any] = [{"role": "user", "content": words(300)}]
    ended = threading.Event()

    def follow() -> None:
        with pytest.raises(openai.APIError):
            list(server.client().chat.completions.create(model="", messages=asked, stream=True))
        ended.set()

    thread = threading.Thread(target=follow)
    thread.start()
    server.wait(lambda health: health["queue"]["running"] == 1)
    server.process.terminate()
    assert server.process.wait(10) == 0
    thread.join(10)
    assert ended.is_set()
