"""A native process as its parent sees it: questions and answers, news, and how it ended.

C code that reads files and texts by strangers can crash, and then takes its whole process with it. So it runs in
processes that hold nothing which cannot be had again; this one, which holds the requests, goes on.
"""

from __future__ import annotations

import itertools
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWorking
from queue import SimpleQueue
from typing import Any, cast

from core.errors import ModelUnavailable, from_code
from core.serving.wire import Message, Wire
from core.settings import ROOT

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds between asking a process to end and making it
# Seconds without a word from a process that loads a model, after which it hangs. The first use of a model reads the
# whole file without one, 40 GB of a slow disk, and preparing an embedding model may take five minutes (errand.py).
SILENCE = 600.0

Reply = tuple[Message, bytes]


class Child:
    """A process of one of our modules, spoken to over its standard input and output. Safe to use from any thread."""

    def __init__(
        self, module: str, arguments: Sequence[str] = (), *, hear: Callable[[Message], None], ended: Callable[[], None]
    ) -> None:
        """Start it. `hear` gets what it says unasked, `ended` is called once, whyever it ends.

        Raises ModelUnavailable when this machine has no room for another process.
        """
        self._hear, self._ended = hear, ended
        command = [sys.executable, "-m", module, *arguments]
        try:
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:  # no memory, or no room for another process
            raise ModelUnavailable(
                f"The model's process cannot be started ({error.strerror}). Close other programs and try again."
            ) from error
        assert self._process.stdin
        assert self._process.stdout
        self._wire = Wire(cast(Any, self._process.stdout), cast(Any, self._process.stdin))
        self._outgoing: SimpleQueue[tuple[Message, bytes] | None] = SimpleQueue()
        self._numbers = itertools.count(1)
        self._asked: dict[int, Future[Reply]] = {}
        self._lock = threading.Lock()
        self._gone = False
        self._heard = time.monotonic()
        name = module.rpartition(".")[2]
        for work, title in ((self._write, "writer"), (self._read, "reader")):
            threading.Thread(target=work, name=f"{name}-{title}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._gone

    def tell(self, op: str, **fields: Any) -> None:
        """Send a message that needs no answer; lost if the process is gone. Never blocks."""
        self._outgoing.put(({"op": op, **fields}, b""))

    def ask(self, op: str, *, payload: bytes = b"", **fields: Any) -> Future[Reply]:
        """Send a message; its answer, or our own error that it raised, or ModelUnavailable if the process ends."""
        number, asked = next(self._numbers), Future[Reply]()
        with self._lock:
            if self._gone:
                asked.set_exception(_gone())
                return asked
            self._asked[number] = asked
        self._outgoing.put(({"op": op, "ask": number, **fields}, payload))
        return asked

    def patient(self, asked: Future[Reply]) -> Reply:
        """The answer, however long it takes while there is news on the way; a process that is silent is ended.

        Raises what the answer raises, StillWorking when it was ended.
        """
        while (left := self._heard + SILENCE - time.monotonic()) > 0:
            try:
                return asked.result(left)
            except StillWorking:
                log.debug("process %d has not answered yet", self.pid)
        log.error("process %d said nothing for %.0f s and is ended", self.pid, SILENCE)
        self.kill()
        raise StillWorking

    def kill(self) -> None:
        """End it at once, whatever it does; from now on it counts as gone."""
        with self._lock:
            self._gone = True
        self._process.kill()

    def close(self) -> None:
        """End it, and return when it has ended."""
        self._outgoing.put(None)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def end(self) -> str:
        """How it ended, in a few words for people; "" while it runs."""
        code = self._process.poll()
        if code is None:
            return ""
        if code >= 0:
            return f"it ended with code {code}"
        if -code == signal.SIGKILL:
            return "it was killed, maybe because the memory was full"
        try:
            return f"it crashed with {signal.Signals(-code).name}"
        except ValueError:
            return f"it crashed with signal {-code}"

    # --- its threads -------------------------------------------------------------------------------------

    def _write(self) -> None:
        try:
            while (item := self._outgoing.get()) is not None:
                self._wire.send(*item)
        except (OSError, ValueError):
            log.debug("process %d is gone, as the reader will say", self.pid)
        try:
            if self._process.stdin:
                self._process.stdin.close()  # which it takes as the wish to end
        except OSError:
            log.debug("process %d was gone already", self.pid)

    def _read(self) -> None:
        while (received := self._wire.receive()) is not None:
            message, payload = received
            self._heard = time.monotonic()
            if "re" in message:
                self._answer(message, payload)
            else:
                self._hear(message)
        self._outgoing.put(None)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it closed its output, so nobody will ever hear of it again
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        with self._lock:
            self._gone, lost = True, list(self._asked.values())
            self._asked.clear()
        for asked in lost:
            if asked.set_running_or_notify_cancel():
                asked.set_exception(_gone())
        self._ended()

    def _answer(self, message: Message, payload: bytes) -> None:
        with self._lock:
            asked = self._asked.pop(message["re"], None)
        if asked is None or not asked.set_running_or_notify_cancel():
            return
        if error := message.get("error"):
            asked.set_exception(from_code(str(error["code"]), str(error["message"])))
        else:
            asked.set_result((message, payload))


def silent(model_id: str) -> str:
    """For people: why a model that hangs while it is loaded is not there."""
    return (
        f"The model {model_id} could not be loaded: for {SILENCE / 60:.0f} minutes nothing was heard of it. "
        "Try again, or choose another model."
    )


def _gone() -> ModelUnavailable:
    return ModelUnavailable("The model's process has just ended. Try again in a few seconds.")
