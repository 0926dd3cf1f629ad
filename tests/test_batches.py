"""Many files as one thing to follow: progress, time left, pause, cancel, retry, and what became of each."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from core.errors import BadUpload, Conflict, NotFound
from core.jobs import READ
from core.leases import confirm, hand_over
from core.services import Services
from core.storage.tables import JobRow, now
from core.types import DocumentStatus, JobStatus

ME = "local"


def add(live: Services, batch: str, content: str, name: str = "a.md") -> str:
    added = live.documents.add(io.BytesIO(content.encode()), name=name, owner_id=ME, batch_id=batch)
    return added.document_id


def finish(live: Services, status: JobStatus, error: str = "") -> None:
    job = live.jobs.claim("w")
    assert job is not None
    live.jobs.finish(job.id, "w", status, error)


def test_a_batch_counts_every_file_that_was_announced(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME, name="Reports", expected=6)
    for number in range(4):
        add(live, batch, f"text {number}", f"{number}.md")
    add(live, batch, "text 0", "again.md")
    with pytest.raises(BadUpload):
        add(live, batch, "", "empty.md")
    finish(live, JobStatus.done)
    finish(live, JobStatus.failed, "1.md is damaged.")
    shown = live.batches.get(batch, owner_id=ME)
    assert (shown.name, shown.status, shown.total) == ("Reports", "running", 6)
    assert (shown.done, shown.failed, shown.known, shown.refused, shown.left) == (1, 1, 1, 1, 2)
    failures = live.batches.failures(batch, owner_id=ME)
    assert [(f.name, f.sentence) for f in failures] == [
        ("1.md", "1.md is damaged."), ("empty.md", "empty.md is empty. Choose a file that has content.")
    ]  # fmt: skip
    finish(live, JobStatus.done)
    finish(live, JobStatus.done)
    shown = live.batches.get(batch, owner_id=ME)
    assert (shown.status, shown.left) == ("done", 0)
    assert shown.finished_at is not None


def test_files_that_were_announced_and_never_come_are_no_longer_waited_for(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME, expected=9)
    add(live, batch, "one")
    finish(live, JobStatus.done)
    assert (live.batches.get(batch, owner_id=ME).status, live.batches.get(batch, owner_id=ME).left) == ("running", 8)
    live.batches.complete(batch, owner_id=ME)
    assert live.batches.get(batch, owner_id=ME).status == "done"


def test_a_paused_batch_rests_with_all_that_is_still_to_come(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME)
    add(live, batch, "one")
    add(live, batch, "two")
    running = live.jobs.claim("w")
    assert live.batches.pause(batch, owner_id=ME) == 2
    add(live, batch, "three")
    assert live.batches.get(batch, owner_id=ME).status == "paused"
    assert live.jobs.claim("w") is None
    assert running is not None
    assert not live.jobs.held(running.id, "w"), "the worker drops what it has in hand"
    assert live.batches.resume(batch, owner_id=ME) == 3
    again = live.jobs.claim("x")
    assert again is not None
    assert (again.id, again.attempts) == (running.id, 1)


def test_a_cancelled_batch_keeps_what_is_in_and_takes_nothing_more(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME)
    add(live, batch, "one")
    second = add(live, batch, "two")
    finish(live, JobStatus.done)
    assert live.batches.cancel(batch, owner_id=ME) == 1
    shown = live.batches.get(batch, owner_id=ME)
    assert (shown.status, shown.done, shown.cancelled) == ("cancelled", 1, 1)
    with pytest.raises(Conflict, match="cancelled"):
        add(live, batch, "three")
    assert len(live.documents.list_documents(owner_id=ME)) == 2
    assert live.batches.retry(batch, owner_id=ME) == 1
    assert live.documents.get(second, owner_id=ME).status == DocumentStatus.queued
    finish(live, JobStatus.done)
    assert live.batches.get(batch, owner_id=ME).status == "done"


def test_a_document_that_is_read_again_is_the_same_part_of_its_batch(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME)
    document = add(live, batch, "one")
    finish(live, JobStatus.failed, "broken")
    live.documents.retry(document, owner_id=ME)
    assert live.batches.get(batch, owner_id=ME).total == 1
    finish(live, JobStatus.done)
    assert live.batches.get(batch, owner_id=ME).done == 1


def test_the_time_left_follows_from_what_was_measured(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME)
    for number in range(4):
        add(live, batch, "x" * 1000 + str(number))
    assert live.batches.get(batch, owner_id=ME).seconds_left is None
    job = live.jobs.claim("w", READ)
    assert job is not None
    with live.db.write() as session:
        hand_over(confirm(session, job.id, "w"), chunks=50, seconds=2.0)
    job = live.jobs.claim("w", "embed")
    assert job is not None
    with live.db.write() as session:
        row = session.get_one(JobRow, job.id)
        row.stage, row.done, row.total, row.stage_at = "embedding", 25, 50, now() - timedelta(seconds=10)
    left = live.batches.get(batch, owner_id=ME).seconds_left
    assert left is not None
    # 25 of this one and 3 × 50 to come, 2.5 in a second; reading the other three takes 6 s beside it.
    assert left == pytest.approx(70, rel=0.05)
    seconds = live.jobs.get(job.id, owner_id=ME).seconds_left
    assert seconds == pytest.approx(10, rel=0.05)
    live.batches.pause(batch, owner_id=ME)
    assert live.batches.get(batch, owner_id=ME).seconds_left is None


def test_a_single_file_goes_before_a_batch(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME)
    add(live, batch, "one")
    alone = live.documents.add(io.BytesIO(b"alone"), name="alone.md", owner_id=ME)
    job = live.jobs.claim("w")
    assert job is not None
    assert job.id == alone.job_id


def test_batches_of_others_do_not_exist(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME)
    for act in (live.batches.get, live.batches.pause, live.batches.resume, live.batches.cancel, live.batches.retry):
        with pytest.raises(NotFound):
            act(batch, owner_id="other")
