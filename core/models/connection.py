"""A connection to the model server: its errors in our own words, and hanging up at once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

import httpx2

from core.errors import Cancelled, ModelBusy, ModelError, ModelUnavailable, from_code

LOOK_SECONDS = 0.05  # between two looks at whether somebody pressed Stop
GONE = "The model server stopped or is restarting. Try again in a few seconds."

Result = TypeVar("Result")


def unless_cancelled(
    work: Callable[[], Result], cancel: threading.Event, *, late: Callable[[Result], object] = lambda _: None
) -> Result:
    """The result of `work`, done in a thread of its own. Raises what it raises, and Cancelled soon after `cancel`.

    What is given up ends by itself, as a request that only its server can end; `late` gets the result that nobody
    waits for any more.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="unless-cancelled")
    doing: Future[Result] = pool.submit(copy_context().run, work)
    pool.shutdown(wait=False)
    while not doing.done() and not cancel.is_set():
        wait([doing], LOOK_SECONDS)
    if doing.done():
        return doing.result()
    doing.add_done_callback(lambda ended: None if ended.exception() else late(ended.result()))
    raise Cancelled("Stopped.")


@contextmanager
def reached() -> Iterator[None]:
    """Our own error for a server that cannot be reached, or is lost on the way."""
    try:
        yield
    except httpx2.TransportError as error:
        raise ModelUnavailable(GONE) from error


def raise_for(reply: httpx2.Response) -> None:
    """Raises what an answer with an error status says."""
    if reply.is_error:
        try:
            body = reply.json()
        except ValueError:
            body = None
        raise from_body(body, reply.headers.get("retry-after"))


def from_body(body: object, retry_after: str | None) -> ModelError:
    """Our own error for the body of an error."""
    detail = body.get("error", body) if isinstance(body, dict) else {}
    detail = detail if isinstance(detail, dict) else {}
    message = str(detail.get("message") or "The model server answered with an error that it did not explain.")
    error = from_code(str(detail.get("code")), message)
    if isinstance(error, ModelBusy) and retry_after:
        error.retry_after = float(retry_after)
    return error if isinstance(error, ModelError) else ModelError(message)


@contextmanager
def hang_up(response: httpx2.Response, cancel: threading.Event) -> Iterator[None]:
    """Shut the connection down as soon as `cancel` is set: closing it from here would not wake the reader."""
    finished = threading.Event()

    def watch() -> None:
        while not finished.is_set():
            if cancel.wait(LOOK_SECONDS):
                connection = response.extensions["network_stream"].get_extra_info("socket")
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # the answer ended at the same moment
                return

    watcher = threading.Thread(target=watch, name="cancel-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
