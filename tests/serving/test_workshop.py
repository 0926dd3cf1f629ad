"""Longer work over the model server's protocol: examinations, smaller files, guests, reranking, figures."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import Cancelled, ModelError, ModelMissing
from core.models.client import ModelClient
from core.models.exam import exam
from core.models.local import find_model
from core.models.workbench import Task, Workbench
from core.storage.db import Database
from core.storage.migrations import upgrade
from core.types import ChatMessage, GenerationOptions
from tests.application import until
from tests.serving.conftest import CHAT, EMBEDDER, SECRET, Server, post

pytestmark = pytest.mark.model
HELLO = [ChatMessage("user", "Hello")]


@pytest.fixture(scope="module")
def own_store(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of its own to write into, with the real models in it."""
    made = tmp_path_factory.mktemp("store")
    (made / f"{CHAT}.gguf").symlink_to(store / f"{CHAT}.gguf")
    (made / EMBEDDER).symlink_to(store / EMBEDDER)
    return made


@pytest.fixture(scope="module")
def workshop(start: Callable[..., Server], own_store: Path) -> Server:
    server = start(own_store, context=1024, slots=2)
    server.wait(lambda health: health["status"] == "ok")
    return server


@pytest.fixture(scope="module")
def client(workshop: Server) -> Iterator[ModelClient]:
    made = ModelClient(workshop.data / "run")
    yield made
    made.close()


@pytest.fixture
def workbench(tmp_path: Path, client: ModelClient, own_store: Path) -> Iterator[Workbench]:
    upgrade(tmp_path / "app.db")
    db = Database(tmp_path / "app.db")
    yield Workbench(db, client, own_store)
    db.close()


def ended(task: Task) -> Task:
    until(lambda: not task.active, 120, "the work ends")
    return task


def test_smaller_model_is_made_examined_and_can_be_used(
    workbench: Workbench, client: ModelClient, own_store: Path, workshop: Server
) -> None:
    task = ended(workbench.quantize(CHAT, "Q2_K", "Small One"))
    assert not task.error
    assert "instead of" in task.outcome
    small = find_model("small-one", own_store)
    assert small.bytes < find_model(CHAT, own_store).bytes
    assert not list(own_store.glob("*.quantized"))
    latest = workbench.latest()
    assert set(latest) == {CHAT, "small-one"}
    for found in latest.values():
        assert found.figures["questions"] == len(exam().questions)
        assert min(found.figures[name] for name in ("reading", "writing", "writing_deep", "together")) > 1
        assert 5 < found.figures["perplexity"] < 500
    assert latest["small-one"].figures["perplexity"] > latest[CHAT].figures["perplexity"]

    client.invite("small-one")  # beside the active model
    options = GenerationOptions(max_tokens=4)
    assert "".join(step.text for step in client.chat(HELLO, options, threading.Event(), model="small-one"))
    assert "".join(step.text for step in client.chat(HELLO, options, threading.Event()))
    assert workshop.health()["chat"]["id"] == CHAT


def test_examination_can_be_stopped(workbench: Workbench, workshop: Server) -> None:
    task = workbench.examine(CHAT)
    until(lambda: task.phase or not task.active, 60, "it has begun")
    task.cancel.set()
    assert "Stopped" in ended(task).error
    assert workbench.measurements(CHAT) == []


def test_what_cannot_be_done_is_said(client: ModelClient, workbench: Workbench) -> None:
    never = threading.Event()
    with pytest.raises(ModelError, match="no model no-such-model"):
        list(client.work("/models/examine", {"id": "no-such-model"}, never))
    with pytest.raises(ModelMissing):
        list(client.work("/models/examine", {"id": "qwen3-4b-instruct-2507-q4_k_m"}, never))
    for body, why in (
        ({"kind": "Q99", "target": "x.quantized"}, "no precision"),
        ({"kind": "Q4_0", "target": "../x.quantized"}, "plain name"),
    ):
        with pytest.raises(ModelError, match=why):
            list(client.work("/models/quantize", {"id": CHAT, **body}, never))
    with pytest.raises(ModelMissing):
        client.invite("qwen3-4b-instruct-2507-q4_k_m")
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(Cancelled):
        list(client.work("/models/examine", {"id": CHAT}, stopped))


def test_figures_are_in_the_format_of_prometheus(workshop: Server, client: ModelClient) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
    assert post(workshop, "/v1/chat/completions", body)[0] == 200
    post(workshop, "/v1/chat/completions", body | {"max_tokens": 5_000})  # does not fit
    request = Request(f"{workshop.url}/metrics", headers={"Authorization": f"Bearer {SECRET}"})
    with urlopen(request, timeout=10) as reply:
        text = reply.read().decode()
        assert reply.headers["Content-Type"].startswith("text/plain")
    values = {m[1]: float(m[2]) for m in re.finditer(r"^(groundwork_\S+) (\S+)$", text, re.MULTILINE)}
    assert values['groundwork_requests_total{outcome="length"}'] >= 1
    assert values['groundwork_requests_total{outcome="context_too_long"}'] >= 1
    assert values['groundwork_tokens_total{kind="written"}'] >= 3
    assert values["groundwork_first_token_seconds_count"] >= 1
    assert values['groundwork_process_memory_bytes{process="chat"}'] > 10_000_000
    assert values["groundwork_batch_occupancy"] == 0
    assert text == client.metrics() or "groundwork_requests_total" in client.metrics()


