"""What everything behind a ModelClient must do: the real server, and the small object that stands for it in tests."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from core.errors import Cancelled, ContextTooLong
from core.models.client import ModelClient
from core.types import ChatMessage, GenerationChunk, GenerationOptions

ASK = [
    ChatMessage("system", "You are brief."),
    ChatMessage("user", "[1] (Note)\nThe dam is 90 m high.\n\nHow high is the dam?"),
]


class ClientContract:
    """Inherit and give a fixture `model_client`."""

    def run(self, client: ModelClient, **options: object) -> list[GenerationChunk]:
        return list(client.chat(ASK, GenerationOptions(**options), threading.Event()))  # type: ignore[arg-type]

    def test_an_answer_streams_and_ends_with_what_it_cost(self, model_client: ModelClient) -> None:
        chunks = self.run(model_client, max_tokens=12)
        assert "".join(chunk.text for chunk in chunks).strip()
        usage = next(chunk.usage for chunk in chunks if chunk.usage)
        assert usage.prompt_tokens == model_client.count_messages(ASK)
        assert 0 < usage.completion_tokens <= 12
        assert any(chunk.finish_reason in ("stop", "length") for chunk in chunks)

    def test_reading_is_reported(self, model_client: ModelClient) -> None:
        chunks = self.run(model_client, max_tokens=4, cache_prompt=False)
        read = [chunk.read_tokens for chunk in chunks if chunk.read_tokens is not None]
        assert read[-1] == model_client.count_messages(ASK)

    def test_a_cancelled_answer_raises(self, model_client: ModelClient) -> None:
        cancel = threading.Event()
        with pytest.raises(Cancelled):
            for _ in model_client.chat(ASK, GenerationOptions(max_tokens=200), cancel):
                cancel.set()

    def test_what_does_not_fit_is_refused(self, model_client: ModelClient) -> None:
        long = [ChatMessage("user", "word " * (model_client.context_tokens() + 10))]
        with pytest.raises(ContextTooLong):
            list(model_client.chat(long, GenerationOptions(), threading.Event()))

    def test_vectors_have_length_one_and_know_what_is_alike(self, model_client: ModelClient) -> None:
        vectors = model_client.embed(
            ["a high dam of stone", "the stone dam is high", "espresso with milk"], priority="query"
        )
        assert vectors.shape == (3, 384)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]

    def test_texts_are_counted_one_by_one(self, model_client: ModelClient) -> None:
        counts = model_client.count(["", "one", "one two three four five six"])
        assert counts[0] == 0
        assert counts[0] < counts[1] < counts[2]

    def test_it_says_that_it_is_well(self, model_client: ModelClient) -> None:
        status = model_client.status()
        assert (status.chat.status, status.embedder.status) == ("ok", "ok")
