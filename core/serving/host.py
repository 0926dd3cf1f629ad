"""The models of this server: loads them in the background, changes them, and knows how they are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from core.errors import GroundworkError, ModelUnavailable, NotFound
from core.models.catalog import CatalogModel, find, installed_path
from core.serving.chat_model import ChatModel, ContextOptions
from core.serving.cores import Cores
from core.serving.embedder import Embedder
from core.serving.engine import Engine
from core.serving.llama import physical_cores

log = logging.getLogger(__name__)

Load = Callable[[str], None]  # loads the model of that id and raises what went wrong


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """`status` is ok, loading or error. An error beside ok tells why another model could not be loaded."""

    id: str
    status: str
    error: str | None = None
    loading: str | None = None  # the model that is going to take over


class ModelHost:
    """The engine and the embedder with their models, each ready as soon as it is loaded."""

    def __init__(self, store: Path, options: ContextOptions, *, queue_limit: int) -> None:
        self.store = store
        self._options, self._queue_limit = options, queue_limit
        self._cores = Cores()
        self.engine = Engine(slots=options.sequences, queue_limit=queue_limit, cores=self._cores)
        self._embedder: Embedder | None = None
        self.chat, self.embedding = ModelStatus("", "loading"), ModelStatus("", "loading")
        self._jobs: SimpleQueue[tuple[Load, str]] = SimpleQueue()
        threading.Thread(target=self._run, name="loader", daemon=True).start()

    def start(self, chat_id: str, embedder_id: str) -> threading.Thread:
        """Begin to load both, side by side: one mostly reads from the disk, the other imports Python.

        The thread that is returned ends with the embedder, which takes longer.
        """
        self.chat, self.embedding = ModelStatus(chat_id, "loading"), ModelStatus(embedder_id, "loading")
        self._jobs.put((self._load_chat, chat_id))
        embedding = threading.Thread(
            target=self._attempt, args=(self._load_embedder, embedder_id), name="embedder-loader", daemon=True
        )
        embedding.start()
        return embedding

    def change_chat(self, model_id: str) -> None:
        """Begin to load another chat model; the old one works until then. Raises NotFound for an unknown id."""
        _find(model_id, "chat")
        old = self.engine.chat
        self.chat = ModelStatus(old.id, "ok", loading=model_id) if old else ModelStatus(model_id, "loading")
        self._jobs.put((self._load_chat, model_id))

    def embedder(self) -> Embedder:
        """The embedder. Raises ModelUnavailable until it is loaded."""
        if self._embedder is None:
            raise ModelUnavailable(self.embedding.error or "The embedding model is still loading. Try again soon.")
        return self._embedder

    def chat_model(self) -> ChatModel:
        """The chat model. Raises ModelUnavailable until it is loaded."""
        if (chat := self.engine.chat) is None:
            raise ModelUnavailable(self.chat.error or "The chat model is still loading. Try again in a few seconds.")
        return chat

    @property
    def status(self) -> str:
        """Of both together: error before loading before ok."""
        states = (self.chat.status, self.embedding.status)
        return next((state for state in ("error", "loading") if state in states), "ok")

    def close(self) -> None:
        """End all requests."""
        self.engine.close()
        if self._embedder:
            self._embedder.close()

    def _run(self) -> None:
        while True:
            self._attempt(*self._jobs.get())

    def _attempt(self, load: Load, model_id: str) -> None:
        try:
            load(model_id)
        except GroundworkError as error:
            log.warning("loading %s: %s", model_id, error)
            self._failed(load, model_id, str(error))
        except (ImportError, MemoryError, OSError, RuntimeError, ValueError) as error:
            log.exception("loading %s", model_id)
            sentence = f"The model {model_id} could not be loaded ({type(error).__name__}): the log tells more."
            self._failed(load, model_id, sentence)

    def _load_chat(self, model_id: str) -> None:
        model = _find(model_id, "chat")
        self.engine.use(ChatModel.load(model.id, installed_path(model, self.store), self._options))
        self.chat = ModelStatus(model.id, "ok")

    def _load_embedder(self, model_id: str) -> None:
        model = _find(model_id, "embedding")
        self._embedder = Embedder(
            model.id,
            installed_path(model, self.store),
            threads=self._options.threads or physical_cores(),
            cores=self._cores,
            queue_limit=self._queue_limit,
        )
        self.embedding = ModelStatus(model.id, "ok")

    def _failed(self, load: Load, model_id: str, sentence: str) -> None:
        """An earlier chat model goes on; without one there is an error."""
        if load == self._load_embedder:
            self.embedding = ModelStatus(model_id, "error", sentence)
        elif old := self.engine.chat:
            self.chat = ModelStatus(old.id, "ok", sentence)
        else:
            self.chat = ModelStatus(model_id, "error", sentence)


def _find(model_id: str, role: str) -> CatalogModel:
    model = find(model_id)
    if model.role != role:
        raise NotFound(f"The model {model_id} is for {model.role}, not for {role}.")
    return model