def test_recent_figures_come_as_samples(client: ModelClient) -> None:
    samples = until(client.recent, 20, "the first sample")
    assert {"at", "running", "waiting", "answer_speed", "first_token", "memory_mb"} <= set(samples[0])
    assert samples[0]["memory_mb"] > 50


def test_reranking_needs_a_reranker(workshop: Server) -> None:
    status, answer, _ = post(workshop, "/v1/rerank", {"query": "x", "documents": ["a", "b"]})
    assert (status, answer["error"]["code"]) == (503, "model_missing")


def test_answer_obeys_a_json_schema(workshop: Server) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "people": {"type": "integer"}},
        "required": ["city", "people"],
        "additionalProperties": False,
    }
    body = {
        "messages": [{"role": "user", "content": "Invent a city."}],
        "max_tokens": 80,
        "temperature": 1.2,
        "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    }
    for seed in range(4):
        status, answer, _ = post(workshop, "/v1/chat/completions", body | {"seed": seed})
        assert status == 200
        found = json.loads(answer["choices"][0]["message"]["content"])
        assert set(found) == {"city", "people"}
        assert isinstance(found["people"], int)
        assert len(found["city"]) <= 12


@pytest.mark.parametrize(
    "schema",
    [{"type": "nothing"}, {"$ref": "https://example.org/x"}, {"type": "string", "maxLength": 10**9}, {"$ref": "#/no"}],
)
def test_schema_that_cannot_be_followed_is_refused(workshop: Server, schema: dict[str, object]) -> None:
    body = {
        "messages": [{"role": "user", "content": "x"}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
    }
    status, answer, _ = post(workshop, "/v1/chat/completions", body)
    assert (status, answer["error"]["code"]) == (422, "bad_question")


def test_log_probabilities_are_told_when_somebody_asks(workshop: Server) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "temperature": 0}
    _, plain, _ = post(workshop, "/v1/chat/completions", body)
    assert plain["choices"][0]["logprobs"] is None
    _, answer, _ = post(workshop, "/v1/chat/completions", body | {"logprobs": True, "top_logprobs": 3})
    tokens = answer["choices"][0]["logprobs"]["content"]
    assert len(tokens) == answer["usage"]["completion_tokens"]
    for token in tokens:
        best = token["top_logprobs"]
        assert len(best) == 3
        assert token["token"] == best[0]["token"]  # greedy
        assert 0 >= token["logprob"] == best[0]["logprob"] >= best[1]["logprob"]


def test_the_inner_state_of_a_prompt_and_its_answer_is_told_when_somebody_asks(workshop: Server) -> None:
    def state(question: str, **extra: object) -> NDArray[np.float32]:
        messages = [{"role": "system", "content": "Be brief. " * 20}, {"role": "user", "content": question}]
        body = {"messages": messages, "max_tokens": 5, "temperature": 0, "return_inner_state": True}
        _, answer, _ = post(workshop, "/v1/chat/completions", body | extra)
        return np.frombuffer(base64.b64decode(answer["inner_state"]), "<f2").astype(np.float32).reshape(2, -1)

    def alike(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
        return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))

    first = state("Who built the bridge?", cache_prompt=False)
    assert first.shape == (2, 576)  # the width of this model
    assert np.isfinite(first).all()
    again, longer = state("Who built the bridge?"), state("Who built the bridge?", max_tokens=12)
    assert alike(again.ravel(), first.ravel()) > 0.999, "also where the prompt is known from before"
    assert alike(longer[0], first[0]) > 0.999, "what is of the prompt does not change"
    assert alike(longer[1], first[1]) < 0.995, "what is of the answer does"
    assert alike(state("Who built the bridge?", max_tokens=100)[1], longer[1]) > 0.5
    assert alike(state("Name three colours of a flag.").ravel(), first.ravel()) < 0.99
    _, plain, _ = post(
        workshop, "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    )
    assert "inner_state" not in plain


def test_penalties_and_biases_change_the_answer(workshop: Server) -> None:
    body = {"messages": [{"role": "user", "content": "Say hello hello hello."}], "max_tokens": 30, "temperature": 0}

    def said(**options: object) -> str:
        status, answer, _ = post(workshop, "/v1/chat/completions", body | options)
        assert status == 200
        return str(answer["choices"][0]["message"]["content"])

    plain = said()
    _, counted, _ = post(workshop, "/tokenize", {"content": plain[:8]})
    token = str(counted["tokens"][0])
    assert said(logit_bias={token: -100}) != plain
    assert said(frequency_penalty=2, presence_penalty=2, repeat_penalty=1.5) != plain
    for wrong in ({"logit_bias": {"999999999": 1}}, {"logit_bias": {"x": 1}}, {"top_logprobs": 2}, {"n": 2}):
        assert post(workshop, "/v1/chat/completions", body | wrong)[0] == 422
