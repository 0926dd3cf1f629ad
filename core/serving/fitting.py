"""Whether a model fits into the memory, and how large its context may be: looked at before anything is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.errors import ModelError
from core.models.gguf import Gguf, read_gguf
from core.serving.machine import free_memory
from core.serving.options import INNER_TOKENS, LoadOptions

LARGEST_CONTEXT = 8_192  # tokens, unless somebody sets more: all requests together rarely need as much
SMALLEST_CONTEXT = 2_048
CONTEXT_SHARE = 0.25  # of the memory that the weights leave free
WORKING_BYTES = 150 << 20  # llama.cpp's own tables and what a step computes
NUMBER_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}  # of one number in the cells of a context


class TooLarge(ModelError):
    """The model does not fit into the memory that is free."""


def fitted(path: Path, model_id: str, options: LoadOptions, *, given_back: int = 0) -> LoadOptions:
    """The options with a context that the model can use and the memory bears, of which `given_back` bytes come free.

    Raises ModelMissing, ModelCorrupt for a file that is not sound, TooLarge.
    """
    gguf = read_gguf(path)
    cell = gguf.cell_bytes(NUMBER_BYTES[options.cache_type_k], NUMBER_BYTES[options.cache_type_v])
    free = free_memory() + given_back
    tokens = options.context_tokens or context_for(gguf, cell, free)
    needed = needed_bytes(gguf, cell, tokens)
    # Layers on a graphics card take its memory, of which we know nothing.
    if needed > free and not options.gpu_layers:
        raise TooLarge(
            f"{model_id} needs {_giga(needed)} of memory with a context of {tokens:,} tokens, and {_giga(free)} are "
            "free. Close other programs, choose a smaller model or set a smaller GROUNDWORK_CONTEXT_TOKENS."
        )
    return replace(options, context_tokens=tokens)


def context_for(gguf: Gguf, cell_bytes: int, free: int) -> int:
    """Tokens of a context that a quarter of the memory beside the weights can hold, in steps of 256."""
    room = max(0, free - gguf.bytes - WORKING_BYTES) * CONTEXT_SHARE
    affordable = int(room / cell_bytes) if cell_bytes else LARGEST_CONTEXT
    trained = gguf.context_tokens or SMALLEST_CONTEXT
    wanted = min(LARGEST_CONTEXT, affordable, max(trained, SMALLEST_CONTEXT * 4))
    return max(SMALLEST_CONTEXT, wanted // 256 * 256)


def needed_bytes(gguf: Gguf, cell_bytes: int, tokens: int) -> int:
    """Memory that the weights, the context, the one for inner states and the work take together."""
    return gguf.bytes + cell_bytes * (tokens + INNER_TOKENS) + WORKING_BYTES


def identity(path: Path, sha256: str) -> str:
    """What tells this model from every other: its hash, or else the file's size and time."""
    found = path.stat()
    return sha256 or f"{path.name}:{found.st_size}:{found.st_mtime_ns}"


def _giga(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
