"""How the model is, looked at in the background: no page ever waits for the model server."""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import dataclass

import streamlit as st

from core.errors import GroundworkError
from core.models.client import ServerStatus
from core.services import Services
from pages.ui import state
from pages.ui.markdown import plain

FRESH_SECONDS = 2.0
FIRST_LOOK = 0.25  # seconds that the first page of a process waits for the first look


@dataclass(frozen=True, slots=True)
class Health:
    """`word` is ready, missing, loading, down or error; `sentence` is for people and empty when all is well."""

    word: str
    sentence: str = ""

    @property
    def passing(self) -> bool:
        """Whether it will change without anybody doing anything."""
        return self.word in ("loading", "down")


class Watch:
    """Remembers the last look and takes a new one, at most every two seconds and only while somebody asks."""

    def __init__(self, services: Services) -> None:
        self._services = weakref.ref(services)
        self._lock = threading.Lock()
        self._looking = False
        self._seen = threading.Event()
        self._at = 0.0
        self.health = Health("ready")

    def current(self) -> Health:
        with self._lock:
            due = not self._looking and time.monotonic() - self._at > FRESH_SECONDS
            self._looking = self._looking or due
        if due:
            threading.Thread(target=self._look, name="health", daemon=True).start()
        self._seen.wait(FIRST_LOOK)
        return self.health

    def forget(self) -> None:
        """Look again at the next question, because something has just been changed."""
        self._at = 0.0

    def _look(self) -> None:
        try:
            services = self._services()
            if services is not None:
                self.health = examine(services)
        except GroundworkError as problem:
            self.health = Health("error", str(problem))
        finally:
            self._at = time.monotonic()
            self._looking = False
            self._seen.set()


_watches: dict[int, Watch] = {}


def watch() -> Watch:
    """The one watch over the services of this process."""
    services = state.services()
    if id(services) not in _watches:
        _watches.clear()
        _watches[id(services)] = Watch(services)
    return _watches[id(services)]


def examine(services: Services) -> Health:
    """Ask the model server and look for the files of the models."""
    if missing := services.models.missing():
        titles = " and ".join(model.title for model in missing)
        return Health("missing", f"Not downloaded yet: {titles}. Nothing can be answered without it.")
    return _words(services.client.status())


def _words(status: ServerStatus) -> Health:
    if status.status == "down":
        return Health("down", "The model server is starting. Questions wait until it is there.")
    for model in (status.chat, status.embedder):
        if model.status == "error":
            return Health("error", model.error or f"The model {model.id} cannot be loaded.")
        if model.status != "ok":
            return Health("loading", f"The model {model.id} is being loaded.")
    return Health("ready")


def draw() -> None:
    """A line in the sidebar while something is wrong; it goes away by itself when that passes."""
    health = watch().current()
    if health.passing:
        st.fragment(_passing, run_every=FRESH_SECONDS)()
    elif health.word != "ready":
        st.warning(plain(health.sentence), icon=":material/warning:")


def _passing() -> None:
    health = watch().current()
    if not health.passing:
        st.rerun()
    st.info(plain(health.sentence), icon=":material/hourglass_top:")
