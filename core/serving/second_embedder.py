"""A second embedding model beside the first, while the index changes from one to the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import ModelUnavailable
from core.serving.embedder import Embedder
from core.serving.loading import attempted

AGAIN = 30.0  # seconds after which loading a model that failed is tried again


@dataclass(frozen=True, slots=True)
class _Failure:
    """The model that could not be loaded last, why, and when by the monotonic clock."""

    id: str
    sentence: str
    at: float


class SecondEmbedder:
    """At most one, loaded when it is first asked for. Safe to use from any thread."""

    def __init__(self, load: Callable[[str], Embedder]) -> None:
        """`load` loads the model of an id and raises what went wrong."""
        self._load = load
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None
        self._loading = ""
        self._failed = _Failure("", "", 0.0)

    @property
    def id(self) -> str:
        """Which one is loaded; "" while none is."""
        return self._embedder.id if self._embedder else ""

    @property
    def form(self) -> str:
        return self._embedder.form if self._embedder else ""

    def find(self, model_id: str) -> Embedder:
        """The embedder of that id. Raises ModelUnavailable until it is loaded, or why it could not be just now."""
        with self._lock:
            if self._embedder is not None and self._embedder.id == model_id:
                return self._embedder
            if self._failed.id == model_id and time.monotonic() - self._failed.at < AGAIN:
                raise ModelUnavailable(self._failed.sentence)
            if self._loading != model_id:
                self._loading = model_id
                threading.Thread(target=self._fetch, args=(model_id,), name="second-embedder", daemon=True).start()
            raise ModelUnavailable(f"The embedding model {model_id} is still loading. Try again soon.")

    def close(self) -> None:
        with self._lock:
            if self._embedder is not None:
                self._embedder.close()

    def _fetch(self, model_id: str) -> None:
        made: list[Embedder] = []
        error = attempted(lambda id: made.append(self._load(id)), model_id)
        with self._lock:
            self._loading = "" if self._loading == model_id else self._loading
            if error:
                self._failed = _Failure(model_id, str(error), time.monotonic())
                return
            before, self._embedder = self._embedder, made[0]
        if before is not None:
            before.close()
