"""The two lanes, what they share, and what a killed or stopped worker goes on from."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from sqlalchemy import func, select

from core.errors import Cancelled, ModelUnavailable
from core.fsck import Fsck
from core.jobs import READ
from core.rebuilds import Rebuilds
from core.retrieval.serving import serving
from core.retrieval.store import Vectors
from core.services import Services
from core.storage.tables import ChunkRow, DocumentRow, UserRow, VectorDraftRow, VectorRow
from core.types import DocumentStatus, JobStatus, Scope
from ingest import embedding, intake, recut, sandbox
from ingest.embedding import BATCH
from ingest.intake import Intake, IntakeOptions
from ingest.page_readings import PageReading, PageReadings
from ingest.presence import Presence
from ingest.recut import begin_recutting
from ingest.worker import AT_EMBEDDING, Worker
from tests.ingest.made import words
from tests.small import SmallClient

ME, OTHER = "local", "other"
FIRST, SECOND = "all-minilm-l6-v2", "multilingual-e5-small"


class Counted(SmallClient):
    """The small client, which remembers what it embedded; `before` is called before each batch."""

    before: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self) -> None:
        super().__init__(Path("unused"))
        self.embedded: list[tuple[str, str]] = []

    def embed(self, texts: Sequence[str], *, priority: str, model: str = "") -> Vectors:
        self.before()
        self.embedded += [(model, text) for text in texts]
        vectors = super().embed(texts, priority=priority, model=model)
        return vectors if model != SECOND else np.ascontiguousarray(vectors[:, ::-1])


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture(autouse=True)
def _short_pauses_and_all_fits_at_the_end(live: Services, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(embedding, "MODEL_PAUSE", 0.05)
    monkeypatch.setattr(intake, "MODEL_PAUSE", 0.05)
    yield
    assert Fsck(live.db, live.files, live.jobs, live.index).run() == []


def worker(live: Services, client: SmallClient, embedder: str = FIRST, *, budget: int = 180) -> Worker:
    options = IntakeOptions(embedder=embedder, budget=budget)
    taking = Intake(
        live.db, live.files, live.chunks, embedder=client, counter=lambda: words, options=options
    )  # fmt: skip
    return Worker(live.jobs, taking, Presence(live.settings.run), threading.Event())


def work(made: Worker) -> None:
    while not made.stop.is_set() and made.work_one():
        pass


def text(paragraphs: int, about: str = "subject") -> bytes:
    parts = (
        f"# Part {n}\n\nParagraph {n} is about {about}{n}. " + f"It goes on for some words of {n}. " * 20
        for n in range(paragraphs)
    )
    return "\n\n".join(parts).encode()


def add(live: Services, content: bytes, name: str = "report.md", owner: str = ME, **more: str) -> str:
    return live.documents.add(io.BytesIO(content), name=name, owner_id=owner, **more).document_id


def status(live: Services, document_id: str, owner: str = ME) -> DocumentStatus:
    return live.documents.get(document_id, owner_id=owner).status


def count(live: Services, table: type) -> int:
    with live.db.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def second_person(live: Services) -> None:
    with live.db.write() as session:
        session.add(UserRow(id=OTHER, name="Other", role="user"))


def test_a_document_that_waits_for_the_embedder_does_not_hold_up_those_behind_it(
    live: Services, counted: Counted
) -> None:
    documents = [add(live, text(2, f"thing{n}"), f"{n}.md") for n in range(3)]
    gate, made = threading.Event(), worker(live, counted)

    def not_there() -> None:
        if not gate.is_set():
            raise ModelUnavailable("still starting")

    counted.before = not_there
    thread = threading.Thread(target=made.run)
    thread.start()
    until(lambda: [status(live, id) for id in documents] == [DocumentStatus.searchable] * 3)
    assert counted.embedded == []
    gate.set()
    until(lambda: [status(live, id) for id in documents] == [DocumentStatus.ready] * 3)
    made.stop.set()
    thread.join(10)


def test_vectors_leave_the_cores_to_what_is_being_read(
    live: Services, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "ASIDE", 1e6)
    monkeypatch.setattr(embedding, "LONGEST_ASIDE", 1e6)
    made = worker(live, counted)
    add(live, b"It takes long to read this.", "scan.md")
    reading = live.jobs.claim(made.id, READ)
    assert reading is not None
    document = add(live, text(60))
    thread = threading.Thread(target=made.run)
    thread.start()
    until(lambda: len(counted.embedded) == BATCH)
    thread.join(0.5)
    assert len(counted.embedded) == BATCH, "the next batch waits"
    live.jobs.finish(reading.id, made.id, JobStatus.failed, "It could not be read.")
    until(lambda: status(live, document) == DocumentStatus.ready)
    made.stop.set()
    thread.join(10)


def test_what_workers_died_over_twice_lets_others_go_first(live: Services) -> None:
    first, second = add(live, text(1), "first.md"), add(live, text(1, "other"), "second.md")
    taken = []
    for _ in range(4):
        job = live.jobs.claim("a worker that is gone", READ)
        assert job is not None
        taken.append(job.document_id)
        live.jobs.release_dead([])
    assert taken == [first, first, second, second]
    work(worker(live, SmallClient(live.settings.run)))
    assert [status(live, id) for id in (first, second)] == [DocumentStatus.ready] * 2


def test_batches_of_vectors_that_are_finished_are_not_made_again(live: Services, counted: Counted) -> None:
    document = add(live, text(60))
    first = worker(live, counted)

    def stop_at_the_third() -> None:
        if len(counted.embedded) == 2 * BATCH:
            first.stop.set()
            raise ModelUnavailable("going down")

    counted.before = stop_at_the_third
    work(first)
    assert status(live, document) == DocumentStatus.searchable
    assert (count(live, VectorRow), count(live, VectorDraftRow)) == (0, 2 * BATCH)
    generation = live.chunks.generation()
    counted.before = lambda: None
    work(worker(live, counted))
    chunks = count(live, ChunkRow)
    receipt = live.documents.get(document, owner_id=ME).receipt
    assert len({text for _, text in counted.embedded}) >= chunks
    assert len(counted.embedded) == chunks + receipt["self_test"]["asked"]
    assert (receipt["vectors"], receipt["reused"]) == (chunks, 2 * BATCH)
    assert live.chunks.generation() == generation + 1, "the index of the web process is not disturbed by each batch"
    assert count(live, VectorDraftRow) == 0


def test_the_same_bytes_of_two_people_are_read_apart_and_embedded_once(
    live: Services, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_person(live)
    reads: list[str] = []
    parse = sandbox.parse
    monkeypatch.setattr(sandbox, "parse", lambda *args, **more: reads.append(args[1]) or parse(*args, **more))
    mine, theirs = add(live, text(30), "mine.md"), add(live, text(30), "theirs.md", OTHER)
    workers = [worker(live, counted), worker(live, counted)]
    # Both are this process, under its own name and that of earlier versions, or one would take the other for dead.
    second = f"{os.getpid()}-{round(psutil.Process().create_time() * 1000)}"
    workers[1].reading = replace(workers[1].reading, holder=second)
    workers[1].embedding = replace(workers[1].embedding, holder=second + AT_EMBEDDING)
    for holder in (workers[0].id, second):
        workers[0].presence.announce(holder)
    threads = [threading.Thread(target=lambda w=w: until(lambda: not w.work_one() and settled(live))) for w in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (status(live, mine), status(live, theirs, OTHER)) == (DocumentStatus.ready, DocumentStatus.ready)
    assert sorted(reads) == ["mine.md", "theirs.md"], "nobody learns that somebody else has the same file"
    texts = [text for _, text in counted.embedded]
    in_chunks = [t for t in texts if t.startswith("Part ")]
    assert len(in_chunks) == len(set(in_chunks)) == count(live, ChunkRow) // 2
    assert live.chunks.chunk_ids(Scope(ME)).size == live.chunks.chunk_ids(Scope(OTHER)).size > 0
    assert live.documents.text(mine, owner_id=ME) == live.documents.text(theirs, owner_id=OTHER)


def test_of_a_changed_file_only_what_changed_is_embedded_again(live: Services, counted: Counted) -> None:
    document = add(live, text(40))
    work(worker(live, counted))
    chunks, counted.embedded = count(live, ChunkRow), []
    changed = text(40).replace(b"about subject7.", b"about something else.")
    assert not live.documents.replace(document, io.BytesIO(changed), owner_id=ME).duplicate
    assert status(live, document) == DocumentStatus.ready, "what was read before is found until the new is read"
    work(worker(live, counted))
    receipt = live.documents.get(document, owner_id=ME).receipt
    again = {text for _, text in counted.embedded if text.startswith("Part ")}
    # Long texts are counted in stretches: where one ends, a section may be cut in another place than before.
    assert len(again) <= 3
    assert sum("something else" in text for text in again) == 1
    assert receipt["reused"] == count(live, ChunkRow) - len(again) >= chunks - 3
    assert "something else" in live.documents.text(document, owner_id=ME).text
    assert len(list(live.files.stored())) == 1


def test_the_same_bytes_again_change_nothing(live: Services, counted: Counted) -> None:
    document = add(live, text(3))
    work(worker(live, counted))
    assert live.documents.replace(document, io.BytesIO(text(3)), owner_id=ME).duplicate
    assert live.jobs.list_jobs(owner_id=ME, active=True) == []


def test_a_paused_job_rests_and_goes_on_where_it_was(live: Services, counted: Counted) -> None:
    document = add(live, text(60))
    (job,) = live.jobs.list_jobs(owner_id=ME)

    def pause_at_the_third() -> None:
        if len(counted.embedded) == 2 * BATCH:
            live.jobs.pause(job.id, owner_id=ME)

    counted.before = pause_at_the_third
    made = worker(live, counted)
    work(made)
    assert live.jobs.get(job.id, owner_id=ME).status == JobStatus.paused
    assert status(live, document) == DocumentStatus.searchable
    assert not made.work_one()
    live.jobs.resume(job.id, owner_id=ME)
    counted.before = lambda: None
    work(made)
    assert status(live, document) == DocumentStatus.ready
    assert live.documents.get(document, owner_id=ME).receipt["reused"] == 2 * BATCH


def test_a_cancelled_job_stores_nothing_more(live: Services, counted: Counted) -> None:
    document = add(live, text(30))
    made = worker(live, counted)
    job = live.jobs.claim(made.reading.holder, READ)
    assert job is not None
    live.jobs.cancel(job.id, owner_id=ME)
    assert live.jobs.get(job.id, owner_id=ME).status == JobStatus.cancelled
    with live.db.write() as session, pytest.raises(Cancelled):
        from core.leases import confirm

        confirm(session, job.id, made.reading.holder)
    assert status(live, document) == DocumentStatus.failed
    live.jobs.retry(job.id, owner_id=ME)
    work(made)
    assert status(live, document) == DocumentStatus.ready


def test_each_owner_has_a_batch_of_texts_that_are_cut_anew(
    live: Services, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recut, "AT_ONCE", 2)
    second_person(live)
    for n in range(5):
        add(live, text(2, f"mine{n}"), f"{n}.md")
    theirs = add(live, text(2, "theirs"), "theirs.md", OTHER)
    work(worker(live, counted))
    busy = live.documents.list_documents(owner_id=ME)[0]
    with live.db.write() as session:  # somebody else does something with it
        live.jobs.submit(session, kind="recut", owner_id=ME, document_id=busy.id, lane="embed")
    finer = worker(live, counted, budget=60)
    mine_and_theirs = begin_recutting(live.db, finer.splitter)
    assert len(mine_and_theirs) == 2
    (own,) = live.batches.list_batches(owner_id=ME)
    (others,) = live.batches.list_batches(owner_id=OTHER)
    assert {own.id, others.id} == set(mine_and_theirs)
    assert (own.left, others.left) == (4, 1)
    assert begin_recutting(live.db, finer.splitter) == []
    live.batches.cancel(own.id, owner_id=ME)
    live.batches.dismiss(own.id, owner_id=ME)
    assert begin_recutting(live.db, finer.splitter) == [], "what somebody cancelled and put away is not begun again"
    work(finer)
    assert live.batches.get(others.id, owner_id=OTHER).done == 1
    assert live.documents.get(theirs, owner_id=OTHER).receipt["splitter"] == finer.splitter


def test_the_self_test_is_in_the_receipt(live: Services, counted: Counted) -> None:
    document = add(live, text(12))
    work(worker(live, counted))
    assert live.documents.get(document, owner_id=ME).receipt["self_test"] == {
        "asked": 5, "keyword": 5, "hybrid": 5, "missed": []
    }  # fmt: skip


def test_another_embedder_takes_over_when_all_its_vectors_are_there(live: Services, counted: Counted) -> None:
    documents = [add(live, text(20, f"thing{n}"), f"{n}.md") for n in range(3)]
    work(worker(live, counted))
    before = count(live, VectorRow)
    rebuilds, seen = Rebuilds(live.db, live.jobs, SECOND), []
    job_id = rebuilds.begin(owner_id=ME)
    assert job_id is not None

    def look() -> None:
        with live.db.read() as session:
            seen.append(serving(session, SECOND))
        assert live.index.embedder == FIRST
        assert [status(live, id) for id in documents] == [DocumentStatus.ready] * 3
        assert Fsck(live.db, live.files, live.jobs, live.index).run() == []

    counted.before = look
    work(worker(live, counted, SECOND))
    assert set(seen) == {FIRST}
    assert live.jobs.get(job_id, owner_id=ME).status == JobStatus.done
    assert live.index.embedder == SECOND
    with live.db.read() as session:
        assert set(session.scalars(select(VectorRow.embedder))) == {SECOND}
    assert count(live, VectorRow) == before == live.index.warm()
    counted.before = lambda: None
    passages = live.chain().retriever.within(Scope(ME)).retrieve("thing1 of paragraph 3")
    assert passages[0].dense_score is not None
    assert not rebuilds.status().needed


def test_a_cancelled_change_leaves_the_index_as_it_was(live: Services, counted: Counted) -> None:
    add(live, text(60))
    work(worker(live, counted))
    before, rebuilds = count(live, VectorRow), Rebuilds(live.db, live.jobs, SECOND)
    job_id = rebuilds.begin(owner_id=ME)
    counted.embedded = []

    def cancel_at_the_third() -> None:
        if len(counted.embedded) == 2 * BATCH:
            rebuilds.cancel(owner_id=ME)

    counted.before = cancel_at_the_third
    work(worker(live, counted, SECOND))
    assert job_id is not None
    assert live.jobs.get(job_id, owner_id=ME).status == JobStatus.cancelled
    assert (count(live, VectorRow), live.index.embedder) == (before, FIRST)
    rebuilds.begin_if_needed(owner_id=ME)
    assert rebuilds.status().job is None, "it is not begun again by itself"
    assert rebuilds.begin(owner_id=ME) is not None
    rebuilds.cancel(owner_id=ME)


def test_a_document_added_during_a_change_goes_first_and_is_in_both(live: Services, counted: Counted) -> None:
    for n in range(3):
        add(live, text(5, f"thing{n}"), f"{n}.md")
    work(worker(live, counted))
    Rebuilds(live.db, live.jobs, SECOND).begin(owner_id=ME)
    made, late = worker(live, counted, SECOND), []

    def add_one() -> None:
        if not late:
            late.append(add(live, text(4, "latecomer"), "late.md"))
            made._work_next(made.reading)

    counted.before = add_one
    made._work_next(made.embedding)
    assert count(live, DocumentRow) == 4
    assert Rebuilds(live.db, live.jobs, SECOND).status().needed
    made._work_next(made.embedding)
    assert status(live, late[0]) == DocumentStatus.ready
    work(made)
    assert live.index.embedder == SECOND
    assert live.index.warm() == count(live, ChunkRow)


def test_a_text_that_is_cut_in_another_way_is_found_as_before_until_it_is_complete(
    live: Services, counted: Counted
) -> None:
    document = add(live, text(20))
    work(worker(live, counted))
    before, finer = count(live, ChunkRow), worker(live, counted, budget=60)
    (batch,) = begin_recutting(live.db, finer.splitter)

    def look() -> None:
        assert (status(live, document), count(live, ChunkRow)) == (DocumentStatus.ready, before)
        assert count(live, VectorRow) == before

    counted.before = look
    finer._work_next(finer.embedding)
    assert live.batches.get(batch, owner_id=ME).done == 1
    assert count(live, VectorRow) == count(live, ChunkRow) > before
    assert status(live, document) == DocumentStatus.ready
    assert live.documents.get(document, owner_id=ME).receipt["splitter"] == finer.splitter
    assert begin_recutting(live.db, finer.splitter) == []


def test_finished_pages_are_kept_until_the_document_goes(live: Services, counted: Counted) -> None:
    document = add(live, text(1))
    sha256 = live.documents.get(document, owner_id=ME).sha256
    readings, page = PageReadings(live.db), PageReading(3, "words", 0.9, 1.5)
    readings.keep(sha256, "reader 1 eng", [page])
    assert readings.finished(sha256, "reader 1 eng") == {3: page}
    assert readings.finished(sha256, "reader 1 deu") == {}
    live.documents.delete(document, owner_id=ME)
    assert readings.finished(sha256, "reader 1 eng") == {}


def settled(live: Services) -> bool:
    return not live.jobs.list_jobs(owner_id=ME, active=True) and not live.jobs.list_jobs(owner_id=OTHER, active=True)


def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    import time

    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
