"""The engine's thread: takes the requests that the server sends, and works on them step by step."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from core.serving.native.batching import Batcher
from core.serving.native.chat_model import ChatModel
from core.serving.native.request import Outbox, Request
from core.serving.native.sampling import Sampler
from core.serving.native.tuning import Tuning, measure
from core.serving.wire import Message
from core.types import ChatMessage, GenerationOptions

log = logging.getLogger(__name__)

FAULT = 70  # the exit code when our own thread failed


class Worker:
    """Owns the context. Its methods are called by the threads of the office and return at once, but for `pause`."""

    def __init__(self, chat: ChatModel, batcher: Batcher, tell: Callable[[Message], None]) -> None:
        self.chat, self._batcher = chat, batcher
        self._outbox = Outbox(lambda items: tell({"news": items, "pace": self._pace()}))
        self._prepared: dict[int, Request] = {}
        self._begun: deque[Request] = deque()
        self._known: dict[int, Request] = {}
        self._measuring: tuple[Sequence[int], Future[Tuning | None]] | None = None
        self._paused = self._stepping = False
        self._changed = threading.Condition()  # guards all that is above and not constant
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def prepare(self, message: Message) -> dict[str, Any]:
        """Turn messages into tokens, and keep them until the work begins. Raises ContextTooLong, BadQuestion."""
        options = options_of(message["options"])
        messages = [ChatMessage(role, content) for role, content in message["messages"]]
        prompt = self.chat.prompt(messages, options.max_tokens)
        sampler = Sampler(options, self.chat.model)
        request = Request(message["id"], prompt.tokens, prompt.system, 0, options, sampler, self._outbox)
        with self._changed:
            self._prepared[request.id] = request
        return {"tokens": len(prompt.tokens)}

    def begin(self, message: Message) -> None:
        """Work on a request that was prepared, after the tokens that were written of it before a crash."""
        with self._changed:
            request = self._prepared.pop(message["id"])
            request.given += message["written"]
            request.written = len(message["written"])
            self._begun.append(request)
            self._known[request.id] = request
            self._changed.notify_all()

    def crowd(self, message: Message) -> None:
        """So many requests wait for a slot, and documents for turns between steps."""
        self._batcher.crowd, self._batcher.documents = int(message["waiting"]), bool(message["documents"])

    def drop(self, message: Message) -> None:
        """A request is not wanted any more, whether it is prepared, begun or finished."""
        with self._changed:
            self._prepared.pop(message["id"], None)
            if request := self._known.get(message["id"]):
                request.cancelled = True
                self._batcher.abort()
                self._changed.notify_all()

    def pause(self) -> None:
        """Stop between two steps until `resume`; returns when no step runs."""
        with self._changed:
            self._paused = True
            self._changed.wait_for(lambda: not self._stepping)

    def resume(self) -> None:
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def measure(self, threads: Sequence[int]) -> Tuning | None:
        """Measure this machine if nobody waits for an answer; None at once if somebody does, or comes meanwhile."""
        asked: Future[Tuning | None] = Future()
        with self._changed:
            self._measuring = (threads, asked)
            self._changed.notify_all()
        return asked.result()

    def tune(self, tuning: Tuning) -> None:
        """Work as was found best."""
        with self._changed:
            self.chat.context.use_threads(tuning.writing_threads, tuning.reading_threads)
            if self.chat.options.drafting:
                self._batcher.drafting.seconds = tuning.step_seconds

    def _run(self) -> None:
        try:
            while True:
                if self._wait_for_work():
                    self._batcher.step()
                self._after_step()
        finally:  # nobody would ever answer again: the server starts another process
            log.critical("the engine's thread failed", exc_info=True)
            logging.shutdown()
            os._exit(FAULT)

    def _wait_for_work(self) -> bool:
        """Whether a step is to be made now."""
        with self._changed:
            self._batcher.drop_cancelled()
            while self._paused or not (self._begun or self._batcher.running):
                self._send()
                if self._measuring:
                    self._measure()
                else:
                    self._changed.wait()
                self._batcher.drop_cancelled()
            while self._begun:
                self._batcher.place(self._begun.popleft())
            self._batcher.drop_cancelled()
            self._send(now=False)
            self._stepping = bool(self._batcher.running)
            if self._measuring:  # somebody came first: who asked must not wait until nobody wants anything
                self._measuring[1].set_result(None)
                self._measuring = None
            return self._stepping

    def _measure(self) -> None:
        """Under the lock, which nobody needs while there is no request; who comes with one stops it."""
        if self._measuring is None:
            return
        (threads, asked), self._measuring = self._measuring, None
        busy = self._paused or self._batcher.running
        self._changed.release()
        try:
            asked.set_result(None if busy else measure(self.chat, threads, lambda: bool(self._begun) or self._paused))
        finally:
            self._changed.acquire()

    def _after_step(self) -> None:
        with self._changed:
            self._stepping = False
            self._known = {number: request for number, request in self._known.items() if not request.done}
            self._changed.notify_all()
        self._send(now=False)

    def _send(self, *, now: bool = True) -> None:
        self._outbox.flush(now=now)

    def _pace(self) -> dict[str, float]:
        pace = self._batcher.pace
        return {"reading": pace.reading, "writing": pace.writing, "state_bytes": self._batcher.prefixes.bytes}


def options_of(plain: dict[str, Any]) -> GenerationOptions:
    """The options as they travelled: lists were tuples."""
    biases = tuple((int(token), float(bias)) for token, bias in plain["logit_bias"])
    return GenerationOptions(**{**plain, "stop": tuple(plain["stop"]), "logit_bias": biases})
