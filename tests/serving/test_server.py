"""The model server as a process of its own, asked as the product asks it."""

from __future__ import annotations

import base64
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from core.models.catalog import find
from tests.contracts.engine import words
from tests.serving.conftest import CHAT, EMBEDDER, HELLO, SECRET, Server, post, raw_request

pytestmark = pytest.mark.model


# --- chat ------------------------------------------------------------------------------------------------


def test_openai_client_gets_a_whole_answer(api: openai.OpenAI) -> None:
    answer = api.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=12, temperature=0, seed=1)
    assert answer.choices[0].message.content
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.model_extra
    assert set(answer.model_extra["timings"]) == {"queue_ms", "prompt_ms", "first_token_ms", "generation_ms"}


def test_openai_client_gets_the_same_answer_as_a_stream(api: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "", "messages": HELLO, "max_tokens": 12, "temperature": 0}
    whole = api.chat.completions.create(**asked).choices[0].message.content
    chunks = list(api.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert not any("queue_position" in (chunk.model_extra or {}) for chunk in chunks)


def test_progress_is_told_when_wanted(api: openai.OpenAI) -> None:
    stream = api.chat.completions.create(
        model="",
        messages=[{"role": "user", "content": words(250)}],
        max_tokens=2,
        stream=True,
        extra_body={"return_progress": True, "cache_prompt": False},
    )
    extras = [chunk.model_extra or {} for chunk in stream]
    positions = [extra["queue_position"] for extra in extras if "queue_position" in extra]
    progress = [extra["prompt_progress"] for extra in extras if "prompt_progress" in extra]
    assert positions[-1] == 0
    assert len(progress) >= 2, "a prompt that is longer than a step"
    assert progress[-1]["processed"] == progress[-1]["total"]
    assert all(set(step) == {"total", "cache", "processed", "time_ms"} for step in progress)
    assert "timings" in extras[-1]


def test_content_may_come_in_parts(api: openai.OpenAI) -> None:
    parts: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}]
    counts = [api.chat.completions.create(model="", messages=m, max_tokens=1).usage for m in (HELLO, parts)]
    assert counts[0]
    assert counts[1]
    assert counts[0].prompt_tokens == counts[1].prompt_tokens


def test_hanging_up_ends_the_work_while_the_prompt_is_read(server: Server) -> None:
    body = {"messages": [{"role": "user", "content": words(400)}], "cache_prompt": False}
    for stream in (True, False):
        with raw_request(server, {**body, "stream": stream}):
            server.wait(lambda health: health["queue"]["running"] == 1)
        # Reading it all takes seconds; the engine must be free long before.
        begun = time.monotonic()
        server.wait(lambda health: health["queue"]["running"] == 0)
        assert time.monotonic() - begun < 2


def test_hanging_up_while_waiting_leaves_the_line(server: Server) -> None:
    body = {"messages": [{"role": "user", "content": words(200)}], "max_tokens": 900, "cache_prompt": False}
    with raw_request(server, body):
        server.wait(lambda health: health["queue"]["running"] == 1)
        with raw_request(server, body):  # both together would not fit into the context
            server.wait(lambda health: health["queue"]["waiting"] == 1)
        server.wait(lambda health: health["queue"] == {"waiting": 0, "running": 1})
    server.wait(lambda health: health["queue"] == {"waiting": 0, "running": 0})


def test_full_line_is_told_with_the_time_to_come_back(server: Server, in_background: Callable[..., object]) -> None:
    body = {"messages": [{"role": "user", "content": words(200)}], "cache_prompt": False, "max_tokens": 600}
    connections = [raw_request(server, body) for _ in range(6)]
    server.wait(lambda health: health["queue"]["waiting"] == 4)
    status, answer, headers = post(server, "/v1/chat/completions", body)
    for connection in connections:
        connection.close()
    server.wait(lambda health: health["queue"] == {"waiting": 0, "running": 0})
    assert status == 429
    assert answer["error"]["code"] == "model_busy"
    assert int(headers["Retry-After"]) >= 1


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user"}]}, "content"),
        ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, "name"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["x"] * 9}, "stop"),
        ({"n": 2}, "n"),
        ({"seed": 1.5}, "seed"),
        ({"priority": "first"}, "priority"),
        ({"tools": []}, "tools"),
    ],
)
def test_bad_request_is_refused_by_the_name_of_the_field(server: Server, change: dict[str, Any], word: str) -> None:
    status, answer, _ = post(server, "/v1/chat/completions", {"messages": HELLO, **change})
    assert status == 422
    assert word in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"messages": [{"role": "user", "content": "\\ud800"}]}']
)
def test_body_that_is_no_json_is_refused(server: Server, body: bytes) -> None:
    status, answer, _ = post(server, "/v1/chat/completions", body)
    assert status == 422
    assert answer["error"]["message"]


