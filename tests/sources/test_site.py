"""Sites: what is read and what is not, what changes and goes, and looks that are ended at any moment."""

from __future__ import annotations

import errno
import io
import os
import socket

import pytest
from sqlalchemy import update

from core.errors import BadSource, NotFound
from core.services import Services
from core.sources.types import ItemState, Source, SourceState
from core.storage.tables import DocumentRow
from ingest.sources.keeper import Keeper
from ingest.sources.patience import Patience
from ingest.sources.site import SiteLook
from tests.sources.conftest import OWNER, Look, all_ready, an_hour_later, make_keeper, names
from tests.sources.pages import Page, Server, page, redirect


def add(live: Services, server: Server, path: str = "/", **wishes: object) -> Source:
    return live.sources.add_site(server.at(path), owner_id=OWNER, **wishes)  # type: ignore[arg-type]


def items(live: Services, source: Source) -> dict[str, tuple[str, str]]:
    found = live.sources.items(source.id, owner_id=OWNER)
    return {item.address.partition("//")[2].partition("/")[2]: (item.state.value, item.error) for item in found}


def test_one_page_is_read_and_its_links_are_not(live: Services, server: Server, look: Look) -> None:
    server.pages |= {"/": page("start", "/a"), "/a": page("a")}
    source = look(add(live, server, collection_id=live.documents.collection("Web", owner_id=OWNER)))
    assert (source.state, source.counts.known, source.counts.found) == (SourceState.done, 1, 1)
    assert names(live) == ["127.0.0.1.html"]
    assert live.documents.list_collections(owner_id=OWNER)[0].documents == 1
    assert server.paths() == ["/"]


def test_a_site_is_read_to_its_depth_and_within_its_path(live: Services, server: Server, look: Look) -> None:
    server.pages |= {
        "/docs/": page("start", "a.html", "b.html#part", "/other", "/docs-old/x", "http://169.254.169.254/docs/y"),
        "/docs/a.html": page("a", "deep.html", "b.html"),
        "/docs/b.html": page("b", "/docs/"),
        "/docs/deep.html": page("deep", "deeper.html"),
        "/docs/deeper.html": page("deeper"),
        "/other": page("other"),
    }
    source = look(add(live, server, "/docs/", depth=2, within="/docs"))
    assert server.paths() == ["/docs/", "/docs/a.html", "/docs/b.html", "/docs/deep.html"]
    assert names(live) == ["a.html", "b.html", "deep.html", "docs.html"]
    assert source.counts.found == 4


def test_pages_that_link_each_other_to_no_end_are_counted_and_stopped(live: Services, server: Server) -> None:
    live.sources.reach = server.reach
    server.pages |= {f"/{n}": page(f"page {n}", f"/{n + 1}", f"/{n + 2}", "/0") for n in range(40)}
    keeper = make_keeper(live, server, most_pages=10)
    source = add(live, server, "/0", depth=10)
    while keeper.turn_of_sites():
        pass
    found = live.sources.get(source.id, owner_id=OWNER)
    assert found.counts.known == 10
    assert "more than 10 pages" in found.error


def test_what_robots_may_not_read_is_not_asked(live: Services, server: Server, look: Look) -> None:
    server.pages |= {
        "/robots.txt": Page(b"User-agent: *\nDisallow: /secret", headers={"Content-Type": "text/plain"}),
        "/": page("start", "/secret/a", "/open"),
        "/open": redirect("/secret/b"),
    }
    source = look(add(live, server, depth=1))
    assert server.paths() == ["/", "/open"]
    found = items(live, source)
    assert found["secret/a"][0] == found["open"][0] == ItemState.refused
    assert "robots.txt" in found["secret/a"][1]
    assert names(live) == ["127.0.0.1.html"]


def test_one_page_under_several_addresses_is_one_document(live: Services, server: Server, look: Look) -> None:
    canonical = Page(b'<link rel="canonical" href="/page"><p>the page</p>')
    server.pages |= {
        "/": page("start", "/page?ref=1", "/page?ref=2", "/moved", "/page", "/page?utm_source=x"),
        "/page": canonical, "/page?ref=1": canonical, "/page?ref=2": canonical, "/moved": redirect("/page"),
    }  # fmt: skip
    source = look(add(live, server, depth=1))
    assert names(live) == ["127.0.0.1.html", "page.html"]
    assert source.counts.known == 2
    assert {path: state for path, (state, _) in items(live, source).items()} == {
        "": "in", "page": "in", "page?ref=1": "alias", "page?ref=2": "alias", "moved": "alias"
    }  # fmt: skip


