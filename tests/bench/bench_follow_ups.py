"""Whether follow-ups find their passage among the best five, with the default model rewriting them.

python -m tests.bench.bench_follow_ups
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.cli import wait_until_ready
from core.services import Services, build
from core.settings import Settings, load
from tests.chat.follow_ups import CONVERSATIONS, HANDBOOKS, found, holds, take_in
from tests.stored import store_vectors

BATCH, BEST = 32, 5


def embed(live: Services, documents: Sequence[str]) -> None:
    """Make their vectors."""
    embedder = live.settings.embedding_model
    for document in documents:
        pending = live.chunks.unembedded(document, embedder)
        parts = [pending[start : start + BATCH] for start in range(0, len(pending), BATCH)]
        vectors = [live.client.embed([text for _, text in part], priority="ingest") for part in parts]
        store_vectors(live, document, np.concatenate(vectors))


def main() -> int:
    if not HANDBOOKS.exists():
        print("../shared/evaldata is not here")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        live = build(Settings(data=Path(folder) / "data", models=load().model_store))
        try:
            with live.with_model_server():
                wait_until_ready(live)
                embed(live, take_in(live))
                hits = 0
                for conversation in CONVERSATIONS:
                    query, passages = found(live, conversation)
                    hit = any(holds(passage, conversation) for passage in passages[:BEST])
                    hits += hit
                    print(f"{'found' if hit else 'MISSED':7} {conversation['ask']} -> {query}", file=sys.stderr)
        finally:
            live.release()
    print(f"follow-ups whose passage is among the best {BEST}: {hits} of {len(CONVERSATIONS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
