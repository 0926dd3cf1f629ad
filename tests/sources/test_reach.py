"""Which addresses are never fetched from, and how addresses are written down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadSource
from core.sources.address import Site, joined, page_name, tidy, tidy_prefix, typed
from core.sources.reach import Reach

PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
HERE = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::127.0.0.1",
]
NEVER = ["169.254.169.254", "169.254.1.1", "fe80::1", "::ffff:169.254.169.254", "224.0.0.1", "ff02::1",
         "255.255.255.255", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "240.0.0.1", "192.0.2.1",
         "198.18.0.1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"]  # fmt: skip
PRIVATE = ["10.0.0.1", "172.16.5.5", "192.168.1.1", "100.64.0.1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses_may_be_read(ip: str) -> None:
    Reach().check("host", ip, 443)


@pytest.mark.parametrize("ip", [*HERE, *NEVER, *PRIVATE, "nonsense", ""])
def test_addresses_of_this_machine_and_of_private_networks_are_refused(ip: str) -> None:
    with pytest.raises(BadSource, match="host"):
        Reach().check("host", ip, 443)


@pytest.mark.parametrize("ip", PRIVATE)
def test_an_intranet_can_be_opened_by_a_setting(ip: str) -> None:
    Reach(private=True).check("host", ip, 80)


@pytest.mark.parametrize("ip", [*HERE, *NEVER])
def test_no_setting_opens_this_machine_or_the_addresses_of_clouds(ip: str) -> None:
    with pytest.raises(BadSource):
        Reach(private=True).check("host", ip, 80)


def test_both_ends_of_a_connection_at_one_address_are_this_machine() -> None:
    reach = Reach(private=True, exempt=frozenset({("10.0.0.5", 8000)}))
    reach.check_ends("host", "10.0.0.5", "10.0.0.6", 80)
    reach.check_ends("host", "10.0.0.5", "10.0.0.5", 8000)
    with pytest.raises(BadSource, match="this machine itself"):
        reach.check_ends("host", "10.0.0.5", "10.0.0.5", 80)


@pytest.mark.parametrize("port", [22, 25, 6379, 8501, 11434, 0])
def test_only_the_ports_of_web_servers_are_asked(port: int) -> None:
    with pytest.raises(BadSource, match="port"):
        Reach().check("host", PUBLIC[0], port)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("https://example.org:443/a/../b/./c#part", "https://example.org/b/c"),
        ("https://example.org/a/..", "https://example.org/"),
        ("https://example.org/a b".replace(" ", "%20"), "https://example.org/a%20b"),
        ("https://example.org/ä?ö=1", "https://example.org/%C3%A4?%C3%B6=1"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://example.org/?utm_source=x&id=3", "https://example.org/?id=3"),
        ("https://example.org/?a&b=", "https://example.org/?a&b="),
        ("https://example.org./x", "https://example.org/x"),
        ("http://[2606:2800::1]:8080/", "http://[2606:2800::1]:8080/"),
    ],
)
def test_an_address_has_one_way_to_be_written(given: str, kept: str) -> None:
    assert tidy(given) == kept
    assert tidy(kept) == kept


@pytest.mark.parametrize(
    "address",
    ["ftp://example.org/", "file:///etc/passwd", "javascript:alert(1)", "https://", "https://a@b.org/",
     "https://user:secret@example.org/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/",
     "http://127.1/", "http://127.0.0.1.:80:90/", "https://exa mple.org/", "https://example.org\\@evil.org/",
     "https://example.org/\r\nHost: x", "https://-bad.org/", "https://" + "a" * 64 + ".org/", "https://example.org:99999/",
     "https://example.org/" + "a/" * 40, "https://example.org/" + "a" * 3000, "http://[::1%25eth0]/", "https://a..org/"],
)  # fmt: skip
def test_what_is_no_plain_web_address_is_refused(address: str) -> None:
    with pytest.raises(BadSource):
        tidy(address)


@given(st.text(max_size=60))
def test_no_text_makes_more_of_it_than_an_address_or_a_refusal(text: str) -> None:
    for attempt in (text, "https://" + text, "http://example.org/" + text):
        try:
            found = typed(attempt)
        except BadSource:
            continue
        assert tidy(found) == found
        assert found.isascii()


def test_links_are_resolved_and_other_schemes_left_out() -> None:
    base = "https://example.org/docs/a/page.html"
    assert joined(base, "../b.html#x") == "https://example.org/docs/b.html"
    assert joined(base, "//other.org/x") == "https://other.org/x"
    assert joined(base, " two words.html ") == "https://example.org/docs/a/two%20words.html"
    assert [joined(base, link) for link in ("mailto:a@b", "javascript:x", "tel:1", "", "data:text/html,x")] == [
        None
    ] * 5


def test_a_site_is_a_host_and_a_path() -> None:
    site = Site("https://example.org/docs/", "/docs")
    assert site.holds("http://example.org/docs")
    assert site.holds("https://example.org/docs/a")
    assert not site.holds("https://example.org/docs-old")
    assert not site.holds("https://sub.example.org/docs/a")
    assert not site.holds("https://example.org:8443/docs/a")
    assert tidy_prefix(" docs/../manual/ ") == "/manual"
    assert tidy_prefix("/") == ""


@pytest.mark.parametrize(
    ("address", "kind", "name"),
    [
        ("https://example.org/", "text/html", "example.org.html"),
        ("https://example.org/docs/intro/", "text/html", "intro.html"),
        ("https://example.org/a%2Fb.pdf?x=1", "application/pdf", "a b.pdf"),
        ("https://example.org/notes.md", "text/plain", "notes.md"),
    ],
)
def test_a_page_is_called_by_its_path(address: str, kind: str, name: str) -> None:
    assert page_name(address, kind) == name
