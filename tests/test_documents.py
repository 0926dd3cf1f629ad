from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from core import leases as jobs_module
from core.errors import BadUpload, Cancelled, Conflict, NotFound
from core.fsck import Fsck
from core.names import clean_name, document_name
from core.retrieval.vectors import VectorStore, text_hash
from core.services import Services
from core.types import Chunk, Document, DocumentStatus, JobStatus

Add = Callable[..., str]
ME = "local"


def add(live: Services, content: bytes = b"Hello.", name: str = "a.txt", **more: str):  # type: ignore[no-untyped-def]
    return live.documents.add(io.BytesIO(content), name=name, owner_id=ME, **more)


def fsck(live: Services) -> list[str]:
    return [f"{f.check}: {f.detail}" for f in Fsck(live.db, live.files, live.jobs, live.index).run()]


def test_an_upload_is_stored_and_queued(live: Services) -> None:
    added = add(live)
    info = live.documents.get(added.document_id, owner_id=ME)
    assert (info.status, info.name, info.size) == (DocumentStatus.queued, "a.txt", 6)
    assert live.documents.content(added.document_id, owner_id=ME)[1] == b"Hello."
    assert live.jobs.get(added.job_id, owner_id=ME).status == JobStatus.queued
    assert fsck(live) == []


def test_the_same_bytes_under_another_name_are_one_document(live: Services) -> None:
    first, second = add(live), add(live, name="b.txt")
    assert (second.duplicate, second.document_id, second.name, second.job_id) == (
        True,
        first.document_id,
        "a.txt",
        None,
    )
    assert len(live.documents.list_documents(owner_id=ME)) == 1


def test_the_same_bytes_at_the_same_moment_are_one_document(live: Services) -> None:
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(add(live, name=f"{n}.txt").document_id)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert len(live.jobs.list_jobs(owner_id=ME)) == 1
    assert fsck(live) == []


def test_a_duplicate_joins_the_collection_it_was_added_to(live: Services) -> None:
    add(live)
    home = live.documents.collection("Home", owner_id=ME)
    add(live, name="again.txt", collection_id=home)
    assert [c.documents for c in live.documents.list_collections(owner_id=ME)] == [1]


def test_a_failed_document_is_read_again_when_it_is_added_again(live: Services) -> None:
    added = add(live)
    job = live.jobs.claim("w")
    live.jobs.finish(job.id, "w", JobStatus.failed, "broken")
    assert live.documents.get(added.document_id, owner_id=ME).error == "broken"
    again = add(live)
    assert not again.duplicate
    assert again.job_id is not None
    assert live.documents.get(added.document_id, owner_id=ME).status == DocumentStatus.queued


def test_adding_and_deleting_the_same_bytes_at_the_same_time_loses_no_file(live: Services) -> None:
    stop = threading.Event()

    def delete_all() -> None:
        while not stop.is_set():
            for document in live.documents.list_documents(owner_id=ME):
                live.library.delete([document.id], owner_id=ME)

    deleting = threading.Thread(target=delete_all)
    deleting.start()
    for _ in range(40):
        add(live)
    stop.set()
    deleting.join()
    add(live)
    (document,) = live.documents.list_documents(owner_id=ME)
    assert live.documents.content(document.id, owner_id=ME)[1]
    assert set(live.files.stored()) == {document.sha256}


def test_a_document_is_not_retried_while_it_is_being_read(live: Services) -> None:
    added = add(live)
    with pytest.raises(Conflict, match="already"):
        live.documents.retry(added.document_id, owner_id=ME)


@pytest.mark.parametrize("content", [b"", b"x" * (50 << 20) + b"y"], ids=["empty", "too large"])
def test_a_refused_upload_leaves_nothing(live: Services, content: bytes) -> None:
    with pytest.raises(BadUpload):
        add(live, content)
    assert live.documents.list_documents(owner_id=ME) == []
    assert list(live.files.stored()) == []
    assert fsck(live) == []


def test_deleting_leaves_nothing(live: Services, add_text: Add) -> None:
    document = add_text("One.\n\nTwo.")
    live.documents.delete(document, owner_id=ME)
    assert list(live.files.stored()) == []
    with pytest.raises(NotFound):
        live.documents.text(document, owner_id=ME)
    assert fsck(live) == []


