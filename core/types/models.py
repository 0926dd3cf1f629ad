"""What goes to a model and what comes back."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message for a model; roles are those of the OpenAI protocol: system, user, assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How an engine samples; temperature 0 is greedy.

    `json_schema`: a JSON schema as text, which the answer will obey. `top_logprobs`: None, or how many alternatives
    are told with the log-probability of every token. `logit_bias`: (token, added to its logit). `inner_state`: tell
    what the model makes of the prompt, where the engine can.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    priority: str = "chat"  # chat goes before background
    cache_prompt: bool = True
    top_k: int = 0  # 0: all
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repeat_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    json_schema: str = ""
    top_logprobs: int | None = None
    inner_state: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a generation cost: counts in tokens, times in seconds."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    queue_seconds: float = 0.0
    first_token_seconds: float = 0.0
    total_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class InnerState:
    """What a model makes of a prompt where it begins to answer, and of its answer.

    `asked` is what a few layers add to its state near the end of the prompt, `said` the mean of what they add at the
    answer's first tokens; both as 16-bit floats, little endian.
    """

    model: str
    asked: bytes
    said: bytes

    @classmethod
    def decoded(cls, model: str, encoded: str) -> Self:
        """From base64 of both, one after the other. Raises ValueError for what is none."""
        both = base64.b64decode(encoded, validate=True)
        if len(both) % 4:
            raise ValueError("two times the same many 16-bit numbers")
        return cls(model, both[: len(both) // 2], both[len(both) // 2 :])


@dataclass(frozen=True, slots=True)
class GenerationChunk:
    """One step of a streamed generation: text, or news about the waiting and reading before it.

    `queue_position` counts from 1 and is 0 once the engine works on it, which takes about `queue_seconds`;
    `restarted` says why the model had to be started again; `read_tokens` of `prompt_tokens` are processed; `usage`
    and `finish_reason` come with the last chunk. `logprob` is that of the token, where it was asked for and is known;
    so is `inner_state`, in the last chunk.
    """

    text: str = ""
    queue_position: int | None = None
    queue_seconds: float | None = None
    restarted: str = ""
    read_tokens: int | None = None
    prompt_tokens: int | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    logprob: float | None = None
    inner_state: InnerState | None = None
