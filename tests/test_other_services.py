"""A whole question, answered by another service in the place of the model of this machine."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from core import cli
from core.api import app as api
from core.api import health
from core.chat.turns import LiveTurn
from core.errors import AnswerBroken, ModelUnavailable
from core.health import HealthWatch
from core.models.endpoint import Draft, Endpoint
from core.models.remote.attempt import Patience
from core.models.status import ModelStatus, ServerStatus
from core.services import Services
from core.storage.tables import MessageRow, PipelineRow
from core.types import Failed, MessageState, Retrieved, Scope
from tests.misbehaving import ANSWER, DONE, HOLD, Misbehaving, finished, head, refusal, said
from tests.pages.test_models import SMALL, install
from tests.small import SmallClient

ME = "local"
TEXT = "The dam is 90 m high.\n\nThe lake is cold.\n\nThe road is closed in winter."
QUESTION = "How high is the dam of this valley?"
GOOD = head() + said("The dam is 90 m high. [1]") + finished() + DONE
LOADING = ServerStatus("loading", ModelStatus("a", "loading"), ModelStatus("words", "ok"))


@pytest.fixture
def service() -> Iterator[Misbehaving]:
    with Misbehaving() as made:
        yield made


@pytest.fixture
def endpoint(live: Services, service: Misbehaving, add_text: Callable[..., str]) -> Endpoint:
    """One that answers already."""
    add_text(TEXT, name="dam.md")
    live.endpoints.patience = Patience(connect=10, first=10, silence=10, delay=0.01)
    made = live.endpoints.add(Draft("Box", service.url, "tiny-1", 4096))
    live.endpoints.activate(made.id)
    return made


def ask(live: Services, question: str = QUESTION) -> LiveTurn:
    turn = live.turns.begin(question, owner_id=ME)
    assert turn.ended(20)
    return turn


def test_the_answer_comes_from_the_service_and_the_passages_from_here(
    live: Services, client: SmallClient, service: Misbehaving, endpoint: Endpoint
) -> None:
    service.plays(GOOD)
    turn = ask(live)
    answer = live.conversations.thread(turn.conversation_id, owner_id=ME)[1]
    assert answer.content == "The dam is 90 m high. [1]"
    assert answer.citations[0].quote == "The dam is 90 m high."
    assert client.asked == [], "the model server only embeds"
    sent = json.dumps(service.asked[0].body)
    assert QUESTION in sent
    assert "The dam is 90 m high." in sent


def test_the_answer_is_attributed_to_the_address_and_the_model(
    live: Services, client: SmallClient, service: Misbehaving, endpoint: Endpoint
) -> None:
    service.plays(GOOD)
    ask(live)
    answer = live.conversations.thread(live.conversations.list_conversations(owner_id=ME)[0].id, owner_id=ME)[1]
    live.feedback.rate(answer.id, user_id=ME, thumb=0)
    assert live.feedback.entries(owner_id=ME)[0].model == f"tiny-1 at {endpoint.host}"
    live.endpoints.remove(endpoint.id)
    ask(live)
    with live.db.read() as session:
        elsewhere, here = session.scalars(select(PipelineRow).order_by(PipelineRow.created_at)).all()
        used = session.scalars(select(MessageRow.pipeline_id).where(MessageRow.role == "assistant")).all()
    assert (elsewhere.model, elsewhere.endpoint, elsewhere.model_sha256) == ("tiny-1", service.url, "")
    assert (here.model, here.endpoint) == (live.settings.chat_model, "")
    assert here.model_sha256
    assert used == [elsewhere.id, here.id]
    assert client.asked


def test_choosing_a_model_of_this_machine_ends_it(live: Services, endpoint: Endpoint) -> None:
    install(live, SMALL)
    view = next(view for view in live.models.list_models() if view.active and view.model.role == "chat")
    assert view.standing_by
    live.models.activate(SMALL)
    assert live.endpoints.active() is None
    assert not any(view.standing_by for view in live.models.list_models())


def test_what_was_said_before_the_service_broke_off_is_kept(
    live: Services, service: Misbehaving, endpoint: Endpoint
) -> None:
    service.plays(head() + said("The dam is"))
    turn = ask(live)
    answer = live.conversations.thread(turn.conversation_id, owner_id=ME)[1]
    assert (answer.state, answer.content) == (MessageState.failed, "The dam is")
    assert answer.error == f"{endpoint.host} broke off in the middle of the answer. Try again."
    assert next(event for event in turn.events if isinstance(event, Failed)).code == AnswerBroken("").code
    assert len(service.asked) == 1


def test_stop_ends_the_wait_for_the_service(live: Services, service: Misbehaving, endpoint: Endpoint) -> None:
    service.plays(HOLD)
    turn = live.turns.begin(QUESTION, owner_id=ME)
    assert service.connected.wait(10)
    turn.cancel.set()
    assert turn.ended(5)
    assert service.hung_up.wait(5)
    assert live.conversations.thread(turn.conversation_id, owner_id=ME)[1].state == MessageState.stopped


def test_what_does_not_fit_by_estimate_is_cut_with_the_reason(
    live: Services, service: Misbehaving, endpoint: Endpoint, add_text: Callable[..., str]
) -> None:
    service.plays(GOOD)
    add_text("\n\n".join(f"Fact {n} on the dam: " + "it is high " * 180 for n in range(3)), name="long.md")
    live.endpoints.change(endpoint.id, Draft("Box", service.url, "tiny-1", 1300))
    turn = live.turns.ask_once(QUESTION, Scope(ME))
    assert turn.ended(20)
    retrieved = next(event for event in turn.events if isinstance(event, Retrieved))
    assert retrieved.passages[0].kept, "a part of it was shown"
    assert "were cut" in retrieved.left_out[0]
    live.endpoints.change(endpoint.id, Draft("Box", service.url, "tiny-1", 512))
    refused = live.turns.ask_once(QUESTION, Scope(ME))
    assert refused.ended(20)
    assert next(event for event in refused.events if isinstance(event, Failed)).code == "context_too_long"


# --- how it is, for people and programs ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (LOADING, "ready"),
        (ServerStatus("error", ModelStatus("a", "error", "Too little memory."), ModelStatus("words", "ok")), "ready"),
        (ServerStatus("loading", ModelStatus("a", "ok"), ModelStatus("words", "loading")), "loading"),
        (ServerStatus("error", ModelStatus("a", "ok"), ModelStatus("words", "error", "Damaged.")), "error"),
        (ServerStatus("down", ModelStatus("", "down"), ModelStatus("", "down")), "down"),
    ],
)
def test_only_the_embedder_of_this_machine_matters_then(
    live: Services, client: SmallClient, endpoint: Endpoint, status: ServerStatus, word: str
) -> None:
    assert [model.id for model in live.models.missing()] == [live.settings.embedding_model]
    install(live, live.settings.embedding_model)
    client.status = lambda: status  # type: ignore[method-assign]
    found = HealthWatch(live.models, client).current()
    assert (found.word, found.chat_model, found.service) == (word, "tiny-1", endpoint.host)
    assert bool(found.sentence) == (word != "ready")
    if word == "ready":
        cli.wait_until_ready(live, 1)
    elif word == "error":
        with pytest.raises(ModelUnavailable, match="Damaged"):
            cli.wait_until_ready(live, 1)


def over_http(live: Services, work: Callable[[httpx.AsyncClient], object]) -> None:
    routes = [Route("/readyz", health.readyz), Mount("/v1", app=api.openai())]

    async def run() -> None:
        transport = httpx.ASGITransport(app=Starlette(routes=routes), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8501") as http:
            await work(http)  # type: ignore[misc]

    with ThreadPoolExecutor(1) as pool:  # the browser tests leave a running loop in the main thread
        pool.submit(anyio.run, run).result()


def test_programs_get_the_answer_of_the_same_service(
    live: Services, client: SmallClient, service: Misbehaving, endpoint: Endpoint
) -> None:
    service.plays(GOOD)
    client.status = lambda: LOADING  # type: ignore[method-assign]

    async def work(http: httpx.AsyncClient) -> None:
        body = {"messages": [{"role": "user", "content": QUESTION}]}
        reply = (await http.post("/v1/chat/completions", json=body)).json()
        assert reply["choices"][0]["message"]["content"] == "The dam is 90 m high. [1]"
        ready = await http.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["chat"] == {"id": "tiny-1", "status": "ok", "error": "", "service": endpoint.host}

    over_http(live, work)


def test_the_command_line_says_where_the_question_goes(
    live: Services, service: Misbehaving, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    service.plays(GOOD)
    assert cli._answer(live, argparse.Namespace(question=QUESTION, collection=None, json=True)) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["answer"] == "The dam is 90 m high. [1]"
    assert endpoint.destination in shown.err


def test_programs_are_told_when_to_come_back(live: Services, service: Misbehaving, endpoint: Endpoint) -> None:
    service.plays(refusal(429, {"message": "slow down"}, Retry_After="90"))

    async def work(http: httpx.AsyncClient) -> None:
        reply = await http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": QUESTION}]})
        assert reply.status_code == 429
        assert reply.json()["error"]["code"] == "model_busy"
        assert reply.headers["retry-after"] == "90"

    over_http(live, work)


def test_a_follow_up_and_a_title_are_made_by_the_service_too(
    live: Services, client: SmallClient, service: Misbehaving, endpoint: Endpoint
) -> None:
    service.plays(GOOD)
    turn = ask(live)
    named = threading.Event()
    for _ in range(200):
        if live.conversations.is_named(turn.conversation_id, owner_id=ME) or named.wait(0.02):
            break
    follow_up = live.turns.ask(turn.conversation_id, "And it?", owner_id=ME)
    assert follow_up.ended(20)
    assert len(service.asked) >= 4  # answer, title, rewriting, answer
    assert client.asked == []


def test_a_plain_answer_without_usage_is_shown_with_what_is_known(
    live: Services, service: Misbehaving, endpoint: Endpoint
) -> None:
    service.plays(ANSWER)
    turn = ask(live, "How high is the dam?")
    steps = live.answers.steps(turn.message_id, owner_id=ME)
    assert (steps.prompt_tokens, steps.completion_tokens) == (7, 2)