def test_two_pages_that_call_each_other_canonical_do_not_get_lost(live: Services, server: Server, look: Look) -> None:
    server.pages |= {
        "/": page("start", "/p?a"),
        "/p?a": Page(b'<link rel="canonical" href="/p?b"><p>words</p>'),
        "/p?b": Page(b'<link rel="canonical" href="/p?a"><p>words</p>'),
    }
    source = look(add(live, server, depth=1))
    first = {document.id for document in live.documents.list_documents(owner_id=OWNER)}
    assert len(first) == 2
    look(source)
    assert {document.id for document in live.documents.list_documents(owner_id=OWNER)} == first


def test_an_unchanged_page_is_not_sent_again_and_its_links_are_still_followed(
    live: Services, server: Server, look: Look
) -> None:
    server.pages |= {"/": page("start", "/a"), "/a": page("a")}
    server.pages["/"].etag = '"1"'
    source = look(add(live, server, depth=1))
    before = live.documents.list_documents(owner_id=OWNER)
    server.pages["/a"] = page("a, but new")
    server.asked.clear()
    look(source)
    assert server.asked[0][1].get("if-none-match") == '"1"'
    assert server.paths() == ["/", "/a"]
    after = live.documents.list_documents(owner_id=OWNER)
    assert {d.id for d in before} & {d.id for d in after} == {d.id for d in before if d.name != "a.html"}


def test_a_page_that_is_never_sent_is_passed_over_and_the_others_are_read(
    live: Services, server: Server, look: Look
) -> None:
    server.pages |= {"/": page("start", "/stubborn", "/z"), "/stubborn": Page(status=304), "/z": page("z")}
    source = look(add(live, server, depth=1))
    assert (source.state, source.error) == (SourceState.done, "")
    assert names(live) == ["127.0.0.1.html", "z.html"]
    state, error = items(live, source)["stubborn"]
    assert state == ItemState.refused
    assert error.endswith("says that this page is unchanged, and does not send it.")
    assert server.paths().count("/stubborn") == 2


def test_a_changed_page_is_found_in_its_old_form_until_the_new_one_is_ready(
    live: Services, server: Server, keeper: Keeper, look: Look
) -> None:
    server.pages["/"] = page("old words")
    home = live.documents.collection("Web", owner_id=OWNER)
    source = look(add(live, server, collection_id=home))
    (old,) = live.documents.list_documents(owner_id=OWNER)
    own = live.documents.collection("Mine", owner_id=OWNER)
    live.documents.set_collections(old.id, [own], owner_id=OWNER)
    server.pages["/"] = page("new words")
    live.sources.look(source.id, owner_id=OWNER)
    while keeper.turn_of_sites():
        keeper.turn_of_folders()
    keeper.turn_of_folders()
    both = live.documents.list_documents(owner_id=OWNER)
    assert len(both) == 2
    all_ready(live)
    keeper.turn_of_folders()
    (new,) = live.documents.list_documents(owner_id=OWNER)
    assert new.id != old.id
    assert new.collection_ids == (own,)  # where somebody had put it, not where the source would
    assert list(live.files.stored()) == [new.sha256]


def test_a_changed_page_that_cannot_be_read_leaves_the_old_one(live: Services, server: Server, look: Look) -> None:
    server.pages["/"] = page("old words")
    source = look(add(live, server))
    (old,) = live.documents.list_documents(owner_id=OWNER)
    server.pages["/"] = page("x" * 2000)
    server.pages["/"].headers = {"Content-Type": "image/png"}
    found = look(source)
    assert [d.id for d in live.documents.list_documents(owner_id=OWNER)] == [old.id]
    assert "holds no text" in found.error


def test_a_page_that_is_gone_is_reported_and_removed_when_that_is_confirmed(
    live: Services, server: Server, look: Look
) -> None:
    server.pages |= {"/": page("start", "/a"), "/a": page("a")}
    source = look(add(live, server, depth=1))
    server.pages["/"] = page("start without a link")
    assert look(source).counts.found == 2  # no longer linked, but there
    del server.pages["/a"]
    found = look(source)
    assert (found.counts.gone, found.counts.known) == (1, 2)
    assert "a.html" in names(live)
    assert look(source).counts.gone == 1  # a minute later is no confirmation
    an_hour_later(live)
    server.pages["/a"] = page("a")
    assert look(source).counts.gone == 0  # it is back
    del server.pages["/a"]
    look(source)
    an_hour_later(live)
    assert look(source).counts.known == 1
    assert names(live) == ["127.0.0.1.html"]


