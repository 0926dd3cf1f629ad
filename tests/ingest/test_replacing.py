"""A changed file takes the place of the one before when it is read, and not before."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import Conflict
from core.fsck import Fsck
from core.services import Services
from core.types import DocumentStatus
from ingest.intake import Intake, IntakeOptions
from ingest.presence import Presence
from ingest.worker import Worker
from tests.ingest.made import words
from tests.small import SmallClient

ME = "local"


@pytest.fixture(autouse=True)
def _all_fits_at_the_end(live: Services) -> Iterator[None]:
    yield
    assert Fsck(live.db, live.files, live.jobs, live.index).run() == []


def work(live: Services) -> None:
    """Do all that waits, as a worker does it."""
    client, options = SmallClient(Path("unused")), IntakeOptions(embedder=live.settings.embedding_model)
    taking = Intake(live.db, live.files, live.chunks, embedder=client, counter=lambda: words, options=options)
    made = Worker(live.jobs, taking, Presence(live.settings.run), threading.Event())
    while made.work_one():
        pass


def text(paragraphs: int, about: str = "subject") -> bytes:
    return "\n\n".join(f"# Part {n}\n\nParagraph {n} is about {about}{n}." for n in range(paragraphs)).encode()


def add(live: Services) -> str:
    return live.documents.add(io.BytesIO(text(3)), name="report.md", owner_id=ME).document_id


def test_until_a_changed_file_is_read_the_one_before_is_shown(live: Services) -> None:
    document = add(live)
    work(live)
    before = live.documents.get(document, owner_id=ME)
    live.documents.replace(document, io.BytesIO(text(3, "thing")), owner_id=ME)
    assert live.documents.content(document, owner_id=ME) == (before, text(3))
    with pytest.raises(Conflict, match="being read"):
        live.documents.replace(document, io.BytesIO(text(3)), owner_id=ME)
    assert live.documents.add(io.BytesIO(text(3, "thing")), name="again.md", owner_id=ME).document_id == document
    work(live)
    info, content = live.documents.content(document, owner_id=ME)
    assert (content, info.size, info.error) == (text(3, "thing"), len(content), "")
    assert info.sha256 == info.receipt["sha256"] != before.sha256
    assert set(live.files.stored()) == {info.sha256}


@pytest.mark.parametrize("end", ["damaged", "cancelled"])
def test_a_changed_file_that_is_not_read_changes_nothing_and_says_so(live: Services, end: str) -> None:
    document = add(live)
    work(live)
    before = live.documents.get(document, owner_id=ME)
    changed = live.documents.replace(document, io.BytesIO(b"%PDF-1.7 but no more"), owner_id=ME)
    if end == "cancelled":
        live.jobs.cancel(changed.job_id, owner_id=ME)
    work(live)
    info, content = live.documents.content(document, owner_id=ME)
    assert content == text(3)
    assert "The changed file was not taken in: what was read before is kept." in info.error
    assert replace(info, error="") == before
    live.documents.sweep(older_than=time.time() + 10)
    assert set(live.files.stored()) == {before.sha256}
    live.documents.retry(document, owner_id=ME)
    work(live)
    assert live.documents.get(document, owner_id=ME).status == DocumentStatus.ready
    assert "subject2" in live.documents.text(document, owner_id=ME).text
