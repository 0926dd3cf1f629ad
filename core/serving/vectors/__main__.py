"""`python -m core.serving.vectors`: one embedding model in a process of its own, and a reranker if one is installed."""

from __future__ import annotations

import gc
import logging
import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from core.errors import ModelError, ModelUnavailable
from core.serving.machine import physical_cores
from core.serving.office import Office, stand_back
from core.serving.vectors.choice import choose
from core.serving.vectors.forms import PLAIN, Form, VectorModel, load
from core.serving.wire import Message

log = logging.getLogger(__name__)


class Desk:
    """What the server can ask of this process."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._model: VectorModel | None = None
        self._reranker: Any = None

    def load(self, message: Message, _payload: bytes) -> dict[str, Any]:
        """Load in the form that is wanted, or in the one that is found to be fastest here."""
        gc.disable()  # looking through torch's half million objects costs a second and more while they are loaded
        model_id, folder, work = message["model"], Path(message["folder"]), Path(message["work"])
        form = Form.parse(message["form"]) if message["form"] else self._choose(model_id, folder, work)
        self._model = self._loaded(model_id, folder, form, work)
        gc.freeze()
        gc.enable()
        return {"dimension": self._model.dimension, "max_tokens": self._model.max_tokens, "form": str(form)}

    def encode(self, message: Message, _payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Vectors of a batch, as little-endian 32-bit floats."""
        if self._model is None:
            raise ModelUnavailable("The embedding model is still loading. Try again soon.")
        found = self._model.encode(message["texts"], threads=message["threads"])
        return {"tokens": found.tokens}, np.ascontiguousarray(found.vectors, "<f4").tobytes()

    def load_reranker(self, message: Message, _payload: bytes) -> dict[str, Any]:
        """Load a reranker beside the embedding model."""
        from core.serving.vectors.reranker import Reranker

        self._reranker = Reranker(message["model"], Path(message["folder"]), threads=physical_cores())
        gc.freeze()
        return {"max_tokens": self._reranker.max_tokens}

    def rerank(self, message: Message, _payload: bytes) -> tuple[dict[str, Any], bytes]:
        """A score for each passage, as little-endian 32-bit floats."""
        if self._reranker is None:
            raise ModelUnavailable("No reranker is loaded.")
        scores = self._reranker.scores(message["query"], message["passages"], threads=message["threads"])
        return {}, np.ascontiguousarray(scores, "<f4").tobytes()

    def _choose(self, model_id: str, folder: Path, work: Path) -> Form:
        def tell(done: int, of: int, form: str) -> None:
            self._office.tell(
                {"phase": f"finding out how it is fastest on this processor, step {done} of {of} ({form})"}
            )

        return choose(model_id, folder, work=work, threads=physical_cores(), progress=tell).form

    def _loaded(self, model_id: str, folder: Path, form: Form, work: Path) -> VectorModel:
        try:
            return load(model_id, folder, form, work=work, threads=physical_cores())
        except ModelError as error:
            if form == PLAIN:
                raise
            # Every form was found to give the plain one's vectors but for the last digits.
            log.warning("%s cannot be computed as %s here, so it is computed plainly: %s", model_id, form, error)
            return load(model_id, folder, PLAIN, work=work, threads=physical_cores())


def main() -> NoReturn:
    level = logging.INFO
    logging.basicConfig(level=level, format=f"%(asctime)s %(levelname)s [{os.getpid()}] %(name)s: %(message)s")
    office = Office()
    stand_back()
    desk = Desk(office)
    office.serve({name: getattr(desk, name) for name in ("load", "encode", "load_reranker", "rerank")})


if __name__ == "__main__":
    main()
