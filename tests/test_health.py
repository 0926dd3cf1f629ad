from __future__ import annotations

import threading
import time

import pytest

from core.errors import StorageError
from core.health import Health, HealthWatch
from core.models.catalog import find
from core.models.status import ModelStatus, ServerStatus
from core.services import Services
from tests.small import SmallClient

OK = ModelStatus("words", "ok")


@pytest.fixture
def installed(live: Services) -> None:
    """The files of the two default models, of the right size and without content."""
    for model_id in (live.settings.chat_model, live.settings.embedding_model):
        for file in find(model_id).files:
            path = live.settings.model_store / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                out.truncate(file.bytes)


def look(live: Services, client: SmallClient, status: ServerStatus) -> Health:
    client.status = lambda: status  # type: ignore[method-assign]
    return HealthWatch(live.models, client).current()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("status", "word", "answers", "passing"),
    [
        (ServerStatus("ok", ModelStatus("a", "ok"), OK), "ready", True, False),
        (ServerStatus("ok", ModelStatus("a", "ok", loading="b"), OK), "changing", True, True),
        (ServerStatus("ok", ModelStatus("a", "ok", "b is broken."), OK), "error", False, False),
        (ServerStatus("loading", ModelStatus("a", "loading"), OK), "loading", False, True),
        (ServerStatus("loading", ModelStatus("a", "ok"), ModelStatus("e", "loading")), "loading", False, True),
        (ServerStatus("error", ModelStatus("a", "ok"), ModelStatus("e", "error", "No.")), "error", False, False),
        (ServerStatus("down", ModelStatus("", "down"), ModelStatus("", "down")), "down", False, True),
    ],
)
def test_what_the_server_says_becomes_a_word_and_a_sentence(
    live: Services, client: SmallClient, status: ServerStatus, word: str, answers: bool, passing: bool
) -> None:
    health = look(live, client, status)
    assert (health.word, health.answers, health.passing) == (word, answers, passing)
    assert bool(health.sentence) == (word != "ready")


@pytest.mark.usefixtures("installed")
def test_a_model_that_cannot_be_started_again_yet_says_why(live: Services, client: SmallClient) -> None:
    crashed = ModelStatus("a", "loading", "a needs 1.2 GB of memory.", ended="it was killed")
    health = look(live, client, ServerStatus("loading", crashed, OK))
    assert health.word == "loading"
    assert "it was killed" in health.sentence
    assert "1.2 GB" in health.sentence


def test_missing_files_are_named_before_anything_else(live: Services, client: SmallClient) -> None:
    health = look(live, client, ServerStatus("error", ModelStatus("a", "error", "x"), OK))
    assert health.word == "missing"
    assert find(live.settings.chat_model).title in health.sentence


@pytest.mark.usefixtures("installed")
def test_nobody_waits_for_a_server_that_hangs(live: Services, client: SmallClient) -> None:
    let_go = threading.Event()

    def hang() -> ServerStatus:
        let_go.wait(10)
        return ServerStatus("ok", ModelStatus("a", "ok"), OK)

    client.status = hang  # type: ignore[method-assign]
    watch = HealthWatch(live.models, client)
    began = time.monotonic()
    assert watch.current().word == "ready"  # nothing is known yet, so nothing is complained about
    assert time.monotonic() - began < 5
    let_go.set()


@pytest.mark.usefixtures("installed")
def test_one_look_serves_many_questions_until_something_changes(live: Services, client: SmallClient) -> None:
    looks = []

    def count() -> ServerStatus:
        looks.append(1)
        return ServerStatus("ok", ModelStatus("a", "ok"), OK)

    client.status = count  # type: ignore[method-assign]
    watch = HealthWatch(live.models, client)
    for _ in range(20):
        watch.current()
    assert len(looks) == 1
    watch.look_again()
    watch.current()
    assert len(looks) == 2


@pytest.mark.usefixtures("installed")
def test_a_database_that_cannot_be_read_is_a_state_too(live: Services, client: SmallClient) -> None:
    def fail() -> ServerStatus:
        raise StorageError("The database is damaged.")

    client.status = fail  # type: ignore[method-assign]
    assert HealthWatch(live.models, client).current() == Health("error", "The database is damaged.")
