"""The whole application as a subprocess, the way a person starts it: for browser tests, kill tests and benchmarks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil

from core.settings import ROOT

# The embedding model in a form that starts in a second; it is converted once for all tests of a run.
FORM = "openvino-float32" if find_spec("openvino") else "torch-float32"
CACHE = TemporaryDirectory(prefix="groundwork-tests-")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait for a true value and return it; fail with `what` when it does not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


class Application:
    """`streamlit run app.py` over a data folder; `log` is what it and its children wrote."""

    def __init__(
        self, data: Path, *, models: Path, chat_model: str, port: int | None = None, **settings: object
    ) -> None:
        self.data = data
        self.port = port or free_port()
        self.log = data.parent / f"{data.name}.log"
        self.environment = {
            **os.environ,
            "GROUNDWORK_DATA": str(data),
            "GROUNDWORK_MODELS": str(models),
            "GROUNDWORK_CHAT_MODEL": chat_model,
            "GROUNDWORK_PORT": str(self.port),
            "GROUNDWORK_EMBEDDING_FORM": FORM,
            "GROUNDWORK_CACHE": CACHE.name,
            **{f"GROUNDWORK_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=300, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Application:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(self.answers, 60, f"the application answers; see {self.log}")
        return self

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the application ended: {self.log.read_text()[-2000:]}"
        try:
            return self.http.get("/healthz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def ready(self) -> bool:
        try:
            return self.http.get("/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait_ready(self, seconds: float = 90) -> Application:
        until(self.ready, seconds, f"the model is ready; see {self.log}")
        return self

    def child(self, module: str) -> psutil.Process | None:
        """The process that runs `python -m <module>`, a direct child of the web process."""
        assert self.process is not None
        try:
            for child in psutil.Process(self.process.pid).children():
                if module in child.cmdline():
                    return child
        except psutil.NoSuchProcess:
            pass
        return None

    def descendants(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.http.close()

    def upload(self, *paths: Path, collection: str = "") -> list[dict[str, Any]]:
        files = [("files", (path.name, path.read_bytes())) for path in paths]
        reply = self.http.post("/api/v1/documents", files=files, data={"collection": collection})
        assert reply.status_code == 202, reply.text
        return list(reply.json()["documents"])

    def wait_ingested(self, seconds: float = 120) -> list[dict[str, Any]]:
        """Wait until no document waits for anything; return all documents."""

        def settled() -> list[dict[str, Any]] | None:
            try:
                documents = self.http.get("/api/v1/documents").json()["documents"]
            except httpx.TransportError:
                return None
            return documents if all(d["status"] in ("ready", "failed") for d in documents) else None

        return list(until(settled, seconds, f"all documents are read; see {self.log}"))