def test_a_sign_in_in_front_of_a_site_removes_nothing_until_that_is_confirmed(
    live: Services, server: Server, look: Look
) -> None:
    server.pages |= {"/": page("start", "/a", "/b"), "/a": page("a"), "/b": page("b"), "/login": page("sign in")}
    source = look(add(live, server, depth=1))
    before = {document.id for document in live.documents.list_documents(owner_id=OWNER)}
    server.pages |= {"/a": redirect("/login"), "/b": redirect("/login")}
    for _ in range(2):
        found = look(source)
        assert (found.counts.gone, found.counts.found) == (2, 4)
        assert items(live, source)["a"] == ("gone", f"The site says that this page is {server.at('/login')} now.")
    assert before <= {document.id for document in live.documents.list_documents(owner_id=OWNER)}
    an_hour_later(live)
    server.pages["/a"] = page("a")
    look(source)
    assert items(live, source)["a"] == ("in", "")  # it was there all the time
    assert items(live, source)["b"] == ("alias", "")
    assert names(live) == ["127.0.0.1.html", "a.html", "login.html"]


def test_a_page_that_moved_to_where_nothing_can_be_read_stays(live: Services, server: Server, look: Look) -> None:
    server.pages |= {"/": page("start", "/a"), "/a": page("a")}
    source = look(add(live, server, depth=1))
    server.pages |= {"/a": redirect("/b"), "/b": Page()}  # which is empty
    for _ in range(3):
        look(source)
        an_hour_later(live)
    assert "a.html" in names(live)


def test_a_page_that_moved_goes_into_the_collection_of_its_source(live: Services, server: Server, look: Look) -> None:
    home = live.documents.collection("Web", owner_id=OWNER)
    server.pages |= {"/": page("start", "/a"), "/a": page("a")}
    source = look(add(live, server, depth=1, collection_id=home))
    server.pages |= {"/a": redirect("/b"), "/b": page("a, at another place")}
    look(source)
    (moved,) = live.documents.list_documents(owner_id=OWNER, search="b.html")
    assert moved.collection_ids == (home,)


def test_a_page_that_names_another_as_its_own_is_kept_up_to_date_until_that_one_is_found(
    live: Services, server: Server, look: Look
) -> None:
    server.pages |= {"/": page("start", "/p?x"), "/p?x": page("the page")}
    source = look(add(live, server, depth=1))
    server.pages |= {"/p?x": Page(b'<link rel="canonical" href="/p"><p>the page, changed</p>'), "/p": Page(status=500)}
    look(source)
    assert items(live, source)["p?x"] == ("in", "")
    (kept,) = live.documents.list_documents(owner_id=OWNER, search="p.html")
    assert b"changed" in live.documents.content(kept.id, owner_id=OWNER)[1]
    server.pages["/p"] = page("the page under its own address")
    look(source)  # reads it
    assert look(source).counts.gone == 1
    assert len(live.documents.list_documents(owner_id=OWNER, search="p.html")) == 2
    an_hour_later(live)
    look(source)
    assert items(live, source)["p?x"] == ("alias", "")
    assert len(live.documents.list_documents(owner_id=OWNER, search="p.html")) == 1


@pytest.mark.parametrize("status", [500, 502, 401, 403])
def test_errors_of_a_server_remove_nothing(live: Services, server: Server, look: Look, status: int) -> None:
    server.pages |= {"/": page("start", "/a"), "/a": page("a")}
    source = look(add(live, server, depth=1))
    server.pages["/a"] = Page(status=status)
    for _ in range(2):
        found = look(source)
        an_hour_later(live)
    assert (found.counts.found, found.counts.gone) == (2, 0)
    assert items(live, source)["a"][1]


def test_a_server_that_does_not_answer_ends_the_look_and_removes_nothing(
    live: Services, server: Server, look: Look
) -> None:
    server.pages |= {"/": page("start", "/a"), "/a": page("a")}
    source = look(add(live, server, depth=1, interval_minutes=60))
    server.__exit__()
    found = look(source)
    assert found.state == SourceState.failed
    assert "does not answer" in found.error
    assert found.next_at is not None  # it is tried again
    assert found.counts.found == 2


