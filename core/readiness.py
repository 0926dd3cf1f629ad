"""Waiting for the models, for commands: a page shows instead that they are loading."""

from __future__ import annotations

import time

from core.errors import ModelUnavailable
from core.services import Services

READY_SECONDS = 120.0


def wait_until_ready(live: Services, seconds: float = READY_SECONDS, *, chat: bool = True) -> None:
    """Wait for the model and the embedder; for the latter alone without `chat`, or while another service answers.

    Raises ModelUnavailable with the server's own reason.
    """
    needed = chat and live.endpoints.active() is None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = live.client.status()
        if status.embedder.status == "ok" and (not needed or status.chat.status == "ok"):
            return
        if error := status.embedder.error or (status.chat.error if needed else ""):
            raise ModelUnavailable(error)
        time.sleep(0.2)
    raise ModelUnavailable(f"The model was not ready within {seconds:.0f} s. See the messages above.")
