"""How the next token is chosen: a chain of llama.cpp samplers for each request, and a grammar where one is given."""

from __future__ import annotations

import ctypes
import secrets
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as native
import numpy as np
from numpy.typing import NDArray

from core.errors import BadQuestion
from core.serving.native.grammar import grammar_of
from core.serving.native.llama import Context, Model
from core.types import GenerationOptions

PENALISED = 256  # the newest tokens that the penalties look at
_SEEDS = 0xFFFFFFFF  # the largest 32-bit number means "random" to llama.cpp, so it is never used
_CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])


@dataclass(frozen=True, slots=True)
class Choice:
    """A token that was chosen: its log-probability, and those of the most likely ones at its place."""

    logprob: float
    top: tuple[tuple[int, float], ...]

    def plain(self) -> list[Any]:
        return [self.logprob, [list(pair) for pair in self.top]]


class Sampler:
    """Chooses tokens as the options say: greedy at temperature 0, else by chance among the likely ones."""

    def __init__(self, options: GenerationOptions, model: Model) -> None:
        """Raises BadQuestion for a JSON schema that makes no grammar, or a bias on tokens that do not exist."""
        self._words = model.words
        self._chain: Any = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
        weakref.finalize(self, native.llama_sampler_free, self._chain).atexit = False
        for link in _links(options, model):
            native.llama_sampler_chain_add(self._chain, link)  # the chain owns its links
        self._grammar: Any = _grammar(options, model)
        if self._grammar is not None:
            weakref.finalize(self, native.llama_sampler_free, self._grammar).atexit = False
        self._top = options.top_logprobs
        self._greedy = _is_greedy(options)

    def sample(self, context: Context, place: int) -> int:
        """The next token after the batch's token at `place`, which must have had logits."""
        if self._greedy:  # llama.cpp would first copy all words into a list of candidates, which takes 20 times as long
            return int(context.logits(place).argmax())
        if self._grammar is None:
            return int(native.llama_sampler_sample(self._chain, context.handle, place))
        token = self._chosen(context, place, obey=False)
        if not self._fits(token):  # the grammar looks at all words only when it must: that takes milliseconds
            token = self._chosen(context, place, obey=True)
        self.accept(token)
        return token

    def accept(self, token: int) -> None:
        """Count a token as chosen."""
        if self._grammar is not None:
            native.llama_sampler_accept(self._grammar, token)
        native.llama_sampler_accept(self._chain, token)

    def judge(self, context: Context, place: int, token: int) -> Choice | None:
        """How likely the model found the token, if somebody wants to know."""
        if self._top is None:
            return None
        logits = context.logits(place).astype(np.float64)
        peak = float(logits.max())
        total = peak + float(np.log(np.exp(logits - peak).sum()))
        best = _best(logits, self._top)
        return Choice(float(logits[token]) - total, tuple((int(t), float(logits[t]) - total) for t in best))

    def _chosen(self, context: Context, place: int, *, obey: bool) -> int:
        data = np.empty(self._words, _CANDIDATE)
        data["id"], data["logit"], data["p"] = np.arange(self._words), context.logits(place), 0
        candidates = _candidates(data)
        if obey:
            native.llama_sampler_apply(self._grammar, ctypes.byref(candidates))
        native.llama_sampler_apply(self._chain, ctypes.byref(candidates))
        return int(candidates.data[candidates.selected].id)

    def _fits(self, token: int) -> bool:
        data = np.array([(token, 1.0, 0.0)], _CANDIDATE)
        native.llama_sampler_apply(self._grammar, ctypes.byref(_candidates(data)))
        return bool(data["logit"][0] != -np.inf)


def _best(logits: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """The tokens with the highest logits, the highest first. To sort the whole vocabulary would take 15 ms a token."""
    if not most:
        return np.empty(0, np.intp)
    found = np.argpartition(-logits, most - 1)[:most]
    return found[np.argsort(-logits[found], kind="stable")]


def _is_greedy(options: GenerationOptions) -> bool:
    """Whether the most likely token is chosen, whatever was chosen before."""
    altered = options.frequency_penalty or options.presence_penalty or options.logit_bias or options.json_schema
    return options.temperature == 0 and options.repeat_penalty == 1 and not altered


def _candidates(data: NDArray[Any]) -> Any:
    pointer = data.ctypes.data_as(native.llama_token_data_p)
    return native.llama_token_data_array(pointer, len(data), -1, False)


def _grammar(options: GenerationOptions, model: Model) -> Any:
    if not options.json_schema:
        return None
    handle = native.llama_sampler_init_grammar(model.vocab, grammar_of(options.json_schema).encode(), b"root")
    if not handle:
        raise BadQuestion("response_format: llama.cpp cannot follow this JSON schema. Make it simpler.")
    return handle


def _links(options: GenerationOptions, model: Model) -> list[Any]:
    links = _biases(options.logit_bias, model)
    if options.frequency_penalty or options.presence_penalty or options.repeat_penalty != 1:
        penalties = (options.repeat_penalty, options.frequency_penalty, options.presence_penalty)
        links.append(native.llama_sampler_init_penalties(model.words, PENALISED, *penalties))
    if options.temperature == 0:
        return [*links, native.llama_sampler_init_greedy()]
    if options.top_k:
        links.append(native.llama_sampler_init_top_k(options.top_k))
    if options.min_p:
        links.append(native.llama_sampler_init_min_p(options.min_p, 1))
    if options.top_p < 1:
        # top_p sorts all that it is given, 9 ms for a vocabulary of 150,000. What is a million times less likely than
        # the best token is out of its reach but for the flattest of choices; without it, it takes less than 2 ms.
        links += [native.llama_sampler_init_min_p(1e-6, 1), native.llama_sampler_init_top_p(options.top_p, 1)]
    seed = secrets.randbelow(_SEEDS) if options.seed is None else options.seed % _SEEDS
    return [*links, native.llama_sampler_init_temp(options.temperature), native.llama_sampler_init_dist(seed)]


def _biases(biases: Sequence[tuple[int, float]], model: Model) -> list[Any]:
    if not biases:
        return []
    if not all(0 <= token < model.words for token, _ in biases):
        raise BadQuestion(f"logit_bias: the tokens of this model have numbers from 0 to {model.words - 1:,}.")
    array = (native.llama_logit_bias * len(biases))()
    for place, (token, bias) in enumerate(biases):
        array[place] = native.llama_logit_bias(token, bias)
    return [native.llama_sampler_init_logit_bias(model.words, len(biases), array)]
