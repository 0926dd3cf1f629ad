"""One HTTP request in a thread of its own: whoever waits for it can leave at any moment, also while it connects."""

from __future__ import annotations

import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, Self

import httpx2

from core.errors import Cancelled
from core.models.remote.address import is_private
from core.settings import VERSION

# At DEBUG this library writes down the headers of answers, and a service may send the key back in one.
logging.getLogger("httpcore2").setLevel(logging.INFO)

LOOK_SECONDS = 0.05  # how often somebody who waits looks whether Stop was pressed
MOST_PIECES = 64  # that wait to be read: a service that sends faster than we read is made to wait


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask. `headers` may hold a key. `only_private`: send nothing unless the host is of a private network."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    only_private: bool = False

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


@dataclass(frozen=True, slots=True)
class Head:
    """The first thing a service says."""

    status: int
    headers: Mapping[str, str] = field(repr=False)


class End(Enum):
    """The last thing that comes, and why."""

    whole = "whole"
    unreachable = "unreachable"
    untrusted = "untrusted"  # its certificate
    exposed = "exposed"  # a key would go over an open line beyond the private network
    broken = "broken"
    garbled = "garbled"  # its compression


class Call:
    """Use as a context: leaving it hangs up. Ask for the head once, then for pieces until an End comes."""

    def __init__(self, request: Request, *, connect_seconds: float, longest_seconds: float) -> None:
        self._request = request
        self._timeout = httpx2.Timeout(longest_seconds, connect=connect_seconds)
        self._news: queue.Queue[Head | bytes | End] = queue.Queue(MOST_PIECES)
        self._left = threading.Event()
        self._line: socket.socket | None = None
        self._lock = threading.Lock()
        self._exposed = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="model-service", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._left.set()
            if self._line is not None:
                _shut(self._line)

    def head(self, until: float, cancel: threading.Event) -> Head | End:
        """What comes first. Raises Cancelled, and TimeoutError once `time.monotonic()` is past `until`."""
        news = self._next(until, cancel)
        return news if isinstance(news, Head | End) else End.broken

    def piece(self, until: float, cancel: threading.Event) -> bytes | End:
        """What comes next of the body. Raises Cancelled, TimeoutError."""
        news = self._next(until, cancel)
        return news if isinstance(news, bytes | End) else End.broken

    def rest(self, until: float, cancel: threading.Event, most: int) -> bytes:
        """What comes of the body until its end or that time, and not more than `most` bytes. Raises Cancelled."""
        body = bytearray()
        try:
            while len(body) < most and isinstance(piece := self.piece(until, cancel), bytes):
                body += piece
        except TimeoutError:
            pass  # a part is of use too: the words of an error, or an answer that is seen to be cut
        return bytes(body[:most])

    def _next(self, until: float, cancel: threading.Event) -> Head | bytes | End:
        while True:
            if cancel.is_set():
                raise Cancelled("Stopped.")
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                return self._news.get(timeout=min(left, LOOK_SECONDS))
            except queue.Empty:
                continue

    def _run(self) -> None:
        end = End.broken
        try:
            end = self._exchange()
        except httpx2.ConnectError as error:
            end = End.untrusted if _is_about_certificate(error) else End.unreachable
        except (httpx2.ConnectTimeout, httpx2.ProxyError):
            end = End.unreachable
        except httpx2.DecodingError:
            end = End.garbled
        except (httpx2.HTTPError, OSError):
            end = End.exposed if self._exposed else End.broken
        finally:
            with self._lock:
                if self._line is not None:
                    self._line.close()
                self._line = None
            self._put(end)

    def _exchange(self) -> End:
        request = self._request
        encrypted = request.url.startswith("https:")
        with (
            # A proxy is asked for what leaves this network, and hears nothing of what is encrypted. A connection is
            # used once: many services drop idle ones without a word, which looks like a failure of the next request.
            httpx2.Client(
                verify=trusted(),
                trust_env=encrypted,
                timeout=self._timeout,
                follow_redirects=False,
            ) as client,
            client.stream(
                request.method,
                request.url,
                headers={"User-Agent": f"groundwork/{VERSION}", "Accept-Encoding": "identity", **request.headers},
                content=request.body,
                extensions={"trace": self._trace},
            ) as reply,
        ):
            if not self._put(Head(reply.status_code, reply.headers)):
                return End.broken
            for piece in reply.iter_bytes():
                if not self._put(piece):
                    return End.broken
        return End.whole

    def _put(self, news: Head | bytes | End) -> bool:
        """Whether somebody still listens."""
        while not self._left.is_set():
            try:
                self._news.put(news, timeout=LOOK_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by the library at every step. Once connected, and before anything is sent: keep the line at hand."""
        if event != "connection.connect_tcp.complete":
            return
        stream = info["return_value"]
        if self._request.only_private and not is_private(stream.get_extra_info("server_addr")[0]):
            self._exposed = True
            stream.close()
            raise OSError("the host is not in a private network")
        with self._lock:
            # A handle of our own: TLS takes the other one over, and the library closes it when it likes.
            self._line = stream.get_extra_info("socket").dup()
            if self._left.is_set():
                _shut(self._line)


def _shut(line: socket.socket) -> None:
    """End both directions: closing alone would not wake a thread that reads."""
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


def _is_about_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


@cache
def trusted() -> ssl.SSLContext:
    """Made once: reading all the certificates takes 80 ms."""
    return httpx2.create_ssl_context()
