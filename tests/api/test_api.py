"""REST and the OpenAI protocol, over ASGI, with the real services below."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from core.api import app as api
from core.api import chat, health
from core.api.web import BodyLimit, LocalOnly, SecureHeaders
from core.errors import ModelBusy
from core.readers import without_disk, without_network
from core.services import Services
from core.storage.tables import ConversationRow
from core.types import GenerationChunk
from tests.small import SmallClient

Add = Callable[..., str]
TEXT = "The warranty lasts 24 months.\n\nThe battery weighs 3 kg."
ASK = {"messages": [{"role": "user", "content": "How long is the warranty?"}]}


POST = {
    "type": "http", "method": "POST", "path": "/chat/completions", "raw_path": b"/chat/completions",
    "query_string": b"", "headers": [(b"content-type", b"application/json")], "http_version": "1.1",
}  # fmt: skip


def posted(body: object, then: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """What an application receives: the body, and then what happens to the connection."""
    messages = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await then()

    return receive


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def http(live: Services) -> AsyncIterator[httpx.AsyncClient]:
    application = Starlette(
        routes=[
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Mount("/api/v1", app=api.rest()),
            Mount("/v1", app=api.openai()),
        ],
        middleware=[Middleware(SecureHeaders), Middleware(LocalOnly)],
    )
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8501") as client:
        yield client


pytestmark = pytest.mark.anyio


async def test_a_document_goes_in_and_its_job_can_be_followed(http: httpx.AsyncClient) -> None:
    reply = await http.post(
        "/api/v1/documents",
        files=[("files", ("a.txt", b"Hello.")), ("files", ("b.txt", b"World."))],
        data={"collection": "Home"},
    )
    assert reply.status_code == 202
    first, second = reply.json()["documents"]
    assert (first["name"], first["duplicate"], second["name"]) == ("a.txt", False, "b.txt")
    job = (await http.get(f"/api/v1/jobs/{first['job_id']}")).json()
    assert (job["status"], job["document_name"]) == ("queued", "a.txt")
    listed = (await http.get("/api/v1/documents", params={"search": "b.t"})).json()["documents"]
    assert [d["name"] for d in listed] == ["b.txt"]
    assert (await http.get("/api/v1/collections")).json()["collections"][0]["documents"] == 2
    cancelled = await http.delete(f"/api/v1/jobs/{first['job_id']}")
    assert cancelled.json()["status"] == "cancelled"
    assert (await http.delete(f"/api/v1/documents/{first['id']}")).status_code == 204
    assert (await http.get(f"/api/v1/documents/{first['id']}")).status_code == 404


async def test_an_answer_carries_its_citations(http: httpx.AsyncClient, add_text: Add) -> None:
    add_text(TEXT, name="manual.md")
    body = (await http.post("/v1/chat/completions", json=ASK)).json()
    assert body["choices"][0]["message"]["content"] == "The warranty lasts 24 months. [1]"
    (citation,) = body["citations"]
    text = (await http.get(f"/api/v1/documents/{citation['document_id']}/text")).json()["text"]
    assert text[citation["start"] : citation["end"]] == citation["quote"] == "The warranty lasts 24 months."
    assert body["ai_generated"] is True
    assert body["usage"]["completion_tokens"] > 0


async def test_half_a_character_in_a_question_is_left_out(http: httpx.AsyncClient, add_text: Add) -> None:
    add_text(TEXT)
    half = json.dumps({"messages": [{"role": "user", "content": "How long is the warranty\ud800?"}]})
    reply = await http.post("/v1/chat/completions", content=half, headers={"Content-Type": "application/json"})
    assert reply.json()["choices"][0]["message"]["content"] == "The warranty lasts 24 months. [1]"


async def test_an_answer_streams_in_the_openai_protocol(http: httpx.AsyncClient, add_text: Add) -> None:
    add_text(TEXT)
    async with http.stream("POST", "/v1/chat/completions", json=ASK | {"stream": True}) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in reply.aiter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line[6:]) for line in lines[:-1]]
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
    assert text.strip() == "The warranty lasts 24 months. [1]"
    assert next(c for c in chunks if "citations" in c)["citations"][0]["number"] == 1
    assert chunks[-1]["usage"]["prompt_tokens"] > 0


async def test_a_collection_narrows_the_question(http: httpx.AsyncClient, add_text: Add) -> None:
    add_text(TEXT, name="a.md", collection="One")
    add_text("The warranty lasts 6 months.", name="b.md", collection="Two")
    body = (await http.post("/v1/chat/completions", json=ASK | {"collection": "Two"})).json()
    assert "6 months" in body["choices"][0]["message"]["content"]
    unknown = await http.post("/v1/chat/completions", json=ASK | {"collection": "Three"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")


async def test_filters_narrow_the_question(http: httpx.AsyncClient, add_text: Add, live: Services) -> None:
    add_text(TEXT, name="a.md")
    tagged = add_text("The warranty lasts 6 months.", name="b.md")
    put = await http.put(f"/api/v1/documents/{tagged}/tags", json={"tags": ["boats", " #2024"]})
    assert put.json()["tags"] == ["2024", "boats"]
    tags = (await http.get("/api/v1/tags")).json()["tags"]
    assert tags == [{"name": "2024", "documents": 1}, {"name": "boats", "documents": 1}]
    filters = {"tags": ["#Boats"], "since": "2020-01-01T00:00:00", "until": "2099-01-01T00:00:00+02:00"}
    body = (await http.post("/v1/chat/completions", json=ASK | {"filters": filters})).json()
    assert {passage["document_id"] for passage in body["passages"]} == {tagged}
    nothing = (await http.post("/v1/chat/completions", json=ASK | {"filters": {"languages": ["xx"]}})).json()
    assert nothing["passages"] == []
    stored = (await http.post("/v1/chat/completions", json=ASK | {"filters": filters, "store": True})).json()
    assert live.conversations.get(stored["conversation_id"], owner_id="local").filters.tags == ("boats",)
    half = json.dumps(ASK | {"filters": {"tags": ["\ud800"]}, "store": True})
    answer = await http.post("/v1/chat/completions", content=half, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    for wrong in ({"tag": "boats"}, {"since": "0001-01-01T00:00:00+02:00"}, {"until": "9999-12-31T23:59:59Z"}):
        refused = await http.post("/v1/chat/completions", json=ASK | {"filters": wrong, "store": True})
        assert refused.status_code == 422, "a filter that is not known would ask all documents"
    assert len(live.conversations.list_conversations(owner_id="local")) == 2


async def test_an_answer_can_be_stored_as_a_conversation_and_gone_on_with(
    http: httpx.AsyncClient, add_text: Add, live: Services
) -> None:
    add_text(TEXT)
    first = (await http.post("/v1/chat/completions", json=ASK | {"store": True})).json()
    more = {
        "messages": [{"role": "user", "content": "How heavy is the battery of this?"}],
        "conversation_id": first["conversation_id"],
    }
    second = (await http.post("/v1/chat/completions", json=more)).json()
    assert second["conversation_id"] == first["conversation_id"]
    thread = live.conversations.thread(first["conversation_id"], owner_id="local")
    assert [m.role for m in thread] == ["user", "assistant", "user", "assistant"]
    assert thread[1].id == first["message_id"]
    foreign = await http.post("/v1/chat/completions", json=ASK | {"conversation_id": "unknown"})
    assert foreign.status_code == 404


async def test_nothing_found_is_said_without_asking_the_model(http: httpx.AsyncClient, client: SmallClient) -> None:
    body = (await http.post("/v1/chat/completions", json=ASK)).json()
    assert "could not find" in body["choices"][0]["message"]["content"]
    assert client.asked == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"messages": []}, 422),
        ({"messages": [{"role": "system", "content": "x"}]}, 422),
        ({"messages": [{"role": "robot", "content": "x"}]}, 422),
        ({"messages": [{"role": "user", "content": ""}]}, 422),
        ({"messages": [{"role": "user", "content": "x" * 300_000}]}, 422),
        ({"messages": "x"}, 422),
    ],
)
async def test_bad_questions_get_one_sentence(http: httpx.AsyncClient, body: dict[str, object], status: int) -> None:
    reply = await http.post("/v1/chat/completions", json=body)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"code", "type", "message"}
    assert "Traceback" not in reply.text


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b'{"messages": 1e999999}', b"\xff\xfe"])
async def test_broken_json_is_refused(http: httpx.AsyncClient, content: bytes) -> None:
    reply = await http.post("/v1/chat/completions", content=content, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422)
    assert reply.json()["error"]["code"] == "invalid_request"


async def test_a_busy_model_says_when_to_come_back(http: httpx.AsyncClient, add_text: Add, client: SmallClient) -> None:
    add_text(TEXT)

    def busy(messages: object) -> str:
        raise ModelBusy("64 requests wait already. Try again in a few seconds.", retry_after=7)

    client.reply = busy
    reply = await http.post("/v1/chat/completions", json=ASK)
    assert reply.status_code == 429
    assert reply.headers["retry-after"] == "7"


async def test_a_stream_that_cannot_begin_says_when_to_come_back(
    http: httpx.AsyncClient, add_text: Add, client: SmallClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text(TEXT)

    def full(*_: object, **__: object) -> Iterator[GenerationChunk]:
        raise ModelBusy("64 requests wait already. Try again in 7 seconds.", retry_after=7)
        yield

    monkeypatch.setattr(client, "chat", full)
    reply = await http.post("/v1/chat/completions", json=ASK | {"stream": True})
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")
    assert reply.json()["error"]["message"].endswith("in 7 seconds.")


async def test_a_stream_keeps_the_line_open_and_says_in_it_when_to_come_back(
    live: Services, client: SmallClient, add_text: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text(TEXT)
    monkeypatch.setattr(chat, "HEAD_SECONDS", 0.05)
    waited = threading.Event()

    def silent(*_: object, **__: object) -> Iterator[GenerationChunk]:
        assert waited.wait(20)
        raise ModelBusy("64 requests wait already. Try again in 7 seconds.", retry_after=6.2)
        yield

    monkeypatch.setattr(client, "chat", silent)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if b": still working" in message.get("body", b""):
            waited.set()

    with anyio.fail_after(30):
        await api.openai()(POST, posted(ASK | {"stream": True}, anyio.sleep_forever), send)
    assert sent[0]["status"] == 200
    events = b"".join(message.get("body", b"") for message in sent).decode()
    error = next(json.loads(line[6:])["error"] for line in events.splitlines() if line.startswith('data: {"error"'))
    assert (error["code"], error["retry_after"]) == ("model_busy", 7)


async def test_a_client_that_hangs_up_before_a_stream_begins_stops_the_turn(
    live: Services, client: SmallClient, add_text: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text(TEXT)
    monkeypatch.setattr(chat, "TAKEN_ON", ())  # nothing of the turn begins the stream
    client.gate.clear()

    async def gone() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        return None

    with anyio.fail_after(10):
        await api.openai()(POST, posted(ASK | {"stream": True}, gone), send)
    assert live.turns.wait_idle(5)


@pytest.mark.parametrize(
    ("files", "message"),
    [([("files", ("a.txt", b""))], "is empty"), ([("files", ("../../x.txt", b""))], "x.txt is empty")],
)
async def test_refused_uploads_say_why_and_leave_nothing(
    http: httpx.AsyncClient, live: Services, files: list[object], message: str
) -> None:
    reply = await http.post("/api/v1/documents", files=files)  # type: ignore[arg-type]
    assert reply.status_code == 422
    assert message in reply.json()["error"]["message"]
    assert list(live.files.stored()) == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/documents/unknown",
        "/api/v1/jobs/unknown",
        "/api/v1/nothing",
        "/v1/nothing",
        "/api/v1/documents/unknown/text",
    ],
)
async def test_unknown_things_look_the_same(http: httpx.AsyncClient, path: str) -> None:
    reply = await http.get(path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"host": "evil.example", "origin": "http://evil.example"},
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/documents", "/v1/models"])
async def test_other_names_and_foreign_pages_are_refused(
    http: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    assert (await http.get(path, headers=headers)).status_code == 403


async def test_other_machines_are_refused_whatever_they_call_us(live: Services) -> None:
    guarded = LocalOnly(Starlette(routes=[Route("/healthz", health.healthz)]))
    for address, status in (("192.168.1.9", 403), ("127.0.0.1", 200)):
        transport = httpx.ASGITransport(app=guarded, client=(address, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8501") as far:
            assert (await far.get("/healthz")).status_code == status


async def test_our_own_pages_and_programs_are_served(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).json()["status"] == "ok"
    assert (await http.get("/healthz", headers={"origin": "http://127.0.0.1:8501"})).status_code == 200
    ready = (await http.get("/readyz")).json()
    assert ready["chat"]["status"] == "ok"
    assert ready["readers"] == {"without_network": without_network(), "without_disk": without_disk()}


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/documents", "/v1/models", "/nothing"])
async def test_every_answer_carries_the_security_headers(http: httpx.AsyncClient, path: str) -> None:
    headers = (await http.get(path)).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "img-src 'self' data: blob:" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


async def test_a_body_is_cut_off_at_its_limit_whatever_it_declares() -> None:
    async def swallow(scope, receive, send):  # type: ignore[no-untyped-def]
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    transport = httpx.ASGITransport(app=BodyLimit(swallow, 1 << 20))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.post("/", content=b"x" * (2 << 20))).status_code == 413
        assert (await client.post("/", content=endless())).status_code == 200  # it ended early, at the limit
        assert (await client.post("/", content=b"x")).status_code == 200


async def test_a_refused_question_leaves_no_conversation(http: httpx.AsyncClient, live: Services) -> None:
    body = {"messages": [{"role": "user", "content": "  "}], "store": True}
    assert (await http.post("/v1/chat/completions", json=body)).status_code == 422
    body = {**ASK, "store": True, "document_ids": ["a", "b"]}
    reply = await http.post("/v1/chat/completions", json=body)
    assert reply.status_code == 422
    assert "collection" in reply.json()["error"]["message"]
    with live.db.read() as session:
        assert session.query(ConversationRow).count() == 0


async def test_a_stored_conversation_asks_the_document_that_was_named(
    http: httpx.AsyncClient, live: Services, add_text: Add
) -> None:
    add_text("The warranty of the boat lasts 60 months.", name="boat.md")
    document = add_text(TEXT)
    reply = (await http.post("/v1/chat/completions", json={**ASK, "store": True, "document_ids": [document]})).json()
    assert live.conversations.get(reply["conversation_id"], owner_id="local").document_id == document
    assert {passage["document_id"] for passage in reply["passages"]} == {document}


async def test_a_client_that_hangs_up_stops_the_model(live: Services, client: SmallClient, add_text: Add) -> None:
    add_text(TEXT)
    client.gate.clear()

    async def gone() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        return None

    with anyio.fail_after(10):
        await api.openai()(POST, posted(ASK, gone), send)
    assert live.turns.wait_idle(5)


async def test_many_files_are_a_batch_that_can_be_steered(http: httpx.AsyncClient) -> None:
    files = [("files", ("a.txt", b"One.")), ("files", ("b.txt", b"Two.")), ("files", ("c.txt", b""))]
    reply = (await http.post("/api/v1/documents", files=files)).json()
    assert [document["name"] for document in reply["documents"]] == ["a.txt", "b.txt"]
    assert [refused["name"] for refused in reply["refused"]] == ["c.txt"]
    address = f"/api/v1/batches/{reply['batch_id']}"
    batch = (await http.get(address)).json()
    assert (batch["status"], batch["total"], batch["left"], batch["refused"]) == ("running", 3, 2, 1)
    assert batch["failures"][0]["sentence"].startswith("c.txt is empty")
    assert (await http.post(f"{address}/pause")).json()["status"] == "paused"
    job = f"/api/v1/jobs/{reply['documents'][0]['job_id']}"
    assert (await http.get(job)).json()["status"] == "paused"
    assert (await http.post(f"{address}/resume")).json()["status"] == "running"
    assert (await http.delete(address)).json()["cancelled"] == 2
    assert (await http.post(f"{address}/retry")).json()["left"] == 2
    assert (await http.post(f"{job}/retry")).status_code == 409
    assert [b["id"] for b in (await http.get("/api/v1/batches")).json()["batches"]] == [reply["batch_id"]]
    assert (await http.get("/api/v1/batches/unknown")).status_code == 404


async def test_a_changed_file_takes_the_place_of_the_old_one_and_deletions_are_listed(
    http: httpx.AsyncClient, live: Services, add_text: Add
) -> None:
    document = add_text(TEXT)
    address = f"/api/v1/documents/{document}"
    changed = await http.put(f"{address}/content", files={"file": ("x.md", b"Something else.")})
    assert (changed.status_code, changed.json()["duplicate"]) == (202, False)
    assert (await http.get(address)).json()["status"] == "ready"
    assert (await http.put(f"{address}/content", files={"file": ("x.md", b"More.")})).status_code == 409
    assert (await http.delete(address)).status_code == 204
    live.deletions.settle()
    (entry,) = (await http.get("/api/v1/deletions")).json()["deletions"]
    assert (entry["document_id"], entry["clean"]) == (document, True)
