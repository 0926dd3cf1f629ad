"""The worker process: killed at random moments, told to stop, left alone by its parent."""

from __future__ import annotations

import io
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest
from sqlalchemy import func, select

from core.fsck import Fsck
from core.services import Services
from core.settings import ROOT
from core.storage.tables import ChunkRow, DocumentRow, VectorRow
from core.types import DocumentStatus, JobStatus
from ingest.presence import Presence
from tests.ingest.made import pdf

OWNER = "local"
KILLS = 8
DOCUMENTS = 14


def start(live: Services) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.ingest.worker_process", str(live.settings.data)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def add_documents(live: Services, count: int) -> None:
    for number in range(count):
        pages = [f"Report {number} page {page}. " + "\n".join(["It goes on about things."] * 40) for page in range(6)]
        live.documents.add(io.BytesIO(pdf(pages)), name=f"report{number}.pdf", owner_id=OWNER)


def statuses(live: Services) -> list[DocumentStatus]:
    return [document.status for document in live.documents.list_documents(owner_id=OWNER)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def close(process: subprocess.Popen[bytes]) -> int:
    if process.stdin is not None:
        process.stdin.close()
    return process.wait(30)


@pytest.mark.kill
def test_a_worker_killed_at_random_moments_loses_nothing_and_does_nothing_twice(live: Services) -> None:
    moments = random.Random(4)
    add_documents(live, DOCUMENTS)
    for _ in range(KILLS):
        process = start(live)
        until(lambda: Presence(live.settings.run).living())
        time.sleep(moments.uniform(0, 1.5))
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        close(process)
        until(lambda children=children: not alive(children), 10)
        assert Fsck(live.db, live.files, live.jobs, live.index).run() == []
    assert max(job.attempts for job in live.jobs.list_jobs(owner_id=OWNER)) > 1, "no kill interrupted any work"

    process = start(live)
    until(lambda: not live.jobs.list_jobs(owner_id=OWNER, active=True))
    for document in live.documents.list_documents(owner_id=OWNER):
        if document.status == DocumentStatus.failed:  # its worker was killed three times: reported, and can be retried
            assert "ended the worker 3 times" in document.error
            live.documents.retry(document.id, owner_id=OWNER)
    until(lambda: set(statuses(live)) == {DocumentStatus.ready})
    assert close(process) == 0

    assert Fsck(live.db, live.files, live.jobs, live.index).run() == []
    with live.db.read() as session:
        for table, column in ((ChunkRow, ChunkRow.id), (VectorRow, VectorRow.chunk_id)):
            per_document = session.execute(
                select(DocumentRow.id, func.count(column))
                .join(ChunkRow, ChunkRow.document_id == DocumentRow.id)
                .join(VectorRow, VectorRow.chunk_id == ChunkRow.id)
                .group_by(DocumentRow.id)
            ).all()
            expected = {d.id: d.receipt["chunks"] for d in live.documents.list_documents(owner_id=OWNER)}
            assert dict(per_document) == expected, table


@pytest.mark.kill
def test_a_worker_told_to_stop_hands_its_job_back_at_once(live: Services) -> None:
    add_documents(live, 6)
    process = start(live)
    until(lambda: any(job.status == JobStatus.running for job in live.jobs.list_jobs(owner_id=OWNER)))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    jobs = live.jobs.list_jobs(owner_id=OWNER)
    assert {job.status for job in jobs} <= {JobStatus.queued, JobStatus.done}
    assert all(job.attempts == 0 for job in jobs if job.status == JobStatus.queued)
    assert list(live.settings.run.glob("worker-*")) == []
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.kill
def test_a_worker_ends_when_its_parent_is_gone(live: Services) -> None:
    process = start(live)
    until(lambda: Presence(live.settings.run).living())
    assert close(process) == 0
