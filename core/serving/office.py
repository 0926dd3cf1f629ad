"""The other side of child.py: how a native process hears what is wanted, and answers."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from core.errors import GroundworkError, ModelError
from core.serving.wire import Message, Wire

log = logging.getLogger(__name__)

NICE = 5
SWITCH_SECONDS = 0.001  # Python's default of 5 ms is felt: the engine asks for the interpreter several times a token
THREADS = 3
FIRST_TO_DIE = 500  # of 1000: when memory runs out, Linux takes us and not the process that holds the requests

Answer = Mapping[str, Any] | tuple[Mapping[str, Any], bytes | memoryview] | None
Handler = Callable[[Message, bytes], Answer]


class Office:
    """Messages come in, handlers answer; ends the process when the parent is gone."""

    def __init__(self) -> None:
        """Take over standard input and output: what libraries print goes to standard error from now on."""
        outgoing = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._wire = Wire(sys.stdin.buffer, outgoing)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="office")

    def tell(self, message: Mapping[str, Any]) -> None:
        """Say something unasked."""
        self._send(message)

    def serve(self, handlers: Mapping[str, Handler]) -> NoReturn:
        """Answer until the parent is gone. What needs no answer is handled at once and must return at once."""
        while (received := self._wire.receive()) is not None:
            message, payload = received
            handler = handlers[message["op"]]
            if "ask" in message:
                self._pool.submit(self._answer, handler, message, payload)
            else:
                handler(message, payload)
        leave()

    def _answer(self, handler: Handler, message: Message, payload: bytes) -> None:
        try:
            answer = handler(message, payload) or {}
        except GroundworkError as error:
            answer = {"error": {"code": error.code, "message": str(error)}}
        except Exception:  # the edge of a job: whoever asked waits for an answer, whatever happened
            log.exception("%s failed", message["op"])
            fault = ModelError(f"The model could not do it ({message['op']}): the log tells more.")
            answer = {"error": {"code": fault.code, "message": str(fault)}}
        body, extra = answer if isinstance(answer, tuple) else (answer, b"")
        self._send({"re": message["ask"], **body}, extra)

    def _send(self, message: Mapping[str, Any], payload: bytes | memoryview = b"") -> None:
        try:
            self._wire.send(message, payload)
        except (OSError, ValueError):
            leave()  # nobody is left to hear it


def stand_back() -> None:
    """A page needs a core for milliseconds, a model for seconds: the page goes first."""
    sys.setswitchinterval(SWITCH_SECONDS)
    if hasattr(os, "nice"):
        os.nice(NICE)
    if hasattr(os, "SCHED_BATCH"):  # Linux: and is not made to wait until our slice of time is over
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would write people's texts to the disk, slowly
    except ImportError:
        log.debug("this system writes no dumps")
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(FIRST_TO_DIE))
    except OSError:
        log.debug("this system has no order of dying")


def leave() -> NoReturn:
    """End at once: whatever is being computed, nobody needs it."""
    logging.shutdown()
    os._exit(0)
