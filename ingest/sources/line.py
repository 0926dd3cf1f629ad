"""A connection to an address that was checked, with a clock over all of it.

The name is looked up here, once, and the connection goes to the very address that was found fit: a name that means
another address a moment later (DNS rebinding) changes nothing. TLS and the Host header go on naming the host.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2

from core.errors import BadSource, Cancelled, SourceUnreachable
from core.sources.reach import Reach

CONNECT_SECONDS = 10.0
LOOKUP_SECONDS = 10.0
SILENCE_SECONDS = 15.0
SLICE = 0.5  # seconds after which a read looks whether it is still wanted

Ended = Callable[[], bool]


def look_up(host: str, port: int, *, seconds: float = LOOKUP_SECONDS) -> list[str]:
    """The addresses of a host. In a thread, because the system's resolver knows no limit. Raises SourceUnreachable."""
    found: queue.Queue[list[str]] = queue.Queue(1)

    def ask() -> None:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put([str(address[0]) for *_, address in entries])
        except (OSError, UnicodeError):
            found.put([])

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        addresses = found.get(timeout=seconds)
    except queue.Empty:
        raise SourceUnreachable(f"The name {host} could not be looked up in {seconds:g} s.") from None
    if not addresses:
        raise SourceUnreachable(f"The name {host} is not known. Check the address and the connection to the network.")
    return list(dict.fromkeys(addresses))


class Network(httpcore2.NetworkBackend):
    """Connects for one fetch, all of whose steps end at `deadline` on the monotonic clock or when `ended` says so."""

    def __init__(self, reach: Reach, *, deadline: float, ended: Ended) -> None:
        self.reach = reach
        self.deadline = deadline
        self.ended = ended
        self._network = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the parameters are httpcore2's
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        """Raises BadSource when any address of the host is out of reach, SourceUnreachable, and httpcore2's errors."""
        addresses = look_up(host, port)
        for address in addresses:  # all of them: a host that is here and there at once is not to be trusted
            self.reach.check(host, address, port)
        failure: Exception | None = None
        for address in addresses[:4]:
            try:
                stream = self._network.connect_tcp(address, port, min(CONNECT_SECONDS, self._left()))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
                continue
            own, peer = stream.get_extra_info("client_addr"), stream.get_extra_info("server_addr")
            try:
                self.reach.check_ends(host, own[0], peer[0], port)
            except BadSource:
                stream.close()
                raise
            return _Line(stream, self)
        raise failure or httpcore2.ConnectError("no address")

    def _left(self) -> float:
        """Seconds that remain. Raises Cancelled, and ReadTimeout when there are none."""
        if self.ended():
            raise Cancelled("The look was ended.")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the fetch took too long")
        return left

    def read(self, stream: httpcore2.NetworkStream, most: int) -> bytes:
        silent_until = time.monotonic() + SILENCE_SECONDS
        while True:
            left = min(self._left(), silent_until - time.monotonic())
            if left <= 0:
                raise httpcore2.ReadTimeout("the server is silent")
            try:
                return stream.read(most, min(SLICE, left))
            except httpcore2.ReadTimeout:
                continue

    def write(self, stream: httpcore2.NetworkStream, data: bytes) -> None:
        stream.write(data, min(SILENCE_SECONDS, self._left()))

    def encrypt(self, stream: httpcore2.NetworkStream, trust: ssl.SSLContext, name: str | None) -> _Line:
        return _Line(stream.start_tls(trust, name, min(CONNECT_SECONDS, self._left())), self)


class _Line(httpcore2.NetworkStream):
    """A stream that knows no other limits than those of its fetch."""

    def __init__(self, stream: httpcore2.NetworkStream, network: Network) -> None:
        self._stream = stream
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._network.read(self._stream, max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._network.write(self._stream, buffer)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        return self._network.encrypt(self._stream, ssl_context, server_hostname)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
