"""The command as somebody types it: own model server, own worker, nothing running before, nothing left after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.models.catalog import find, is_installed
from core.settings import ROOT, load
from tests.application import CACHE, FORM
from tests.evaluation.conftest import write_set

CHAT, EMBEDDER = "smollm2-135m-instruct-q4_1", "all-minilm-l6-v2"
pytestmark = pytest.mark.model


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    store = load().model_store
    if not all(is_installed(find(model), store) for model in (CHAT, EMBEDDER)):
        pytest.skip(f"the test models are not in {store}; make test fetches them")
    own = {"DATA": tmp_path / "data", "MODELS": store, "CACHE": CACHE.name, "CHAT_MODEL": CHAT, "CONTEXT_TOKENS": 2048}
    return {**os.environ, "GROUNDWORK_EMBEDDING_FORM": FORM, **{f"GROUNDWORK_{k}": str(v) for k, v in own.items()}}


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "core", "evaluate", *arguments], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def report(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    process = start(environment, *arguments, "--json")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    body: dict[str, Any] = json.loads(out)
    return body


def test_the_command_does_all_by_itself_and_the_second_time_reads_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = write_set(tmp_path / "harbour")
    found = report(environment, "retrieval", str(folder))
    assert found["state"] == "complete"
    assert found["figures"]["recall@3"]["value"] == 1.0
    out = tmp_path / "answers.json"
    process = start(environment, "answers", str(folder), "--plain", "--why", "--out", str(out))
    shown, told = process.communicate(timeout=300)
    assert process.returncode == 0, told[-3000:]
    assert "Adding texts" not in told, "they are there from the first time"
    assert "right" in shown
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["figures"]["citations that open verbatim words"]["value"] in (0.0, 1.0)
    assert written["figures"]["prompt tokens mean"]["value"] > 20
    assert len(written["items"]) == 5
    assert {item["plain"] is not None for item in written["items"]} == {True}


def test_ctrl_c_ends_it_with_everything_that_it_started(environment: dict[str, str], tmp_path: Path) -> None:
    process = start(environment, "answers", str(write_set(tmp_path / "harbour")))
    children: list[psutil.Process] = []
    end = time.monotonic() + 60
    while not children and time.monotonic() < end:
        children = psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.2)
    assert children
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive
