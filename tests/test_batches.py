"""Many files as one thing to follow: progress, time left, pause, cancel, retry, and what became of each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from core.errors import BadUpload, Conflict, NotFound
from core.fsck import Fsck
from core.jobs import READ
from core.leases import confirm, hand_over
from core.services import Services
from core.storage.tables import BatchRow, JobRow, now
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


def test_two_files_with_the_same_bytes_that_failed_one_after_the_other_are_tried_again_as_one(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME, expected=3)
    for number in range(2):
        add(live, batch, "the same", f"{number}.md")
        finish(live, JobStatus.failed, "broken")
    add(live, batch, "another", "2.md")
    finish(live, JobStatus.failed, "broken")
    assert live.batches.get(batch, owner_id=ME).failed == 3
    assert live.batches.retry(batch, owner_id=ME) == 2
    assert "job" not in {found.check for found in Fsck(live.db, live.files, live.jobs, live.index).run()}
    finish(live, JobStatus.done)
    finish(live, JobStatus.done)
    shown = live.batches.get(batch, owner_id=ME)
    assert (shown.status, shown.total, shown.done, shown.known, shown.failed) == ("done", 3, 2, 1, 0)


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


def test_a_cancelled_batch_that_is_put_away_while_its_files_arrive_takes_no_more_of_them(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME, expected=5)
    add(live, batch, "one")
    live.batches.cancel(batch, owner_id=ME)
    live.batches.dismiss(batch, owner_id=ME)
    assert live.batches.list_batches(owner_id=ME, unseen=True) == []
    with pytest.raises(Conflict, match="cancelled"):
        add(live, batch, "two")
    assert live.batches.get(batch, owner_id=ME).status == "cancelled"
    assert live.batches.retry(batch, owner_id=ME) == 1
    assert [shown.id for shown in live.batches.list_batches(owner_id=ME, unseen=True)] == [batch]


def test_cancelling_takes_no_more_statements_for_many_parts_than_for_one(live: Services) -> None:
    counts = []
    for parts in (1, 40):
        batch = live.batches.begin(owner_id=ME)
        documents = [add(live, batch, f"{parts} {number}") for number in range(parts)]
        with counted(live) as statements:
            assert live.batches.pause(batch, owner_id=ME) == parts
            assert live.batches.resume(batch, owner_id=ME) == parts
            assert live.batches.cancel(batch, owner_id=ME) == parts
        counts.append(len(statements))
        found = [live.documents.get(id, owner_id=ME) for id in documents]
        assert {(f.status, f.error) for f in found} == {(DocumentStatus.failed, "Cancelled before it was read.")}
    assert counts[0] == counts[1]


@contextmanager
def counted(live: Services) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed within the block with their values; one that is executed often comes often."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, _context: object, many: bool) -> None:
        seen.extend((statement, one) for one in (values if many else [values]))

    event.listen(live.db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(live.db.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("arriving", ["new.md", "known.md", "empty.md"])
def test_an_upload_of_which_anything_has_just_arrived_is_not_given_up(live: Services, arriving: str) -> None:
    live.documents.add(io.BytesIO(b"known"), name="known.md", owner_id=ME)
    batch = live.batches.begin(owner_id=ME, expected=9)
    long_ago = now() - timedelta(hours=1)
    with live.db.write() as session:
        session.execute(update(BatchRow).values(created_at=long_ago, touched_at=long_ago))
    content = {"new.md": "new", "known.md": "known", "empty.md": ""}[arriving]
    with suppress(BadUpload):
        add(live, batch, content, arriving)
    assert live.batches.stop_waiting(silent_since=now() - timedelta(minutes=10)) == 0
    assert live.batches.get(batch, owner_id=ME).left >= 8
    assert live.batches.stop_waiting(silent_since=now() + timedelta(minutes=10)) == 1
    missing = live.batches.failures(batch, owner_id=ME)[0]
    assert missing.sentence.startswith("8 files of this upload did not arrive")


def test_very_many_documents_can_be_followed(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME)
    documents = [add(live, batch, f"text {number}") for number in range(3)]
    finish(live, JobStatus.done)
    assert live.jobs.claim("w") is not None
    many = [*documents, *(f"{number:032x}" for number in range(2000))]
    with counted(live) as statements:
        assert live.jobs.unfinished(many) == {documents[1]: JobStatus.running, documents[2]: JobStatus.queued}
        assert live.jobs.latest(many).keys() == set(documents)
    assert max(len(values) for _, values in statements) < 600, "SQLite takes only so many values"


def test_a_paused_batch_is_followed_while_files_of_it_still_arrive(live: Services) -> None:
    batch = live.batches.begin(owner_id=ME, expected=3)
    add(live, batch, "text 1")
    add(live, batch, "text 2")
    live.batches.pause(batch, owner_id=ME)
    found = live.batches.get(batch, owner_id=ME)
    assert (found.status, found.left, found.to_come) == ("paused", 3, 1)
    assert live.overview.work(owner_id=ME).moves
    add(live, batch, "text 3")
    assert not live.overview.work(owner_id=ME).moves, "nothing changes by itself any more"
