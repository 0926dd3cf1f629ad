"""`python -m tests.bench.ingest_kill`: the worker is killed hundreds of times, and more than a hundred steps fail.

The same code as in tests/kill, with the figures of the bar; prints one line of JSON for each part.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from core.services import build
from core.settings import Settings
from ingest import embedding, worker
from ingest.intake import Intake, IntakeOptions
from ingest.presence import Presence
from ingest.worker import Worker
from tests.faults import Faults, FaultyClient
from tests.ingest.made import words
from tests.kill.test_faults import check_fault, clear_up, life
from tests.kill.worker_kills import kill_rounds
from tests.small import SmallClient


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", type=int, default=200, help="kills of a single worker")
    parser.add_argument("--two", type=int, default=60, help="kills with two workers")
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--faults", type=int, default=120, help="distinct steps that fail")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    bad = 0
    for writers, rounds in ((1, options.alone), (2, options.two)):
        if rounds:
            bad += kills(rounds, options.documents, writers, options.seed)
    if options.faults:
        bad += faults(options.faults)
    return 1 if bad else 0


def kills(rounds: int, documents: int, writers: int, seed: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        live = build(Settings(data=Path(folder) / "data"), SmallClient(Path(folder)))
        began = time.monotonic()
        outcome = kill_rounds(live, rounds=rounds, documents=documents, writers=writers, seed=seed)
        live.release()
    print(json.dumps({"writers": writers, "seconds": round(time.monotonic() - began), **asdict(outcome)}), flush=True)
    return len(outcome.findings) + len(outcome.lost) + len(outcome.unfinished)


def faults(number: int) -> int:
    """Let `number` steps from all over the life of documents fail, one at a time."""
    patch, wrong, struck = pytest.MonkeyPatch(), [], []
    with tempfile.TemporaryDirectory() as folder:
        live = build(Settings(data=Path(folder) / "data"), SmallClient(Path(folder)))
        made, injected = faulty_worker(live, patch)
        with injected.failing(0):
            life(live, made)
        steps = len(injected.points)
        clear_up(live)
        for at in sorted({1 + place * steps // number for place in range(number)}):
            try:
                struck.append(check_fault(live, made, injected, at))
            except AssertionError as error:
                wrong.append(f"step {at} ({injected.struck}): {str(error)[:300]}")
                clear_up(live)
        live.release()
        patch.undo()
    told = {"steps": steps, "failed": len(struck) + len(wrong), "kinds": len(set(struck)), "wrong": wrong}
    print(json.dumps(told, indent=1), flush=True)
    return len(wrong)


def faulty_worker(live, patch: pytest.MonkeyPatch) -> tuple[Worker, Faults]:  # type: ignore[no-untyped-def]
    injected = Faults()
    patch.setattr(embedding, "MODEL_PAUSE", 0.01)
    patch.setattr(worker, "STORAGE_PAUSE", 0.01)
    patch.setattr(worker, "FULL_PAUSE", 0.01)
    injected.watch_sql(live.db.engine)
    injected.watch_files(patch, Path(live.settings.files))
    taking = Intake(
        live.db, live.files, live.chunks, embedder=FaultyClient(injected), counter=lambda: words,
        options=IntakeOptions(embedder=live.settings.embedding_model),
    )  # fmt: skip
    return Worker(live.jobs, taking, Presence(live.settings.run), threading.Event()), injected


if __name__ == "__main__":
    raise SystemExit(main())
