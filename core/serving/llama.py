"""llama.cpp behind three objects: a model, a context, a batch. With sampling.py the only user of llama_cpp.

Everything here is a thin, safe form of the C calls; what is done with them and in which order is engine.py's matter.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import weakref
from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

# How often a thread of llama.cpp looks whether the others are done before it goes to sleep; read when the library is
# loaded. With the default of 300,000 the threads burn the very cores that the late one is waiting for as soon as
# another process wants some: 1 token a second instead of 11. On an idle machine 1,000 costs nothing (29 tokens a
# second with both), 0 costs a third.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import llama_cpp.llama_cpp as native

from core.errors import ModelCorrupt, ModelError, ModelMissing

log = logging.getLogger(__name__)

MAX_BATCH = 512  # tokens of one llama_decode call; equal to the micro batch, so that a call is done whole or not at all


class Decoded(IntEnum):
    """What became of a batch; anything else is a fault of llama.cpp."""

    done = 0
    no_room = 1
    aborted = 2


class Model:
    """A loaded GGUF file: weights, vocabulary and metadata. Safe to use from any thread, freed with its last user."""

    def __init__(self, path: Path, *, gpu_layers: int = 0, weights: bool = True) -> None:
        """Load; `weights=False` reads only the vocabulary. Raises ModelMissing or ModelCorrupt."""
        _start_backend()
        self.name = path.stem
        if not path.is_file():
            raise ModelMissing(f"The model file {path} is not there. Download the model again on the Models page.")
        params = native.llama_model_default_params()
        params.n_gpu_layers = gpu_layers if gpu_layers >= 0 else 1_000
        params.vocab_only = not weights
        self.handle: Any = native.llama_model_load_from_file(os.fsencode(path), params)
        if not self.handle:
            raise ModelCorrupt(
                f"The model file {path.name} cannot be loaded: it is damaged, or of a kind that this version of "
                "llama.cpp does not know. Delete it and download it again, or choose another model."
            )
        weakref.finalize(self, native.llama_model_free, self.handle).atexit = False
        self._vocab: Any = native.llama_model_get_vocab(self.handle)
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
            count = native.llama_tokenize(self._vocab, raw, len(raw), tokens, room, False, special)
            if count >= 0:
                return tokens[:count]
            room = -count
        raise ModelError("The text is too long for the tokenizer. Shorten it.")

    def piece(self, token: int) -> bytes | None:
        """The bytes that a token stands for, maybe a part of a character; None if it ends the answer."""
        if token not in self._pieces:
            ends = native.llama_vocab_is_eog(self._vocab, token)
            self._pieces[token] = None if ends else self._read_piece(token, special=False)
        return self._pieces[token]

    def is_control(self, token: int) -> bool:
        """Whether the token steers the model instead of being text."""
        return bool(native.llama_vocab_is_control(self._vocab, token))

    @property
    def first_token(self) -> int | None:
        """The token that every prompt must begin with, if the model wants one."""
        wanted = native.llama_vocab_get_add_bos(self._vocab)
        return int(native.llama_vocab_bos(self._vocab)) if wanted else None

    @property
    def bos(self) -> str:
        """The text of the begin-of-text token, for the chat template."""
        return self._text(native.llama_vocab_bos(self._vocab))

    @property
    def eos(self) -> str:
        """The text of the end-of-text token, for the chat template."""
        return self._text(native.llama_vocab_eos(self._vocab))

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
            length = native.llama_token_to_piece(self._vocab, token, raw, room, 0, special)
            if length >= 0:
                return raw.raw[:length]
            room = -length
        return b""


class Context:
    """The cells that hold what has been read, shared by `sequences` sequences. One thread only, but for `abort`."""

    def __init__(self, model: Model, *, cells: int, sequences: int, threads: int) -> None:
        """Raises ModelError when there is not enough memory."""
        self._model = model  # its weights must outlive the context
        params = native.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = cells, sequences, True
        params.n_batch = params.n_ubatch = MAX_BATCH
        # Logits are asked for once per sequence and step: with the default, room for MAX_BATCH of them is reserved.
        params.n_outputs_max = sequences
        params.n_threads = params.n_threads_batch = threads
        self.handle: Any = native.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise ModelError(
                f"There is not enough memory for {model.name} with a context of {cells:,} tokens. "
                "Choose a smaller model or a smaller context (GROUNDWORK_CONTEXT_TOKENS)."
            )
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

    def clear(self) -> None:
        """Forget everything, and where it was: what is read next stands in the same cells as in a new context."""
        native.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        if self.handle:
            native.llama_free(self.handle)
            self.handle = None


class Batch:
    """Tokens for one `decode`, of any sequences; at most MAX_BATCH."""

    def __init__(self) -> None:
        self.native: Any = native.llama_batch_init(MAX_BATCH, 0, 1)
        weakref.finalize(self, native.llama_batch_free, self.native).atexit = False

    def __len__(self) -> int:
        return int(self.native.n_tokens)

    def clear(self) -> None:
        self.native.n_tokens = 0

    def add(self, tokens: Sequence[int], *, sequence: int, position: int, logits: bool) -> int:
        """Append a run of tokens of one sequence; returns where the last one stands, which gets logits if wanted."""
        batch, place = self.native, int(self.native.n_tokens)
        for offset, token in enumerate(tokens, place):
            batch.token[offset] = token
            batch.pos[offset] = position + offset - place
            batch.n_seq_id[offset] = 1
            batch.seq_id[offset][0] = sequence
            batch.logits[offset] = 0
        batch.n_tokens = place + len(tokens)
        last: int = batch.n_tokens - 1
        batch.logits[last] = logits
        return last


def physical_cores() -> int:
    """Cores this process may use, counting two hardware threads of one core once, within the limit of its container."""
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings.read_text() if siblings.exists() else str(cpu))
    limit = Path("/sys/fs/cgroup/cpu.max")
    share, _, period = limit.read_text().partition(" ") if limit.exists() else ("max", "", "")
    return len(cores) if share == "max" else max(1, min(len(cores), int(share) // int(period)))


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
def _start_backend() -> None:
    native.llama_log_set(_write_log, None)
    native.llama_backend_init()
