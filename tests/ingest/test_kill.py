"""The worker process: told to stop, left alone by its parent. What kills it is in tests/kill/test_worker_kills.py."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from core.services import Services
from core.settings import ROOT
from core.types import JobStatus
from ingest.presence import Presence
from tests.ingest.made import pdf

OWNER = "local"


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


def close(process: subprocess.Popen[bytes]) -> int:
    if process.stdin is not None:
        process.stdin.close()
    return process.wait(30)


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
