"""A model service that misbehaves on purpose: on each connection it plays what the test wrote down."""

from __future__ import annotations

import json
import math
import select
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HOLD = math.inf  # say nothing more until the client hangs up
DONE = b"data: [DONE]\n\n"


class Reset:
    """Drop the connection the hard way."""


RESET = Reset()
Step = bytes | float | Reset


def head(status: int = 200, content_type: str = "text/event-stream", **headers: str) -> bytes:
    """The body goes on until the connection is closed."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def event(body: object) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def said(text: str, **more: object) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more})


def finished(reason: str = "stop") -> bytes:
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


def used(prompt: int = 7, completion: int = 2) -> bytes:
    return event({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}})


def refusal(status: int, error: object, **headers: str) -> bytes:
    text = error if isinstance(error, str) else json.dumps({"error": error})
    return head(status, "application/json", **headers) + text.encode()


ANSWER = head() + said("The dam ") + said("is high.") + finished() + used() + DONE


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class Misbehaving:
    """Use as a context. `plays` adds the steps for one connection more; the last ones are played again and again."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.connected = threading.Event()
        self.hung_up = threading.Event()
        self._tls = tls
        self._scripts: deque[tuple[Step, ...]] = deque()
        self._closing = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._listening.getsockname()[1]}/v1"

    def plays(self, *steps: Step) -> Misbehaving:
        self._scripts.append(steps)
        return self

    def __enter__(self) -> Misbehaving:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join(10)
        self._listening.close()

    def _spawn(self, work: Any, *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            if select.select([self._listening], [], [], 0.02)[0]:
                connection, _ = self._listening.accept()
                steps = self._scripts.popleft() if len(self._scripts) > 1 else self._scripts[0]
                self._spawn(self._serve, connection, steps)

    def _serve(self, connection: socket.socket, steps: tuple[Step, ...]) -> None:
        connection.settimeout(10)
        self.connected.set()
        try:
            if self._tls and steps != (HOLD,):  # one that holds from the start never shakes hands
                connection = self._tls.wrap_socket(connection, server_side=True)
            if not self._tls or steps != (HOLD,):
                self._read(connection)
            for step in steps:
                if isinstance(step, bytes):
                    connection.sendall(step)
                elif isinstance(step, Reset):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif not self._wait(connection, step):
                    return
        except OSError:
            self.hung_up.set()
        finally:
            connection.close()

    def _read(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as incoming:
            if not (first := incoming.readline()):
                raise OSError("the client said nothing")
            method, path, _ = first.decode().split(" ")
            headers = {}
            while line := incoming.readline().decode().strip():
                name, _, value = line.partition(": ")
                headers[name.lower()] = value
            body = incoming.read(int(headers.get("content-length", 0)))
        self.asked.append(Asked(method, path, headers, json.loads(body) if body else None))

    def _wait(self, connection: socket.socket, seconds: float) -> bool:
        """Whether the client is still there after this time."""
        waited = 0.0
        while waited < seconds and not self._closing.is_set():
            if select.select([connection], [], [], 0.02)[0]:
                try:
                    gone = not connection.recv(1 << 16)
                except OSError:
                    gone = True
                if gone:
                    self.hung_up.set()
                    return False
            waited += 0.02
        return True
