"""Trying a model service out: one tiny question in the background, and one sentence on what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core.errors import GroundworkError
from core.guard import visible
from core.models.remote.client import RemoteClient
from core.types import ChatMessage, GenerationOptions

QUESTION = (ChatMessage("user", "Answer with the one word: ready"),)
OPTIONS = GenerationOptions(max_tokens=256)  # models that think before they answer need some
LONGEST_WORD = 40


@dataclass
class Trial:
    """A trial that runs, or has ended; `sentence` is for people."""

    began: float = field(default_factory=time.monotonic)
    active: bool = True
    answered: bool = False
    sentence: str = ""
    cancel: threading.Event = field(default_factory=threading.Event)

    def seconds(self) -> float:
        """How long it takes already."""
        return time.monotonic() - self.began


class Trials:
    """The last trial of each service since the start. `client` finds the client of a service by its id."""

    def __init__(self, client: Callable[[str], RemoteClient]) -> None:
        self._client = client
        self._trials: dict[str, Trial] = {}

    def last(self, endpoint_id: str) -> Trial | None:
        return self._trials.get(endpoint_id)

    def start(self, endpoint_id: str) -> Trial:
        """Ask the service for one word; a trial that runs already goes on."""
        running = self.last(endpoint_id)
        if running and running.active:
            return running
        trial = self._trials[endpoint_id] = Trial()
        threading.Thread(target=self._run, args=(endpoint_id, trial), name="endpoint-trial", daemon=True).start()
        return trial

    def forget(self, endpoint_id: str) -> None:
        """The service is another one now, or gone."""
        if trial := self._trials.pop(endpoint_id, None):
            trial.cancel.set()

    def close(self) -> None:
        """Stop all that run."""
        for trial in list(self._trials.values()):
            trial.cancel.set()

    def _run(self, endpoint_id: str, trial: Trial) -> None:
        try:
            client = self._client(endpoint_id)
            said = "".join(step.text for step in client.chat(QUESTION, OPTIONS, trial.cancel))
            word = " ".join(visible(said).split())[:LONGEST_WORD]
            trial.sentence = f"{client.service.model} answered “{word}” after {trial.seconds():.1f} s."
            trial.answered = True
        except GroundworkError as problem:
            trial.sentence = str(problem)
        finally:
            trial.active = False
