from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli import wait_until_ready
from core.errors import ModelUnavailable
from core.models.catalog import find, is_installed
from core.models.client import ModelClient
from core.services import build
from core.settings import Settings, load
from tests.application import CACHE, FORM
from tests.contracts.client import ClientContract
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
