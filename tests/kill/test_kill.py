"""SIGKILL of each of the three processes at random moments: afterwards everything fits, and work goes on."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from core.models.catalog import find, is_installed
from core.settings import ROOT, load
from tests.application import Application, until

KILLS = 20
CHAT, EMBEDDER = "smollm2-135m-instruct-q4_1", "all-minilm-l6-v2"
WORDS = [
    "anchor",
    "basin",
    "copper",
    "delta",
    "ember",
    "fjord",
    "granite",
    "harbour",
    "island",
    "juniper",
    "kelp",
    "lagoon",
    "meadow",
    "north",
    "oyster",
    "pine",
]

pytestmark = [pytest.mark.kill, pytest.mark.model]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    store = load().model_store
    if not all(is_installed(find(model), store) for model in (CHAT, EMBEDDER)):
        pytest.skip(f"the test models are not in {store}; make test fetches them")
    made = Application(tmp_path / "data", models=store, chat_model=CHAT, answer_tokens=160)
    yield made
    made.stop(signal.SIGKILL)


def writings(folder: Path, count: int) -> list[Path]:
    """Documents of about 12 chunks each, all different."""
    folder.mkdir(exist_ok=True)
    luck = random.Random(11)
    paths = []
    for number in range(count):
        paragraphs = [" ".join(luck.choices(WORDS, k=110)) + f" {number}." for _ in range(12)]
        paths.append(folder / f"report {number}.md")
        paths[-1].write_text(f"# Report {number}\n\n" + "\n\n".join(paragraphs))
    return paths


def findings(app: Application) -> list[dict[str, str]]:
    command = [sys.executable, "-m", "core", "fsck", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=app.environment, capture_output=True, text=True, check=False)
    return list(json.loads(done.stdout)["findings"])


def ask(app: Application, question: str = "Which report tells of the fjord?", **more: object) -> httpx.Response | None:
    body = {"messages": [{"role": "user", "content": question}], **more}
    try:
        return app.http.post("/v1/chat/completions", json=body)
    except httpx.TransportError:
        return None


def kill_child(app: Application, module: str, luck: random.Random, shortest: float, longest: float) -> None:
    child = until(lambda: app.child(module), 40, f"{module} runs")
    time.sleep(luck.uniform(shortest, longest))
    try:
        child.kill()
        child.wait(5)
    except psutil.NoSuchProcess:
        pass


def test_the_worker_dies_at_random_moments(app: Application, tmp_path: Path) -> None:
    luck = random.Random(1)
    app.start().wait_ready()
    names = {document["name"] for document in app.upload(*writings(tmp_path / "in", 40))}
    for _ in range(KILLS):
        kill_child(app, "ingest", luck, 0.2, 2.0)
    documents = app.wait_ingested(180)
    assert {document["name"] for document in documents} == names
    assert [d["error"] for d in documents if d["status"] != "ready"] == []
    assert findings(app) == []
    assert app.http.get("/api/v1/jobs", params={"active": True}).json()["jobs"] == []


def test_the_model_server_dies_at_random_moments(app: Application, tmp_path: Path) -> None:
    luck = random.Random(2)
    app.start().wait_ready()
    app.upload(*writings(tmp_path / "in", 12))
    stop = threading.Event()
    replies: list[int] = []

    def keep_asking() -> None:
        while not stop.is_set():
            reply = ask(app, store=True)
            replies.append(reply.status_code if reply else 0)
            stop.wait(0.2)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    for _ in range(KILLS):
        kill_child(app, "core.serving", luck, 0.3, 3.0)
    stop.set()
    asking.join(120)
    assert set(replies) <= {200, 503}, "a killed model costs its request a clear answer and nothing else"
    app.wait_ready()
    app.wait_ingested(180)
    reply = ask(app)
    assert reply is not None
    assert reply.status_code == 200
    assert findings(app) == []
    assert states(app).count("writing") == 0


def test_the_web_process_dies_at_random_moments(app: Application, tmp_path: Path) -> None:
    luck = random.Random(3)
    paths = iter(writings(tmp_path / "in", 2 * KILLS))
    acknowledged: set[str] = set()
    for _ in range(KILLS):
        app.start()
        work = threading.Thread(target=upload_and_ask, args=(app, [next(paths), next(paths)], acknowledged))
        work.start()
        time.sleep(luck.uniform(0.1, 3.0))
        family = app.descendants()
        assert app.process is not None
        app.process.kill()
        app.process.wait()
        work.join(60)
        until(lambda family=family: not any(map(runs, family)), 10, "no child outlives the application")
    app.start().wait_ready()
    documents = app.wait_ingested(180)
    assert acknowledged <= {document["id"] for document in documents}
    assert [d["error"] for d in documents if d["status"] != "ready"] == []
    assert findings(app) == []
    assert "writing" not in states(app)
    reply = ask(app, store=True)
    assert reply is not None
    assert reply.status_code == 200


def runs(process: psutil.Process) -> bool:
    """Whether it still does anything: one that has ended may be listed until somebody asks for its exit code."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def upload_and_ask(app: Application, paths: list[Path], acknowledged: set[str]) -> None:
    try:
        for path in paths:
            acknowledged.update(document["id"] for document in app.upload(path))
    except httpx.TransportError:
        return  # the application died before it acknowledged
    ask(app, store=True)


def states(app: Application) -> list[str]:
    """The states of all stored messages, read beside the running application."""
    code = (
        "from core.settings import load; from core.storage.db import Database; from core.storage.tables import MessageRow\n"
        "from sqlalchemy import select\n"
        "db = Database(load().database)\n"
        "with db.read() as session: print(*session.scalars(select(MessageRow.state)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=app.environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()
