"""The reranker: says how well each passage answers a query, which takes a CrossEncoder through every pair."""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelCorrupt, ModelMissing
from core.serving.vectors.forms import readable
from core.serving.vectors.torch_model import NO_LIMIT, OFFLINE

log = logging.getLogger(__name__)

BATCH_PAIRS = 16
# What a model that gives a score ends with. Others would be given a last layer of random numbers.
HEADS = ("ForSequenceClassification", "ForCausalLM")


class Reranker:
    """A CrossEncoder of sentence-transformers on the processor. Threads that call it take turns."""

    def __init__(self, model_id: str, folder: Path, *, threads: int) -> None:
        """Load, which takes seconds. Raises ModelMissing and ModelCorrupt."""
        if not folder.is_dir():
            raise ModelMissing(f"The folder {folder} of the model {model_id} is not there. Download the model again.")
        self._model = _load(model_id, folder)
        import torch

        self._torch = torch
        self._model.to(torch.float32)
        self._threads = threads
        self._turn = threading.Lock()
        # Of a query and a passage together; of a longer pair the end is not read.
        self.max_tokens = min(self._model.max_seq_length or NO_LIMIT, NO_LIMIT)

    def scores(self, query: str, passages: Sequence[str], *, threads: int | None = None) -> NDArray[np.float32]:
        """One number for each passage, in their order; the higher, the better."""
        if not passages:
            return np.zeros(0, np.float32)
        pairs = list(itertools.product(readable([query]), readable(passages)))
        with self._turn:
            self._torch.set_num_threads(threads or self._threads)
            # It takes the longest pairs first, so that those of a batch are of like length.
            found = self._model.predict(pairs, batch_size=BATCH_PAIRS, show_progress_bar=False)
        return np.asarray(found, np.float32)


def _load(model_id: str, folder: Path) -> Any:
    os.environ.update(OFFLINE)
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = json.loads((folder / "config.json").read_bytes())
        if not config["architectures"][0].endswith(HEADS):
            raise ValueError(f"{config['architectures'][0]} gives no score")
        model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
        if model.num_labels != 1:
            raise ValueError(f"it gives {model.num_labels} scores for a pair")
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError, SafetensorError) as error:
        log.warning("loading %s: %r", model_id, error)
        raise ModelCorrupt(
            f"The reranker {model_id} cannot be loaded: its folder is damaged or incomplete, or it is no reranker. "
            "Delete it and download it again, or choose another one."
        ) from error
    return model
