"""The embedder: one thread that turns texts into vectors, questions before documents."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelBusy, ModelCorrupt, ModelError, ModelMissing, ModelUnavailable
from core.serving.cores import PATIENCE, Cores

log = logging.getLogger(__name__)

# A question waits for the end of a batch, and on a processor larger ones are not faster.
BATCH_TEXTS = 16
BATCH_CHARACTERS = 3_000
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of length 1 as float32 of shape (texts, dimension); `truncated` are the texts that were too long.

    Of those only the beginning is in the vector: the model cannot read more.
    """

    vectors: NDArray[np.float32]
    tokens: int
    truncated: tuple[int, ...]


@dataclass(slots=True, eq=False)
class _Job:
    """Texts of one request, the longest first: a batch of equal lengths wastes nothing on padding."""

    texts: Sequence[str]
    vectors: NDArray[np.float32]
    result: Future[Embedded] = field(default_factory=Future)
    tokens: int = 0
    truncated: list[int] = field(default_factory=list)
    rest: deque[int] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.rest.extend(sorted(range(len(self.texts)), key=lambda place: -len(self.texts[place])))


class Embedder:
    """A sentence-transformers model on the processor, with a thread of its own."""

    def __init__(self, model_id: str, folder: Path, *, threads: int, cores: Cores, queue_limit: int = 64) -> None:
        """Load, which takes seconds: torch alone needs five to import. Raises ModelMissing or ModelCorrupt."""
        self.id = model_id
        self._model = _load(model_id, folder)
        self._threads, self._cores, self._queue_limit = threads, cores, queue_limit
        self.dimension: int = self._model.get_embedding_dimension()
        self.max_tokens: int = self._model.max_seq_length
        self._questions: deque[_Job] = deque()
        self._documents: deque[_Job] = deque()
        self._due = 0.0  # when the waiting batch of documents wants its turn; 0 without one
        self._closing = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="embedder", daemon=True).start()

    def submit(self, texts: Sequence[str], *, question: bool) -> Future[Embedded]:
        """Embed texts; a cancelled future stops the work. Raises ModelBusy."""
        job = _Job(texts, np.zeros((len(texts), self.dimension), np.float32))
        with self._changed:
            if len(self._questions) + len(self._documents) >= self._queue_limit:
                raise ModelBusy("Too many texts are waiting for the embedding model. Try again in a little while.")
            (self._questions if question else self._documents).append(job)
            self._changed.notify_all()
        if question:
            self._cores.nudge()
        return job.result

    def close(self) -> None:
        """End the thread after its batch; who still waits hears that the server stops."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _run(self) -> None:
        import torch

        while (found := self._next_job()) is not None:
            job, waiting = found
            try:
                if waiting is self._questions:
                    # One question is a few milliseconds: it runs beside the engine, but must not crowd its threads.
                    torch.set_num_threads(1 if self._cores.engine_works else self._threads)
                    self._embed_batch(job)
                else:
                    torch.set_num_threads(self._threads)
                    self._embed_documents(job)
            except (LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
                log.exception("embedding failed")
                self._end(job, waiting, ModelError(f"The embedding model {self.id} failed: {error}."))
                continue
            if not job.rest or job.result.cancelled():
                self._end(job, waiting)

    def _next_job(self) -> tuple[_Job, deque[_Job]] | None:
        """The job whose next batch is due: a question if there is one, else documents in turns."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._questions or self._documents)
            if self._closing:
                for job in (*self._questions, *self._documents):
                    if job.result.set_running_or_notify_cancel():
                        job.result.set_exception(ModelUnavailable("The model server is stopping."))
                return None
            if self._questions:
                return self._questions[0], self._questions
            self._documents.rotate(-1)
            return self._documents[0], self._documents

    def _embed_documents(self, job: _Job) -> None:
        """One batch, when it is its turn; a question that comes meanwhile goes first."""
        self._due = self._due or time.monotonic() + PATIENCE
        with self._cores.ingest(self._due, lambda: bool(self._questions)) as granted:
            if granted:
                self._embed_batch(job)
                self._due = 0.0

    def _embed_batch(self, job: _Job) -> None:
        if job.result.cancelled():
            return
        places: list[int] = []
        characters = 0
        while job.rest and len(places) < BATCH_TEXTS and characters < BATCH_CHARACTERS:
            places.append(job.rest.popleft())
            characters += len(job.texts[places[-1]])
        texts = [job.texts[place] for place in places]
        read = self._model.tokenizer(texts, truncation=False, padding=False, verbose=False)["input_ids"]
        for place, tokens in zip(places, read, strict=True):
            job.tokens += min(len(tokens), self.max_tokens)
            if len(tokens) > self.max_tokens:
                job.truncated.append(place)
        if places:
            job.vectors[places] = self._model.encode(
                texts, batch_size=BATCH_TEXTS, normalize_embeddings=True, show_progress_bar=False
            )

    def _end(self, job: _Job, waiting: deque[_Job], error: ModelError | None = None) -> None:
        with self._changed:
            waiting.remove(job)
        if not job.result.set_running_or_notify_cancel():
            return
        if error:
            job.result.set_exception(error)
        else:
            job.result.set_result(Embedded(job.vectors, job.tokens, tuple(sorted(job.truncated))))


def _load(model_id: str, folder: Path) -> Any:
    if not folder.is_dir():
        raise ModelMissing(f"The folder {folder} of the model {model_id} is not there. Download the model again.")
    os.environ.update(OFFLINE)
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError, SafetensorError) as error:
        log.warning("loading %s: %r", model_id, error)
        raise ModelCorrupt(
            f"The embedding model {model_id} cannot be loaded: its folder is damaged or incomplete. "
            "Delete it and download it again."
        ) from error