def test_prompt_that_does_not_fit_is_refused_with_the_counts(server: Server) -> None:
    body = {"messages": [{"role": "user", "content": words(2000)}], "max_tokens": 100}
    status, answer, _ = post(server, "/v1/chat/completions", body)
    assert (status, answer["error"]["code"]) == (413, "context_too_long")
    assert "2,048" in answer["error"]["message"]
    assert "100" in answer["error"]["message"]


def test_millions_of_characters_are_refused(server: Server) -> None:
    status, answer, _ = post(
        server, "/v1/chat/completions", {"messages": [{"role": "user", "content": "x" * 3_000_000}]}
    )
    assert (status, answer["error"]["code"]) == (413, "context_too_long")
    assert post(server, "/v1/chat/completions", b" " * (33 << 20))[0] == 413


def test_unknown_model_is_not_found(api: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="not active"):
        api.chat.completions.create(model="gpt-4", messages=HELLO)
    with pytest.raises(openai.NotFoundError, match="no model gpt-4 in the catalog"):
        api.embeddings.create(model="gpt-4", input="x")


def test_without_the_secret_only_the_health_is_shown(server: Server) -> None:
    for secret in ("wrong", SECRET + "x"):
        with pytest.raises(openai.AuthenticationError):
            server.client(secret).models.list()
    assert post(server, "/models/load", {"id": CHAT}, "")[0] == 401
    assert post(server, "/no/such/path", {}, "wrong")[0] == 401
    assert server.health()["pid"] == server.process.pid


@pytest.mark.parametrize(("path", "status"), [("/no/such/path", 404), ("/v1/models", 405), ("/docs", 404)])
def test_every_error_has_the_same_form(server: Server, path: str, status: int) -> None:
    found, answer, _ = post(server, path, {})
    assert found == status
    assert set(answer["error"]) == {"message", "type", "code"}


# --- tokens, models, embeddings ---------------------------------------------------------------------------


def test_tokens_are_counted_as_the_model_counts_them(server: Server) -> None:
    _, one, _ = post(server, "/tokenize", {"content": "Hello <|im_end|> world"})
    assert len(one["tokens"]) == one["count"] > 5
    _, many, _ = post(server, "/tokenize", {"contents": ["Hello <|im_end|> world", "", "x"]})
    assert many == {"counts": [one["count"], 0, 1]}
    _, whole, _ = post(server, "/tokenize", {"messages": HELLO})
    _, answer, _ = post(server, "/v1/chat/completions", {"messages": HELLO, "max_tokens": 1})
    assert whole["count"] == answer["usage"]["prompt_tokens"]
    assert post(server, "/tokenize", {})[0] == 422
    assert post(server, "/tokenize", {"content": "x", "contents": ["x"]})[0] == 422


def test_tokens_are_counted_of_more_text_than_their_numbers_could_be_sent_of(server: Server) -> None:
    restarts = server.health()["chat"]["restarts"]
    digits = "7" * 3_900_000  # a token each, so their numbers would fill more than a message between processes holds
    status, many, _ = post(server, "/tokenize", {"contents": [*[digits] * 6, "", "x"]})
    assert (status, many) == (200, {"counts": [*[len(digits)] * 6, 0, 1]})
    status, one, _ = post(server, "/tokenize", {"content": digits[:200_000]})
    assert (status, one["count"]) == (200, 200_000)
    status, refused, _ = post(server, "/tokenize", {"content": digits})
    assert (status, refused["error"]["code"]) == (422, "bad_question")
    assert "3,900,000 characters" in refused["error"]["message"]
    assert server.health()["chat"]["restarts"] == restarts, "the process of the chat model has ended over it"


