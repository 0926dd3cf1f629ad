"""A small dataset, and the ingest worker in this process with the small client at its edge."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.evaluation.corpus import Working
from core.services import Services
from ingest.intake import Intake, IntakeOptions
from ingest.presence import Presence
from ingest.split import BUDGET
from ingest.worker import Worker

TEXTS = {
    "pump": ("Pump", "The pump of the harbour weighs 310 kg. It was built in Lund."),
    "crane": ("Crane", "The crane of the harbour lifts 40 tonnes. It was painted green in 1974."),
    "ferry": ("Ferry", "The ferry to the island takes 25 minutes. It sails twice a day."),
    "kiosk": ("Kiosk", "The kiosk sells coffee and newspapers. It closes at six."),
}
QUESTIONS: list[dict[str, Any]] = [
    {"_id": "q1", "text": "How much does the pump weigh?", "answers": ["310 kg"], "lang": "en"},
    {"_id": "q2", "text": "How much does the crane lift?", "answers": ["40 tonnes"], "lang": "en"},
    {"_id": "q3", "text": "How long does the ferry take?", "answers": ["25 minutes"], "lang": "de"},
    {"_id": "q4", "text": "What does the kiosk sell?", "answers": ["coffee"], "lang": "de"},
    {"_id": "q5", "text": "Who owns a zeppelin?", "answers": [], "answerable": False, "lang": "en"},
]
RELEVANT = {"q1": "pump", "q2": "crane", "q3": "ferry", "q4": "kiosk"}

MakeSet = Callable[..., Path]


def write_set(
    folder: Path,
    texts: dict[str, tuple[str, str]] = TEXTS,
    questions: Sequence[dict[str, Any]] = QUESTIONS,
    relevant: dict[str, str] = RELEVANT,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    corpus = [{"_id": id, "title": title, "text": text} for id, (title, text) in texts.items()]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)), encoding="utf-8")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
    rows = ["query-id\tcorpus-id\tscore", *(f"{question}\t{text}\t1" for question, text in relevant.items())]
    (folder / "qrels.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def dataset_folder(tmp_path: Path) -> Path:
    return write_set(tmp_path / "harbour")


def worker_over(services: Services, stop: threading.Event | None = None, *, budget: int = BUDGET) -> Worker:
    """The real worker over these services, with their client as the embedder and words as tokens."""
    intake = Intake(
        services.db, services.files, services.chunks, embedder=services.client,
        counter=lambda: lambda text: len(text.split()), options=IntakeOptions(services.settings.embedding_model, budget=budget),
    )  # fmt: skip
    return Worker(services.jobs, intake, Presence(services.settings.run), stop or threading.Event())


@pytest.fixture
def working() -> Working:
    """Works the queue of a corpus in a thread, as the worker process does."""

    @contextmanager
    def work(corpus: Services) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=worker_over(corpus, stop).run, name="test-worker")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    return work
