"""The tokens of one step, in the form that llama.cpp wants them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as native

MAX_BATCH = 512  # tokens of one llama_decode call; equal to the micro batch, so that a call is done whole or not at all


class Batch:
    """Tokens for one `decode`, of any sequences; at most MAX_BATCH."""

    def __init__(self) -> None:
        self.native: Any = native.llama_batch_init(MAX_BATCH, 0, 1)
        weakref.finalize(self, native.llama_batch_free, self.native).atexit = False

    def __len__(self) -> int:
        return int(self.native.n_tokens)

    def clear(self) -> None:
        self.native.n_tokens = 0

    def add(self, tokens: Sequence[int], *, sequence: int, position: int, logits: int) -> int:
        """Append a run of tokens of one sequence; returns where the last one stands. The last `logits` get logits."""
        batch, place = self.native, int(self.native.n_tokens)
        for offset, token in enumerate(tokens, place):
            batch.token[offset] = token
            batch.pos[offset] = position + offset - place
            batch.n_seq_id[offset] = 1
            batch.seq_id[offset][0] = sequence
            batch.logits[offset] = offset - place >= len(tokens) - logits
        batch.n_tokens = place + len(tokens)
        return int(batch.n_tokens) - 1
