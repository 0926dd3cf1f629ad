"""Files from the shell: find them, add them, follow their jobs, say what became of each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.documents import Documents
from core.errors import BadUpload
from core.jobs import Job, Jobs
from core.types import JobStatus

LOOK_EVERY = 0.2
SECONDS_FOR_EACH, LONGEST_PAUSE = 0.0005, 3.0  # between two looks at many files
SAY_EVERY = 2.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What became of one file; `status` is that of its document, or `refused` when there is none."""

    path: str
    name: str
    status: str
    document_id: str | None = None
    job_id: str | None = None
    duplicate: bool = False
    error: str = ""
    receipt: dict[str, Any] = field(default_factory=dict)


def find_files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files among the paths and inside the folders among them; hidden ones and links to folders are passed over.

    Raises BadUpload for a path that is not there.
    """
    for path in paths:
        if path.is_file():
            yield path
        elif not path.is_dir():
            raise BadUpload(f"There is no file or folder {path}.")
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def add_file(
    documents: Documents, path: Path, *, owner_id: str, collection_id: str | None, batch_id: str | None = None
) -> Outcome:
    """Store one file and queue it. A refused or unreadable file is an outcome, not an error."""
    try:
        with path.open("rb") as source:
            added = documents.add(
                source, name=path.name, owner_id=owner_id, collection_id=collection_id, batch_id=batch_id
            )
    except BadUpload as error:
        return Outcome(str(path), path.name, "refused", error=str(error))
    except PermissionError:
        return Outcome(str(path), path.name, "refused", error=f"{path} may not be read. Check its permissions.")
    status = documents.get(added.document_id, owner_id=owner_id).status.value
    return Outcome(str(path), added.name, status, added.document_id, added.job_id, added.duplicate)


def follow(jobs: Jobs, outcomes: Sequence[Outcome], *, say: Say, check: Callable[[Job], None]) -> None:
    """Wait until no job of these files is under way; `check` sees every running job and may raise to give up."""
    said: dict[str, tuple[str, float]] = {}
    waiting = {outcome.document_id or "": outcome for outcome in outcomes if outcome.document_id}
    while waiting:
        unfinished = jobs.unfinished(list(waiting))
        running = [document_id for document_id, status in unfinished.items() if status == JobStatus.running]
        for document_id, job in jobs.latest(running).items():
            if job.status == JobStatus.running:
                check(job)
                _say_progress(waiting[document_id], job, said, say)
        ended = [document_id for document_id in waiting if document_id not in unfinished]
        latest = jobs.latest(ended)
        for document_id in ended:
            outcome, last = waiting.pop(document_id), latest.get(document_id)
            if last is not None and last.status != JobStatus.done:
                outcome.error = last.error or "The job was cancelled."
        if waiting:
            time.sleep(min(max(LOOK_EVERY, len(waiting) * SECONDS_FOR_EACH), LONGEST_PAUSE))


def complete(documents: Documents, outcome: Outcome, *, owner_id: str) -> None:
    """Fill in what the document has become."""
    if outcome.document_id is None:
        return
    document = documents.get(outcome.document_id, owner_id=owner_id)
    outcome.status, outcome.receipt = document.status.value, document.receipt
    outcome.error = outcome.error or document.error


def sentence(outcome: Outcome) -> str:
    """One line for people."""
    if outcome.error:
        return f"{outcome.path}: {outcome.error}"
    known = " (was there already)" if outcome.duplicate else ""
    if not outcome.receipt:
        return f"{outcome.path}: {outcome.status}{known}"
    pages = f"{outcome.receipt['pages']} pages, " if outcome.receipt.get("pages") else ""
    size = f"{pages}{outcome.receipt['characters']:,} characters, {outcome.receipt['chunks']:,} chunks"
    warnings = "".join(f"\n  {warning}" for warning in outcome.receipt["warnings"])
    return f"{outcome.path}: {outcome.status}{known}: {size}{warnings}"


def _say_progress(outcome: Outcome, job: Job, said: dict[str, tuple[str, float]], say: Say) -> None:
    stage, moment = said.get(job.id, ("", 0.0))
    if job.stage and (job.stage != stage or time.monotonic() - moment > SAY_EVERY):
        said[job.id] = (job.stage, time.monotonic())
        counts = f" {job.done:,} of {job.total:,}" if job.total else ""
        say(f"{outcome.name}: {job.stage}{counts}")
