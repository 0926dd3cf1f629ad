"""Groundwork's web process: `streamlit run app.py` serves the pages, REST, and starts the two other processes."""

import gc

gc.disable()  # until all is loaded: the collector would look again and again through what has come to stay

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import anyio.to_thread
import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from core import installation, services
from core.api import app as api
from core.api import health
from core.api.web import LocalOnly, SecureHeaders
from core.errors import GroundworkError
from core.settings import load, require_loopback

# Nearly all that a page run makes is gone at its end. With these instead of Python's 700, 10, 10 a rerun while an
# answer is being written went from 33 to 27 ms (Chat) and from 36 to 29 ms (Documents); medians of three runs each.
COLLECTIONS = (20_000, 20, 20)
ROOT = Path(__file__).resolve().parent
log = logging.getLogger("groundwork")


def _open() -> tuple[services.Services, Any]:
    settings = load()
    require_loopback(st.get_option("server.address"))
    lock = installation.lock_installation(settings)
    live = services.build(settings)
    services.use(live)
    live.start()
    return live, lock


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[Mapping[str, Any]]:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for talkative in ("httpx2", "alembic", "faiss"):  # every request, every step of setting up, every way not taken
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        live, lock = await anyio.to_thread.run_sync(_open)
    except GroundworkError as problem:
        # Streamlit would print a trace; a person who starts a program needs the sentence.
        sys.stderr.write(f"\nGroundwork cannot start. {problem}\n\n")
        sys.stderr.flush()
        os._exit(1)
    gc.freeze()  # what is imported now is left out of every later collection
    gc.set_threshold(*COLLECTIONS)
    gc.enable()
    _end_streams_first(live)
    log.info("Groundwork is ready at http://%s:%s", st.get_option("server.address"), st.get_option("server.port"))
    yield {}
    await anyio.to_thread.run_sync(live.close)
    lock.release()


def _end_streams_first(live: services.Services) -> None:
    """On SIGTERM and Ctrl-C: an open stream would keep the server waiting for its end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)

        def stop(signum: int, frame: FrameType | None, previous: Any = previous) -> None:
            live.turns.stop_all()
            if callable(previous):
                previous(signum, frame)

        signal.signal(number, stop)


app = st.App(
    ROOT / "pages" / "navigation.py",
    lifespan=lifespan,
    middleware=[Middleware(SecureHeaders), Middleware(LocalOnly)],
    routes=[
        Route("/healthz", health.healthz),
        Route("/readyz", health.readyz),
        Route("/metrics", health.metrics),
        Mount("/api/v1", app=api.rest()),
        Mount("/v1", app=api.openai()),
    ],
)
