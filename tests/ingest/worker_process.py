"""The real worker process with words instead of weights: `python -m tests.ingest.worker_process DATA`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import ingest.__main__ as command
from core.retrieval.store import Vectors
from core.settings import Settings
from tests.ingest.made import words
from tests.small import SmallClient


class Unhurried(SmallClient):
    """Takes a moment for each batch, so that a kill meets it at work."""

    def embed(self, texts: Sequence[str], *, priority: str, model: str = "") -> Vectors:
        time.sleep(0.03)
        return super().embed(texts, priority=priority, model=model)


def main(data: str) -> int:
    # Only the two edges of the process are replaced: the model server and the tokenizer file of the model.
    command.ModelClient = Unhurried  # type: ignore[misc,assignment]
    command.token_counter = lambda _settings: words  # type: ignore[assignment]
    return command.work(Settings(data=Path(data)), parent_pipe=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
