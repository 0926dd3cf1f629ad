"""The worker over the real services: real files, real database, words instead of weights at the edge."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from sqlalchemy import event, func, select

from core import living
from core.errors import ModelUnavailable
from core.fsck import Fsck
from core.jobs import EMBED, READ, Job
from core.living import is_alive
from core.retrieval.store import Vectors
from core.services import Services
from core.storage.files import FileStore
from core.storage.tables import ChunkRow, DocumentRow, DocumentTextRow, JobRow, VectorRow
from core.types import DocumentStatus, JobStatus, Scope
from ingest import embedding, intake, worker
from ingest.intake import Intake, IntakeOptions
from ingest.lease import Lease
from ingest.presence import Presence
from ingest.worker import Worker
from tests.ingest.made import pdf, slow_markdown, words
from tests.small import SmallClient, word_vector

OWNER = "local"
EMBEDDER = "all-minilm-l6-v2"


class Hooked(SmallClient):
    """The small client; `before` is called with the number of each batch before it is embedded."""

    before: Callable[[int], None] = staticmethod(lambda batch: None)
    batches = 0

    def embed(self, texts: Sequence[str], *, priority: str, model: str = "") -> Vectors:
        assert priority == "ingest"
        self.batches += 1
        self.before(self.batches)
        return super().embed(texts, priority=priority, model=model)


@pytest.fixture
def client(settings: object) -> Hooked:
    return Hooked(Path("unused"))


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MODEL_PAUSE", 0.05)
    monkeypatch.setattr(embedding, "MODEL_PAUSE", 0.05)
    monkeypatch.setattr(worker, "STORAGE_PAUSE", 0.05)
    monkeypatch.setattr(worker, "FULL_PAUSE", 0.05)


def make_worker(live: Services, client: Hooked, stop: threading.Event) -> Worker:
    taking = Intake(
        live.db,
        live.files,
        live.chunks,
        embedder=client,
        counter=lambda: words,
        options=IntakeOptions(embedder=EMBEDDER),
    )
    return Worker(live.jobs, taking, Presence(live.settings.run), stop)


@pytest.fixture
def working(live: Services, client: Hooked, stop: threading.Event) -> Worker:
    return make_worker(live, client, stop)


@pytest.fixture
def clean(live: Services) -> Iterator[None]:
    """After the test nothing may be stored that does not fit together."""
    yield
    assert Fsck(live.db, live.files, live.jobs, live.index).run() == []


def add(live: Services, content: bytes, name: str = "report.md") -> tuple[str, str]:
    added = live.documents.add(io.BytesIO(content), name=name, owner_id=OWNER)
    assert added.job_id is not None
    return added.document_id, added.job_id


def text(paragraphs: int) -> bytes:
    parts = (
        f"# Part {n}\n\nParagraph {n} is about subject{n}. " + "It goes on for some words. " * 20
        for n in range(paragraphs)
    )
    return "\n\n".join(parts).encode()


def job(live: Services, job_id: str) -> Job:
    return live.jobs.get(job_id, owner_id=OWNER)


def status(live: Services, document_id: str) -> DocumentStatus:
    return live.documents.get(document_id, owner_id=OWNER).status


def count(live: Services, table: type) -> int:
    with live.db.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.usefixtures("clean")
def test_a_document_goes_all_the_way_and_has_a_receipt(live: Services, working: Worker) -> None:
    pages = [f"Page about topic{n}.\n" + "More words on it. " * 20 for n in range(3)]
    document_id, job_id = add(live, pdf([*pages, ""], title="The four pages"), "four.pdf")
    assert working.work_one()
    assert job(live, job_id).status == JobStatus.done
    document = live.documents.get(document_id, owner_id=OWNER)
    assert (document.status, document.title, document.media_type) == (
        DocumentStatus.ready,
        "The four pages",
        "application/pdf",
    )
    receipt = document.receipt
    assert (receipt["pages"], receipt["empty_pages"], receipt["sha256"]) == (4, [4], document.sha256)
    assert receipt["chunks"] == receipt["vectors"] == count(live, VectorRow) == count(live, ChunkRow)
    assert set(receipt["seconds"]) == {"reading", "splitting", "embedding"}
    assert receipt["warnings"] == ["Page 4 is empty."]
    stored = live.documents.text(document_id, owner_id=OWNER)
    assert [stored.text[p.start : p.end].split("\n")[0] for p in stored.pages] == [
        "Page about topic0.",
        "Page about topic1.",
        "Page about topic2.",
        "",
    ]
    assert not working.work_one()


@pytest.mark.usefixtures("clean")
def test_vectors_belong_to_their_chunks_under_their_headings(live: Services, working: Worker) -> None:
    add(live, text(40))
    working.work_one()
    with live.db.read() as session:
        stored = {row.chunk_id: np.frombuffer(row.data, "<f4") for row in session.scalars(select(VectorRow))}
        chunks = {row.id: row for row in session.scalars(select(ChunkRow))}
    assert len(stored) == len(chunks) > 2 * embedding.BATCH
    for id, vector in stored.items():
        heading = chunks[id].heading
        assert heading.startswith("Part ")
        assert vector @ word_vector(f"{heading}\n{chunks[id].text}") == pytest.approx(1, abs=1e-5)


@pytest.mark.usefixtures("clean")
def test_a_document_is_found_by_keyword_while_the_model_is_starting(
    live: Services, client: Hooked, working: Worker
) -> None:
    document_id, job_id = add(live, text(3))
    tries: list[DocumentStatus] = []

    def starting(_batch: int) -> None:
        tries.append(status(live, document_id))
        if len(tries) < 3:
            raise ModelUnavailable("The model is still starting.")

    client.before = starting
    working.work_one()
    assert tries[:3] == [DocumentStatus.searchable] * 3
    assert (status(live, document_id), job(live, job_id).status) == (DocumentStatus.ready, JobStatus.done)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "photo.pdf", "photo.pdf is damaged: it cannot be opened as a picture"),
        (b"%PDF-1.7 and no more", "broken.pdf", "broken.pdf is damaged"),
        (pdf([""]), "scan.pdf", "scan.pdf holds no text"),
        (b" \n ", "blank.txt", "blank.txt holds no text"),
    ],
)
def test_a_bad_file_fails_with_its_sentence_and_leaves_nothing_behind(
    live: Services, working: Worker, content: bytes, name: str, sentence: str
) -> None:
    document_id, job_id = add(live, content, name)
    working.work_one()
    ended = job(live, job_id)
    assert ended.status == JobStatus.failed
    assert ended.error.startswith(sentence)
    document = live.documents.get(document_id, owner_id=OWNER)
    assert (document.status, document.error) == (DocumentStatus.failed, ended.error)
    assert count(live, ChunkRow) == count(live, DocumentTextRow) == 0


@pytest.mark.usefixtures("clean")
def test_cancelling_while_the_file_is_read_ends_the_job(live: Services, working: Worker, tmp_path: Path) -> None:
    document_id, job_id = add(live, slow_markdown(tmp_path / "slow").read_bytes(), "slow.md")
    thread = threading.Thread(target=working.work_one)
    thread.start()
    until(lambda: job(live, job_id).stage == "reading")
    live.jobs.cancel(job_id, owner_id=OWNER)
    thread.join(20)
    assert not thread.is_alive()
    assert job(live, job_id).status == JobStatus.cancelled
    assert live.documents.get(document_id, owner_id=OWNER).error == "Cancelled before it was read."


@pytest.mark.usefixtures("clean")
def test_cancelling_while_embedding_keeps_the_text_searchable(live: Services, client: Hooked, working: Worker) -> None:
    document_id, job_id = add(live, text(60))

    def cancel(batch: int) -> None:
        if batch == 1:
            live.jobs.cancel(job_id, owner_id=OWNER)
        time.sleep(0.4)

    client.before = cancel
    working.work_one()
    assert job(live, job_id).status == JobStatus.cancelled
    assert client.batches < 5
    assert (status(live, document_id), count(live, VectorRow)) == (DocumentStatus.searchable, 0)


@pytest.mark.usefixtures("clean")
def test_a_document_deleted_meanwhile_ends_its_job_quietly(live: Services, client: Hooked, working: Worker) -> None:
    document_id, _ = add(live, text(3))
    client.before = lambda batch: live.documents.delete(document_id, owner_id=OWNER)
    assert working.work_one()
    assert count(live, DocumentRow) == count(live, JobRow) == count(live, ChunkRow) == count(live, VectorRow) == 0


@pytest.mark.usefixtures("clean")
def test_a_stopped_worker_hands_its_job_back_and_the_next_goes_on_at_embedding(
    live: Services, client: Hooked, working: Worker, stop: threading.Event
) -> None:
    document_id, job_id = add(live, text(60))
    client.before = lambda batch: stop.set() if batch == 2 else None
    working.work_one()
    left = job(live, job_id)
    assert (left.status, left.attempts, client.batches) == (JobStatus.queued, 0, 2)
    assert status(live, document_id) == DocumentStatus.searchable
    read_in = live.documents.get(document_id, owner_id=OWNER).receipt["seconds"]["reading"]
    live.files.path(live.documents.get(document_id, owner_id=OWNER).sha256).touch()

    client.before = lambda batch: None
    make_worker(live, client, threading.Event()).work_one()
    assert (status(live, document_id), job(live, job_id).status) == (DocumentStatus.ready, JobStatus.done)
    assert live.documents.get(document_id, owner_id=OWNER).receipt["seconds"]["reading"] == read_in


@pytest.mark.usefixtures("clean")
def test_a_text_cut_by_another_splitter_is_read_again(live: Services, client: Hooked, stop: threading.Event) -> None:
    document_id, _ = add(live, text(20))
    make_worker(live, client, stop).work_one()
    before = count(live, ChunkRow)
    options = IntakeOptions(embedder=EMBEDDER, budget=60, overlap=10)
    live.documents.retry(document_id, owner_id=OWNER)
    taking = Intake(live.db, live.files, live.chunks, embedder=client, counter=lambda: words, options=options)
    Worker(live.jobs, taking, Presence(live.settings.run), stop).work_one()
    assert status(live, document_id) == DocumentStatus.ready
    assert count(live, ChunkRow) > before
    assert "60 tokens" in live.documents.get(document_id, owner_id=OWNER).receipt["splitter"]


@pytest.mark.usefixtures("clean")
def test_a_retry_of_a_finished_document_changes_nothing(live: Services, client: Hooked, working: Worker) -> None:
    document_id, _ = add(live, text(5))
    working.work_one()
    chunks, batches = live.chunks.chunk_ids(Scope(OWNER)).tolist(), client.batches
    live.documents.retry(document_id, owner_id=OWNER)
    working.work_one()
    assert (live.chunks.chunk_ids(Scope(OWNER)).tolist(), client.batches) == (chunks, batches)
    assert status(live, document_id) == DocumentStatus.ready


@pytest.mark.usefixtures("clean")
def test_an_error_of_ours_is_logged_and_named(
    live: Services, client: Hooked, working: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    document_id, job_id = add(live, text(3))

    def break_down(_batch: int) -> None:
        raise RuntimeError("a bug")

    client.before = break_down
    working.work_one()
    error = job(live, job_id).error
    assert error.startswith("report.md could not be read because of an error in Groundwork (logged as ")
    assert error.split("logged as ")[1].split(")")[0] in caplog.text
    assert "a bug" not in error
    assert status(live, document_id) == DocumentStatus.searchable


@pytest.mark.usefixtures("clean")
def test_a_full_disk_fails_no_document_and_each_goes_on_when_there_is_room(live: Services, working: Worker) -> None:
    document_id, job_id = add(live, text(300))
    live.db.close()

    def limit(connection: object, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[attr-defined]
        connection.execute(f"PRAGMA max_page_count = {pages + 8}")  # type: ignore[attr-defined]

    event.listen(live.db.engine, "connect", limit)
    for _ in range(3):
        working.work_one()
        waiting = job(live, job_id)
        assert (waiting.status, waiting.attempts, waiting.stage) == (JobStatus.queued, 0, worker.NO_ROOM)
        assert status(live, document_id) == DocumentStatus.processing
    event.remove(live.db.engine, "connect", limit)
    live.db.close()
    working.work_one()
    assert status(live, document_id) == DocumentStatus.ready


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE])
def test_where_no_process_can_be_started_now_a_document_waits(
    live: Services, working: Worker, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    document_id, job_id = add(live, text(1))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", refuse)
        for _ in range(3):
            working.work_one()
            waiting = job(live, job_id)
            assert (waiting.status, waiting.attempts, waiting.stage) == (JobStatus.queued, 0, worker.NO_PROCESS)
            assert status(live, document_id) == DocumentStatus.processing
    working.work_one()
    assert status(live, document_id) == DocumentStatus.ready


def test_what_goes_wrong_beside_the_jobs_ends_no_lane(
    live: Services, working: Worker, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id, job_id = add(live, text(1))
    lanes = (working.reading, *working.beside, working.embedding)
    failing = {lane.holder for lane in lanes}
    leaseless = {READ, EMBED}
    claim, begin = live.jobs.claim, Lease.__enter__

    def once(holder: str, lane: str = "") -> Job | None:
        if holder in failing:
            failing.remove(holder)
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return claim(holder, lane)

    def threadless(lease: Lease) -> Lease:
        lane = job(live, lease.job_id).lane
        if lane in leaseless:
            leaseless.remove(lane)
            raise RuntimeError("can't start new thread")
        return begin(lease)

    monkeypatch.setattr(live.jobs, "claim", once)
    monkeypatch.setattr(Lease, "__enter__", threadless)
    thread = threading.Thread(target=working.run)
    thread.start()
    try:
        until(lambda: status(live, document_id) == DocumentStatus.ready and not failing)
        assert (leaseless, job(live, job_id).attempts) == (set(), 1)
    finally:
        stop.set()
        thread.join(10)


def test_a_worker_whose_main_lane_ends_ends_as_a_whole(
    live: Services, working: Worker, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = live.jobs.claim

    def leave(holder: str, lane: str = "") -> Job | None:
        if holder == working.id:
            raise SystemExit
        return claim(holder, lane)

    def run() -> None:
        with suppress(SystemExit):
            working.run()

    monkeypatch.setattr(live.jobs, "claim", leave)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert stop.is_set()
    until(lambda: not [other for other in threading.enumerate() if other.name.startswith("lane-")])


def test_a_missing_file_is_said(live: Services, working: Worker) -> None:
    document_id, job_id = add(live, text(1))
    FileStore(live.settings.files).remove(live.documents.get(document_id, owner_id=OWNER).sha256)
    working.work_one()
    assert job(live, job_id).error == (
        "The file of report.md is missing from the data folder. Delete it and upload it again."
    )


@pytest.mark.usefixtures("clean")
def test_the_jobs_of_a_dead_worker_are_taken_over_and_those_of_a_living_one_are_not(
    live: Services, working: Worker, stop: threading.Event
) -> None:
    first, _ = add(live, text(1), "a.md")
    second, _ = add(live, text(2), "b.md")
    assert live.jobs.claim("999999999-1") is not None
    assert not is_alive(f"{os.getppid()}-1000")  # a process that lives, but began at another time
    assert not is_alive(f"{os.getppid()}-1000-{'0' * 12}")
    Presence(live.settings.run).announce("999999999-1")
    thread = threading.Thread(target=working.run)
    thread.start()
    until(lambda: status(live, first) == status(live, second) == DocumentStatus.ready)
    assert Presence(live.settings.run).living() == [working.id]
    stop.set()
    thread.join(10)
    assert list(live.settings.run.glob("worker-*")) == []
    assert is_alive(working.id)


@pytest.mark.usefixtures("clean")
def test_a_clock_that_is_set_takes_no_work_away(
    live: Services, working: Worker, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "DEAD_EVERY", 0.0)
    in_hand, _ = add(live, text(1), "in hand.md")
    assert live.jobs.claim(working.id + "/embed") is not None
    next_one, _ = add(live, text(2), "next.md")
    began, older = (
        psutil.Process.create_time,
        f"{os.getppid()}-{round(psutil.Process(os.getppid()).create_time() * 1000)}",
    )
    assert is_alive(older)  # as earlier versions named processes, and systems without /proc do
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: began(process) + 3600)
    thread = threading.Thread(target=working.run)
    thread.start()
    try:
        until(lambda: status(live, next_one) == DocumentStatus.ready)
        assert Presence(live.settings.run).living() == [working.id]
        assert status(live, in_hand) == DocumentStatus.queued  # nobody took it for the work of a dead worker
        assert not is_alive(older)
    finally:
        stop.set()
        thread.join(10)


def test_a_process_knows_itself_also_where_only_the_clock_tells_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(living, "BOOT_ID", tmp_path / "missing")
    living._id_of.cache_clear()
    try:
        own, began = living.own_id(), psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda process: began(process) - 3600)
        assert is_alive(own)
        assert living.own_id() == own
    finally:
        living._id_of.cache_clear()


def test_the_id_of_a_process_with_a_name_full_of_spaces_and_parentheses_is_found_until_it_ends(tmp_path: Path) -> None:
    program = tmp_path / "a ) S (b"
    shutil.copy(shutil.which("sleep") or "", program)
    sleeping = subprocess.Popen([program, "60"])
    try:
        name = f"{sleeping.pid}-{living._start_since_boot(str(sleeping.pid))}"
        assert is_alive(name)
        sleeping.kill()
        until(lambda: not is_alive(name))  # though its entry is still there
    finally:
        sleeping.kill()
        sleeping.wait()


def test_progress_is_seen_by_stage_and_count(live: Services, client: Hooked, working: Worker) -> None:
    _, job_id = add(live, text(80))
    seen: list[tuple[str, int, int]] = []

    def look(_batch: int) -> None:
        time.sleep(0.3)
        current = job(live, job_id)
        seen.append((current.stage, current.done, current.total))

    client.before = look
    working.work_one()
    chunks = count(live, ChunkRow)
    assert {stage for stage, _, _ in seen} == {"embedding"}
    assert {total for _, _, total in seen} == {chunks}
    assert seen[-1][1] > seen[0][1]


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
