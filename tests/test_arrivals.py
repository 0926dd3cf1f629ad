"""Uploads of many files: a disk or a database that cannot take one now costs none of them."""

from __future__ import annotations

import errno
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pysqlite3
import pytest

from core import arrivals
from core.arrivals import Arrival
from core.services import Services
from core.storage import db
from core.storage.tables import now

ME = "local"


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(arrivals, "LONGEST_PAUSE", 0.05)


@pytest.fixture
def quickly_busy(live: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.05)
    live.db.close()
    live.db.engine = db.connect(live.db.path)
    live.db._reader = live.db.engine.execution_options(write=False)


@contextmanager
def held(live: Services) -> Iterator[None]:
    """Another program holds the database."""
    other = pysqlite3.connect(str(live.db.path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def files(number: int) -> list[Arrival]:
    return [Arrival(f"{n}.md", io.BytesIO(f"text {n}".encode())) for n in range(number)]


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def names(live: Services) -> list[str]:
    return sorted(document.name for document in live.documents.list_documents(owner_id=ME))


def told(live: Services, batch: str) -> list[tuple[str, str]]:
    return [(failure.name, failure.sentence) for failure in live.batches.failures(batch, owner_id=ME)]


def failing(live: Services, monkeypatch: pytest.MonkeyPatch, fails: Callable[[str], int]) -> list[str]:
    """Let the disk refuse what `fails` names an error for, after it was read; returns the names that were tried."""
    tried: list[str] = []
    write = live.files._write

    def refusing(source: io.BytesIO, draft: object, name: str, limit: int) -> object:
        tried.append(name)
        if number := fails(name):
            source.read()
            raise OSError(number, os.strerror(number))
        return write(source, draft, name, limit)  # type: ignore[arg-type]

    monkeypatch.setattr(live.files, "_write", refusing)
    return tried


@pytest.mark.usefixtures("quickly_busy")
def test_files_wait_for_a_busy_database_and_nobody_says_meanwhile_that_they_are_lost(live: Services) -> None:
    waits = threading.Event()
    slow = io.BytesIO(b"slow")
    read = slow.read
    slow.read = lambda *size: (waits.wait(20), read(*size))[1]  # type: ignore[method-assign]
    batch = live.arrivals.take([Arrival("slow.md", slow), *files(3)], owner_id=ME)
    with held(live):
        waits.set()
        time.sleep(0.5)  # tries in vain
        shown = live.batches.get(batch, owner_id=ME)
        assert (shown.to_come, shown.refused, live.arrivals.in_hand()) == (4, 0, {batch})
    assert live.arrivals.wait_idle(30)
    assert names(live) == ["0.md", "1.md", "2.md", "slow.md"]
    assert told(live, batch) == []
    assert live.batches.get(batch, owner_id=ME).to_come == 0


def test_what_is_in_memory_is_not_told_as_missing_by_the_sweep(live: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    full = True
    tried = failing(live, monkeypatch, lambda name: errno.ENOSPC if full else 0)
    batch = live.arrivals.take(files(3), owner_id=ME)
    until(lambda: len(tried) > 2)
    assert live.batches.stop_waiting(silent_since=now() + timedelta(hours=1), but=live.arrivals.in_hand()) == 0
    full = False
    assert live.arrivals.wait_idle(30)
    assert set(tried[:3]) == {"0.md"}, "the first is tried again, whole"
    assert names(live) == ["0.md", "1.md", "2.md"]
    assert told(live, batch) == []
    assert [live.documents.content(d.id, owner_id=ME)[1] for d in live.documents.list_documents(owner_id=ME)]


def test_a_file_that_the_disk_never_takes_is_told_and_those_after_it_come(
    live: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "PATIENCE", 0.1)
    failing(live, monkeypatch, lambda name: errno.EIO if name == "1.md" else 0)
    batch = live.arrivals.take(files(3), owner_id=ME)
    assert live.arrivals.wait_idle(30)
    assert names(live) == ["0.md", "2.md"]
    ((name, sentence),) = told(live, batch)
    assert name == "1.md"
    assert sentence.startswith("1.md could not be stored: Input/output error.")
    assert live.batches.get(batch, owner_id=ME).to_come == 0


def test_where_not_even_the_note_can_be_written_the_others_come_and_the_sweep_says_what_is_missing(
    live: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "PATIENCE", 0.1)
    failing(live, monkeypatch, lambda name: errno.EIO if name == "1.md" else 0)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(live.batches, "refuse", full)
    batch = live.arrivals.take(files(3), owner_id=ME)
    assert live.arrivals.wait_idle(30)
    assert names(live) == ["0.md", "2.md"]
    assert live.batches.get(batch, owner_id=ME).to_come == 1
    assert live.batches.stop_waiting(silent_since=now() + timedelta(hours=1), but=live.arrivals.in_hand()) == 1
    assert "One file of this upload did not arrive" in told(live, batch)[0][1]


def test_an_orderly_end_stores_what_has_arrived(live: Services) -> None:
    live.arrivals.take(files(40), owner_id=ME)
    live.arrivals.close(30)
    assert len(names(live)) == 40


def test_an_orderly_end_waits_for_no_full_disk_and_says_what_it_did_not_store(
    live: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = failing(live, monkeypatch, lambda name: errno.ENOSPC if name != "0.md" else 0)
    batch = live.arrivals.take(files(4), owner_id=ME)
    until(lambda: len(tried) > 2)
    live.arrivals.close(30)
    assert live.arrivals.wait_idle(0)
    assert names(live) == ["0.md"]
    assert told(live, batch) == [
        ("", "3 more files were not taken in, because Groundwork was ended. Add all of them again; known ones are passed over.")
    ]  # fmt: skip
    assert live.batches.get(batch, owner_id=ME).to_come == 0
