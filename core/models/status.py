"""How the model server and its models are: what it says in /healthz, and how that is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """`status` is ok, loading or error; `error` is a sentence for people; `loading` is the model to come.

    An error beside ok tells why another model could not be loaded, beside loading why it takes longer. `share` is how
    much of the file that is being loaded is read. The model's process was started again `restarts` times, last at
    `ended_at` (seconds since 1970) because of `ended`, a few words for people. `phase` tells what takes so long, `form`
    how an embedding model is computed, which is part of what its vectors are.
    """

    id: str
    status: str
    error: str = ""
    loading: str = ""
    share: float = 0.0
    restarts: int = 0
    ended: str = ""
    ended_at: float = 0.0
    phase: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How the model server is; status `down` when it cannot be reached."""

    status: str
    chat: ModelStatus
    embedder: ModelStatus
    waiting: int = 0
    running: int = 0
    pid: int = 0
    second: ModelStatus = ModelStatus("", "")  # an embedder beside the first, while the index changes


DOWN = ServerStatus("down", ModelStatus("", "down"), ModelStatus("", "down"))


def server_status(body: Mapping[str, Any]) -> ServerStatus:
    """From the answer of /healthz."""
    queue = body["queue"]
    chat, embedder = _model_status(body["chat"]), _model_status(body["embedder"])
    second = _model_status(body.get("second_embedder", {"id": "", "status": ""}))
    return ServerStatus(body["status"], chat, embedder, queue["waiting"], queue["running"], body["pid"], second)


def _model_status(body: Mapping[str, Any]) -> ModelStatus:
    known = {field.name for field in fields(ModelStatus)}
    return ModelStatus(**{name: value for name, value in body.items() if name in known and value is not None})
