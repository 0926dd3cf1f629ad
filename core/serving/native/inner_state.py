"""What the model makes of a prompt where it begins to answer, and of its answer: what some layers add to its state.

Whether a question can be answered from its passages shows there, also where the model answers in any case (Slobodkin
et al. 2023, "The Curious Case of Hallucinatory (Un)answerability"), and so does, in the answer's words, whether it is
right (Azaria and Mitchell 2023, "The Internal State of an LLM Knows When It's Lying"). llama.cpp gives the state of the
last layer only, where little of it is left; those in between pass by a callback. In the context that everybody shares
it would be called a thousand times for each token, so the state of the prompt is copied into a small context of its
own, and its end is read there once more with the beginning of the answer.
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

DEPTH = 0.68  # of the layers, behind which a state is read: measured in docs/answers.md
STEP = 0.11  # of the layers before it, whose work is what counts
ASKED = 2  # tokens from the end of the prompt: in ChatML it is "assistant", before a line break
SAID = 48  # tokens at most of the beginning of the answer

_ggml = load_shared_library("ggml-base", Path(native.__file__).parent / "lib")
_ggml.ggml_get_name.restype = ctypes.c_char_p
_ggml.ggml_get_name.argtypes = [ctypes.c_void_p]
_ggml.ggml_backend_tensor_get.restype = None
_ggml.ggml_backend_tensor_get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]


class InnerStates:
    """Reads them, one at a time. Takes its memory when it is first asked. For the engine's thread only."""

    def __init__(self, model: Model, shared: Context, options: LoadOptions) -> None:
        self._model, self._shared, self._options = model, shared, options
        self._tables = {
            name: np.zeros((ASKED + SAID, native.llama_model_n_embd(model.handle)), np.float32)
            for name in layer_names(native.llama_model_n_layer(model.handle))
        }
        self._seen: dict[bytes, int] = {}  # rows of each that the callback has filled
        self._callback = native.ggml_backend_sched_eval_callback(self._see)  # must live as long as the context
        self._batch = Batch()
        self._own: Context | None = None

    def after(self, sequence: int, tokens: list[int], prompt: int) -> NDArray[np.float32] | None:
        """What the layers add near the end of a prompt, and the mean of what they add to the answer's first tokens.

        `tokens` are those that a sequence of the shared context begins with: the first `prompt` of them are the prompt.
        Shape (2, width of the model). None where it is not to be had: for a very long prompt, or a model that is
        not built of such layers. Raises ModelError when there is no memory for it.
        """
        begin, end = prompt - ASKED, min(len(tokens), prompt + SAID)
        if begin < 1 or end > INNER_TOKENS or not self._model.divisible:
            return None
        before = self._shared.take(sequence, 0, begin)
        own = self._own = self._own or self._context()
        self._seen.clear()
        self._batch.clear()
        self._batch.add(tokens[begin:end], sequence=0, position=begin, logits=1)
        try:
            if before is None or not own.put(0, before, 0, begin):
                log.warning("the state of %d tokens could not be copied", begin)
                return None
            read = own.decode(self._batch) is Decoded.done
        finally:
            own.forget(0, 0)
        if not read or self._seen != dict.fromkeys(self._tables, end - begin):
            return None
        below, above = (table[: end - begin] for table in self._tables.values())
        rows = above - below
        said = rows[ASKED:] if len(rows) > ASKED else rows[-1:]  # of an answer without a word: where it would begin
        return np.stack([rows[0], said.mean(axis=0)])

    def _context(self) -> Context:
        return Context(
            self._model, cells=INNER_TOKENS, sequences=1, threads=self._shared.threads, options=self._options,
            most=ASKED + SAID, seen=self._callback,
        )  # fmt: skip

    def _see(self, tensor: int, asks: bool, _user: Any) -> bool:
        """llama.cpp asks of each node of its graph whether it is wanted, and calls again when it is computed."""
        name = _ggml.ggml_get_name(tensor)
        if name not in self._tables:
            return not asks
        if not asks:
            rows = self._tables[name][: len(self._batch)]
            _ggml.ggml_backend_tensor_get(tensor, rows.ctypes.data, 0, rows.nbytes)
            self._seen[name] = len(rows)
        return True


def layer_names(layers: int) -> tuple[bytes, bytes]:
    """What llama.cpp calls the states below and above the layers whose work is read, of a model with so many.

    They are two in any case; a model of a single layer has no second, and so nothing to read.
    """
    above = max(1, round(DEPTH * layers) - 1)
    below = max(0, above - max(1, round(STEP * layers)))
    return f"l_out-{below}".encode(), f"l_out-{above}".encode()
