"""robots.txt: read with the same fetcher, kept for an hour, obeyed as RFC 9309 says."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.errors import BadSource, SourceUnreachable
from ingest.sources.fetch import AGENT, Fetcher
from ingest.sources.line import Ended

if TYPE_CHECKING:
    from protego import Protego

KEPT_SECONDS = 3600.0
MOST_BYTES = 500 << 10  # RFC 9309 asks for at least as much
MOST_LINES = 5000
MOST_HOSTS = 200
DELAY_SECONDS = 1.0  # between two requests to a host that does not say how long
LONGEST_DELAY = 30.0
REFUSED = "{} asks programs not to read this page (robots.txt)."


@dataclass(frozen=True, slots=True)
class _Rules:
    read_at: float
    rules: Protego


class Robots:
    """What hosts ask of programs."""

    def __init__(self, fetcher: Fetcher, *, delay: float = DELAY_SECONDS) -> None:
        self.fetcher = fetcher
        self.delay = delay
        self._known: dict[str, _Rules] = {}

    def check(self, address: str, *, ended: Ended = lambda: False) -> None:
        """Raise BadSource for a page that its host does not want read, SourceUnreachable when it cannot be asked."""
        if not self._rules(address, ended).can_fetch(address, AGENT):
            raise BadSource(REFUSED.format(urlsplit(address).netloc))

    def delay_of(self, address: str) -> float:
        """Seconds between two requests to the host, as it was asked before."""
        known = self._known.get(_origin(address))
        asked = known.rules.crawl_delay(AGENT) if known else None
        return min(max(self.delay, asked or 0.0), max(self.delay, LONGEST_DELAY))

    def _rules(self, address: str, ended: Ended) -> Protego:
        origin = _origin(address)
        known = self._known.get(origin)
        if known is None or time.monotonic() - known.read_at > KEPT_SECONDS:
            if len(self._known) >= MOST_HOSTS:
                self._known.clear()
            known = self._known[origin] = _Rules(time.monotonic(), self._read(origin, ended))
        return known.rules

    def _read(self, origin: str, ended: Ended) -> Protego:
        from protego import Protego

        try:
            came = self.fetcher.fetch(origin + "/robots.txt", most_bytes=MOST_BYTES, any_type=True, ended=ended)
        except SourceUnreachable:
            raise
        except BadSource as error:
            if "larger than" in str(error):  # what stands behind the first half megabyte cannot be known
                raise BadSource(f"The robots.txt of {urlsplit(origin).netloc} is too large to be obeyed.") from error
            raise
        if came.body is None:
            if came.status == 429 or came.status >= 500:
                raise SourceUnreachable(
                    f"{urlsplit(origin).netloc} does not say now what programs may read (robots.txt).",
                    retry_after=came.retry_after,
                )
            return Protego.parse("")  # there is none: everything may be read
        with came.body:
            text = came.body.read(MOST_BYTES).decode("utf-8", "replace")
        return Protego.parse("\n".join(text.splitlines()[:MOST_LINES]))


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
