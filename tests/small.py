"""Small honest objects for the edge of the process: they do what the model server does, with words instead of weights.

The same contract that the real client passes (tests/contracts/client.py) is run on them.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import Cancelled, ContextTooLong
from core.models.client import ModelClient
from core.models.status import ModelStatus, ServerStatus
from core.types import ChatMessage, GenerationChunk, GenerationOptions, Usage

DIMENSION = 384
CONTEXT = 4096


def word_vector(text: str) -> NDArray[np.float32]:
    """A bag of hashed words of length 1: texts that share words are near."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode()) % DIMENSION] += 1
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


def first_sentence(messages: Sequence[ChatMessage]) -> str:
    """What a very plain model would say: the first sentence of the first passage, with its number."""
    found = re.search(r"^\[1\] \(.*\)\n(.+?[.!?])(?:\s|$)", messages[-1].content, re.MULTILINE)
    return f"{found[1]} [1]" if found else "I could not find this in your documents."


class SmallClient(ModelClient):
    """Answers by a function of the messages, one word at a time; `pause` holds it before a word until set."""

    def __init__(self, run: Path, reply: Callable[[Sequence[ChatMessage]], str] = first_sentence) -> None:
        super().__init__(run)
        self.reply = reply
        self.asked: list[list[ChatMessage]] = []
        self.asked_models: list[str] = []  # "" is the active one
        self.gate = threading.Event()
        self.gate.set()
        self.hold_after = 0

    def chat(
        self,
        messages: Sequence[ChatMessage],
        options: GenerationOptions,
        cancel: threading.Event,
        *,
        model: str = "",
    ) -> Iterator[GenerationChunk]:
        self.asked.append(list(messages))
        self.asked_models.append(model)
        prompt = self.count_messages(messages)
        if prompt + options.max_tokens > CONTEXT:
            raise ContextTooLong(f"The prompt has {prompt} tokens and the answer {options.max_tokens}; {CONTEXT} fit.")
        yield GenerationChunk(queue_position=0, read_tokens=prompt, prompt_tokens=prompt)
        words = re.findall(r"\S+\s*", self.reply(messages))[: options.max_tokens]
        for number, word in enumerate(words):
            if number >= self.hold_after:
                while not self.gate.wait(0.02):
                    if cancel.is_set():
                        raise Cancelled("Stopped.")
            if cancel.is_set():
                raise Cancelled("Stopped.")
            yield GenerationChunk(text=word)
        usage = Usage(prompt_tokens=prompt, completion_tokens=len(words), total_seconds=0.01)
        yield GenerationChunk(finish_reason="stop", usage=usage)

    def embed(self, texts: Sequence[str], *, priority: str, model: str = "") -> NDArray[np.float32]:
        assert priority in ("query", "ingest")
        return np.stack([word_vector(text) for text in texts])

    def count(self, contents: Sequence[str]) -> list[int]:
        return [len(re.findall(r"\w+|[^\w\s]", content)) for content in contents]

    def count_messages(self, messages: Sequence[ChatMessage]) -> int:
        return sum(self.count([message.content for message in messages])) + 4 * len(messages)

    def context_tokens(self) -> int:
        return CONTEXT

    def load(self, model_id: str) -> None:
        self.loaded = model_id

    def invite(self, model_id: str) -> None:
        self.invited = model_id

    def embedding_form(self, model: str = "") -> str:
        return ""

    def recent(self) -> list[dict[str, Any]]:
        return []

    def status(self) -> ServerStatus:
        return ServerStatus("ok", ModelStatus("small", "ok"), ModelStatus("words", "ok"))
