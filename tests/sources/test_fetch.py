"""Fetching from servers that misbehave: every limit, and every address on the way."""

from __future__ import annotations

import errno
import gzip
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from core.errors import BadSource, Cancelled, SourceUnreachable, StorageError, StorageFull
from core.sources.reach import Reach
from ingest.sources.fetch import Fetcher, Limits
from ingest.sources.links import read_links
from ingest.sources.robots import Robots
from tests.sources.pages import Page, Server, endless, endless_head, loris, page, redirect, silent

MEGABYTE = 1 << 20


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def fetcher(server: Server, **limits: float) -> Fetcher:
    return Fetcher(server.reach, Limits(most_bytes=MEGABYTE, **{"seconds": 5.0, **limits}))  # type: ignore[arg-type]


def test_a_page_comes_with_what_is_needed_to_ask_again(server: Server) -> None:
    server.pages["/"] = Page(b"<p>Hello</p>", etag='"v1"', headers={"Last-Modified": "Fri, 27 Nov 2026 10:00:00 GMT"})
    came = fetcher(server).fetch(server.at())
    assert came.body is not None
    with came.body:
        assert came.body.read() == b"<p>Hello</p>"
    assert (came.status, came.media_type, came.etag, came.modified[:6]) == (200, "text/html", '"v1"', "Fri, 2")
    again = fetcher(server).fetch(server.at(), etag=came.etag)
    assert (again.status, again.body) == (304, None)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
@pytest.mark.parametrize("size", [100, 900_000])  # less than is written at once, and more
def test_a_disk_of_ours_that_is_full_is_not_put_down_to_the_host(
    server: Server, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(open, "/dev/full", "r+b"))
    server.pages["/"] = Page(b"x" * size)
    with pytest.raises(StorageFull, match="is full. Free some space"):
        fetcher(server).fetch(server.at())


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EROFS, "cannot be written to. Check its owner"), (errno.EMFILE, "too many open files")]
)
def test_a_page_that_has_no_place_here_is_not_put_down_to_the_host(
    server: Server, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def refusing() -> object:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "TemporaryFile", refusing)
    server.pages["/"] = Page(b"x")
    with pytest.raises(StorageError, match=words):
        fetcher(server).fetch(server.at())


def test_the_server_hears_who_asks_and_no_secret(server: Server) -> None:
    server.pages["/"] = Page(b"x", headers={"Set-Cookie": "a=b"})
    for _ in range(2):
        came = fetcher(server).fetch(server.at())
        assert came.body is not None
        came.body.close()
    headers = server.asked[1][1]
    assert headers["user-agent"].startswith("groundwork/")
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert not {"cookie", "authorization", "referer"} & set(headers)


def test_proxies_of_the_environment_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.pages["/"] = page("direct")
    came = fetcher(server).fetch(server.at())
    assert came.status == 200
    assert came.body is not None
    came.body.close()


def test_without_an_exemption_this_machine_is_not_asked(server: Server) -> None:
    for address in (server.at(), f"http://localhost:{server.port}/", f"http://[::ffff:127.0.0.1]:{server.port}/"):
        with pytest.raises(BadSource):
            Fetcher(Reach()).fetch(address)
    assert not server.asked


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1/", "http://127.0.0.1:8501/", "http://169.254.169.254/latest/meta-data/", "http://localhost/",
     "http://[::1]/", "http://10.0.0.1/", "http://0.0.0.0/", "http://[::ffff:169.254.169.254]/", "http://2130706433/",
     "http://0x7f.1/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "http://user:x@127.0.0.1/"],
)  # fmt: skip
def test_a_redirect_is_checked_like_a_first_address(server: Server, target: str) -> None:
    server.pages["/"] = redirect(target)
    with pytest.raises(BadSource):
        fetcher(server).fetch(server.at())
    assert server.paths() == ["/"]


