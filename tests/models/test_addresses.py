from __future__ import annotations

import re
import socket

import pytest

from core.errors import BadEndpoint
from core.models.remote import address


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" http://127.0.0.1:8080 ", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/v1"),
        ("HTTPS://openrouter.ai/api/v1/", "https://openrouter.ai/api/v1"),
        ("https://api.example.org/v1/chat/completions", "https://api.example.org/v1"),
        ("https://api.example.org/v1/models", "https://api.example.org/v1"),
        ("https://name.openai.azure.com/openai/v1/", "https://name.openai.azure.com/openai/v1"),
        (
            "https://name.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            "https://name.openai.azure.com/openai/deployments/gpt?api-version=2024-10-21",
        ),
        ("http://[::1]:8080/v1#top", "http://[::1]:8080/v1"),
    ],
)
def test_what_people_paste_becomes_the_base_address(typed: str, kept: str) -> None:
    assert address.tidy(typed) == kept
    assert address.tidy(kept) == kept


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "must begin with https"),
        ("127.0.0.1:8080", "must begin with https"),
        ("ftp://example.org", "must begin with https"),
        ("file:///etc/passwd", "must begin with https"),
        ("http://", "must begin with https"),
        ("http://host:port/v1", "not valid"),
        ("http://a..b/v1", "cannot be the name"),
        ("http://" + "a" * 64 + ".org/v1", "cannot be the name"),
        ("http://a,b/v1", "cannot be the name"),
        ("http://%41/v1", "cannot be the name"),
        ("http://[::1/v1", "not valid"),
        ("https://me:secret@example.org/v1", "before the @"),
        ("https://example.org/v1?api_key=abc", "holds a secret"),
        ("https://example.org/v1?subscription-key=abc", "holds a secret"),
        ("https://example.org/v1?code=abc", "holds a secret"),
        ("https://exämple.org/v1", "plain characters"),
        ("https://example.org/v1 x", "plain characters"),
        ("https://example.org\\@evil.org/v1", "plain characters"),
        ("https://example.org/" + "x" * 600, "plain characters"),
    ],
)
def test_an_address_that_cannot_be_right_says_what_to_write(typed: str, words: str) -> None:
    with pytest.raises(BadEndpoint, match=words) as raised:
        address.tidy(typed)
    assert "secret@" not in str(raised.value)
    assert "abc" not in str(raised.value)


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("http://127.0.0.1:8080/v1", "stays on this machine: the service at 127.0.0.1:8080 answers"),
        ("http://localhost/v1", "stays on this machine"),
        ("http://[::1]:8080/v1", "stays on this machine"),
        ("http://0.0.0.0:8000/v1", "stays on this machine"),
        ("https://example.org/v1", "are sent to example.org.$"),
        ("http://gpu-box:8000/v1", "are sent to gpu-box:8000. The connection is not encrypted."),
        ("https://localhost.example.org/v1", "are sent to localhost.example.org"),
        ("https://127.0.0.1.example.org/v1", "are sent to 127.0.0.1.example.org"),
        ("https://192.168.1.5/v1", "are sent to 192.168.1.5"),
    ],
)
def test_where_text_goes_is_said_in_plain_words(base: str, words: str) -> None:
    assert re.search(words, address.destination(base))


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.9", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"])  # fmt: skip
def test_private_addresses_are_known(ip: str) -> None:
    assert address.is_private(ip)


@pytest.mark.parametrize("ip", ["8.8.8.8", "172.32.0.1", "169.254.169.254", "0.0.0.0", "2001:db8::1", "::ffff:8.8.8.8", "x", ""])  # fmt: skip
def test_all_others_are_not_private(ip: str) -> None:
    assert not address.is_private(ip)


@pytest.mark.parametrize("base", ["https://8.8.8.8/v1", "http://127.0.0.1/v1", "http://192.168.1.5/v1", "http://nobody.invalid/v1"])  # fmt: skip
def test_a_key_may_go_where_nobody_else_hears_it(base: str) -> None:
    address.refuse_open_line(base)


def test_a_key_may_not_go_over_an_open_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadEndpoint, match="Use https://"):
        address.refuse_open_line("http://8.8.8.8/v1")
    both = [(0, 0, 0, "", ("10.0.0.1", 0)), (0, 0, 0, "", ("8.8.8.8", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)  # a name with a private and a public address
    with pytest.raises(BadEndpoint, match="Use https://"):
        address.refuse_open_line("http://gpu.example.org/v1")
