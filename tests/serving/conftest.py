"""The real models for the tests of the model server, and the server itself as a child process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import openai
import pytest

from core.models.catalog import find, is_installed
from core.settings import ROOT, load
from tests.application import CACHE, FORM

CHAT, EMBEDDER = "smollm2-135m-instruct-q4_1", "all-minilm-l6-v2"
SECRET = "a secret for one start"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="session")
def store() -> Path:
    """The model store; tests that need it are skipped where the models are not downloaded."""
    found = load().model_store
    for model_id in (CHAT, EMBEDDER):
        if not is_installed(find(model_id), found):
            pytest.skip(f"{model_id} is not in {found}: python -m core models fetch {model_id}")
    return found


@pytest.fixture(scope="session", autouse=True)
def _llama_cpp_leaves_nothing_open() -> Iterator[None]:
    """It opens /dev/null when it is imported and never closes it, which pytest would report."""
    yield
    if opened := sys.modules.get("llama_cpp._utils"):
        opened.outnull_file.close()
        opened.errnull_file.close()


@dataclass
class Server:
    """A model server as a child; `data` is its data folder."""

    process: subprocess.Popen[bytes]
    data: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address_file(self) -> Path:
        return self.data / "run" / "model-server.json"

    def health(self) -> dict[str, Any]:
        with urlopen(f"{self.url}/healthz", timeout=10) as reply:
            return dict(json.load(reply))

    def client(self, secret: str = SECRET) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=secret, max_retries=0, timeout=60)

    def wait(self, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The health as soon as it is so; fails after a minute."""
        for _ in range(1200):
            if done(health := self.health()):
                return health
            time.sleep(0.05)
        pytest.fail(f"the model server stays {health}")


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts model servers and ends them after the tests."""
    running: list[subprocess.Popen[bytes]] = []

    def started(models: Path, *, chat: str = CHAT, embedder: str = EMBEDDER, **options: int) -> Server:
        data = tmp_path_factory.mktemp("data")
        command = [sys.executable, "-m", "core.serving", "--data", str(data), "--models", str(models)]
        command += ["--chat", chat, "--embedder", embedder, "--embedder-form", FORM, "--cache", CACHE.name]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)
        running.append(process)
        assert process.stdin
        process.stdin.write(f"{SECRET}\n".encode())
        process.stdin.flush()
        file = data / "run" / "model-server.json"
        while not file.exists():
            assert process.poll() is None, "the model server ended at once"
            time.sleep(0.01)
        return Server(process, data, json.loads(file.read_text())["port"])

    yield started
    for process in running:
        process.terminate()
        process.wait(20)
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def in_background() -> Iterator[Callable[..., threading.Thread]]:
    """Runs functions beside the test and waits for them at its end."""
    threads: list[threading.Thread] = []

    def run(work: Callable[[], object]) -> threading.Thread:
        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return threads[-1]

    yield run
    for thread in threads:
        thread.join(60)


@pytest.fixture(scope="session")
def server(start: Callable[..., Server], store: Path) -> Server:
    server = start(store, context=2048, slots=2, queue_limit=4)
    assert server.health()["status"] == "loading"  # it answers long before the models are there
    server.wait(lambda health: health["status"] != "loading")
    return server


@pytest.fixture(scope="session")
def api(server: Server) -> openai.OpenAI:
    return server.client()


def post(server: Server, path: str, body: object, secret: str = SECRET) -> tuple[int, dict[str, Any], Any]:
    """Status, JSON and headers of the answer; `body` is sent as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    try:
        with urlopen(Request(server.url + path, data, headers), timeout=60) as reply:
            return reply.status, json.load(reply), reply.headers
    except HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


def raw_request(server: Server, body: dict[str, Any]) -> socket.socket:
    """A chat request on a connection of its own, sent and not waited for."""
    raw = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
    connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw)
    return connection
