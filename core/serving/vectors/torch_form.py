"""A sentence-transformers model on the processor, computed by torch."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelCorrupt, ModelMissing

log = logging.getLogger(__name__)

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


class TorchForm:
    """Loads, which takes seconds: torch alone needs five to import. Raises ModelMissing or ModelCorrupt."""

    def __init__(self, model_id: str, folder: Path) -> None:
        self._model = _load(model_id, folder)
        self.dimension: int = self._model.get_embedding_dimension()
        self.max_tokens: int = self._model.max_seq_length

    def encode(self, texts: Sequence[str], *, threads: int) -> tuple[NDArray[np.float32], list[int]]:
        """Vectors of length 1, shape (texts, dimension), and the tokens of each text, also the unread ones."""
        import torch

        torch.set_num_threads(threads)
        read = self._model.tokenizer(list(texts), truncation=False, padding=False, verbose=False)["input_ids"]
        vectors = self._model.encode(
            list(texts), batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return vectors, [len(tokens) for tokens in read]


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
