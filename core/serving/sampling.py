"""How the next token is chosen: a chain of llama.cpp samplers for each request."""

from __future__ import annotations

import secrets
import weakref
from typing import Any

import llama_cpp.llama_cpp as native

from core.serving.llama import Context
from core.types import GenerationOptions

_SEEDS = 0xFFFFFFFF  # the largest 32-bit number means "random" to llama.cpp, so it is never used


class Sampler:
    """Chooses tokens as the options say: greedy at temperature 0, else from the `top_p` most likely ones by chance."""

    def __init__(self, options: GenerationOptions) -> None:
        self._chain: Any = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
        weakref.finalize(self, native.llama_sampler_free, self._chain).atexit = False
        for link in _links(options):
            native.llama_sampler_chain_add(self._chain, link)  # the chain owns its links

    def sample(self, context: Context, place: int) -> int:
        """The next token after the batch's token at `place`, which must have had logits."""
        return int(native.llama_sampler_sample(self._chain, context.handle, place))


def _links(options: GenerationOptions) -> list[Any]:
    if options.temperature == 0:
        return [native.llama_sampler_init_greedy()]
    seed = secrets.randbelow(_SEEDS) if options.seed is None else options.seed % _SEEDS
    links = []
    if options.top_p < 1:
        # top_p sorts all that it is given, 9 ms for a vocabulary of 150,000. What is a million times less likely than
        # the best token is out of its reach but for the flattest of choices; without it, it takes less than 2 ms.
        links = [native.llama_sampler_init_min_p(1e-6, 1), native.llama_sampler_init_top_p(options.top_p, 1)]
    return [*links, native.llama_sampler_init_temp(options.temperature), native.llama_sampler_init_dist(seed)]
