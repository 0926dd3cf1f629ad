"""Web addresses of sources: one way to write each, which of them belong to a site, and what a page is called."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urljoin, urlsplit

from core.errors import BadSource

LONGEST = 2000
DEFAULT_PORTS = {"http": 80, "https": 443}
# Parameters that say who clicked where; without them many addresses are one page.
TRACKING = re.compile(r"utm_\w+|fbclid|gclid|msclkid|mc_[ce]id|phpsessid|jsessionid", re.IGNORECASE)
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
MOST_SEGMENTS = 30  # of a path: a site that links every page to a deeper one of itself has no end
PAGE_NAMES = (".html", ".htm", ".xhtml")


def typed(text: str) -> str:
    """The address of what a person typed, `https://` being understood. Raises BadSource."""
    text = text.strip()
    return tidy("https://" + text if text and "://" not in text else text)


def tidy(address: str) -> str:
    """The address as it is kept: without fragment, default port, dots in the path and marks of advertisers.

    Raises BadSource for everything that is not a plain http or https address of a host.
    """
    if len(address) > LONGEST:
        raise BadSource(f"The address is longer than {LONGEST:,} characters.")
    if any(ord(c) < 33 or ord(c) == 127 for c in address) or "\\" in address:
        raise BadSource("The address holds blanks, line ends or backslashes. Copy it again from the browser.")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadSource(f"The address is not valid: {error}.") from error
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not host:
        raise BadSource("The address must begin with https:// or http:// and name a host.")
    if "@" in parts.netloc:
        raise BadSource("The address holds a name or password before the @. Pages behind a sign-in cannot be read.")
    name = host_name(host)
    netloc = f"[{name}]" if ":" in name else name
    if port is not None and port != DEFAULT_PORTS[scheme]:
        netloc += f":{port}"
    path = _without_dots(quote(parts.path, safe="/%:@!$&'()*+,;=~")) or "/"
    if path.count("/") > MOST_SEGMENTS:
        raise BadSource(f"The path of the address has more than {MOST_SEGMENTS} parts.")
    return SplitResult(scheme, netloc, path, _query(parts.query), "").geturl()


def host_name(host: str) -> str:
    """The host in the letters of DNS. Raises BadSource, also for numbers that only some programs take for an address.

    What looks like a number (2130706433, 0x7f.1, 0177.0.0.1) is an address to some and a name to others: checks that
    are made by one and used by the other are how such names get through.
    """
    host = host.rstrip(".").lower()
    if "%" in host:  # the zone of an address that means something on one machine only
        raise BadSource(f"{host} cannot be the name of a host.")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        name = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError as error:
        raise BadSource(f"{host} cannot be the name of a host.") from error
    labels = name.split(".")
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise BadSource(f"{host} cannot be the name of a host.")
    if NUMBER.fullmatch(labels[-1]):
        raise BadSource(f"{host} is no host name, and no address in the usual form of four numbers.")
    return name


def joined(base: str, link: str) -> str | None:
    """Where a link of the page `base` leads; None for what is not a web page (mailto:, javascript:, nonsense)."""
    link = link.strip()
    if not link or len(link) > LONGEST or (SCHEME.match(link) and not link.lower().startswith(("http:", "https:"))):
        return None
    try:
        return tidy(urljoin(base, link.replace(" ", "%20").replace("\t", "").replace("\n", "").replace("\r", "")))
    except (BadSource, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Site:
    """What belongs to a source: pages of one host, within a path. `base` is any page of it."""

    base: str
    within: str = ""

    def holds(self, address: str) -> bool:
        """Whether a page is of this site. http and https are the same site, another port is not."""
        own, other = urlsplit(self.base), urlsplit(address)
        ports = {part.port or DEFAULT_PORTS[part.scheme] for part in (own, other)}
        same_port = len(ports) == 1 or ports == {80, 443}
        return own.hostname == other.hostname and same_port and is_within(other.path, self.within)


def is_within(path: str, prefix: str) -> bool:
    """Whether a path lies at or below another: /docs holds /docs and /docs/a, not /docs-old."""
    prefix = prefix.rstrip("/")
    return not prefix or path == prefix or path.startswith(prefix + "/")


def tidy_prefix(within: str) -> str:
    """The path prefix as it is kept: "" for the whole site. Raises BadSource."""
    within = within.strip()
    if not within.strip("/"):
        return ""
    return urlsplit(tidy("http://prefix.invalid/" + within.lstrip("/"))).path.rstrip("/")


def same_but_for_query(address: str, other: str) -> bool:
    """Whether two addresses differ in no more than their query, a slash at the end, or upper and lower case."""
    one, two = urlsplit(address), urlsplit(other)
    return one.hostname == two.hostname and one.path.rstrip("/").lower() == two.path.rstrip("/").lower()


def page_name(address: str, media_type: str) -> str:
    """What the document of a page is called: the last part of its path, or its host."""
    parts = urlsplit(address)
    last = unquote(parts.path.rstrip("/").rpartition("/")[2], errors="replace").replace("/", " ").strip()
    name = last or parts.hostname or "page"
    is_page = media_type in ("text/html", "application/xhtml+xml")
    return name + ".html" if is_page and not name.lower().endswith(PAGE_NAMES) else name


def _query(query: str) -> str:
    if not query:
        return ""
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if not TRACKING.fullmatch(name)]
    if len(kept) == query.count("&") + 1:
        return quote(query, safe="/%:@!$&'()*+,;=~?")  # as its author wrote it: `a` and `a=` are not one to all servers
    return urlencode(kept)


def _without_dots(path: str) -> str:
    kept: list[str] = []
    parts = path.split("/")
    for part in parts[1:] if path.startswith("/") else parts:
        if part == "..":
            kept = kept[:-1]
        elif part != ".":
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
