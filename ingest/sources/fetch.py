"""Fetching one page: everything a server does is bounded, and every address on the way is checked.

No proxy of the environment, no cookies, no credentials: a fetch is what a stranger would see.
"""

from __future__ import annotations

import logging
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

import httpcore2

from core.errors import BadSource, SourceUnreachable
from core.models.remote.call import trusted
from core.settings import VERSION
from core.sources.address import joined
from core.sources.reach import Reach
from core.storage.db import translated, writing
from ingest.sources.line import Ended, Network

logging.getLogger("httpcore2").setLevel(logging.INFO)  # at DEBUG it writes down whole headers

AGENT = "Groundwork"
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
LONGEST_WAIT = 3600.0  # seconds that a server may ask us to stay away
PIECE = 64 << 10
GZIP = 31  # zlib's word for a gzip header and trailer
HEADERS = {
    "User-Agent": f"{AGENT}/{VERSION}",
    "Accept": "text/html,application/xhtml+xml,application/pdf,text/*;q=0.9,application/*;q=0.8",
    "Accept-Encoding": "gzip",
    "Connection": "close",
}
# What a page may lead to that can hold text; the file itself decides afterwards what it is.
TAKEN = (
    "text/html", "text/plain", "text/markdown", "text/csv", "text/tab-separated-values", "text/rtf", "text/x-",
    "text/vtt", "text/xml", "application/xhtml+xml", "application/pdf", "application/json", "application/xml",
    "application/rtf", "application/msword", "application/epub+zip", "application/vnd.", "application/octet-stream",
    "application/zip", "message/rfc822", "multipart/related", "application/x-ipynb+json",
)  # fmt: skip

Permit = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one fetch: bytes after unpacking (before it too), and seconds from the look-up to the last byte."""

    most_bytes: int = 50 << 20
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came. `body` is there when `status` is 200, and read from its begin; 304 says that nothing has changed."""

    address: str  # after redirects
    status: int
    media_type: str
    etag: str
    modified: str
    retry_after: float
    body: BinaryIO | None


class Fetcher:
    """Fetches pages, one connection for each."""

    def __init__(self, reach: Reach, limits: Limits = Limits()) -> None:
        self.reach = reach
        self.limits = limits

    def fetch(
        self,
        address: str,
        *,
        etag: str = "",
        modified: str = "",
        permit: Permit = lambda _: None,
        most_bytes: int = 0,
        any_type: bool = False,
        ended: Ended = lambda: False,
    ) -> Fetched:
        """Follow redirects and read what is at their end; `permit` may refuse an address that one leads to.

        Raises BadSource (out of reach, too large, no text, a circle of redirects), SourceUnreachable (no answer, a
        slow one, a broken one), Cancelled, StorageError (also StorageFull) when there is no place for the page here.
        """
        network = Network(self.reach, deadline=time.monotonic() + self.limits.seconds, ended=ended)
        conditions = {"If-None-Match": etag} if etag else {"If-Modified-Since": modified} if modified else {}
        most = most_bytes or self.limits.most_bytes
        for _ in range(MOST_REDIRECTS + 1):
            with self._asked(address, conditions, network) as reply:
                headers = _headers(reply)
                if reply.status not in REDIRECTS or "location" not in headers:
                    return _take(reply, headers, address, most, any_type=any_type)
                target = joined(address, headers["location"])
            if target is None:
                raise BadSource(f"{address} leads to something that is no web page.")
            permit(target)
            address = target
        raise BadSource(f"{address} leads on more than {MOST_REDIRECTS} times. It may lead in a circle.")

    @contextmanager
    def _asked(self, address: str, conditions: Mapping[str, str], network: Network) -> Iterator[httpcore2.Response]:
        """The answer to one request, with what the library says about failures in words for people."""
        host = urlsplit(address).netloc
        headers = [(name.encode(), value.encode("latin-1")) for name, value in {**HEADERS, **conditions}.items()]
        try:
            with (
                httpcore2.ConnectionPool(ssl_context=trusted(), network_backend=network, max_connections=1) as pool,
                pool.stream("GET", address, headers=[(b"Host", host.encode()), *headers]) as reply,
            ):
                yield reply
        except httpcore2.ConnectError as error:
            if "certificate" in str(error).lower():
                raise SourceUnreachable(
                    f"{host} cannot prove that it is {host}: its certificate is not valid."
                ) from error
            raise SourceUnreachable(f"{host} does not answer. Check the address, or try later.") from error
        except httpcore2.TimeoutException as error:
            raise SourceUnreachable(
                f"{host} is too slow: the page did not come in {self.limits.seconds:g} s."
            ) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise SourceUnreachable(f"{host} broke off, or sent what is no web page.") from error


def _headers(reply: httpcore2.Response) -> dict[str, str]:
    """The first of each name."""
    found: dict[str, str] = {}
    for name, value in reply.headers:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1").strip())
    return found


def _take(reply: httpcore2.Response, headers: Mapping[str, str], address: str, most: int, *, any_type: bool) -> Fetched:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    body: BinaryIO | None = None
    if reply.status == 200:
        if media_type and not any_type and not media_type.startswith(TAKEN):
            raise BadSource(f"{address} is {media_type[:60]}, which holds no text to read.")
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > most:
            raise BadSource(_too_large(address, most))
        here = Path(tempfile.gettempdir())
        with translated(here / "page"), ExitStack() as closing:  # unless all of it comes
            with writing(here):
                body = cast(BinaryIO, closing.enter_context(tempfile.TemporaryFile()))
            for piece in _unpacked(reply.iter_stream(), headers.get("content-encoding", ""), address, most):
                with writing(here):
                    body.write(piece)
            with writing(here):
                body.seek(0)
            closing.pop_all()
    etag, modified = headers.get("etag", ""), headers.get("last-modified", "")
    return Fetched(
        address, reply.status, media_type, etag if len(etag) <= 300 else "", modified if len(modified) <= 100 else "",
        _wait_of(headers.get("retry-after", "")), body,
    )  # fmt: skip


def _unpacked(pieces: Iterator[bytes], encoding: str, address: str, most: int) -> Iterator[bytes]:
    """The body without its compression, piece by piece; a bomb is put out at the limit."""
    encoding = encoding.lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise BadSource(f"{address} is packed in a way that was not asked for ({encoding[:30]}).")
    unpack = zlib.decompressobj(GZIP) if "gzip" in encoding else None
    received = size = 0
    for piece in pieces:
        received += len(piece)
        rest = piece
        while rest and not (unpack and unpack.eof):
            try:
                out = unpack.decompress(rest, PIECE) if unpack else rest
            except zlib.error as error:
                raise SourceUnreachable(f"{address} came damaged: its compression is broken.") from error
            rest = unpack.unconsumed_tail if unpack else b""
            size += len(out)
            if max(size, received) > most:
                raise BadSource(_too_large(address, most))
            yield out
        if received > most:
            raise BadSource(_too_large(address, most))
    if unpack and not unpack.eof:
        raise SourceUnreachable(f"{address} came damaged: its compression is broken.")


def _too_large(address: str, most: int) -> str:
    return f"{address} is larger than {most / (1 << 20):g} MB."


def _wait_of(text: str) -> float:
    """Seconds that a Retry-After header asks for, as a number or as a date."""
    if text.isdecimal():
        return min(float(text[:9]), LONGEST_WAIT)
    try:
        return max(0.0, min(parsedate_to_datetime(text).timestamp() - time.time(), LONGEST_WAIT))
    except (ValueError, OverflowError, TypeError):
        return 0.0