def test_a_server_that_asks_for_patience_gets_it(live: Services, server: Server) -> None:
    live.sources.reach = server.reach
    server.pages |= {"/": page("start", "/a"), "/a": Page(status=429, headers={"Retry-After": "7"})}
    keeper = make_keeper(live, server)
    source = add(live, server, depth=1)
    keeper.turn_of_sites()
    assert keeper.sites.step(source.id, lambda: False).wait == 7
    server.pages["/a"] = page("a")
    keeper.sites.step(source.id, lambda: False)
    assert names(live) == ["127.0.0.1.html", "a.html"]


def test_a_site_that_moves_to_another_host_is_not_replaced_by_it(live: Services, server: Server, look: Look) -> None:
    server.pages |= {"/": page("start", "/a"), "/a": page("a")}
    source = look(add(live, server, depth=1))
    with Server({"/": page("for sale")}) as other:
        fetcher_reach = {("127.0.0.1", server.port), ("127.0.0.1", other.port)}
        keeper = make_keeper(live, server)
        keeper.sites.fetcher.reach = type(server.reach)(exempt=frozenset(fetcher_reach))
        server.pages["/"] = redirect(other.at())
        live.sources.look(source.id, owner_id=OWNER)
        while keeper.turn_of_sites():
            pass
    found = live.sources.get(source.id, owner_id=OWNER)
    assert "not part of what is to be read" in found.error
    assert found.counts.found == 2


def test_a_start_page_may_lead_to_where_the_site_is(live: Services, server: Server, look: Look) -> None:
    server.pages |= {"/": redirect("/home/"), "/home/": page("home", "a"), "/home/a": page("a")}
    source = look(add(live, server, depth=1))
    assert names(live) == ["a.html", "home.html"]
    assert look(source).counts.found == 2


def test_a_killed_look_goes_on_where_it_was(live: Services, server: Server, keeper: Keeper) -> None:
    server.pages |= {"/": page("start", *[f"/{n}" for n in range(8)])}
    server.pages |= {f"/{n}": page(f"page {n}") for n in range(8)}
    source = add(live, server, depth=1)
    for _ in range(4):
        keeper.turn_of_sites()
    half = live.sources.get(source.id, owner_id=OWNER)
    assert (half.state, half.done, half.total) == (SourceState.looking, 4, 9)
    following = make_keeper(live, server)  # nothing of the first one is left but what is in the database
    while following.turn_of_sites():
        pass
    assert server.paths() == ["/", *[f"/{n}" for n in range(8)]]  # each page once
    assert live.sources.get(source.id, owner_id=OWNER).counts.busy == 9


def test_a_look_that_ended_between_storing_a_page_and_noting_its_links_loses_neither(
    live: Services, server: Server, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages |= {"/": page("start", "/a"), "/a": page("a")}
    source = add(live, server, depth=1)

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SiteLook, "_seen", power_cut)
        with pytest.raises(KeyboardInterrupt):
            keeper.turn_of_sites()
    while keeper.turn_of_sites():
        pass
    assert names(live) == ["127.0.0.1.html", "a.html"]
    assert live.sources.get(source.id, owner_id=OWNER).counts.busy == 2


def test_a_look_can_be_paused_gone_on_with_and_cancelled(live: Services, server: Server, keeper: Keeper) -> None:
    server.pages |= {"/": page("start", *[f"/{n}" for n in range(5)])} | {f"/{n}": page(f"{n}") for n in range(5)}
    source = add(live, server, depth=1)
    keeper.turn_of_sites()
    assert live.sources.pause(source.id, owner_id=OWNER).state == SourceState.paused
    assert not keeper.turn_of_sites()
    assert server.paths() == ["/"]
    live.sources.resume(source.id, owner_id=OWNER)
    keeper.turn_of_sites()
    cancelled = live.sources.cancel(source.id, owner_id=OWNER)
    assert (cancelled.state, cancelled.counts.known) == (SourceState.done, 2)
    assert not keeper.turn_of_sites()


