"""The embedding model of this server with its reranker, and a second one for a while: loads them in the background."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

from core.errors import GroundworkError, ModelUnavailable
from core.models.status import ModelStatus
from core.serving.cores import Cores
from core.serving.embedder import Embedder
from core.serving.loading import ChatLoader, attempted
from core.serving.machine import physical_cores
from core.serving.options import LoadOptions
from core.serving.retries import Retries
from core.serving.second_embedder import SecondEmbedder
from core.serving.vectors_process import VectorsProcess

log = logging.getLogger(__name__)


class Embedders:
    """`status` is of the first one, `reranker` the id of the reranker in its process. Safe to use from any thread."""

    def __init__(
        self, loader: ChatLoader, options: LoadOptions, *, cores: Cores, work: Path, form: str, queue_limit: int
    ) -> None:
        """`form` is how to compute the first one, or "" for what is fastest here."""
        self._loader, self._threads = loader, options.threads
        self._cores, self._work, self._form, self._queue_limit = cores, work, form, queue_limit
        self.status, self.reranker = ModelStatus("", "loading"), ""
        self.first: Embedder | None = None
        self.second = SecondEmbedder(lambda model_id: self._made(model_id, ""))
        self._retries, self._closing = Retries(), False
        self._lock = threading.Lock()

    def start(self, model_id: str) -> threading.Thread:
        """Begin to load the first one, in a thread that ends when that is done or has failed."""
        self.status = ModelStatus(model_id, "loading")
        thread = threading.Thread(target=self._attempt, args=(model_id,), name="embedder-loader", daemon=True)
        thread.start()
        return thread

    def start_again(self) -> None:
        """Begin anew if it could not be loaded: its files may have come meanwhile."""
        with self._lock:
            if self.status.status == "error":
                self._retries.reset()
                self.start(self.status.id)

    def find(self, model_id: str = "") -> Embedder:
        """The first one, or a second one. Raises ModelUnavailable until it is loaded, NotFound, ModelMissing."""
        if model_id and model_id != self.status.id:
            self._loader.path(self._loader.find(model_id, "embedding"))
            return self.second.find(model_id)
        if self.first is None:
            raise ModelUnavailable(self.status.error or "The embedding model is still loading. Try again soon.")
        return self.first

    def close(self) -> None:
        self._closing = True
        self.second.close()
        if self.first:
            self.first.close()

    def _attempt(self, model_id: str) -> None:
        if self._closing or (error := attempted(self._load, model_id)) is None:
            return
        again = isinstance(error, ModelUnavailable) and self._retries.later(partial(self._attempt, model_id))
        self.status = ModelStatus(model_id, "loading" if again else "error", str(error))

    def _load(self, model_id: str) -> None:
        self.first = self._made(model_id, self._form)
        self._form = self.first.form
        self._retries.reset()
        self.status = ModelStatus(model_id, "ok", form=self._form)

    def _made(self, model_id: str, form: str) -> Embedder:
        model = self._loader.find(model_id, "embedding")
        folder, work = self._loader.path(model), self._work

        def started(*, reranks: bool = model_id == self.status.id) -> VectorsProcess:
            process = VectorsProcess(model.id, folder, work=work, form=form, phase=self._tell_phase)
            if reranks:
                self.reranker = self._load_reranker(process)
            # A broken reranker may take the process along.
            return started(reranks=False) if reranks and not process.alive else process

        threads = self._threads or physical_cores()
        return Embedder(started, threads=threads, cores=self._cores, queue_limit=self._queue_limit)

    def _load_reranker(self, process: VectorsProcess) -> str:
        """The id of the reranker that this process has loaded beside its model; "" without: search needs none."""
        try:
            if reranker := self._loader.reranker():
                process.load_reranker(reranker.id, self._loader.path(reranker))
                return reranker.id
        except GroundworkError as error:
            log.warning("search goes on without the reranker: %s", error)
        return ""

    def _tell_phase(self, phase: str) -> None:
        self.status = replace(self.status, phase=phase)
