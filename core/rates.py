"""How long the rest of a batch takes, from how long its finished parts took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.leases import EMBED, OPEN, READ
from core.storage.tables import now
from core.types import JobStatus


@dataclass(frozen=True, slots=True)
class Part:
    """Sums over the parts of a batch that are in one state and lane; sizes in bytes, `done` in units of the stage."""

    status: str
    lane: str
    jobs: int
    size: int
    chunks: int
    done: int
    read_seconds: float
    embed_seconds: float
    finished_at: datetime | None
    stage_at: datetime | None


def seconds_left(parts: Sequence[Part]) -> float | None:
    """The two lanes work side by side, so the longer one counts. None while nothing has been measured."""
    unread = sum(part.size for part in parts if part.lane == READ and part.status in OPEN)
    read = [part for part in parts if part.lane == EMBED]
    read_bytes, chunks = sum(part.size for part in read), sum(part.chunks for part in read)
    read_seconds = sum(part.read_seconds for part in read)
    if unread and not (read_bytes and read_seconds):
        return None
    reading = unread / read_bytes * read_seconds if unread else 0.0
    to_come = unread / read_bytes * chunks if unread else 0.0
    waiting = sum(part.chunks - (part.done if _runs(part) else 0) for part in read if part.status in OPEN)
    rate = _embedding_rate(read)
    if waiting + to_come > 0 and not rate:
        return None
    return max(reading, (waiting + to_come) / rate if rate else 0.0)


def _embedding_rate(parts: Sequence[Part]) -> float:
    """Chunks in a second, of the parts that are embedded and of the one that is being embedded."""
    chunks, seconds = 0.0, 0.0
    for part in parts:
        if part.status == JobStatus.done and part.embed_seconds:
            chunks, seconds = chunks + part.chunks, seconds + part.embed_seconds
        elif _runs(part) and part.stage_at is not None:
            chunks, seconds = chunks + part.done, seconds + (now() - part.stage_at).total_seconds()
    return chunks / seconds if seconds else 0.0


def _runs(part: Part) -> bool:
    return part.status == JobStatus.running
