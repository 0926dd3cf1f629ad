"""The book of services: what is kept of each, keys above all, and which one answers."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from core.errors import BadEndpoint, Conflict, KeyRefused, ModelMissing, NotFound
from core.models.endpoint import Draft, KeyKind
from core.models.endpoints import Endpoints
from core.models.remote.attempt import Patience
from core.models.trials import Trial
from core.services import Services
from core.storage.tables import EndpointRow
from core.types import ChatMessage, GenerationOptions
from tests.misbehaving import ANSWER, HOLD, Misbehaving, head, refusal

KEY = "sesame-open-1234"
DRAFT = Draft("Box", "https://example.org/v1", "tiny", 4096)
STORED = replace(DRAFT, key_kind=KeyKind.stored, key=SecretStr(KEY))


@pytest.fixture
def endpoints(live: Services) -> Endpoints:
    live.endpoints.patience = Patience(connect=10, first=10, silence=10, delay=0.01)
    return live.endpoints


@pytest.fixture
def service() -> Iterator[Misbehaving]:
    with Misbehaving() as made:
        yield made


def said(endpoints: Endpoints, id: str) -> str:
    steps = endpoints.client(id).chat([ChatMessage("user", "x")], GenerationOptions(max_tokens=8), threading.Event())
    return "".join(step.text for step in steps)


def ended(trial: Trial) -> Trial:
    end = time.monotonic() + 20
    while trial.active:
        assert time.monotonic() < end
        time.sleep(0.02)
    return trial


def test_a_service_is_added_changed_and_removed(endpoints: Endpoints) -> None:
    added = endpoints.add(replace(DRAFT, name="  Box  "))
    assert endpoints.list_endpoints() == [added]
    assert (added.name, added.host, added.key_kind) == ("Box", "example.org", KeyKind.none)
    changed = endpoints.change(added.id, replace(DRAFT, name="Chest", context_tokens=8192))
    assert endpoints.list_endpoints() == [changed]
    assert changed.context_tokens == 8192
    endpoints.remove(added.id)
    assert endpoints.list_endpoints() == []
    with pytest.raises(NotFound):
        endpoints.change(added.id, DRAFT)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": " "}, "name of at most"),
        ({"name": "x" * 101}, "name of at most"),
        ({"url": "example.org"}, "must begin with https"),
        ({"model": ""}, "Name the model"),
        ({"context_tokens": 100}, "512 tokens or more"),
        ({"key_kind": KeyKind.stored}, "Type the key of example.org"),
        ({"key_kind": KeyKind.stored, "key": SecretStr("two words")}, "Copy it once more"),
        ({"key_kind": KeyKind.stored, "key": SecretStr("line\r\nX: y")}, "Copy it once more"),
        ({"key_kind": KeyKind.variable, "key_variable": "MY KEY"}, "Name the environment variable"),
        ({"key_kind": KeyKind.variable, "key_variable": "K", "url": "http://8.8.8.8/v1"}, "Use https://"),
        ({"key_kind": KeyKind.stored, "key": SecretStr(KEY), "url": "http://8.8.8.8/v1"}, "Use https://"),
    ],
)
def test_what_cannot_work_is_refused_and_says_why(endpoints: Endpoints, fields: dict, words: str) -> None:
    with pytest.raises(BadEndpoint, match=words) as raised:
        endpoints.add(replace(DRAFT, **fields))
    assert KEY not in str(raised.value)
    assert endpoints.list_endpoints() == []


def test_two_services_do_not_share_a_name(endpoints: Endpoints) -> None:
    endpoints.add(DRAFT)
    other = endpoints.add(replace(DRAFT, name="Other"))
    for attempt in (lambda: endpoints.add(DRAFT), lambda: endpoints.change(other.id, DRAFT)):
        with pytest.raises(Conflict, match="Box already"):
            attempt()


# --- keys ------------------------------------------------------------------------------------------------


def test_a_stored_key_is_used_and_kept_when_other_things_change(endpoints: Endpoints, service: Misbehaving) -> None:
    service.plays(ANSWER)
    id = endpoints.add(replace(STORED, url=service.url)).id
    changed = endpoints.change(id, replace(DRAFT, url=service.url, name="Chest", key_kind=KeyKind.stored))
    assert changed.key_kind is KeyKind.stored
    assert said(endpoints, id) == "The dam is high."
    assert service.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_stored_key_does_not_follow_to_another_host(endpoints: Endpoints) -> None:
    id = endpoints.add(STORED).id
    for url in ("https://evil.example/v1", "http://127.0.0.1:1/v1", "https://example.org:444/v1"):
        with pytest.raises(BadEndpoint, match="stays with its host"):
            endpoints.change(id, replace(DRAFT, url=url, key_kind=KeyKind.stored))
    endpoints.change(id, replace(STORED, url="https://evil.example/v1", key=SecretStr("another-key")))
    with pytest.raises(ModelMissing):  # and the list of models of another host is asked without it
        with Misbehaving() as other:
            other.plays(refusal(404, "no"))
            endpoints.offered(replace(DRAFT, url=other.url, key_kind=KeyKind.stored), id)
    assert "authorization" not in other.asked[0].headers


def test_a_key_of_the_environment_is_read_when_it_is_needed(
    endpoints: Endpoints, service: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.plays(ANSWER)
    draft = replace(DRAFT, url=service.url, key_kind=KeyKind.variable, key_variable="BOX_KEY")
    id = endpoints.add(draft).id
    with pytest.raises(KeyRefused, match="environment variable BOX_KEY"):
        said(endpoints, id)
    monkeypatch.setenv("BOX_KEY", f"{KEY}\n")
    assert said(endpoints, id) == "The dam is high."
    assert service.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_lost_key_file_asks_for_the_key_and_breaks_nothing_else(live: Services, endpoints: Endpoints) -> None:
    id = endpoints.add(STORED).id
    live.settings.key_file.unlink()
    assert [endpoint.name for endpoint in endpoints.list_endpoints()] == ["Box"]
    for use in (endpoints.activate, endpoints.client):
        with pytest.raises(KeyRefused, match="stored key of Box"):
            use(id)
    assert endpoints.active() is None
    assert "stored key of Box" in ended(endpoints.trials.start(id)).sentence
    endpoints.change(id, STORED)
    endpoints.activate(id)
    assert endpoints.active() is not None


def test_a_key_is_found_nowhere(
    live: Services, endpoints: Endpoints, service: Misbehaving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.plays(refusal(401, {"message": f"bad key {KEY}"}, X_Echo=KEY))
    draft = replace(STORED, url=service.url)
    endpoint = endpoints.add(draft)
    endpoints.activate(endpoint.id)
    turn = live.turns.begin("How high is the dam?", owner_id="local")
    assert turn.ended(20)
    trial = ended(endpoints.trials.start(endpoint.id))
    assert service.asked
    assert all(KEY in asked.headers["authorization"] for asked in service.asked)
    thread = live.conversations.thread(turn.conversation_id, owner_id="local")
    shown = [draft, endpoint, endpoints.client(endpoint.id).service, trial, turn.events, thread, caplog.text]
    assert not [piece for piece in shown if KEY in repr(piece) or KEY in str(piece)]
    endpoints.remove(endpoint.id)
    live.db.close()
    files = [path for path in live.settings.data.rglob("*") if path.is_file()]
    assert live.settings.key_file in files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_the_database_holds_no_key_while_it_is_open(live: Services, endpoints: Endpoints) -> None:
    endpoints.add(STORED)
    beside = [Path(f"{live.settings.database}{end}") for end in ("", "-wal", "-shm")]
    assert not [path for path in beside if path.exists() and KEY.encode() in path.read_bytes()]


# --- the one that answers --------------------------------------------------------------------------------


def test_one_answers_until_another_or_none_does(endpoints: Endpoints) -> None:
    first, second = endpoints.add(DRAFT), endpoints.add(replace(DRAFT, name="Other"))
    assert endpoints.active() is None
    endpoints.activate(first.id)
    endpoints.activate(second.id)
    assert endpoints.active() == second
    endpoints.remove(first.id)
    assert endpoints.active() == second
    endpoints.remove(second.id)
    assert endpoints.active() is None
    with pytest.raises(NotFound):
        endpoints.activate(first.id)


def test_what_a_service_wants_is_remembered_until_it_is_another(
    live: Services, endpoints: Endpoints, service: Misbehaving
) -> None:
    service.plays(refusal(400, {"message": "unknown field `stream_options`"})).plays(ANSWER)
    draft = replace(DRAFT, url=service.url)
    id = endpoints.add(draft).id
    said(endpoints, id)
    said(endpoints, id)
    assert ["stream_options" in asked.body for asked in service.asked] == [True, False, False]
    endpoints.change(id, replace(draft, name="Chest"))
    assert endpoints.list_endpoints()[0].habits.without == {"stream_options"}
    endpoints.change(id, replace(draft, model="other"))
    assert not endpoints.list_endpoints()[0].habits.without
    with live.db.read() as session:
        assert session.scalar(select(EndpointRow.habits)) == {}


def test_a_service_that_was_removed_meanwhile_loses_nothing_but_its_habits(
    endpoints: Endpoints, service: Misbehaving
) -> None:
    service.plays(refusal(400, {"message": "unknown field `stream_options`"})).plays(ANSWER)
    id = endpoints.add(replace(DRAFT, url=service.url)).id
    client = endpoints.client(id)
    endpoints.remove(id)
    steps = client.chat([ChatMessage("user", "x")], GenerationOptions(), threading.Event())
    assert "".join(step.text for step in steps) == "The dam is high."


# --- trying one out --------------------------------------------------------------------------------------


def test_a_trial_says_what_was_answered_and_how_long_it_took(endpoints: Endpoints, service: Misbehaving) -> None:
    service.plays(ANSWER)
    id = endpoints.add(replace(DRAFT, url=service.url)).id
    assert endpoints.trials.last(id) is None
    trial = ended(endpoints.trials.start(id))
    assert trial.answered
    assert trial.sentence.startswith("tiny answered “The dam is high.” after 0.")
    assert endpoints.trials.last(id) is trial


def test_a_trial_that_fails_says_why_and_the_next_one_is_another(endpoints: Endpoints, service: Misbehaving) -> None:
    service.plays(refusal(401, {"message": "no"}), 0.0).plays(ANSWER)
    id = endpoints.add(replace(DRAFT, url=service.url)).id
    trial = ended(endpoints.trials.start(id))
    assert not trial.answered
    assert "wants a key" in trial.sentence
    assert ended(endpoints.trials.start(id)).answered


@pytest.mark.parametrize("end", ["change", "remove", "close"])
def test_a_trial_ends_with_what_it_tries(endpoints: Endpoints, service: Misbehaving, end: str) -> None:
    service.plays(head(), HOLD)
    draft = replace(DRAFT, url=service.url)
    id = endpoints.add(draft).id
    trial = endpoints.trials.start(id)
    assert endpoints.trials.start(id) is trial
    assert service.connected.wait(5)
    stop: dict[str, Callable[[], object]] = {
        "change": lambda: endpoints.change(id, draft),
        "remove": lambda: endpoints.remove(id),
        "close": endpoints.trials.close,
    }
    stop[end]()
    assert ended(trial).sentence == "Stopped."
    assert service.hung_up.wait(5)


def test_the_models_of_a_draft_are_listed_before_it_is_saved(
    endpoints: Endpoints, service: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.plays(head(content_type="application/json") + json.dumps({"data": [{"id": "tiny"}]}).encode())
    monkeypatch.setenv("BOX_KEY", KEY)
    draft = replace(DRAFT, url=service.url.removesuffix("/v1"), name="", model="")
    by_variable = replace(draft, key_kind=KeyKind.variable, key_variable="BOX_KEY")
    typed = replace(draft, key_kind=KeyKind.stored, key=SecretStr(KEY))
    id = endpoints.add(replace(STORED, url=service.url)).id
    for asked, own in ((draft, ""), (by_variable, ""), (typed, ""), (replace(typed, key=None), id)):
        assert [model.id for model in endpoints.offered(asked, own)] == ["tiny"]
    sent = [asked.headers.get("authorization") for asked in service.asked]
    assert sent == [None, f"Bearer {KEY}", f"Bearer {KEY}", f"Bearer {KEY}"]
    with pytest.raises(BadEndpoint, match="Use https://"):
        endpoints.offered(replace(typed, url="http://8.8.8.8/v1"))