@pytest.mark.parametrize("remove", [False, True])
def test_a_first_look_that_is_ended_while_its_page_comes_is_not_begun_again(
    live: Services, server: Server, keeper: Keeper, remove: bool
) -> None:
    source = add(live, server, depth=1)

    def ended_meanwhile(connection: socket.socket) -> None:
        if remove:
            live.sources.remove(source.id, owner_id=OWNER, with_documents=True)
        else:
            live.sources.cancel(source.id, owner_id=OWNER)
        body = b'<a href="/a">a</a>'
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + body)

    server.pages["/"] = Page(raw=ended_meanwhile)
    for _ in range(3):
        keeper.turn_of_sites()
    assert server.paths() == ["/"]
    assert names(live) == []
    if not remove:
        found = live.sources.get(source.id, owner_id=OWNER)
        assert (found.state, found.error, found.next_at, found.counts.known) == (SourceState.done, "", None, 0)


def test_a_first_look_that_is_cancelled_while_its_server_is_silent_stays_so(
    live: Services, server: Server, keeper: Keeper
) -> None:
    source = add(live, server)
    server.pages["/"] = Page(raw=lambda _: live.sources.cancel(source.id, owner_id=OWNER) and None)
    keeper.turn_of_sites()
    found = live.sources.get(source.id, owner_id=OWNER)
    assert (found.state, found.error, found.next_at) == (SourceState.done, "", None)


def test_a_document_that_somebody_deleted_stays_away_until_the_page_changes(
    live: Services, server: Server, look: Look
) -> None:
    server.pages["/"] = page("words")
    source = look(add(live, server))
    (document,) = live.documents.list_documents(owner_id=OWNER)
    live.documents.delete(document.id, owner_id=OWNER)
    assert look(source).counts.deleted == 1
    assert names(live) == []
    server.pages["/"] = page("other words")
    look(source)
    assert names(live) == ["127.0.0.1.html"]


def test_removing_a_source_takes_its_documents_along_or_leaves_them(
    live: Services, server: Server, keeper: Keeper, look: Look
) -> None:
    server.pages |= {"/": page("start"), "/kept": page("kept"), "/both": page("both")}
    for path in ("/", "/kept", "/both"):
        look(add(live, server, path))
    live.documents.add(io.BytesIO(server.pages["/both"].body), name="mine.html", owner_id=OWNER)  # by hand too
    for source in live.sources.list_sources(owner_id=OWNER):
        live.sources.remove(source.id, owner_id=OWNER, with_documents=not source.address.endswith("/kept"))
    keeper.turn_of_folders()
    assert names(live) == ["both.html", "kept.html"]
    assert live.sources.list_sources(owner_id=OWNER) == []


@pytest.mark.parametrize("status", ["failed", "queued"])
def test_removing_a_source_leaves_the_old_document_where_the_new_one_cannot_be_found(
    live: Services, server: Server, keeper: Keeper, look: Look, status: str
) -> None:
    source, old = half_replaced(live, server, keeper, look, status)
    live.sources.remove(source.id, owner_id=OWNER, with_documents=False)
    keeper.turn_of_folders()
    kept = {document.id for document in live.documents.list_documents(owner_id=OWNER)}
    assert old in kept
    assert len(kept) == 2


def test_the_old_document_is_back_when_somebody_deletes_the_new_one_that_could_not_be_read(
    live: Services, server: Server, keeper: Keeper, look: Look
) -> None:
    source, old = half_replaced(live, server, keeper, look, "failed")
    (new,) = [d.id for d in live.documents.list_documents(owner_id=OWNER) if d.id != old]
    live.documents.delete(new, owner_id=OWNER)
    keeper.turn_of_folders()
    assert [d.id for d in live.documents.list_documents(owner_id=OWNER)] == [old]
    assert live.sources.get(source.id, owner_id=OWNER).counts.found == 1
    server.pages["/"] = page("newest words")
    look(source)
    (newest,) = live.documents.list_documents(owner_id=OWNER)
    assert newest.id not in (old, new)


def half_replaced(live: Services, server: Server, keeper: Keeper, look: Look, status: str) -> tuple[Source, str]:
    """A site of one page that has changed, with the document of the old state; that of the new one has this status."""
    server.pages["/"] = page("old words")
    source = look(add(live, server))
    (old,) = live.documents.list_documents(owner_id=OWNER)
    server.pages["/"] = page("new words")
    live.sources.look(source.id, owner_id=OWNER)
    while keeper.turn_of_sites():
        pass
    with live.db.write() as session:
        session.execute(update(DocumentRow).where(DocumentRow.id != old.id).values(status=status))
    return source, old.id


