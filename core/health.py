"""How the model is, looked at in the background: nobody who draws a page ever waits for the model server."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Literal

from core.errors import GroundworkError
from core.models.client import ModelClient
from core.models.endpoint import Endpoint
from core.models.installed import Models
from core.models.status import ServerStatus

FRESH_SECONDS = 2.0
FIRST_LOOK = 0.25  # seconds that the first question waits for the first look

Word = Literal["ready", "changing", "loading", "down", "missing", "error"]


@dataclass(frozen=True, slots=True)
class Health:
    """`sentence` is for people and empty when all is well; `chat_model` is the id of the model that answers.

    `service` is the host of the service that answers in the place of this machine, or empty; `failed` is the id of a
    model that could not be loaded and that no other one stands in for, or empty.
    """

    word: Word
    sentence: str = ""
    chat_model: str = ""
    service: str = ""
    failed: str = ""

    @property
    def answers(self) -> bool:
        """Whether a question asked now is answered now."""
        return self.word in ("ready", "changing")

    @property
    def passing(self) -> bool:
        """Whether it will change without anybody doing anything."""
        return self.word in ("changing", "loading", "down")


class HealthWatch:
    """Remembers the last look, and takes a new one at most every two seconds and only while somebody asks."""

    def __init__(self, models: Models, client: ModelClient) -> None:
        self.models = models
        self.client = client
        self._health = Health("ready")
        self._at = float("-inf")
        self._lock = threading.Lock()
        self._looking = False
        self._looked = threading.Event()

    def current(self) -> Health:
        """The last look, at most a few seconds old."""
        with self._lock:
            due = not self._looking and time.monotonic() - self._at > FRESH_SECONDS
            self._looking = self._looking or due
        if due:
            threading.Thread(target=self._look, name="health", daemon=True).start()
        self._looked.wait(FIRST_LOOK)
        return self._health

    def look_again(self) -> None:
        """Something has just been changed: the next question waits for a new look."""
        self._looked.clear()
        self._at = float("-inf")

    def _look(self) -> None:
        try:
            self._health = self._examine()
        except GroundworkError as problem:
            self._health = Health("error", str(problem))
        finally:
            self._at, self._looking = time.monotonic(), False
            self._looked.set()

    def _examine(self) -> Health:
        chosen, status = self.models.active_id(), self.client.status()
        self.models.settle(chosen, status)
        if missing := self.models.missing():
            titles = " and ".join(model.title for model in missing)
            verb = "is" if len(missing) == 1 else "are"
            return Health("missing", f"{titles} {verb} not downloaded yet.", status.chat.id)
        if endpoint := self.models.endpoint():
            return _beside_service(status, endpoint)
        return _health(status)


def _beside_service(status: ServerStatus, endpoint: Endpoint) -> Health:
    """While a service answers, this machine has only to find the passages. The service itself is asked by questions."""
    embedder, names = status.embedder, {"chat_model": endpoint.model, "service": endpoint.host}
    if status.status == "down":
        return Health("down", "The search of your documents is starting. Questions can be asked in a moment.", **names)
    if embedder.status == "error":
        return Health("error", embedder.error or f"The model {embedder.id} cannot be loaded.", **names)
    if embedder.status == "loading":
        sentence = "The search of your documents is being loaded. Questions can be asked in a moment."
        return Health("loading", sentence, **names)
    return Health("ready", **names)


def _health(status: ServerStatus) -> Health:
    chat, embedder = status.chat, status.embedder
    if status.status == "down":
        return Health("down", "The model is starting. Questions can be asked in a moment.")
    for model in (chat, embedder):
        if model.status == "error":
            sentence = model.error or f"The model {model.id} cannot be loaded."
            return Health("error", sentence, chat.id, failed=model.id)
    if chat.ended and chat.status == "loading":
        sentence = f"The model stopped ({chat.ended}) and is started again. Answers go on by themselves."
        if chat.error:
            sentence = f"The model stopped ({chat.ended}), and it is tried to start it again. {chat.error}"
        return Health("loading", sentence, chat.id)
    if embedder.status == "loading" and embedder.phase:
        return Health("loading", f"The embedding model is being prepared: {embedder.phase}.", chat.id)
    if "loading" in (chat.status, embedder.status):
        share = f" ({chat.share:.0%})" if chat.status == "loading" and chat.share else ""
        return Health("loading", f"The model is being loaded{share}. Questions can be asked in a moment.", chat.id)
    if chat.loading:
        return Health("changing", f"{chat.loading} is being loaded; {chat.id} answers until then.", chat.id)
    if chat.error:
        return Health("error", f"{chat.error} {chat.id} goes on answering.", chat.id)
    return Health("ready", chat_model=chat.id)