def test_a_document_deleted_while_it_is_read_ends_quietly(live: Services) -> None:
    added = add(live)
    job = live.jobs.claim("w")
    live.documents.delete(added.document_id, owner_id=ME)
    with pytest.raises(Cancelled):
        live.jobs.progress(job.id, "w", stage="reading")
    with pytest.raises(Conflict):
        live.chunks.save_text(added.document_id, Document("a", "text/plain", "Hello."), [], {})


def test_foreign_documents_and_collections_do_not_exist(live: Services) -> None:
    added = add(live)
    home = live.documents.collection("Home", owner_id=ME)
    for call in (
        lambda: live.documents.get(added.document_id, owner_id="other"),
        lambda: live.documents.delete(added.document_id, owner_id="other"),
        lambda: live.documents.delete_collection(home, owner_id="other"),
        lambda: live.jobs.get(added.job_id, owner_id="other"),
        lambda: live.jobs.cancel(added.job_id, owner_id="other"),
        lambda: live.documents.set_collections(added.document_id, ["unknown"], owner_id=ME),
    ):
        with pytest.raises(NotFound):
            call()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\plan.pdf", "plan.pdf"),
        ("a\x00b\r\nc.txt", "abc.txt"),
        ("\u202ecod.exe", "cod.exe"),
        ("   ", "unnamed"),
        ("..", "unnamed"),
        ("Grüße an alle.md", "Grüße an alle.md"),
    ],
)
def test_names_are_only_ever_shown(given: str, shown: str) -> None:
    assert clean_name(given) == shown


@pytest.mark.parametrize(
    "name", ["", "  ", "report.pdf.exe", "Setup.EXE", "AUX", "com1", ".htaccess", "folder/.bashrc", "a\u202efdp.exe"]
)
def test_names_that_no_document_has_are_refused_with_a_way_out(name: str) -> None:
    with pytest.raises(BadUpload, match=r"[Rr]ename|Give it one"):
        document_name(name)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (".txt", "txt"),
        ("CON.txt", "CON.txt"),
        ("x.pdf:evil.exe", "x.pdf"),
        ("10:30.txt", "10:30.txt"),
        ("example.com", "example.com"),
    ],
)
def test_names_that_only_look_strange_are_not_refused(given: str, shown: str) -> None:
    assert document_name(given) == shown


def test_hostile_names_touch_no_path(live: Services, abuse_corpus: Path) -> None:
    listed = json.loads(next(abuse_corpus.rglob("names.json")).read_text(encoding="utf-8"))
    before = {p for p in live.settings.data.rglob("*") if "files" not in p.parts}
    for number, entry in enumerate(listed):
        if entry["expect"] == "reject":
            with pytest.raises(BadUpload):
                add(live, f"content {number}".encode(), name=entry["name"])
            continue
        added = add(live, f"content {number}".encode(), name=entry["name"])
        shown = live.documents.get(added.document_id, owner_id=ME).name
        assert 0 < len(shown) <= 200
        assert "/" not in shown
        assert "\\" not in shown
    after = {p for p in live.settings.data.rglob("*") if "files" not in p.parts}
    assert {p.name for p in after - before} <= {"app.db-wal", "app.db-shm"}
    assert all(len(p.name) == 64 for p in live.settings.files.iterdir())


def test_searching_documents_takes_the_text_literally(live: Services) -> None:
    add(live, b"1", name="100%.txt")
    add(live, b"2", name="other.txt")
    assert [d.name for d in live.documents.list_documents(owner_id=ME, search="%")] == ["100%.txt"]


# --- jobs ---


