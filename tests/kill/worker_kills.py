"""SIGKILL of the worker process at random moments, as often as is asked for, and what must hold each time."""

from __future__ import annotations

import io
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
from sqlalchemy import func, select

from core.fsck import Fsck
from core.services import Services
from core.settings import ROOT
from core.storage.tables import ChunkRow, DocumentRow, VectorRow
from core.types import DocumentStatus, JobStatus
from ingest.presence import Presence
from tests.ingest.made import pdf

OWNER = "local"


@dataclass(slots=True)
class Outcome:
    """What was seen over all rounds; every list must be empty at the end."""

    rounds: int = 0
    interrupted: int = 0  # kills that met a job in somebody's hands
    findings: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)


def start(live: Services) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.ingest.worker_process", str(live.settings.data)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def until(holds: Callable[[], object], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def kill_rounds(live: Services, *, rounds: int, documents: int, writers: int, seed: int) -> Outcome:
    """Kill workers `rounds` times while documents are read and embedded; when all are in, others take their place."""
    luck, outcome, acknowledged, number = random.Random(seed), Outcome(), set(), 0
    for _ in range(rounds):
        if not live.jobs.list_jobs(owner_id=OWNER, active=True, limit=1):
            for document_id in acknowledged:
                live.documents.delete(document_id, owner_id=OWNER)
            acknowledged = {add(live, number + place, luck) for place in range(documents)}
            number += documents
        processes = [start(live) for _ in range(writers)]
        until(lambda: len(Presence(live.settings.run).living()) == writers)
        time.sleep(luck.uniform(0, 1.2))
        victims = processes if luck.random() < 0.5 else processes[:1]
        busy = live.jobs.list_jobs(owner_id=OWNER, statuses=[JobStatus.running])
        kill(victims)
        outcome.rounds, outcome.interrupted = outcome.rounds + 1, outcome.interrupted + bool(busy)
        outcome.findings += findings(live)
        kill([process for process in processes if process not in victims])
        outcome.findings += findings(live)
        there = {document.id for document in live.documents.list_documents(owner_id=OWNER)}
        outcome.lost += sorted(acknowledged - there)
    last = start(live)
    until(lambda: not live.jobs.list_jobs(owner_id=OWNER, active=True, limit=1))
    assert last.stdin is not None
    last.stdin.close()
    last.wait(30)
    outcome.findings += findings(live)
    outcome.unfinished += unfinished(live)
    return outcome


def add(live: Services, number: int, luck: random.Random) -> str:
    """A document of its own, acknowledged once this returns."""
    pages = [
        f"Report {number} page {page} says {luck.random()}. " + "\n".join(["It goes on about things."] * 40)
        for page in range(6)
    ]
    return live.documents.add(io.BytesIO(pdf(pages)), name=f"report{number}.pdf", owner_id=OWNER).document_id


def kill(processes: list[subprocess.Popen[bytes]]) -> None:
    """SIGKILL, and wait until neither they nor their children are there any more."""
    children = [child for process in processes for child in psutil.Process(process.pid).children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGKILL)
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)
    until(lambda: not [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE], 15)


def findings(live: Services) -> list[str]:
    return [f"{f.check}: {f.detail}" for f in Fsck(live.db, live.files, live.jobs, live.index).run()]


def unfinished(live: Services) -> list[str]:
    """Documents that are not in with all their chunks and vectors."""
    query = (
        select(DocumentRow.id, func.count(ChunkRow.id), func.count(VectorRow.chunk_id))
        .outerjoin(ChunkRow, ChunkRow.document_id == DocumentRow.id)
        .outerjoin(VectorRow, VectorRow.chunk_id == ChunkRow.id)
        .group_by(DocumentRow.id)
    )
    with live.db.read() as session:
        counts = {id: (chunks, vectors) for id, chunks, vectors in session.execute(query)}
    wrong = []
    for document in live.documents.list_documents(owner_id=OWNER):
        told = document.receipt.get("chunks")
        if document.status != DocumentStatus.ready or counts[document.id] != (told, told):
            wrong.append(f"{document.name}: {document.status}, {counts[document.id]} of {told}; {document.error}")
    return wrong
