"""The corpus of a dataset as an installation of its own: taken in by the product's own way, kept for the next time."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout
from sqlalchemy import func, select

from core.errors import BadDataset, BadUpload, Conflict, ModelUnavailable, StorageError
from core.evaluation.dataset import Dataset, Entry
from core.evaluation.progress import Watch
from core.processes import ChildProcess
from core.services import Services, build
from core.settings import ROOT, load
from core.storage.migrations import NEWEST
from core.storage.tables import DocumentRow
from core.types import DocumentStatus, Scope

KEPT = 8  # corpora whose installation stays for the next time
LOOK_SECONDS = 0.25
STALLED = 1_800.0  # seconds without a document more: longer than the longest one may take
WORKERS = 2  # one reads while the other splits; more do not help two cores
LOG = "worker.log"
ADDRESS = "model-server.json"
# What decides how a text is cut and stored: when one of these files changes, the corpus is taken in anew.
READING = ("ingest/loaders/*.py", "ingest/split/*.py", "ingest/intake.py", "ingest/reading.py", "ingest/tokens.py",
           "core/words/*.py", "core/retrieval/store.py", "core/retrieval/rows.py")  # fmt: skip

Working = Callable[[Services], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents to be asked: `ids` are the ids of the dataset that each document stands for.

    `unread` names entries that could not be read. `services` are those of this corpus alone, but for prompts, models
    and other services, which are the installation's.
    """

    services: Services
    scope: Scope
    ids: Mapping[str, tuple[str, ...]]
    unread: tuple[str, ...] = ()
    chunks: int = 0


@contextmanager
def worker_process(corpus: Services) -> Iterator[None]:
    """Ingest workers as processes of their own, as the application has one: nobody waits for an answer meanwhile."""
    settings = corpus.settings
    environment = {
        "GROUNDWORK_DATA": str(settings.data),
        "GROUNDWORK_MODELS": str(settings.model_store),
        "GROUNDWORK_CACHE": str(settings.cache_folder),
        "GROUNDWORK_EMBEDDING_MODEL": settings.embedding_model,
    }
    with ExitStack() as stack:
        for _ in range(WORKERS):
            worker = ChildProcess(
                "ingest worker", lambda: ["-m", "ingest", "work", "--parent-pipe"],
                environment=environment, log=settings.data / LOG,
            )  # fmt: skip
            worker.start()
            stack.callback(worker.close)
        yield