def test_a_job_is_claimed_by_one_worker_only(live: Services) -> None:
    for number in range(6):
        add(live, str(number).encode())
    taken: list[str] = []

    def work(name: str) -> None:
        while job := live.jobs.claim(name):
            taken.append(job.id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 6


def test_the_job_of_a_silent_worker_is_taken_over(live: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    add(live)
    monkeypatch.setattr(jobs_module, "LEASE", timedelta(seconds=-1))
    first = live.jobs.claim("dead")
    monkeypatch.setattr(jobs_module, "LEASE", timedelta(seconds=30))
    second = live.jobs.claim("alive")
    assert second.id == first.id
    with pytest.raises(Cancelled, match="taken over"):
        live.jobs.progress(first.id, "dead", stage="reading")
    live.jobs.finish(first.id, "dead", JobStatus.failed, "late")
    assert live.jobs.get(first.id, owner_id=ME).status == JobStatus.running


def test_a_job_that_ends_its_worker_again_and_again_fails(live: Services) -> None:
    added = add(live)
    for attempt in range(jobs_module.MAX_ATTEMPTS):
        assert live.jobs.claim(f"w{attempt}") is not None
        live.jobs.release_dead([])
    assert live.jobs.claim("last") is None
    info = live.documents.get(added.document_id, owner_id=ME)
    assert info.status == DocumentStatus.failed
    assert "10 times" in info.error


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_told(live: Services) -> None:
    waiting, running = add(live, b"1"), add(live, b"2")
    live.jobs.cancel(waiting.job_id, owner_id=ME)
    assert live.jobs.get(waiting.job_id, owner_id=ME).status == JobStatus.cancelled
    job = live.jobs.claim("w")
    assert job.id == running.job_id
    live.jobs.cancel(job.id, owner_id=ME)
    with pytest.raises(Cancelled):
        live.jobs.progress(job.id, "w", stage="reading")


def test_a_worker_that_stops_gives_its_job_back(live: Services) -> None:
    add(live)
    job = live.jobs.claim("w")
    live.jobs.release(job.id, "w")
    again = live.jobs.claim("x")
    assert (again.id, again.attempts) == (job.id, 1)


# --- fsck ---


def test_fsck_sees_what_does_not_fit(live: Services, add_text: Add) -> None:
    document = add_text("One.\n\nTwo.")
    from sqlalchemy import text as sql

    live.files.remove(live.documents.get(document, owner_id=ME).sha256)
    orphan = live.settings.files / ("0" * 64)
    orphan.write_bytes(b"x")
    old = time.time() - 4000
    os.utime(orphan, (old, old))
    with live.db.write() as session:
        session.execute(sql("DELETE FROM vectors WHERE chunk_id = (SELECT min(id) FROM chunks)"))
        session.execute(
            sql("INSERT INTO chunk_words(chunk_words, rowid, words, head_words) VALUES ('delete', 1, 'one', '')")
        )
    found = "\n".join(fsck(live))
    for expected in ("is missing", "belongs to no document", "1 vectors for 2 chunks", "keyword index"):
        assert expected in found


def test_fsck_repairs_what_it_can(live: Services, add_text: Add) -> None:
    add_text("One.\n\nTwo.")
    from sqlalchemy import text as sql

    with live.db.write() as session:
        session.execute(
            sql("INSERT INTO chunk_words(chunk_words, rowid, words, head_words) VALUES ('delete', 1, 'one', '')")
        )
        session.execute(sql("UPDATE documents SET status='processing'"))
    findings = Fsck(live.db, live.files, live.jobs, live.index).run(repair=True)
    assert {f.check for f in findings} == {"keyword index", "job"}
    assert all(f.repaired for f in findings)
    assert live.jobs.claim("w") is not None


def test_the_sweep_removes_only_what_is_old_and_unowned(live: Services) -> None:
    add(live)
    for name in ("1" * 64, ".abc.tmp"):
        (live.settings.files / name).write_bytes(b"x")
    live.documents.sweep(older_than=time.time() - 600)
    assert len(list(live.settings.files.iterdir())) == 3
    live.documents.sweep(older_than=time.time() + 10)
    assert len(list(live.settings.files.iterdir())) == 1


def test_fsck_repairs_the_files_of_nobody_and_leaves_those_of_others_alone(live: Services) -> None:
    added = add(live)
    folder, sha256 = live.settings.files, live.documents.get(added.document_id, owner_id=ME).sha256
    for name in ("0" * 64, ".abc.tmp", "Thumbs.db"):
        (folder / name).write_bytes(b"x")
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    assert sorted(fsck(live)) == [f"file: {name} belongs to no document" for name in (".abc.tmp", "0" * 64)]
    Fsck(live.db, live.files, live.jobs, live.index).run(repair=True)
    assert {path.name for path in folder.iterdir()} == {sha256, "Thumbs.db"}
    assert fsck(live) == []


def test_chunks_that_changed_meanwhile_get_no_vectors(live: Services) -> None:
    added = add(live)
    live.chunks.save_text(added.document_id, Document("a", "text/plain", "Hello."), [Chunk(0, 0, 6, "Hello.")], {})
    with pytest.raises(Conflict):
        VectorStore(live.db).finish(added.document_id, live.settings.embedding_model, [(12345, text_hash("x"))], {})