def test_smaller_wishes_drop_the_pages_that_are_no_longer_wanted(live: Services, server: Server, look: Look) -> None:
    server.pages |= {
        "/": page("start", "/a/x", "/b/y"),
        "/a/x": page("x", "/a/z"),
        "/b/y": page("y"),
        "/a/z": page("z"),
    }
    source = look(add(live, server, depth=2))
    assert len(names(live)) == 4
    live.sources.change(source.id, owner_id=OWNER, depth=1)
    look(source)
    assert names(live) == ["127.0.0.1.html", "x.html", "y.html"]


def test_adding_an_address_again_changes_it_and_looks_again(live: Services, server: Server, look: Look) -> None:
    server.pages |= {"/": page("start", "/a"), "/a": page("a")}
    first = look(add(live, server))
    second = add(live, server, depth=1)
    assert (first.id, second.state) == (second.id, SourceState.waiting)
    assert look(second).counts.found == 2


def test_addresses_that_will_never_be_read_are_refused_at_once(live: Services) -> None:
    for address in (
        "http://127.0.0.1/",
        "http://localhost/",
        "http://10.0.0.1/",
        "https://example.org:22/",
        "ftp://x/",
        "",
    ):
        with pytest.raises(BadSource):
            live.sources.add_site(address, owner_id=OWNER)
    for wishes in ({"depth": 11}, {"depth": -1}, {"interval_minutes": 1}, {"within": "/docs"}):
        with pytest.raises(BadSource):
            live.sources.add_site("https://example.org/", owner_id=OWNER, **wishes)  # type: ignore[arg-type]
    assert live.sources.list_sources(owner_id=OWNER) == []


def test_sources_of_somebody_else_do_not_exist(live: Services) -> None:
    source = live.sources.add_site("example.org", owner_id=OWNER)
    assert source.address == "https://example.org/"
    for call in (live.sources.get, live.sources.look, live.sources.pause, live.sources.cancel, live.sources.items):
        with pytest.raises(NotFound):
            call(source.id, owner_id="somebody")
    with pytest.raises(NotFound):
        live.sources.remove(source.id, owner_id="somebody", with_documents=True)
    with pytest.raises(NotFound):
        live.sources.add_site("example.org", owner_id=OWNER, collection_id="unknown")


def test_a_site_whose_pages_do_not_fit_waits_and_says_so(
    live: Services, server: Server, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages |= {"/large": page("large"), "/small": page("small")}
    first, second = add(live, server, "/large"), add(live, server, "/small")
    write_file = live.files._write

    def full(source: object, draft: object, name: str, limit: int) -> object:
        if name == "large.html":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_file(source, draft, name, limit)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(keeper.documents.files, "_write", full)
        for _ in range(5):
            keeper.turn_of_sites()
    assert server.paths() == ["/large", "/small"]  # it is not fetched again and again
    assert live.sources.get(second.id, owner_id=OWNER).state == SourceState.done
    waiting = live.sources.get(first.id, owner_id=OWNER)
    assert (waiting.state, "is full" in waiting.error) == (SourceState.looking, True)
    monkeypatch.setattr(Patience, "waits", lambda *_: False)
    while keeper.turn_of_sites():
        pass
    assert names(live) == ["large.html", "small.html"]
    assert live.sources.get(first.id, owner_id=OWNER).error == ""


def test_a_fault_of_ours_with_one_site_does_not_stop_the_others(
    live: Services, server: Server, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.pages |= {"/bad": page("bad"), "/good": page("good")}
    bad, good = add(live, server, "/bad"), add(live, server, "/good")
    step = SiteLook.step

    def faulty(self: SiteLook, source_id: str, ended: object) -> object:
        if source_id == bad.id:
            raise ZeroDivisionError
        return step(self, source_id, ended)  # type: ignore[arg-type]

    monkeypatch.setattr(SiteLook, "step", faulty)
    while keeper.turn_of_sites():
        pass
    failed = live.sources.get(bad.id, owner_id=OWNER)
    assert failed.state == SourceState.failed
    assert failed.error.split()[-1].strip(".") in caplog.text
    assert live.sources.get(good.id, owner_id=OWNER).state == SourceState.done
    assert names(live) == ["good.html"]
