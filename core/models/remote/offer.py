"""The models that a service lists, with what it says of their context."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.guard import visible

MOST_MODELS = 2000
LONGEST_NAME = 200
# llama-server (in `meta`), vLLM, OpenRouter and Together, Groq, Mistral and LM Studio, LiteLLM.
CONTEXT = ("n_ctx", "max_model_len", "context_length", "context_window", "max_context_length", "max_input_tokens")


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """`id` is what a request has to say; `context_tokens` is 0 where the service does not tell."""

    id: str
    context_tokens: int = 0


def offered(body: bytes) -> list[OfferedModel]:
    """The list in an answer to GET /models, by name; empty when there is none in it."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return []
    entries = found.get("data") if isinstance(found, dict) else found  # Together answers with the bare list
    models = {model.id: model for model in _models(entries if isinstance(entries, list) else [])}
    return [models[id] for id in sorted(models)]


def _models(entries: list[Any]) -> Iterator[OfferedModel]:
    for entry in entries[:MOST_MODELS]:
        id = entry.get("id") if isinstance(entry, Mapping) else None
        if isinstance(id, str) and 0 < len(id) <= LONGEST_NAME and id.isprintable() and id == visible(id).strip():
            yield OfferedModel(id, _context(entry))


def _context(entry: Mapping[str, Any]) -> int:
    meta = entry.get("meta")
    for place in (meta if isinstance(meta, Mapping) else {}, entry):
        for name in CONTEXT:
            value = place.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return 0
