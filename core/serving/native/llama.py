"""llama.cpp behind three objects: a model, a context, a batch. With sampling.py the only user of llama_cpp.

Everything here is a thin, safe form of the C calls; what is done with them and in which order is batching.py's matter.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as native
import numpy as np
from numpy.typing import NDArray

from core.errors import ModelCorrupt, ModelError, ModelMissing
from core.serving.native.batch import MAX_BATCH, Batch
from core.serving.options import LoadOptions

log = logging.getLogger(__name__)

State = NDArray[np.uint8]
PLAIN = LoadOptions()
_TYPES = {"f16": native.GGML_TYPE_F16, "q8_0": native.GGML_TYPE_Q8_0, "q4_0": native.GGML_TYPE_Q4_0}
_ROPES = {"none": 0, "linear": 1, "yarn": 2}  # llama_rope_scaling_type


class Decoded(IntEnum):
    """What became of a batch; anything else is a fault of llama.cpp."""

    done = 0
    no_room = 1
    aborted = 2


class Model:
    """A loaded GGUF file: weights, vocabulary and metadata. Safe to use from any thread, freed with its last user."""

    def __init__(
        self,
        path: Path,
        *,
        gpu_layers: int = 0,
        weights: bool = True,
        loading: Callable[[float], None] = lambda _share: None,
    ) -> None:
        """Load; `loading` hears the share that is read. Raises ModelMissing or ModelCorrupt."""
        start_backend()
        self.name = path.stem
        if not path.is_file():
            raise ModelMissing(f"The model file {path} is not there. Download the model again on the Models page.")
        params = native.llama_model_default_params()
        params.n_gpu_layers = gpu_layers if gpu_layers >= 0 else 1_000
        params.vocab_only = not weights

        def heard(share: float, _user: object) -> bool:
            loading(share)
            return True  # False would stop it

        callback = native.llama_progress_callback(heard)  # must live as long as the loading
        params.progress_callback = callback
        self.handle: Any = native.llama_model_load_from_file(os.fsencode(path), params)
        if not self.handle:
            raise ModelCorrupt(
                f"The model file {path.name} cannot be loaded: it is damaged, or of a kind that this version of "
                "llama.cpp does not know. Delete it and download it again, or choose another model."
            )
        weakref.finalize(self, native.llama_model_free, self.handle).atexit = False
        self.vocab: Any = native.llama_model_get_vocab(self.handle)
        self.words: int = native.llama_vocab_n_tokens(self.vocab)
        self._pieces: dict[int, bytes | None] = {}
        self.trained_context: int = native.llama_model_n_ctx_train(self.handle)
        # A recurrent model keeps one state for all that it has read: no beginning of it can be had separately.
        self.divisible = not (native.llama_model_is_recurrent(self.handle) or native.llama_model_is_hybrid(self.handle))

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text`; only with `special` can it produce control tokens. Adds nothing at either end."""
        raw = text.encode("utf-8", "replace")
        room = len(raw) + 8
        for _ in range(2):
            tokens = (native.llama_token * room)()
            count = native.llama_tokenize(self.vocab, raw, len(raw), tokens, room, False, special)
            if count >= 0:
                return tokens[:count]
            room = -count
        raise ModelError("The text is too long for the tokenizer. Shorten it.")

    def count(self, text: str) -> int:
        """How many tokens `text` has, without making a list of them."""
        raw = text.encode("utf-8", "replace")
        return -int(native.llama_tokenize(self.vocab, raw, len(raw), None, 0, False, False))

    def piece(self, token: int) -> bytes | None:
        """The bytes that a token stands for, maybe a part of a character; None if it ends the answer."""
        if token not in self._pieces:
            ends = native.llama_vocab_is_eog(self.vocab, token)
            self._pieces[token] = None if ends else self._read_piece(token, special=False)
        return self._pieces[token]

    @property
    def first_token(self) -> int | None:
        """The token that every prompt must begin with, if the model wants one."""
        wanted = native.llama_vocab_get_add_bos(self.vocab)
        return int(native.llama_vocab_bos(self.vocab)) if wanted else None

    @property
    def bos(self) -> str:
        """The text of the begin-of-text token, for the chat template."""
        return self._text(native.llama_vocab_bos(self.vocab))

    @property
    def eos(self) -> str:
        """The text of the end-of-text token, for the chat template."""
        return self._text(native.llama_vocab_eos(self.vocab))

    @property
    def template(self) -> str:
        """The chat template that came with the model, "" if there is none."""
        raw = native.llama_model_chat_template(self.handle, None)
        return raw.decode("utf-8", "replace") if raw else ""

    def _text(self, token: int) -> str:
        return self._read_piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    def _read_piece(self, token: int, *, special: bool) -> bytes:
        room = 64
        for _ in range(2):
            raw = ctypes.create_string_buffer(room)
            length = native.llama_token_to_piece(self.vocab, token, raw, room, 0, special)
            if length >= 0:
                return raw.raw[:length]
            room = -length
        return b""


