"""How a chat model is loaded: what can be chosen, as one value that travels to the native process."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

INNER_TOKENS = 2_048  # of a prompt with its answer whose inner state can be had, in a context of its own
CACHE_TYPES = ("f16", "q8_0", "q4_0")
ROPE_SCALINGS = ("", "none", "linear", "yarn")


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """All of it has a sound default.

    `context_tokens` 0: as much as the model can use and the memory bears. `threads` 0: found by measuring.
    `gpu_layers` -1: all. `lora`: (file, strength) of adapters. `rope_factor` stretches the context of `rope_scaling`.
    `prefix_mb`: memory for the state of prompts that may come again. `drafting` False: never guess ahead.
    `state_folder`: where the state of system prompts outlives the process; "" nowhere.
    """

    context_tokens: int = 0
    slots: int = 8
    threads: int = 0
    gpu_layers: int = 0
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    lora: tuple[tuple[str, float], ...] = ()
    rope_scaling: str = ""
    rope_factor: float = 1.0
    prefix_mb: int = 512
    drafting: bool = True
    state_folder: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> LoadOptions:
        """What `plain` gave."""
        return cls(**{**plain, "lora": tuple((file, strength) for file, strength in plain["lora"])})
