"""An embedding model computed by PyTorch: works for every sentence-transformers folder and is the yardstick."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ModelCorrupt
from core.serving.vectors.forms import Encoded, Form, Precision, readable

log = logging.getLogger(__name__)

BATCH_TEXTS = 16
NO_LIMIT = 1 << 20  # tokens; what a tokenizer without a limit is said to have
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


class TorchModel:
    """A sentence-transformers model as it comes."""

    def __init__(self, model_id: str, folder: Path, form: Form, *, threads: int) -> None:
        """Load, which takes seconds: torch alone needs some to import. Raises ModelCorrupt."""
        self.form = form
        self.transformer = _load(model_id, folder)
        import torch

        self._torch = torch
        # Also for float32: a file of halves is loaded as halves, which most processors compute very slowly.
        self.transformer.to(torch.bfloat16 if form.precision is Precision.bfloat16 else torch.float32)
        self._threads = threads
        self._turn = threading.Lock()
        self.dimension: int = self.transformer.get_embedding_dimension()
        self.max_tokens = min(self.transformer.max_seq_length or NO_LIMIT, NO_LIMIT)

    def tokenize(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        if not texts:
            return []
        read = self.transformer.tokenizer(readable(texts), truncation=False, padding=False, verbose=False)
        return [len(tokens) for tokens in read["input_ids"]]

    def encode(self, texts: Sequence[str], *, threads: int | None = None) -> Encoded:
        """Turn one batch into vectors."""
        if not texts:
            return Encoded(np.zeros((0, self.dimension), np.float32), ())
        with self._turn:
            self._torch.set_num_threads(threads or self._threads)
            found = self.transformer.encode(
                readable(texts), batch_size=BATCH_TEXTS, convert_to_tensor=True, show_progress_bar=False
            )
            # In bfloat16 a length of 1 would be off by up to 0.4 %.
            vectors = self._torch.nn.functional.normalize(found.float(), dim=1).numpy()
            return Encoded(vectors, tuple(self.tokenize(texts)))


def _load(model_id: str, folder: Path) -> Any:
    os.environ.update(OFFLINE)
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # what is wrong with a model is raised
    try:
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError, SafetensorError) as error:
        log.warning("loading %s: %r", model_id, error)
        raise damaged(model_id) from error


def damaged(model_id: str) -> ModelCorrupt:
    """The error for a folder that no form can be loaded from."""
    return ModelCorrupt(
        f"The embedding model {model_id} cannot be loaded: its folder is damaged or incomplete. "
        "Delete it and download it again."
    )