@contextmanager
def prepared(
    main: Services, dataset: Dataset, watch: Watch, *, working: Working = worker_process, fresh: bool = False
) -> Iterator[Corpus]:
    """The corpus of the dataset, searchable. The model server must be ready: it tells how vectors are computed.

    Raises BadDataset when nothing of it can be read, Conflict while another process takes the same one in.
    """
    home = main.settings.cache_folder / "evaluation"
    folder = home / _key(main, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / f"{folder.name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise Conflict(f"{dataset.name} is being measured already. Wait for that, or stop it.") from None
    try:
        if fresh:
            shutil.rmtree(folder)
        (folder / "run").mkdir(parents=True, exist_ok=True)
        _share_model_server(main.settings.run / ADDRESS, folder / "run" / ADDRESS)
        settings = load(**{**main.settings.model_dump(), "data": folder, "models": main.settings.model_store,
                           "cache": main.settings.cache_folder, "ingest": False})  # fmt: skip
        corpus = build(settings, main.client, beside=main)
        try:
            yield _take_in(main, corpus, dataset, watch, working)
        finally:
            corpus.index.close()
            corpus.db.close()
        os.utime(folder)
    finally:
        lock.release()
        _tidy(home)


def entry_file(entry: Entry) -> tuple[str, bytes]:
    """An entry as the file that somebody would upload: Markdown with its title as the heading."""
    text = entry.text.replace("\r\n", "\n").replace("\r", "\n")
    body = f"# {entry.title}\n\n{text}\n" if entry.title else f"{text}\n"
    return f"{entry.id}.md", body.encode("utf-8", "replace")


def _take_in(main: Services, corpus: Services, dataset: Dataset, watch: Watch, working: Working) -> Corpus:
    owner_id = corpus.accounts.who().id
    by_hash = _by_hash(dataset)
    there = _documents(corpus)
    missing = [sha256 for sha256 in by_hash if sha256 not in there]
    refused: list[str] = []
    for number, sha256 in enumerate(missing):
        watch("Adding texts", number, len(missing))
        source = by_hash[sha256]
        try:
            with source.open() as file:
                corpus.documents.add(file, name=source.name, owner_id=owner_id)
        except BadUpload:
            refused.append(source.ids[0])
    if missing:
        watch("Adding texts", len(missing), len(missing))
    if _open(corpus):
        with working(corpus):
            _wait(main, corpus, watch)
    states = _documents(corpus)
    ids = {id: by_hash[sha256].ids for sha256, (id, status) in states.items() if sha256 in by_hash and _found(status)}
    if not ids:
        raise BadDataset(f"No text of {dataset.name} could be read. Look whether its texts are empty.")
    unread = [by_hash[sha256].ids[0] for sha256, (_, status) in states.items()
              if sha256 in by_hash and not _found(status)]  # fmt: skip
    watch("Loading the index", 0, 1)
    vectors = corpus.index.warm()
    watch("Loading the index", 1, 1)
    return Corpus(corpus, Scope(owner_id), ids, tuple(sorted({*unread, *refused})), vectors)


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    ids: tuple[str, ...]
    open: Callable[[], BinaryIO]


def _by_hash(dataset: Dataset) -> dict[str, _Source]:
    """The bytes to be taken in by their hash; texts that are the same are one document with several ids."""
    found: dict[str, _Source] = {}
    for entry in dataset.entries:
        name, body = entry_file(entry)
        sha256 = hashlib.sha256(body).hexdigest()
        before = found[sha256].ids if sha256 in found else ()
        found[sha256] = _Source(name, (*before, entry.id), partial(io.BytesIO, body))
    judged = {id for ids in dataset.relevant.values() for id in ids}
    for path in dataset.files:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        before = found[sha256].ids if sha256 in found else ()
        own = path.name if path.name in judged else path.stem
        found[sha256] = _Source(path.name, (*before, own), partial(_opened, path))
    return found


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _wait(main: Services, corpus: Services, watch: Watch) -> None:
    """Until every document is read, or could not be. Raises ModelUnavailable when the embedder has failed, StorageError
    when the workers get nowhere."""
    before: dict[str, int] | None = None
    since = time.monotonic()
    while True:
        counts = _counts(corpus)
        if counts != before:
            before, since = counts, time.monotonic()
        elif time.monotonic() - since > STALLED:
            raise StorageError(f"Reading the texts makes no progress. {corpus.settings.data / LOG} may say why.")
        total = sum(counts.values())
        done = counts.get(DocumentStatus.ready.value, 0) + counts.get(DocumentStatus.failed.value, 0)
        watch("Reading and embedding", done, total)
        if done == total:
            return
        if error := main.client.status().embedder.error:
            raise ModelUnavailable(error)
        time.sleep(LOOK_SECONDS)


def _open(corpus: Services) -> bool:
    settled = (DocumentStatus.ready.value, DocumentStatus.failed.value)
    return any(status not in settled for status in _counts(corpus))


def _counts(corpus: Services) -> dict[str, int]:
    with corpus.db.read() as session:
        rows = session.execute(select(DocumentRow.status, func.count()).group_by(DocumentRow.status))
        return {row[0]: row[1] for row in rows}


def _documents(corpus: Services) -> dict[str, tuple[str, str]]:
    with corpus.db.read() as session:
        rows = session.execute(select(DocumentRow.sha256, DocumentRow.id, DocumentRow.status))
        return {sha256: (id, status) for sha256, id, status in rows}


def _found(status: str) -> bool:
    return status == DocumentStatus.ready.value


def _key(main: Services, dataset: Dataset) -> str:
    """The name of a corpus: its texts, how they are read and cut, and how vectors are computed."""
    digest = hashlib.sha256()
    for sha256 in sorted(_by_hash(dataset)):
        digest.update(sha256.encode())
    for pattern in READING:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.name.encode() + path.read_bytes())
    settings = main.settings
    digest.update(f"{NEWEST} {settings.embedding_model} {main.client.embedding_form()}".encode())
    return digest.hexdigest()[:24]


def _share_model_server(theirs: Path, ours: Path) -> None:
    """The worker looks for the model server in the corpus's own folder; a link stays right when it restarts."""
    ours.unlink(missing_ok=True)
    ours.symlink_to(theirs)


def _tidy(home: Path) -> None:
    """Remove corpora that were not used for long, but for those that somebody has."""
    folders = sorted((path for path in home.iterdir() if path.is_dir()), key=lambda path: -path.stat().st_mtime)
    for folder in folders[KEPT:]:
        lock = FileLock(home / f"{folder.name}.lock")
        try:
            with lock.acquire(blocking=False):
                shutil.rmtree(folder, ignore_errors=True)
        except Timeout:
            continue
