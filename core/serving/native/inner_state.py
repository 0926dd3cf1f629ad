"""What the model makes of a prompt where it begins to answer: its state between two of its layers.

Whether a question can be answered from its passages shows there, also where the model answers in any case (Slobodkin
et al. 2023, "The Curious Case of Hallucinatory (Un)answerability"). llama.cpp gives the state of the last layer only,
where little of it is left; those in between pass by a callback. In the context that everybody shares it would be called
a thousand times for each token, so the state of the prompt is copied into a small context of its own, and its last
token is read there once more.
"""

from __future__ import annotations

import ctypes
import logging
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as native
import numpy as np
from llama_cpp._ctypes_extensions import load_shared_library
from numpy.typing import NDArray

from core.serving.native.batch import Batch
from core.serving.native.llama import Context, Decoded, Model
from core.serving.options import INNER_TOKENS, LoadOptions

log = logging.getLogger(__name__)

DEPTH = 0.68  # of the layers: measured in docs/answers.md

_ggml = load_shared_library("ggml-base", Path(native.__file__).parent / "lib")
_ggml.ggml_get_name.restype = ctypes.c_char_p
_ggml.ggml_get_name.argtypes = [ctypes.c_void_p]
_ggml.ggml_backend_tensor_get.restype = None
_ggml.ggml_backend_tensor_get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]


class InnerStates:
    """Reads them, one at a time. Takes its memory when it is first asked. For the engine's thread only."""

    def __init__(self, model: Model, shared: Context, options: LoadOptions) -> None:
        self._model, self._shared, self._options = model, shared, options
        self._name = f"l_out-{round(DEPTH * native.llama_model_n_layer(model.handle)) - 1}".encode()
        self._row = np.zeros(native.llama_model_n_embd(model.handle), np.float32)
        self._seen = False
        self._callback = native.ggml_backend_sched_eval_callback(self._see)  # must live as long as the context
        self._batch = Batch()
        self._own: Context | None = None

    def after(self, sequence: int, tokens: list[int]) -> NDArray[np.float32] | None:
        """The state behind `tokens`, which a sequence of the shared context begins with; shape (width of the model,).

        None where it is not to be had: for a very long prompt, or a model that is not built of such layers. Raises
        ModelError when there is no memory for it.
        """
        length = len(tokens)
        if not 1 < length <= INNER_TOKENS or not self._model.divisible:
            return None
        before = self._shared.take(sequence, 0, length - 1)
        own = self._own = self._own or self._context()
        self._seen = False
        self._batch.clear()
        self._batch.add(tokens[-1:], sequence=0, position=length - 1, logits=1)
        try:
            if before is None or not own.put(0, before, 0, length - 1):
                log.warning("the state of %d tokens could not be copied", length - 1)
                return None
            read = own.decode(self._batch) is Decoded.done
        finally:
            own.forget(0, 0)
        return self._row.copy() if read and self._seen else None

    def _context(self) -> Context:
        return Context(
            self._model, cells=INNER_TOKENS, sequences=1, threads=self._shared.threads, options=self._options, most=1,
            seen=self._callback,
        )  # fmt: skip

    def _see(self, tensor: int, asks: bool, _user: Any) -> bool:
        """llama.cpp asks of each node of its graph whether it is wanted, and calls again when it is computed."""
        if _ggml.ggml_get_name(tensor) != self._name:
            return not asks
        if not asks:
            _ggml.ggml_backend_tensor_get(tensor, self._row.ctypes.data, 0, self._row.nbytes)
            self._seen = True
        return True
