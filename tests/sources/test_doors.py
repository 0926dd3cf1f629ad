"""Sources from REST and from the shell."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from core.api import app as api
from core.services import Services
from core.sources.reach import Reach
from ingest.__main__ import main
from tests.sources.conftest import names
from tests.sources.pages import Server, page


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def http(live: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=[Mount("/api/v1", app=api.rest())]))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8501/api/v1") as client:
        yield client


@pytest.mark.anyio
async def test_a_site_goes_in_by_rest_and_can_be_changed_and_removed(http: httpx.AsyncClient) -> None:
    wanted = {"address": "example.org/docs/", "depth": 2, "within": "docs", "collection": "Web"}
    reply = await http.post("/sources", json=wanted)
    assert reply.status_code == 202
    source = reply.json()
    assert (source["address"], source["within"], source["state"]) == ("https://example.org/docs/", "/docs", "waiting")
    assert source["collection"] == "Web"
    at = f"/sources/{source['id']}"
    changed = await http.patch(at, json={"interval_minutes": 60, "paused": True})
    assert (changed.json()["interval_minutes"], changed.json()["state"]) == (60, "paused")
    assert (await http.post(at + "/look")).json()["state"] == "waiting"
    assert (await http.post(at + "/cancel")).json()["state"] == "followed"
    assert (await http.get(at + "/items", params={"state": ["refused", "gone"]})).json() == {"items": []}
    assert [s["id"] for s in (await http.get("/sources")).json()["sources"]] == [source["id"]]
    assert (await http.delete(at, params={"documents": True})).status_code == 204
    assert (await http.get(at)).status_code == 404


@pytest.mark.anyio
async def test_an_address_is_a_document_too(http: httpx.AsyncClient) -> None:
    reply = await http.post("/documents", data={"address": "https://example.org/page", "collection": "Web"})
    assert reply.status_code == 202
    assert reply.json()["documents"] == []
    assert reply.json()["source"]["address"] == "https://example.org/page"
    empty = await http.post("/documents", data={"collection": "Web"})
    assert (empty.status_code, empty.json()["error"]["code"]) == (422, "bad_upload")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body",
    [
        {"address": "http://127.0.0.1:8501/api/v1/documents"},
        {"address": "http://169.254.169.254/"},
        {"address": "file:///etc/passwd"},
        {"folder": "/etc/passwd"},
        {"folder": "relative"},
        {"address": "example.org", "folder": "/tmp"},
        {"address": "example.org", "depth": 99},
        {"address": "example.org", "unknown": 1},
        {},
    ],
)
async def test_what_is_not_read_is_refused_with_a_sentence(http: httpx.AsyncClient, body: dict[str, object]) -> None:
    reply = await http.post("/sources", json=body)
    assert reply.status_code == 422
    assert len(reply.json()["error"]["message"]) > 20
    assert (await http.get("/sources")).json() == {"sources": []}


@pytest.mark.anyio
async def test_a_folder_goes_in_by_rest(http: httpx.AsyncClient, tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    source = (await http.post("/sources", json={"folder": str(folder)})).json()
    assert (source["kind"], source["address"]) == ("folder", str(folder))
    refused = await http.patch(f"/sources/{source['id']}", json={"depth": 1})
    assert refused.status_code == 422


def test_a_folder_is_watched_from_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "a.md").write_text("words")
    assert main(["watch", str(folder), "--collection", "Work", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["collection"] == "Work"
    assert "does not run now" in said.err
    assert main(["sources", "look", str(folder), "--wait"]) == 0
    capsys.readouterr()
    assert main(["sources", "list", "--json"]) == 0
    (source,) = json.loads(capsys.readouterr().out)
    assert (source["kind"], source["state"]) == ("folder", "followed")
    assert main(["sources", "remove", source["id"], "--documents"]) == 0
    assert main(["sources", "list"]) == 0
    assert main(["sources", "remove", "unknown"]) == 1


def test_a_page_is_read_from_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["add", "http://127.0.0.1:1/", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "bad_source"
    assert main(["add", "https://example.org/docs/", "--depth", "2", "--within", "/docs", "--json"]) == 0
    said = capsys.readouterr()
    (outcome,) = json.loads(said.out)
    assert (outcome["path"], outcome["status"]) == ("https://example.org/docs/", "waiting")
    assert "does not run now" in said.err
    assert main(["sources", "cancel", "https://example.org/docs/"]) == 0
    assert "done  https://example.org/docs/" in capsys.readouterr().out


def test_waiting_for_a_page_looks_in_this_process(
    live: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server({"/": page("start", "/a"), "/a": page("a")}) as server:
        monkeypatch.setattr(Reach, "check", lambda *_: None)  # only the shell has no other way to let a test server in
        monkeypatch.setattr(Reach, "check_port", lambda *_: None)
        monkeypatch.setattr(Reach, "check_ends", lambda *_: None)
        monkeypatch.setattr("ingest.sources.robots.DELAY_SECONDS", 0.0)
        live.sources.add_site(server.at(), owner_id="local", depth=1)
        assert main(["sources", "look", server.at(), "--wait", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["counts"]["busy"] == 2
        assert main(["sources", "items", server.at()]) == 0
        assert f"in  {server.at('/a')}" in capsys.readouterr().out
    assert names(live) == ["127.0.0.1.html", "a.html"]
