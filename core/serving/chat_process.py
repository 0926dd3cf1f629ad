"""A chat model that runs in a process of its own (core/serving/native), as the engine sees it."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as StillWorking
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import ModelError, ModelUnavailable
from core.serving.child import Child, silent
from core.serving.options import LoadOptions
from core.serving.wire import Message
from core.types import ChatMessage, GenerationOptions

log = logging.getLogger(__name__)

MODULE = "core.serving.native"
ANSWER_SECONDS = 60.0  # for what takes milliseconds: longer than that means that it hangs
PORTION = 1_000_000  # characters of texts whose tokens are counted at once: 3 seconds of the worst of them
MEASURE_SECONDS = 900.0  # for some hundred tokens, of the largest model on the slowest machine too
Item = list[Any]
Hear = Callable[["ChatProcess", list[Item]], None]


class ChatProcess:
    """The process and what is known of its model. `reading` and `writing` are its seconds a token, 0 at first."""

    def __init__(self, model_id: str, options: LoadOptions, *, hear: Hear, lost: Callable[[ChatProcess], None]) -> None:
        """Start it, without a model. `hear` gets the news of requests, `lost` is called once, when it has ended."""
        self.id, self.options = model_id, options
        self.context_tokens = self.cells = 0
        self.reading = self.writing = 0.0
        self.state_bytes = 0
        self.loaded = 0.0  # share of the file
        self.ready = False
        self._hear, self._lost = hear, lost
        self._closing, self._crowd = False, (0, False)
        self._child = Child(MODULE, hear=self._listen, ended=self._ended)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self.ready and self._child.alive

    @property
    def end(self) -> str:
        """How it ended, in a few words for people; "" while it runs."""
        return self._child.end()

    def load(self, path: Path, *, identity: str, tuning: Mapping[str, Any] | None) -> None:
        """Load the model, tuned as was found best before.

        Raises ModelMissing, ModelCorrupt, ModelError, or ModelUnavailable when the process ended on the way. One that
        hangs is ended: it would do so again, so that is a ModelError.
        """
        asked = self._child.ask(
            "load",
            model=self.id,
            path=str(path),
            identity=identity,
            options=self.options.plain(),
            tuning=tuning,
        )
        try:
            message, _ = self._child.patient(asked)
        except StillWorking as error:
            raise ModelError(silent(self.id)) from error
        self.context_tokens, self.cells = int(message["context_tokens"]), int(message["cells"])
        self.ready = True

    def measure(self, threads: Sequence[int]) -> dict[str, Any] | None:
        """Find out how it works best on this machine; None if it was disturbed. Raises ModelUnavailable."""
        found = self._ask("measure", MEASURE_SECONDS, threads=list(threads))["tuning"]
        return dict(found) if found else None

    def prepare(self, number: int, messages: Sequence[ChatMessage], options: GenerationOptions) -> int:
        """Turn messages into tokens over there; returns how many. Raises ContextTooLong, BadQuestion."""
        plain = [[message.role, message.content] for message in messages]
        return int(self._ask("prepare", id=number, messages=plain, options=asdict(options))["tokens"])

    def begin(self, number: int, written: Sequence[int]) -> None:
        """Work on a prepared request, of which these tokens were written before."""
        self._child.tell("begin", id=number, written=list(written))

    def tell_crowd(self, waiting: int, *, documents: bool) -> None:
        """So many requests wait for a slot: the more, the more it reads in a step, but not when documents wait too."""
        if (waiting, documents) != self._crowd:
            self._crowd = waiting, documents
            self._child.tell("crowd", waiting=waiting, documents=documents)

    def drop(self, number: int) -> None:
        """A request is not wanted any more."""
        self._child.tell("drop", id=number)

    def pause(self) -> None:
        """Let it stop computing between two steps, and return when it has; also when it has ended."""
        try:
            self._ask("pause")
        except ModelUnavailable:
            log.debug("%s has ended and computes nothing", self.id)

    def resume(self) -> None:
        self._child.tell("resume")

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text, without a template."""
        return [list(tokens) for tokens in self._ask("tokenize", texts=list(texts))["tokens"]]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, without a template. Of any number of texts: they are sent in portions."""
        found: list[int] = []
        while len(found) < len(texts):
            # The patience is for each portion: tokens of 32 MB can take longer, and nothing hangs meanwhile.
            sizes = itertools.accumulate(len(text) for text in texts[len(found) :])
            portion = max(1, sum(size <= PORTION for size in sizes))
            reply = self._ask("tokenize", counted=list(texts[len(found) : len(found) + portion]))
            found += [int(count) for count in reply["counts"]]
        return found

    def count(self, messages: Sequence[ChatMessage]) -> tuple[int, int]:
        """Tokens of the whole prompt, and of the system prompt that it begins with."""
        reply = self._ask("tokenize", messages=[[m.role, m.content] for m in messages])
        return int(reply["count"]), int(reply["system"])

    def kill(self) -> None:
        """End it at once: it hangs."""
        self._child.kill()

    def close(self) -> None:
        """End it on purpose; nobody hears of it."""
        self._closing, self.ready = True, False
        self._child.close()

    def close_soon(self) -> None:
        """The same, without waiting for it."""
        threading.Thread(target=self.close, name=f"close-{self.id}", daemon=True).start()

    def _ask(self, op: str, patience: float = ANSWER_SECONDS, **fields: Any) -> Message:
        asked = self._child.ask(op, **fields)
        try:
            return asked.result(patience)[0]
        except StillWorking as error:
            log.error("%s does not answer to %s and is ended", self.id, op)
            self.kill()
            raise ModelUnavailable("The model does not answer and is started again. Try again soon.") from error

    def _listen(self, message: Message) -> None:
        if "loading" in message:
            self.loaded = float(message["loading"])
            return
        pace = message["pace"]
        self.reading, self.writing = float(pace["reading"]), float(pace["writing"])
        self.state_bytes = int(pace["state_bytes"])
        self._hear(self, message["news"])

    def _ended(self) -> None:
        was_ready, self.ready = self.ready, False
        if was_ready and not self._closing:
            self._lost(self)