def test_active_models_come_first_with_their_real_context(api: openai.OpenAI) -> None:
    models = [model.model_dump() for model in api.models.list().data]
    assert [(m["id"], m["role"], m["active"]) for m in models[:2]] == [
        (CHAT, "chat", True),
        (EMBEDDER, "embedding", True),
    ]
    assert models[0]["context_length"] == 2048
    assert not any(model["active"] for model in models[2:])


def test_vectors_equal_those_of_the_library(api: openai.OpenAI, store: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["Hello", words(30), "日本語 🎉", "", "The boiler must be drained before the winter.", words(300)]
    answer = api.embeddings.create(model=EMBEDDER, input=texts, extra_body={"priority": "ingest"})
    found = np.array([item.embedding for item in answer.data])
    expected = SentenceTransformer(str(store / find(EMBEDDER).file)).encode(texts, normalize_embeddings=True)
    assert [item.index for item in answer.data] == list(range(len(texts)))
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert (found * expected).sum(axis=1).min() >= 0.9999
    assert answer.model_extra == {"truncated": [5]}


def test_vectors_come_as_floats_or_as_base64(server: Server) -> None:
    _, floats, _ = post(server, "/v1/embeddings", {"input": "Hello"})
    _, packed, _ = post(server, "/v1/embeddings", {"input": ["Hello"], "encoding_format": "base64"})
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(floats["data"][0]["embedding"])
    assert floats["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_question_is_embedded_while_many_documents_are(server: Server, in_background: Callable[..., Any]) -> None:
    texts = [f"{number} {words(30)}" for number in range(120)]
    documents = in_background(lambda: post(server, "/v1/embeddings", {"input": texts, "priority": "ingest"}))
    server.health()
    for _ in range(3):
        status, answer, _ = post(server, "/v1/embeddings", {"input": "What is it?", "priority": "query"})
        assert status == 200
        assert len(answer["data"]) == 1
    assert documents.is_alive(), "the documents were done before the questions"


def test_documents_are_embedded_while_an_answer_is_written(server: Server, in_background: Callable[..., Any]) -> None:
    body = {"messages": [{"role": "user", "content": words(100)}], "max_tokens": 60, "cache_prompt": False}
    answer = in_background(lambda: post(server, "/v1/chat/completions", body))
    status, vectors, _ = post(server, "/v1/embeddings", {"input": [words(20)] * 12, "priority": "ingest"})
    assert (status, len(vectors["data"])) == (200, 12)
    answer.join(60)


@pytest.mark.parametrize("change", [{"input": []}, {"input": [1, 2]}, {"input": ["x"] * 2049}, {"dimensions": 3}])
def test_bad_embedding_request_is_refused(server: Server, change: dict[str, Any]) -> None:
    assert post(server, "/v1/embeddings", {"input": "x", **change})[0] == 422


# --- changing the model --------------------------------------------------------------


def test_missing_model_is_told_and_the_old_one_stays(server: Server, api: openai.OpenAI) -> None:
    missing = "qwen2.5-coder-0.5b-instruct-q4_k_m"
    status, answer, _ = post(server, "/models/load", {"id": "no-such-model"})
    assert (status, answer["error"]["code"]) == (404, "not_found")
    assert post(server, "/models/load", {"id": "multilingual-e5-small"})[0] == 404
    assert post(server, "/models/load", {"id": EMBEDDER})[0] == 202, "it is there already"
    assert server.health()["embedder"]["status"] == "ok"
    if not any(model.id == missing for model in api.models.list().data):
        assert post(server, "/models/load", {"id": missing})[0] == 202
        health = server.wait(lambda health: health["chat"]["error"])
        assert health["chat"]["id"] == CHAT
        assert missing in health["chat"]["error"]
        assert health["status"] == "ok"
    assert api.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=2).usage


def test_answer_is_finished_before_the_model_changes(server: Server, api: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "", "messages": [{"role": "user", "content": "Write a story."}], "max_tokens": 40}
    stream = api.chat.completions.create(**asked, stream=True)
    next(stream)
    assert post(server, "/models/load", {"id": CHAT})[0] == 202
    assert list(stream)[-1].choices[0].finish_reason
    server.wait(lambda health: not health["chat"]["loading"] and not health["chat"]["error"])
    assert api.chat.completions.create(**asked).usage
