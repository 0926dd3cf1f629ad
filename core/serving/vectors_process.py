"""The embedding model in a process of its own (core/serving/vectors), as the embedder sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWorking
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import GroundworkError, ModelError, ModelUnavailable
from core.serving.child import Child, Reply, silent
from core.serving.wire import Message

MODULE = "core.serving.vectors"
ANSWER_SECONDS = 120.0  # for one batch: longer than that means that it hangs


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of length 1, shape (texts, dimension); the tokens of each text, also those beyond what is read."""

    vectors: NDArray[np.float32]
    tokens: tuple[int, ...]


class VectorsProcess:
    """Starts the process and loads the model, which takes seconds."""

    def __init__(
        self, model_id: str, folder: Path, *, work: Path, form: str, phase: Callable[[str], None] = lambda _text: None
    ) -> None:
        """`form` is how to compute, or "" for what is fastest here; `phase` hears what is being done.

        Raises ModelMissing, ModelCorrupt, ModelError, or ModelUnavailable when the process ended on the way.
        """
        self.id = model_id
        self._phase = phase
        self._hung = False
        self._child = Child(MODULE, hear=self._listen, ended=lambda: None)
        asked = self._child.ask("load", model=model_id, folder=str(folder), work=str(work), form=form)
        try:
            message, _ = self._child.patient(asked)
        except StillWorking as error:
            raise ModelError(silent(model_id)) from error
        except ModelUnavailable as error:
            raise ModelUnavailable(
                f"The embedding model {model_id} could not be loaded: {self.end or 'its process ended'}. "
                "The memory may be too small. Close other programs; if it does not come back, restart Groundwork."
            ) from error
        except GroundworkError:
            self._child.kill()
            raise
        self.dimension, self.max_tokens = int(message["dimension"]), int(message["max_tokens"])
        self.form = str(message["form"])

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def end(self) -> str:
        """How it ended, in a few words for people; "" while it runs."""
        return f"it did not answer for {ANSWER_SECONDS:.0f} seconds" if self._hung else self._child.end()

    def encode(self, texts: Sequence[str], *, threads: int) -> Encoded:
        """Embed one batch. Raises ModelError, or ModelUnavailable when the process ended meanwhile."""
        message, payload = self._answer(self._child.ask("encode", texts=list(texts), threads=threads))
        vectors = np.frombuffer(payload, np.float32).reshape(len(texts), self.dimension)
        return Encoded(vectors, tuple(message["tokens"]))

    def load_reranker(self, model_id: str, folder: Path) -> None:
        """Load a reranker too. Raises ModelMissing, ModelCorrupt, ModelUnavailable."""
        self._answer(self._child.ask("load_reranker", model=model_id, folder=str(folder)))

    def rerank(self, query: str, passages: Sequence[str], *, threads: int) -> list[float]:
        """A score for each passage: the higher, the better it answers. Raises ModelError, ModelUnavailable."""
        _, payload = self._answer(self._child.ask("rerank", query=query, passages=list(passages), threads=threads))
        return [float(score) for score in np.frombuffer(payload, "<f4")]

    def close(self) -> None:
        """End it, and return when it has ended."""
        self._child.close()

    def _answer(self, asked: Future[Reply]) -> Reply:
        """Wait for an answer; a process that gives none in time is ended. Raises what it said, ModelUnavailable."""
        try:
            return asked.result(ANSWER_SECONDS)
        except StillWorking as error:
            self._hung = True
            self._child.kill()
            raise ModelUnavailable("The embedding model does not answer and is started again.") from error

    def _listen(self, message: Message) -> None:
        self._phase(str(message["phase"]))
