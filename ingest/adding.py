"""Files from the shell: find them, add them, follow their jobs, say what became of each."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from core.documents import Documents
from core.errors import BadUpload, StorageError
from core.jobs import Job, Jobs
from core.types import DocumentStatus, JobStatus

LOOK_EVERY = 0.2
SECONDS_FOR_EACH, LONGEST_PAUSE = 0.0005, 3.0  # between two looks at many files
SAY_EVERY = 2.0
MISSING, UNKNOWN = -1, -2  # in place of a kind of file

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


def find_files(paths: Sequence[Path], closed: list[Outcome]) -> Iterator[Path]:
    """The files among the paths and inside the folders among them.

    Passed over are hidden ones, links to folders, and what is no file: pipes, sockets, devices. Folders that cannot be
    opened are put into `closed`. Raises BadUpload for a path that is not there.
    """
    for path in paths:
        kind = _kind(path)
        if kind == stat.S_IFDIR:
            yield from _inside(path, closed)
        elif kind in (stat.S_IFREG, UNKNOWN):
            yield path
        elif kind == MISSING:
            raise BadUpload(f"There is no file or folder {path}.")
        else:
            raise BadUpload(f"{path} is neither a file nor a folder.")


def _inside(folder: Path, closed: list[Outcome]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        sentence = f"{error.filename} could not be opened ({_reason(error)}): what is in it was not added."
        closed.append(Outcome(str(error.filename), Path(error.filename).name, "refused", error=sentence))

    for inner, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(inner, name) for name in sorted(names) if not name.startswith(".")):
            if _kind(path) in (stat.S_IFREG, MISSING, UNKNOWN):  # of the latter two it is told why they are not added
                yield path


def _kind(path: Path) -> int:
    """What is at a path, or behind a link there."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError:
        return UNKNOWN


def add_file(
    documents: Documents, path: Path, *, owner_id: str, collection_id: str | None, batch_id: str | None = None
) -> Outcome:
    """Store one file and queue it. A refused or unreadable file is an outcome, not an error."""
    try:
        with _open(path) as source:
            added = documents.add(
                source, name=path.name, owner_id=owner_id, collection_id=collection_id, batch_id=batch_id
            )
        status = DocumentStatus.queued.value
        if added.job_id is None:
            status = documents.get(added.document_id, owner_id=owner_id).status.value
    except (BadUpload, StorageError) as error:
        return Outcome(str(path), path.name, "refused", error=str(error))
    except PermissionError:
        return Outcome(str(path), path.name, "refused", error=f"{path} may not be read. Check its permissions.")
    except FileNotFoundError:
        sentence = f"{path} is not there: it was removed just now, or is a link that leads nowhere."
        return Outcome(str(path), path.name, "refused", error=sentence)
    except OSError as error:
        sentence = f"{path} could not be added: {_reason(error)}. Add it again when that is repaired."
        return Outcome(str(path), path.name, "refused", error=sentence)
    return Outcome(str(path), added.name, status, added.document_id, added.job_id, added.duplicate)


def _open(path: Path) -> BinaryIO:
    """A file, without waiting for whoever might write to it if it has become a pipe meanwhile. Raises BadUpload."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    source = os.fdopen(os.open(path, flags), "rb")
    if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
        return source
    source.close()
    raise BadUpload(f"{path} is no file.")


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


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
        return outcome.error if outcome.error.startswith(outcome.path) else f"{outcome.path}: {outcome.error}"
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
