"""The models of this server: loads them in the background, changes them, replaces their processes when they end."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from core.errors import GroundworkError, ModelCrashed, ModelUnavailable, NotFound
from core.models.catalog import CatalogModel
from core.models.status import ModelStatus
from core.serving.chat_process import ChatProcess
from core.serving.cores import Cores
from core.serving.embedders import Embedders
from core.serving.engine import Engine
from core.serving.fitting import TooLarge, fitted
from core.serving.guests import Guests
from core.serving.loading import ChatLoader, Load, attempted
from core.serving.machine import memory_of
from core.serving.metrics import Metrics, State
from core.serving.options import LoadOptions
from core.serving.retries import Retries
from core.serving.tunings import Tuner, Tunings
from core.serving.workshop import Workshop

log = logging.getLogger(__name__)

DELAYS = (0.0, 0.5, 1.0, 2.0, 5.0, 8.0)  # seconds before the next start of a process that ends again and again
QUIET = 60.0  # seconds without an end after which it counts as well again


class ModelHost:
    """The engine and the embedders with their models, each ready as soon as it is loaded."""

    def __init__(
        self,
        store: Path,
        options: LoadOptions,
        *,
        cache: Path,
        form: str,
        queue_limit: int,
    ) -> None:
        self.store = store
        self._options, self._queue_limit = options, queue_limit
        self._cores = Cores()
        self.engine = Engine(
            queue_limit=queue_limit, cores=self._cores, ended=lambda which, end: self.metrics.ended(which, end)
        )
        self.chat = ModelStatus("", "loading")
        tunings = Tunings(cache / "tunings.json")
        self._loader = ChatLoader(store, tunings, Tuner(self._quiet))
        self.embedders = Embedders(
            self._loader, options, cores=self._cores, work=cache, form=form, queue_limit=queue_limit
        )
        self.workshop = Workshop(store, options, tunings)
        self.guests = Guests(lambda: Engine(queue_limit=queue_limit, cores=self._cores), self._load_guest)
        self._retired = ""  # the model that made room for the one that is being loaded
        self._ends: list[float] = []
        self._retries = Retries()
        self._closing = threading.Event()
        self.metrics = Metrics(self.state)
        self._jobs: SimpleQueue[tuple[Load, str]] = SimpleQueue()
        threading.Thread(target=self._run, name="loader", daemon=True).start()

    def start(self, chat_id: str, embedder_id: str) -> threading.Thread:
        """Begin to load both, side by side: one mostly reads from the disk, the other imports Python.

        The thread that is returned ends with the embedder, which takes longer.
        """
        self.chat = ModelStatus(chat_id, "loading")
        self._jobs.put((self._load_chat, chat_id))
        return self.embedders.start(embedder_id)

    def load(self, model_id: str) -> None:
        """Begin to load another chat model, or the embedding model if it is not loaded. Raises NotFound."""
        if model_id == self.embedders.status.id:
            self.embedders.start_again()
        else:
            self.change_chat(model_id)

    def change_chat(self, model_id: str) -> None:
        """Begin to load another chat model; the old one works until then. Raises NotFound for an unknown id."""
        self._loader.find(model_id, "chat")
        if self.engine.chat:
            self.chat = replace(self.chat, loading=model_id, error="", share=0.0)
        else:
            self.chat = ModelStatus(model_id, "loading")
        self._retries.reset()
        self._jobs.put((self._load_chat, model_id))

    def chat_model(self) -> ChatProcess:
        """The chat model; maybe its process is being replaced. Raises ModelUnavailable until it is loaded."""
        if (chat := self.engine.chat) is None:
            raise ModelUnavailable(self.chat.error or "The chat model is still loading. Try again in a few seconds.")
        return chat

    def chat_status(self) -> ModelStatus:
        """With the progress of loading."""
        loading = self._loader.loading
        return replace(self.chat, share=loading.loaded) if loading else self.chat

    def engine_of(self, model_id: str) -> Engine:
        """Who answers for a model: the engine, or the guest of that name. Raises ModelUnavailable, NotFound."""
        if guest := self.guests.find(model_id):
            return guest
        require_model(model_id, self.chat_model().id)
        return self.engine

    @property
    def status(self) -> str:
        """Of both together: error before loading before ok."""
        states = (self.chat.status, self.embedders.status.status)
        return next((state for state in ("error", "loading") if state in states), "ok")

    def _quiet(self) -> bool:
        """Whether nothing is being computed or loaded."""
        resting = not (self.engine.running or self.engine.waiting)
        return resting and self.status == "ok" and not (self.embedders.first and self.embedders.first.busy)

    def state(self) -> State:
        """What the statistics look at."""
        chat, embedder, counts = self.engine.chat, self.embedders.first, self.engine.counts
        processes = [("server", os.getpid())]
        processes += [("chat", chat.pid)] if chat else []
        processes += [("embedder", embedder.pid)] if embedder else []
        return State(
            running=self.engine.running,
            waiting=self.engine.waiting,
            slots=chat.options.slots if chat else 1,
            state_bytes=chat.state_bytes if chat else 0,
            processes=tuple(processes),
            restarts=(("chat", self.chat.restarts), ("embedder", embedder.restarts if embedder else 0)),
            read=counts.read,
            known=counts.known,
            written=counts.written,
            texts=embedder.count if embedder else 0,
        )

    def close(self) -> None:
        """End all requests and processes."""
        self._closing.set()
        if loading := self._loader.loading:
            loading.close()
        self.guests.close()
        self.engine.close()
        self.embedders.close()

    def _run(self) -> None:
        while True:
            self._attempt(*self._jobs.get())

    def _attempt(self, load: Load, model_id: str) -> None:
        if error := attempted(load, model_id):
            self._failed(load, model_id, error)

    def _load_chat(self, model_id: str) -> None:
        model = self._loader.find(model_id, "chat")
        options = self._fitted(model, self._loader.path(model))
        process = self._loader.load(model, options, hear=self.engine.hear, lost=self._lost)
        self._retired = ""
        self._retries.reset()
        self.engine.use(process)
        self.chat = replace(self.chat, id=model.id, status="ok", error="", loading="", share=0.0)

    def _load_guest(self, model_id: str, engine: Engine) -> ChatProcess:
        model = self._loader.find(model_id, "chat")

        def lost(process: ChatProcess) -> None:
            engine.lost(process)
            engine.give_up(ModelCrashed(f"{model.title} stopped ({process.end}). Choose it again to go on."))

        options = fitted(self._loader.path(model), model.id, self._options)
        return self._loader.load(model, options, hear=engine.hear, lost=lost)

    def _fitted(self, model: CatalogModel, path: Path) -> LoadOptions:
        """The options for the memory that is free. If only the old model is in the way, it goes first: that is a gap
        in which people wait, but better than not at all. Raises as `fitted`."""
        try:
            return fitted(path, model.id, self._options)
        except TooLarge:
            old = self.engine.chat
            if old is None or not old.alive:
                raise
            options = fitted(path, model.id, self._options, given_back=memory_of(old.pid))
        log.info("%s makes room for %s", old.id, model.id)
        self._retired = old.id
        self.engine.retire()
        return options

    def _lost(self, process: ChatProcess) -> None:
        """The process of a chat model ended by itself: its requests wait while another one is started."""
        now = time.time()
        log.error("the process of %s ended: %s", process.id, process.end)
        self._ends = [at for at in self._ends if now - at < QUIET] + [now]
        restarts = self.chat.restarts + 1
        self.chat = replace(self.chat, status="loading", error="", ended=process.end, ended_at=now, restarts=restarts)
        self.engine.lost(process)
        self._jobs.put((self._load_again, process.id))

    def _load_again(self, model_id: str) -> None:
        if (chat := self.engine.chat) and chat.alive:
            self.chat = replace(self.chat, status="ok")
            return  # another model has taken over meanwhile
        if self.chat.id != model_id and self.chat.status != "error":
            return  # another one took over, and is started again itself
        self._closing.wait(DELAYS[max(0, min(len(self._ends), len(DELAYS)) - 1)])
        if not self._closing.is_set():
            self._load_chat(model_id)

    def _load_back(self, sentence: str, model_id: str) -> None:
        """The old model again, since the one it made room for could not be loaded."""
        self._retired = ""
        self._load_chat(model_id)
        self.chat = replace(self.chat, error=sentence)

    def _failed(self, load: Load, model_id: str, error: GroundworkError) -> None:
        """An earlier model goes on; without one it is tried again if a process ended, or else there is an error."""
        sentence = str(error)
        ended = load == self._load_again or isinstance(error, ModelUnavailable)
        if (old := self.engine.chat) and old.alive:
            self.chat = replace(self.chat, id=old.id, status="ok", error=sentence, loading="")
        elif self._retired and self._retired != model_id:
            self.chat = replace(self.chat, id=self._retired, status="loading", loading="")
            self._jobs.put((partial(self._load_back, sentence), self._retired))
        elif ended and (seconds := self._retries.later(partial(self._jobs.put, (self._load_again, model_id)))):
            # Maybe the memory was short: those who wait hear why it takes longer.
            self.chat = replace(self.chat, id=model_id, status="loading", error=sentence, loading="")
            self.engine.delay(f"{sentence.rstrip('.')}; it is tried again in {seconds:.0f} s")
        else:
            self.engine.give_up(ModelUnavailable(sentence))
            self.chat = replace(self.chat, id=model_id, status="error", error=sentence, loading="")


def require_model(asked: str, active: str) -> None:
    """Raises NotFound if somebody asks for a model that does not answer here."""
    if asked and asked != active:
        raise NotFound(f"The model {asked[:100]!r} is not active; {active} is. Leave `model` empty to take it.")
