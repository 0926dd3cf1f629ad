"""Our client against real services of others, each over the same small model, with what each does differently."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from pydantic import SecretStr

from core.errors import AnswerBroken, KeyRefused, ModelMissing
from core.models.catalog import find, installed_path
from core.models.remote.client import RemoteClient, Service
from core.types import ChatMessage, GenerationChunk, GenerationOptions
from tests.application import free_port
from tests.contracts.engine import AnyEngineContract, ask
from tests.serving.conftest import CHAT

pytestmark = pytest.mark.model
KEY, CONTEXT = "sesame-open-1234", 1024
START_SECONDS = 60
Start = Callable[..., str]


class ForeignEngine:
    """A service as the contract wants to see it."""

    slots, context_tokens = 1, CONTEXT

    def __init__(self, url: str, key: str | None = KEY) -> None:
        secret = None if key is None else SecretStr(key)
        self.client = RemoteClient(Service(f"{url}/v1", "tiny", CONTEXT, secret))

    def generate(
        self, messages: Sequence[ChatMessage], options: GenerationOptions, cancel: threading.Event, *, user: str = ""
    ) -> Iterator[GenerationChunk]:
        return self.client.chat(messages, options, cancel)


@pytest.fixture(scope="module")
def model(store: Path) -> str:
    return str(installed_path(find(CHAT), store))


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a service in a process group of its own and waits until it answers; ends them all after the tests."""
    running: list[subprocess.Popen[bytes]] = []

    def started(command: Sequence[str], port: int, ready: str) -> str:
        log = tmp_path_factory.mktemp("service") / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=log.parent, stdout=out, stderr=out, start_new_session=True)
        running.append(process)
        url = f"http://127.0.0.1:{port}"
        asking = Request(url + ready, headers={"Authorization": f"Bearer {KEY}"})
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            assert process.poll() is None, log.read_text()[-2000:]
            try:
                with urlopen(asking, timeout=2):
                    return url
            except URLError:
                time.sleep(0.05)
        raise AssertionError(log.read_text()[-2000:])

    yield started
    for process in running:
        os.killpg(process.pid, signal.SIGTERM)
    for process in running:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def llama_server(begin: Start, model: str) -> str:
    program = os.environ.get("GROUNDWORK_LLAMA_SERVER", "")
    if not program:
        pytest.skip("GROUNDWORK_LLAMA_SERVER does not name a llama-server of llama.cpp")
    port = free_port()
    slots = ForeignEngine.slots
    options = {"-m": model, "--port": port, "-c": CONTEXT * slots, "-np": slots, "-t": 1, "--api-key": KEY}
    return begin([program, *(str(part) for option in options.items() for part in option)], port, "/health")


class TestLlamaServer(AnyEngineContract):
    """llama.cpp's own, built from source: GROUNDWORK_LLAMA_SERVER names the program."""

    @pytest.fixture
    def engine(self, llama_server: str) -> ForeignEngine:
        return ForeignEngine(llama_server)

    def test_its_list_tells_the_context_of_a_slot(self, engine: ForeignEngine, model: str) -> None:
        (offered,) = engine.client.list_models(threading.Event())
        assert (offered.id, offered.context_tokens) == (model, CONTEXT)

    @pytest.mark.parametrize("key", [None, "another-key"])
    def test_a_wrong_key_is_refused(self, llama_server: str, key: str | None) -> None:
        with pytest.raises(KeyRefused):
            ask(ForeignEngine(llama_server, key), "Hello")


@pytest.fixture(scope="module")
def llama_cpp_python(begin: Start, model: str) -> str:
    port = free_port()
    options = {"--model": model, "--port": port, "--n_ctx": CONTEXT, "--n_threads": 1, "--api_key": KEY}
    command = [sys.executable, "-m", "llama_cpp.server", *(str(x) for option in options.items() for x in option)]
    return begin([*command, "--verbose", "false"], port, "/v1/models")


class TestLlamaCppPython(AnyEngineContract):
    """`python -m llama_cpp.server` as it is by default: it tells no usage, and a request breaks off the one before."""

    counts_tokens = False
    serves_many = False

    @pytest.fixture
    def engine(self, llama_cpp_python: str) -> ForeignEngine:
        return ForeignEngine(llama_cpp_python)

    def test_an_answer_that_another_request_broke_off_is_not_taken_for_whole(self, engine: ForeignEngine) -> None:
        long = GenerationOptions(max_tokens=300)
        answer = engine.client.chat([ChatMessage("user", "Write a long story.")], long, threading.Event())
        assert next(answer).text
        other = threading.Thread(target=ask, args=(engine, "Hello"))
        other.start()
        with pytest.raises(AnswerBroken, match="without saying that it is complete"):
            list(answer)
        other.join()

    def test_its_list_tells_no_context(self, engine: ForeignEngine, model: str) -> None:
        (offered,) = engine.client.list_models(threading.Event())
        assert (offered.id, offered.context_tokens) == (model, 0)

    def test_a_wrong_key_is_refused(self, llama_cpp_python: str) -> None:
        with pytest.raises(KeyRefused):
            ask(ForeignEngine(llama_cpp_python, "another-key"), "Hello")


@pytest.fixture(scope="module")
def litserve(begin: Start, model: str) -> str:
    port, script = free_port(), Path(__file__).with_name("litserve_service.py")
    return begin([sys.executable, str(script), str(port), model], port, "/health")


class TestLitServe(AnyEngineContract):
    """Its OpenAI specification always ends with "stop", counts nothing, ignores seeds and has no list of models."""

    counts_tokens = False
    tells_length = False

    @pytest.fixture
    def engine(self, litserve: str) -> ForeignEngine:
        return ForeignEngine(litserve, None)

    def test_it_has_no_list(self, engine: ForeignEngine) -> None:
        with pytest.raises(ModelMissing):
            engine.client.list_models(threading.Event())