def test_a_name_that_means_a_forbidden_address_is_refused_also_after_it_meant_another(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1"])  # what the resolver says at each look-up: DNS rebinding
    connected: list[str] = []

    def resolver(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(address: tuple[str, int], *rest: object, **more: object) -> socket.socket:
        connected.append(address[0])
        line = socket.socket()
        line.bind(("127.0.0.2", 0))  # as from another machine
        line.connect(("127.0.0.1", server.port))
        return line

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setattr(socket, "create_connection", connect)
    server.pages["/"] = page("hello")
    came = Fetcher(Reach()).fetch("http://rebinding.example/")
    assert came.body is not None
    came.body.close()
    assert connected == ["93.184.216.34"]  # the address that was checked, not the name again
    assert server.asked[0][1]["host"] == "rebinding.example"
    with pytest.raises(BadSource, match="this machine"):
        Fetcher(Reach()).fetch("http://rebinding.example/")
    assert connected == ["93.184.216.34"]


def test_another_address_of_this_machine_is_this_machine() -> None:
    own = own_address()
    if own is None:
        pytest.skip("this machine has no address but 127.0.0.1")
    asked: list[bytes] = []

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            asked.append(connection.recv(1000))

    with socket.create_server((own, 0), family=socket.AF_INET6 if ":" in own else socket.AF_INET) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        reach = Reach(private=True, exempt=frozenset({("192.0.2.1", port)}))  # which lets the port through
        with pytest.raises(BadSource, match="this machine itself"):
            Fetcher(reach).fetch(f"http://[{own}]:{port}/" if ":" in own else f"http://{own}:{port}/")
        thread.join(10)
    assert asked == [b""]  # not a word was said


def own_address() -> str | None:
    """An address of this machine that only being its own speaks against; nothing is sent to find it out."""
    for family, far in ((socket.AF_INET, "198.41.0.4"), (socket.AF_INET6, "2001:503:ba3e::2:30")):
        with suppress(OSError, BadSource), socket.socket(family, socket.SOCK_DGRAM) as line:
            line.connect((far, 9))
            found = str(line.getsockname()[0])
            Reach(private=True).check("own", found, 80)
            return found
    return None


def test_a_name_with_one_forbidden_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ["93.184.216.34", "10.0.0.1"]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, port, **_: [(socket.AF_INET, 1, 6, "", (ip, port)) for ip in both]
    )
    with pytest.raises(BadSource, match="private network"):
        Fetcher(Reach()).fetch("http://both.example/")


def test_a_circle_of_redirects_ends(server: Server) -> None:
    server.pages |= {"/a": redirect("/b"), "/b": redirect("/a")}
    with pytest.raises(BadSource, match="circle"):
        fetcher(server).fetch(server.at("/a"))
    assert len(server.asked) == 6


def test_a_page_without_an_end_is_cut_off(server: Server) -> None:
    server.pages["/"] = Page(raw=endless)
    with pytest.raises(BadSource, match="larger than 1 MB"):
        fetcher(server).fetch(server.at())


def test_a_page_that_says_it_is_too_large_is_not_begun(server: Server) -> None:
    server.pages["/"] = Page(b"short", headers={"Content-Length": str(10 << 30)})
    with pytest.raises(BadSource, match="larger than"):
        fetcher(server).fetch(server.at())


def test_a_bomb_is_put_out_at_the_limit(server: Server) -> None:
    bomb = gzip.compress(bytes(300 << 20), 9)
    assert len(bomb) < MEGABYTE
    server.pages["/"] = Page(bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(BadSource, match="larger than 1 MB"):
        fetcher(server).fetch(server.at())


def test_compressed_pages_are_unpacked_and_broken_ones_are_told(server: Server) -> None:
    packed = gzip.compress(b"<p>words</p>" * 1000)
    server.pages["/"] = Page(packed, headers={"Content-Encoding": "gzip"})
    came = fetcher(server).fetch(server.at())
    assert came.body is not None
    with came.body:
        assert came.body.read() == b"<p>words</p>" * 1000
    for body, encoding in ((packed[:-9], "gzip"), (b"no gzip", "gzip")):
        server.pages["/"] = Page(body, headers={"Content-Encoding": encoding})
        with pytest.raises(SourceUnreachable, match="damaged"):
            fetcher(server).fetch(server.at())
    server.pages["/"] = Page(packed, headers={"Content-Encoding": "br"})
    with pytest.raises(BadSource, match="packed"):
        fetcher(server).fetch(server.at())


def test_a_slow_server_is_left_at_the_end_of_the_time(server: Server) -> None:
    for behaviour in (loris, silent):
        server.pages["/"] = Page(raw=behaviour)
        with pytest.raises(SourceUnreachable, match="too slow"):
            fetcher(server, seconds=1.0).fetch(server.at())


def test_headers_without_an_end_are_refused(server: Server) -> None:
    server.pages["/"] = Page(raw=endless_head)
    with pytest.raises(SourceUnreachable):
        fetcher(server).fetch(server.at())


def test_nonsense_and_nobody_are_told_in_a_sentence(server: Server) -> None:
    server.pages["/"] = Page(raw=lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9\r\n"))
    with pytest.raises(SourceUnreachable, match="broke off"):
        fetcher(server).fetch(server.at())
    server.__exit__()
    with pytest.raises(SourceUnreachable, match="does not answer"):
        fetcher(server).fetch(server.at())


def test_pictures_and_films_are_not_fetched(server: Server) -> None:
    for kind in ("image/png", "video/mp4", "text/css", "application/javascript", "font/woff2"):
        server.pages["/"] = Page(b"x", headers={"Content-Type": kind})
        with pytest.raises(BadSource, match="no text"):
            fetcher(server).fetch(server.at())


def test_a_fetch_can_be_ended_in_the_middle(server: Server) -> None:
    server.pages["/"] = Page(raw=loris)
    until = time.monotonic() + 0.5
    with pytest.raises(Cancelled):
        fetcher(server, seconds=60.0).fetch(server.at(), ended=lambda: time.monotonic() > until)


def test_robots_are_obeyed_by_the_longest_rule_and_our_name(server: Server) -> None:
    rules = b"User-agent: *\nDisallow: /\n\nUser-agent: Groundwork\nDisallow: /private\nAllow: /private/open\nCrawl-delay: 3\n"
    server.pages["/robots.txt"] = Page(rules, headers={"Content-Type": "text/plain"})
    robots = Robots(fetcher(server))
    for path in ("/", "/private/open/page"):
        robots.check(server.at(path))
    with pytest.raises(BadSource, match=r"robots\.txt"):
        robots.check(server.at("/private/page"))
    assert robots.delay_of(server.at("/")) == 3.0
    assert len(server.asked) == 1


def test_no_robots_means_yes_and_a_broken_one_means_later(server: Server) -> None:
    Robots(fetcher(server)).check(server.at("/page"))
    server.pages["/robots.txt"] = Page(status=503)
    with pytest.raises(SourceUnreachable):
        Robots(fetcher(server)).check(server.at("/page"))
    server.pages["/robots.txt"] = redirect("http://169.254.169.254/")
    with pytest.raises(BadSource):
        Robots(fetcher(server)).check(server.at("/page"))


def test_links_are_found_where_a_browser_finds_them() -> None:
    html = b"""<base href="/docs/"><link rel='canonical' href='https://example.org/docs/home'>
      <a href="a.html#x">1</a> <A class=b HREF=b.html>2</A> <area href='../c?x=1&amp;y=2'> <a href="a.html">again</a>
      <!-- <a href="no1"> --> <script>"<a href='no2'>"</script> <a rel="nofollow" href="no3"> <a href="mailto:x@y">
      <a data-x="1" href="d.html" >4</a><a>none</a>"""
    found = read_links(html, "https://example.org/start?q")
    base = "https://example.org/"
    assert found.links == (base + "docs/a.html", base + "docs/b.html", base + "c?x=1&y=2", base + "docs/d.html")
    assert found.canonical == base + "docs/home"
    assert read_links(b'<meta name="robots" content="noindex, nofollow"><a href="x">', base).links == ()


@pytest.mark.parametrize("piece", [b"<a ", b"<a href='", b"<!--", b"<script>", b"<a href=x ", b"<a x=\"' ", b"<base "])
def test_no_page_makes_the_search_for_links_slow(piece: bytes) -> None:
    began = time.process_time()
    read_links(piece * ((4 << 20) // len(piece)), "https://example.org/")
    assert time.process_time() - began < 20  # a guard against hanging, far from what it takes: below a second
