"""A fault at every step of a document's life: nothing is half done afterwards, and every message is clear."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest

from core.errors import GroundworkError
from core.fsck import Fsck
from core.services import Services
from core.types import DocumentStatus, JobStatus
from ingest import embedding, worker
from ingest.intake import Intake, IntakeOptions
from ingest.presence import Presence
from ingest.worker import Worker
from tests.faults import Faults, FaultyClient
from tests.ingest.made import words

ME = "local"
FAULTS = 12  # in the suite; tests/bench/ingest_kill.py lets more than a hundred different steps fail
CLEAR = ("is full", "cannot", "busy", "damaged", "gone", "Free some space", "meanwhile", "missing")


def text(about: str) -> bytes:
    parts = (
        f"# Part {n}\n\nParagraph {n} is about {about} {n}. " + f"Some words of {n} follow. " * 30 for n in range(12)
    )
    return "\n\n".join(parts).encode()


def life(live: Services, made: Worker) -> None:
    """Everything that happens to documents: added in a batch, read, embedded, changed, paused, deleted."""
    batch = live.batches.begin(owner_id=ME, expected=2)
    first = live.documents.add(io.BytesIO(text("anchors")), name="a.md", owner_id=ME, batch_id=batch)
    live.documents.add(io.BytesIO(text("basins")), name="b.md", owner_id=ME, batch_id=batch)
    live.batches.pause(batch, owner_id=ME)
    live.batches.resume(batch, owner_id=ME)
    work(live, made)
    live.documents.replace(first.document_id, io.BytesIO(text("anchors") + b"\n\nAnd one more thing."), owner_id=ME)
    work(live, made)
    live.index.warm()
    live.index.save()
    live.documents.delete(first.document_id, owner_id=ME)
    live.deletions.settle()


def work(live: Services, made: Worker) -> None:
    end = time.monotonic() + 20
    while live.jobs.list_jobs(owner_id=ME, active=True):
        assert time.monotonic() < end, "the queue stands still"
        made.work_one()


def clear_up(live: Services) -> None:
    """All documents are deleted, whatever became of them."""
    for document in live.documents.list_documents(owner_id=ME):
        live.documents.delete(document.id, owner_id=ME)
    live.deletions.settle()
    live.documents.sweep(older_than=time.time() + 10)


def places(points: list[str], number: int) -> list[tuple[str, int]]:
    """Steps from all over, so many of each edge at least as the rarest of them allows, counted within their edge.

    What is kept between two lives changes their number: the hundredth step of all is not always of the same edge.
    """
    chosen: list[tuple[str, int]] = []
    for edge in ("sql", "file", "network"):
        steps = sum(point.startswith(edge) for point in points)
        chosen += [(edge, at) for at in range(1, steps + 1, max(1, steps * 3 // number))]
    return chosen


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def made(live: Services, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(embedding, "MODEL_PAUSE", 0.01)
    monkeypatch.setattr(worker, "STORAGE_PAUSE", 0.01)
    monkeypatch.setattr(worker, "FULL_PAUSE", 0.01)
    faults.watch_sql(live.db.engine)
    faults.watch_files(monkeypatch, Path(live.settings.files))
    options = IntakeOptions(embedder=live.settings.embedding_model)
    client = FaultyClient(faults)
    taking = Intake(live.db, live.files, live.chunks, embedder=client, counter=lambda: words, options=options)
    return Worker(live.jobs, taking, Presence(live.settings.run), threading.Event())


def check_fault(live: Services, made: Worker, faults: Faults, at: int, edge: str = "") -> str:
    """Let one step fail, then look: returns the point that failed."""
    said = ""
    with faults.failing(at, edge):
        try:
            life(live, made)
        except GroundworkError as error:
            said = str(error)
    assert not said or any(word in said for word in CLEAR), f"{faults.struck}: {said}"
    findings = [f for f in Fsck(live.db, live.files, live.jobs, live.index).run() if f.check != "job"]
    assert findings == [], f"after {faults.struck}"
    for job in live.jobs.list_jobs(owner_id=ME):
        if job.status == JobStatus.failed:
            assert any(word in job.error for word in CLEAR), f"{faults.struck}: {job.error}"
    # What could not be finished can be finished now.
    for batch in live.batches.list_batches(owner_id=ME, active=True):
        live.batches.resume(batch.id, owner_id=ME)
    work(live, made)
    for document in live.documents.list_documents(owner_id=ME):
        if document.status != DocumentStatus.ready and live.jobs.list_jobs(owner_id=ME, active=True) == []:
            live.documents.retry(document.id, owner_id=ME)
    work(live, made)
    assert {d.status for d in live.documents.list_documents(owner_id=ME)} <= {DocumentStatus.ready}
    clear_up(live)
    assert list(live.files.stored()) == []
    assert Fsck(live.db, live.files, live.jobs, live.index).run() == []
    return faults.struck


@pytest.mark.kill
def test_a_fault_at_any_step_leaves_nothing_half_done_and_says_what_it_was(
    live: Services, made: Worker, faults: Faults
) -> None:
    with faults.failing(0):
        life(live, made)
    steps, faults_points = len(faults.points), list(faults.points)
    clear_up(live)
    assert steps >= 100
    struck = [check_fault(live, made, faults, at, edge) for edge, at in places(faults_points, FAULTS)]
    # Two lives do not always take the same number of steps: a few of the last points are not reached.
    reached = [point for point in struck if point]
    assert len(reached) >= 0.8 * len(struck)
    assert {point.split()[0] for point in reached} == {"sql", "file", "network"}
