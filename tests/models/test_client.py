from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli import wait_until_ready
from core.errors import Cancelled, ModelUnavailable
from core.models.catalog import find, is_installed
from core.models.client import ModelClient
from core.services import build
from core.settings import Settings, load
from core.types import ChatMessage, GenerationOptions
from tests.application import CACHE, FORM
from tests.contracts.client import ClientContract
from tests.misbehaving import HOLD, Misbehaving, head
from tests.small import SmallClient

CHAT, EMBEDDER = "smollm2-135m-instruct-q4_1", "all-minilm-l6-v2"


class TestTheSmallClient(ClientContract):
    @pytest.fixture
    def model_client(self, tmp_path: Path) -> ModelClient:
        return SmallClient(tmp_path)


@pytest.fixture(scope="module")
def real_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelClient]:
    store = load().model_store
    if not all(is_installed(find(model), store) for model in (CHAT, EMBEDDER)):
        pytest.skip(f"the test models are not in {store}; make test fetches them")
    data = tmp_path_factory.mktemp("client") / "data"
    known = {"cache": CACHE.name, "embedding_form": FORM}
    live = build(Settings(data=data, models=store, chat_model=CHAT, context_tokens=2048, **known))  # type: ignore[arg-type]
    with live.with_model_server():
        wait_until_ready(live)
        yield live.client
    live.release()


@pytest.mark.model
class TestTheRealServer(ClientContract):
    @pytest.fixture
    def model_client(self, real_client: ModelClient) -> ModelClient:
        return real_client


def test_a_server_that_is_not_there_is_said_to_start(tmp_path: Path) -> None:
    client = ModelClient(tmp_path)
    with pytest.raises(ModelUnavailable, match="still starting"):
        client.embed(["x"], priority="query")
    assert client.status().status == "down"


def test_an_address_that_nobody_listens_at_is_said_to_restart(tmp_path: Path) -> None:
    (tmp_path / "model-server.json").write_text('{"port": 9, "secret": "x", "pid": 1}')
    client = ModelClient(tmp_path)
    with pytest.raises(ModelUnavailable, match="restarting"):
        client.count(["x"])
    client.close()


def address(run: Path, url: str, pid: int = 1) -> None:
    """What a server writes down where it listens."""
    port = int(url.rsplit(":", 1)[1].removesuffix("/v1"))
    (run / "model-server.json").write_text(json.dumps({"port": port, "secret": "x", "pid": pid}))


def test_stop_does_not_wait_for_a_server_that_says_nothing(tmp_path: Path) -> None:
    client, cancel = ModelClient(tmp_path), threading.Event()
    with Misbehaving().plays(HOLD) as server:
        address(tmp_path, server.url)
        stopper = threading.Thread(target=lambda: (server.connected.wait(30), cancel.set()))
        stopper.start()
        with pytest.raises(Cancelled):
            list(client.chat([ChatMessage("user", "Hello")], GenerationOptions(), cancel))
        assert not server.hung_up.is_set(), "it came from Stop and not from the server"
        stopper.join()
    client.close()


def test_answer_that_comes_after_stop_is_hung_up(tmp_path: Path) -> None:
    client, cancel, go = ModelClient(tmp_path), threading.Event(), 0.5
    with Misbehaving().plays(go, head(), HOLD) as server:
        address(tmp_path, server.url)
        stopper = threading.Thread(target=lambda: (server.connected.wait(30), cancel.set()))
        stopper.start()
        with pytest.raises(Cancelled):
            list(client.chat([ChatMessage("user", "Hello")], GenerationOptions(), cancel))
        assert server.hung_up.wait(30)
        stopper.join()
    client.close()


@pytest.mark.parametrize("body", ["[]", "7", "{}", '{"queue": []}', '{"chat": 1, "embedder": {}, "queue": {}}', "x"])
def test_what_is_no_status_is_a_server_that_is_down(tmp_path: Path, body: str) -> None:
    client = ModelClient(tmp_path)
    with Misbehaving().plays(head(200, "application/json") + body.encode()) as server:
        address(tmp_path, server.url)
        assert client.status().status == "down"
    client.close()


def test_connections_to_servers_that_are_gone_are_closed(tmp_path: Path) -> None:
    client = ModelClient(tmp_path)
    used = []
    for pid in (1, 2, 3):
        (tmp_path / "model-server.json").write_text(json.dumps({"port": 9, "secret": "x", "pid": pid}))
        used.append(client._connected())
    assert [one.is_closed for one in used] == [True, False, False]  # who has just taken the second may still ask
    client.close()
    assert all(one.is_closed for one in used)
