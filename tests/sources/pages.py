"""A web server that behaves as a test says: pages by path, and answers that misbehave on the bare connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.sources.reach import Reach

Raw = Callable[[socket.socket], None]


@dataclass
class Page:
    """What a path answers. `raw` writes to the connection itself."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""
    raw: Raw | None = None


def page(text: str, *links: str, **more: str) -> Page:
    anchors = "".join(f'<a href="{link}">x</a>' for link in links)
    return Page(f"<html><title>T</title><body><p>{text}</p>{anchors}</body></html>".encode(), headers=dict(more))


def redirect(to: str, status: int = 302) -> Page:
    return Page(status=status, headers={"Location": to})


class Server:
    """Use as a context. `pages` may be changed at any time; `asked` are (path, headers) as they came."""

    def __init__(self, pages: dict[str, Page] | None = None) -> None:
        self.pages = pages or {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.open = True
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    @property
    def reach(self) -> Reach:
        """Lets exactly this server be asked."""
        return Reach(exempt=frozenset({("127.0.0.1", self.port)}))

    def at(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked if path != "/robots.txt"]

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.open:
            self.open = False
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _accept(self) -> None:
        while self.open:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            try:
                head = b""
                while b"\r\n\r\n" not in head and (piece := connection.recv(4096)):
                    head += piece
                lines = head.decode().split("\r\n")
                path = lines[0].split(" ")[1]
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
                self.asked.append((path, headers))
                self._answer(connection, self.pages.get(path, Page(status=404)), headers)
            except (OSError, IndexError):
                return

    def _answer(self, connection: socket.socket, answer: Page, asked: Mapping[str, str]) -> None:
        if answer.raw is not None:
            answer.raw(connection)
            return
        same = answer.etag and asked.get("if-none-match") == answer.etag
        status, body = (304, b"") if same else (answer.status, answer.body)
        headers = {"Content-Type": "text/html", "Content-Length": str(len(body)), **answer.headers}
        if answer.etag:
            headers["ETag"] = answer.etag
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"HTTP/1.1 {status} X\r\n{lines}Connection: close\r\n\r\n".encode() + body)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def loris(connection: socket.socket) -> None:
    """A byte now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.1)


def endless_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")


def silent(connection: socket.socket) -> None:
    connection.recv(1)  # until the other side hangs up
