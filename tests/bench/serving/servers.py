"""The servers that are compared: ours and two foreign ones, each as a child, spoken to in OpenAI's protocol."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from core.settings import ROOT

SECRET = "bench"
PATIENCE = 600.0


@dataclass
class Server:
    """A running server; `process` is ours to end."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    data: Path | None = None

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = httpx2.post(self.url + path, json=body, headers=HEADERS, timeout=PATIENCE)
        reply.raise_for_status()
        return dict(reply.json())

    def get(self, path: str) -> dict[str, Any]:
        return dict(httpx2.get(self.url + path, headers=HEADERS, timeout=30).json())


HEADERS = {"Authorization": f"Bearer {SECRET}"}


@dataclass
class Answer:
    """A streamed answer: seconds to the first token and to the end, the text, what the last chunks said."""

    first: float = 0.0
    total: float = 0.0
    text: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def ask(
    server: Server, messages: Sequence[dict[str, str]], *, stop: threading.Event | None = None, **options: Any
) -> Answer:
    """Ask and follow the stream; `stop` hangs up in the middle."""
    body = {"messages": list(messages), "stream": True, "temperature": 0, "model": "", **options}
    if server.name != "Groundwork":
        body.pop("model")
    answer, begin = Answer(), time.perf_counter()
    with httpx2.stream(
        "POST", server.url + "/v1/chat/completions", json=body, headers=HEADERS, timeout=PATIENCE
    ) as reply:
        if reply.status_code != 200:
            reply.read()
            answer.error = reply.text[:300]
        for line in reply.iter_lines():
            if stop and stop.is_set():
                break
            _hear(answer, line, begin)
    answer.total = time.perf_counter() - begin
    return answer


def _hear(answer: Answer, line: str, begin: float) -> None:
    if not line.startswith("data: {"):
        return
    chunk = json.loads(line[6:])
    if "error" in chunk:
        answer.error = str(chunk["error"])[:300]
        return
    choices = chunk.get("choices") or [{}]
    text = (choices[0].get("delta") or {}).get("content") or ""
    if text:
        answer.first = answer.first or time.perf_counter() - begin
        answer.text += text
    answer.usage = chunk.get("usage") or answer.usage
    answer.timings = chunk.get("timings") or answer.timings


@contextmanager
def groundwork(models: Path, chat: str, *, data: Path | None = None, **options: object) -> Iterator[Server]:
    """Our model server, ready for questions and for texts."""
    with tempfile.TemporaryDirectory() as scratch:
        place = data or Path(scratch)
        command = [sys.executable, "-m", "core.serving", "--data", str(place), "--models", str(models)]
        command += ["--chat", chat, "--embedder", "all-minilm-l6-v2"]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
        assert process.stdin
        process.stdin.write(f"{SECRET}\n".encode())
        process.stdin.flush()
        file = place / "run" / "model-server.json"
        _until(lambda: file.exists() and json.loads(file.read_text())["pid"] == process.pid, process)
        server = Server("Groundwork", f"http://127.0.0.1:{json.loads(file.read_text())['port']}", process, place)
        _until(lambda: server.get("/healthz")["status"] != "loading", process)
        assert server.get("/healthz")["status"] == "ok", server.get("/healthz")
        try:
            yield server
        finally:
            process.stdin.close()
            process.wait(30)


@contextmanager
def llama_server(tools: Path, model: Path, *, slots: int, threads: int, cells: int) -> Iterator[Server]:
    """llama.cpp's own server."""
    command = [str(tools / "llama-server"), "-m", str(model), "-np", str(slots), "-t", str(threads), "-c", str(cells)]
    command += ["--host", "127.0.0.1", "--no-webui"]
    with _foreign("llama-server", command, {}) as server:
        yield server


@contextmanager
def llama_cpp_python(model: Path, *, threads: int, cells: int) -> Iterator[Server]:
    """The server that llama-cpp-python brings."""
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--n_ctx", str(cells)]
    command += ["--n_threads", str(threads), "--host", "127.0.0.1", "--interrupt_requests", "false"]
    with _foreign("llama-cpp-python", command, {}) as server:
        yield server


@contextmanager
def _foreign(name: str, command: list[str], environment: dict[str, str]) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [*command, "--port", str(port)], stdout=quiet, stderr=quiet, env={**os.environ, **environment}
    )
    server = Server(name, f"http://127.0.0.1:{port}", process)
    try:
        _until(lambda: _answers(server), process)
        yield server
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


def _answers(server: Server) -> bool:
    try:
        return httpx2.get(server.url + "/v1/models", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


def _until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    for _ in range(2400):
        assert process.poll() is None, "a server ended at once"
        with suppress(httpx2.HTTPError, ValueError, KeyError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError("a server did not become ready within two minutes")
