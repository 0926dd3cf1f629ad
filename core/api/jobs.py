"""REST for jobs and batches: follow, pause, resume, cancel, try again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter

from core import services
from core.batches import Batch
from core.jobs import Job

router = APIRouter(tags=["jobs"])
Action = Literal["pause", "resume", "retry"]


@router.get("/jobs")
def list_jobs(active: bool = False, batch_id: str | None = None, limit: int = 100) -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    found = live.jobs.list_jobs(
        owner_id=user.id, active=active, batch_id=batch_id, limit=max(1, min(limit, 10_000))
    )  # fmt: skip
    return {"jobs": [_job(job) for job in found]}


@router.get("/jobs/{job_id}")
def get_job(job_id: str) -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    return _job(live.jobs.get(job_id, owner_id=user.id))


@router.delete("/jobs/{job_id}", status_code=202)
def cancel_job(job_id: str) -> dict[str, Any]:
    """Stop a job."""
    live, user = services.get(), services.get().accounts.who()
    live.jobs.cancel(job_id, owner_id=user.id)
    return _job(live.jobs.get(job_id, owner_id=user.id))


@router.post("/jobs/{job_id}/{action}", status_code=202)
def steer_job(job_id: str, action: Action) -> dict[str, Any]:
    """Let a job rest, go on with it, or try it again."""
    live, user = services.get(), services.get().accounts.who()
    {"pause": live.jobs.pause, "resume": live.jobs.resume, "retry": live.jobs.retry}[action](job_id, owner_id=user.id)
    return _job(live.jobs.get(job_id, owner_id=user.id))


@router.get("/batches")
def list_batches(active: bool = False, limit: int = 50) -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    found = live.batches.list_batches(owner_id=user.id, active=active, limit=max(1, min(limit, 1000)))
    return {"batches": [_batch(batch) for batch in found]}


@router.get("/batches/{batch_id}")
def get_batch(batch_id: str) -> dict[str, Any]:
    """A batch with the files that are not in, and why."""
    live, user = services.get(), services.get().accounts.who()
    batch = _batch(live.batches.get(batch_id, owner_id=user.id))
    failures = live.batches.failures(batch_id, owner_id=user.id)
    return {**batch, "failures": [asdict(failure) for failure in failures]}


@router.delete("/batches/{batch_id}", status_code=202)
def cancel_batch(batch_id: str) -> dict[str, Any]:
    """Stop all parts that have not ended; what is in stays in."""
    live, user = services.get(), services.get().accounts.who()
    live.batches.cancel(batch_id, owner_id=user.id)
    return _batch(live.batches.get(batch_id, owner_id=user.id))


@router.post("/batches/{batch_id}/{action}", status_code=202)
def steer_batch(batch_id: str, action: Action) -> dict[str, Any]:
    """Let all parts rest that have not ended, go on with them, or try those again that failed or were cancelled."""
    live, user = services.get(), services.get().accounts.who()
    batches = live.batches
    {"pause": batches.pause, "resume": batches.resume, "retry": batches.retry}[action](batch_id, owner_id=user.id)
    return _batch(batches.get(batch_id, owner_id=user.id))


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id, "kind": job.kind, "document_id": job.document_id, "document_name": job.document_name,
        "batch_id": job.batch_id, "status": job.status, "lane": job.lane, "stage": job.stage, "done": job.done,
        "total": job.total, "seconds_left": _rounded(job.seconds_left), "attempts": job.attempts,
        "error": job.error or None, "created_at": job.created_at.isoformat(),
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
    }  # fmt: skip


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        **asdict(batch),
        "seconds_left": _rounded(batch.seconds_left),
        "created_at": batch.created_at.isoformat(),
        "finished_at": batch.finished_at.isoformat() if batch.finished_at else None,
    }


def _rounded(seconds: float | None) -> float | None:
    return round(seconds, 1) if seconds is not None else None