class Context:
    """The cells that hold what has been read, shared by `sequences` sequences. One thread only, but for `abort`."""

    def __init__(
        self, model: Model, *, cells: int, sequences: int, threads: int, outputs: int = 0, options: LoadOptions = PLAIN,
        most: int = MAX_BATCH, seen: Any = None,
    ) -> None:  # fmt: skip
        """`outputs`: places of a batch that may ask for logits, 0: one for each sequence; `most`: tokens of a batch.

        `seen` is asked about all that is computed (ggml_backend_sched_eval_callback). Raises ModelError when there is
        not enough memory.
        """
        self._model = model  # its weights must outlive the context
        params = native.llama_context_default_params()
        self._spare = sequences  # a sequence of its own, for putting states in and taking them out
        params.n_ctx, params.n_seq_max, params.kv_unified = cells, sequences + 1, True
        params.n_batch = params.n_ubatch = most
        # With the default, room for the logits of all tokens of a step is reserved.
        params.n_outputs_max = max(outputs, sequences + 1)
        params.n_threads = params.n_threads_batch = threads
        params.type_k, params.type_v = _TYPES[options.cache_type_k], _TYPES[options.cache_type_v]
        if seen is not None:
            params.cb_eval = seen
        if options.rope_scaling:
            params.rope_scaling_type = _ROPES[options.rope_scaling]
            params.rope_freq_scale = 1 / options.rope_factor
        self.handle: Any = native.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise ModelError(
                f"There is not enough memory for {model.name} with a context of {cells:,} tokens, or it cannot work "
                "with these settings. Choose a smaller model or a smaller context (GROUNDWORK_CONTEXT_TOKENS)."
            )
        self._adapt(options.lora)
        self.cells: int = native.llama_n_ctx(self.handle)
        self._memory: Any = native.llama_get_memory(self.handle)
        # llama.cpp asks this function between the nodes of its graph whether to give up. strlen reads our byte
        # without the interpreter: a Python callback would take the GIL a thousand times per token.
        self._abort = ctypes.create_string_buffer(2)
        self._ask_abort = ctypes.cast(ctypes.CDLL(None).strlen, native.ggml_abort_callback)
        native.llama_set_abort_callback(self.handle, self._ask_abort, ctypes.addressof(self._abort))

    def abort(self, wanted: bool = True) -> None:
        """Make the running `decode` return at once, from any thread; lasts until called with False."""
        self._abort[0] = b"\x01" if wanted else b"\x00"

    def decode(self, batch: Batch) -> Decoded:
        """Read the batch. Unless done, the caller must `forget` what it added. Raises ModelError."""
        _calls.decoding = True
        try:
            code = native.llama_decode(self.handle, batch.native)
        finally:
            _calls.decoding = False
        if code in tuple(Decoded):
            return Decoded(code)
        raise ModelError(f"llama.cpp failed with code {code}. The answer was lost; ask again.")

    def forget(self, sequence: int, start: int) -> bool:
        """Drop a sequence's cells from position `start` on; False if this model can only forget the whole."""
        return bool(native.llama_memory_seq_rm(self._memory, sequence, start, -1))

    def copy(self, source: int, target: int, count: int) -> None:
        """Let `target`, which must be empty, begin with the first `count` tokens of `source`; takes no cells."""
        native.llama_memory_seq_cp(self._memory, source, target, 0, count)

    def take(self, sequence: int, first: int, end: int) -> State | None:
        """A copy of the state of positions `first` to `end` (exclusive); None if llama.cpp cannot give it."""
        native.llama_memory_seq_cp(self._memory, sequence, self._spare, first, end)
        state = np.empty(native.llama_state_seq_get_size(self.handle, self._spare), np.uint8)
        written = native.llama_state_seq_get_data(self.handle, _address(state), len(state), self._spare)
        native.llama_memory_seq_rm(self._memory, self._spare, -1, -1)
        return state if written == len(state) else None

    def put(self, sequence: int, state: State, first: int, end: int) -> bool:
        """Let positions `first` to `end` of a sequence be those of a state that was taken; False if it does not fit."""
        read = native.llama_state_seq_set_data(self.handle, _address(state), len(state), self._spare)
        if read:
            native.llama_memory_seq_cp(self._memory, self._spare, sequence, first, end)
        native.llama_memory_seq_rm(self._memory, self._spare, -1, -1)
        return bool(read)

    def logits(self, place: int) -> NDArray[np.float32]:
        """The logits after the batch's token at `place`, shape (words,); valid until the next `decode`."""
        pointer = native.llama_get_logits_ith(self.handle, place)
        return np.ctypeslib.as_array(pointer, (self._model.words,))

    @property
    def threads(self) -> int:
        """How many compute steps of one token."""
        return int(native.llama_n_threads(self.handle))

    def use_threads(self, writing: int, reading: int) -> None:
        """How many threads compute steps of one token, and larger ones."""
        native.llama_set_n_threads(self.handle, writing, reading)

    def clear(self) -> None:
        """Forget everything, and where it was: what is read next stands in the same cells as in a new context."""
        native.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        if self.handle:
            native.llama_free(self.handle)
            self.handle = None

    def _adapt(self, files: Sequence[tuple[str, float]]) -> None:
        """Put LoRA adapters on the weights. Raises ModelCorrupt for a file that does not fit."""
        adapters = [native.llama_adapter_lora_init(self._model.handle, os.fsencode(file)) for file, _ in files]
        if not all(adapters):
            names = ", ".join(Path(file).name for file, _ in files)
            raise ModelCorrupt(f"An adapter does not fit {self._model.name}: {names}. Change GROUNDWORK_LORA.")
        if adapters:
            handles = (native.llama_adapter_lora_p_ctypes * len(adapters))(*adapters)
            strengths = (ctypes.c_float * len(adapters))(*(strength for _, strength in files))
            native.llama_set_adapters_lora(self.handle, handles, len(adapters), strengths)


def _address(state: State) -> Any:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


# ggml_log_level: 3 is a warning, 4 an error; the rest is for debugging. (llama_cpp._logger numbers them otherwise.)
_LEVELS = {3: logging.WARNING, 4: logging.WARNING}
_line: list[str] = []
_calls = threading.local()


@native.llama_log_callback  # type: ignore[untyped-decorator]
def _write_log(level: int, text: bytes, _user: object) -> None:
    """llama.cpp sends pieces of lines. What it says about a step goes unheard: our own code knows it by its result,
    and it complains four times about each one that was aborted on purpose."""
    _line.append(text.decode("utf-8", "replace"))
    if text.endswith(b"\n"):
        line = "".join(_line).rstrip()
        _line.clear()
        quiet = getattr(_calls, "decoding", False)
        log.log(logging.DEBUG if quiet else _LEVELS.get(level, logging.DEBUG), "%s", line)


@cache
def start_backend() -> None:
    """Make llama.cpp ready, once, with its log in ours."""
    native.llama_log_set(_write_log, None)
    native.llama_backend_init()
