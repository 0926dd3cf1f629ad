"""How a model of this server is, as /healthz tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """`status` is ok, loading or error. An error beside ok tells why another model could not be loaded,
    beside loading why it takes longer.

    `share` is how much of the file that is being loaded is read. `restarts` counts the ends of the model's process,
    `ended` says how the last one came about, and `ended_at` when, in seconds since 1970. `phase` tells what takes so
    long, `form` how an embedding model is computed.
    """

    id: str
    status: str
    error: str | None = None
    loading: str | None = None  # the model that is going to take over
    share: float = 0.0
    restarts: int = 0
    ended: str = ""
    ended_at: float = 0.0
    phase: str = ""
    form: str = ""
