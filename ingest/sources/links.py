"""The links of a web page: a scan for tags that goes forward only, so that no page can make it slow or large.

It builds nothing from what it reads and takes no more than a tag at a time; the page itself is parsed elsewhere, in a
child process.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.sources.address import joined

MOST_BYTES = 4 << 20  # of a page that are looked through
MOST_LINKS = 2000
LONGEST_TAG = 4096
_TAG = re.compile(
    rb"<(?:(!--)|(script|style|textarea|template)(?=[\s>/])|(a|area|base|link|meta)(?=[\s/]))", re.IGNORECASE
)
_ATTRIBUTE = re.compile(rb"""([a-z-]{1,20})\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'<>`]+))""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PageLinks:
    """Where a page leads, in its order and each once; `canonical` is the address that it calls its own."""

    links: tuple[str, ...] = ()
    canonical: str = ""


def links_of(path: Path, address: str) -> PageLinks:
    """The links of a stored page that was found at `address`; none when it is no HTML."""
    with path.open("rb") as file:
        page = file.read(MOST_BYTES)
    return read_links(page, address)


def read_links(page: bytes, address: str) -> PageLinks:
    """The links in the bytes of a page. A page that asks robots not to follow its links has none."""
    base, canonical, links = address, "", dict[str, None]()
    for name, attributes in _tags(page):
        target = attributes.get("href", "")
        if name == "meta":
            if attributes.get("name", "").lower() == "robots" and "nofollow" in attributes.get("content", "").lower():
                return PageLinks((), canonical)
        elif name == "base":
            base = joined(base, target) or base
        elif name == "link":
            if "canonical" in attributes.get("rel", "").lower().split():
                canonical = joined(base, target) or canonical
        elif "nofollow" not in attributes.get("rel", "").lower() and (found := joined(base, target)):
            links[found] = None
        if len(links) >= MOST_LINKS:
            break
    return PageLinks(tuple(links), canonical)


def _tags(page: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    at = 0
    while found := _TAG.search(page, at):
        comment, hiding, name = found.groups()
        if comment or hiding:
            # What stands in a comment or a script is no link. One that never ends hides the rest, as in a browser.
            closing = b"-->" if comment else b"</" + hiding
            end = page.find(closing, found.end()) if comment else _find_closing(page, closing, found.end())
            if end < 0:
                return
            at = end + 1
            continue
        end = page.find(b">", found.end(), found.end() + LONGEST_TAG)
        at = found.end() if end < 0 else end
        if end >= 0:
            yield name.decode().lower(), _attributes(page[found.end() : end])


def _find_closing(page: bytes, closing: bytes, start: int) -> int:
    match = re.compile(re.escape(closing), re.IGNORECASE).search(page, start)
    return match.start() if match else -1


def _attributes(inside: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(inside):
        value = next((part for part in match.groups()[1:] if part is not None), b"")
        found.setdefault(match[1].decode().lower(), html.unescape(value.decode("utf-8", "replace")))
    return found
