"""The reranker behind the model server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.conftest import CHAT, EMBEDDER, Server, post

pytestmark = pytest.mark.model


def test_passages_are_put_into_the_order_of_a_reranker_that_is_installed(
    start: Callable[..., Server], store: Path, tmp_path: Path, build_bert: Callable[..., Path]
) -> None:
    (tmp_path / f"{CHAT}.gguf").symlink_to(store / f"{CHAT}.gguf")
    (tmp_path / EMBEDDER).symlink_to(store / EMBEDDER)
    (tmp_path / "ms-marco-minilm-l6-v2").symlink_to(build_bert("BertForSequenceClassification", num_labels=1))
    server = start(tmp_path, context=512)
    server.wait(lambda health: health["embedder"]["status"] != "loading")
    body = {"query": "fire", "documents": ["water", "the fire burns", "earth"], "return_documents": True}
    status, answer, _ = post(server, "/v1/rerank", body)
    assert status == 200
    scores = [result["relevance_score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert {result["index"] for result in answer["results"]} == {0, 1, 2}
    assert all(body["documents"][r["index"]] == r["document"]["text"] for r in answer["results"])
    again = post(server, "/v1/rerank", body | {"top_n": 1})[1]["results"]
    assert [result["index"] for result in again] == [answer["results"][0]["index"]]
