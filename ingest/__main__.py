"""`python -m ingest work` is the worker process; `python -m ingest add PATH…` takes files in from the shell."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from core.accounts import LOCAL
from core.errors import GroundworkError, ModelUnavailable, StorageError
from core.jobs import Job, Jobs
from core.models.catalog import find, installed_path
from core.models.client import ModelClient
from core.readers import without_disk, without_network
from core.rebuilds import Rebuilds
from core.retrieval.store import ChunkStore
from core.settings import Settings, load
from core.storage.db import Database
from core.storage.files import FileStore
from core.storage.migrations import upgrade
from ingest import sandbox, source_command
from ingest.adding import Outcome, add_file, complete, find_files, follow, sentence
from ingest.intake import WAITING, Embedder, Intake, IntakeOptions
from ingest.presence import Presence
from ingest.reading import ReadingOptions
from ingest.recut import begin_recutting
from ingest.sources.making import make_keeper
from ingest.split import Count
from ingest.tokens import TokenCounter
from ingest.worker import Worker

if TYPE_CHECKING:
    from core.services import Services

log = logging.getLogger("ingest")

BEHIND_EVERYBODY = 10  # nice: people who wait for a page or an answer go first
ENDING = 6.0  # seconds for an orderly end, once the parent is gone


def main(arguments: Sequence[str] | None = None) -> int:
    """0 is success, 1 that something failed, 2 a wrong call."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that is no text, or not in this encoding, ends nothing
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        if options.command == "characters":
            return _characters(options)
        return work(load(), parent_pipe=options.parent_pipe) if options.command == "work" else _add(options)
    except GroundworkError as problem:
        if getattr(options, "json", False):
            print(json.dumps({"error": {"code": problem.code, "message": str(problem)}}, ensure_ascii=False))
        print(f"groundwork: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("groundwork: stopped. Files that were added stay in the queue.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ingest", description="Take documents in.")
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")

    work = commands.add_parser("work", help="work the queue until told to stop (the application starts this itself)")
    work.add_argument("--parent-pipe", action="store_true", help="end when standard input ends")

    raw = commands.add_parser("characters", help="print all that a file holds in any form, to see what a loader lost")
    raw.add_argument("path", type=Path, metavar="FILE")
    raw.add_argument("--name", help="the file's own name, where the path does not tell it")

    add = commands.add_parser("add", help="add files, all files of folders, or web addresses")
    add.add_argument("paths", nargs="+", metavar="PATH")
    add.add_argument("--collection", metavar="NAME", help="put them into this collection; it is made when missing")
    add.add_argument("--wait", action="store_true", help="wait until all are in; fail when one fails")
    add.add_argument("--json", action="store_true", help="print what became of each file as JSON")
    source_command.add_options(add)
    source_command.add_commands(commands)
    return parser


def _characters(options: argparse.Namespace) -> int:
    settings = load()
    name = options.name or options.path.name
    text = sandbox.characters(
        options.path, name, seconds=settings.parse_seconds, memory_mb=settings.parse_memory_mb
    )  # fmt: skip
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.flush()
    return 0


# --- add -------------------------------------------------------------------------------------------------


def _add(options: argparse.Namespace) -> int:
    from core import services  # builds everything, which the worker process has no use for

    live = services.build(load())
    try:
        if options.command == "sources":
            return source_command.run_sources(live, options)
        return source_command.watch_folder(live, options) if options.command == "watch" else _add_files(live, options)
    finally:
        live.release()


def _add_files(live: Services, options: argparse.Namespace) -> int:
    owner_id = live.accounts.who().id
    addresses = [path for path in options.paths if source_command.is_address(path)]
    outcomes: list[Outcome] = []
    files = list(find_files([Path(path) for path in options.paths if path not in addresses], outcomes))
    collection_id = live.documents.collection(options.collection, owner_id=owner_id) if options.collection else None
    with _batch(live, len(files), owner_id) as batch_id:
        outcomes += [
            add_file(live.documents, path, owner_id=owner_id, collection_id=collection_id, batch_id=batch_id)
            for path in files
        ]
    outcomes += source_command.add_addresses(live, addresses, options, collection_id)
    working = bool(Presence(live.settings.run).living())
    if options.wait:
        with nullcontext() if working else _own_worker(live):
            follow(live.jobs, outcomes, say=_say, check=lambda job: _check_embedder(live, job))
    for outcome in outcomes:
        complete(live.documents, outcome, owner_id=owner_id)
        if not options.json:
            print(sentence(outcome))
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], ensure_ascii=False, indent=2))
    elif files and not (options.wait or working):
        _say("Groundwork does not run now: the files are read when it starts, or at once with --wait.")
    return 1 if any(outcome.error for outcome in outcomes) else 0


@contextmanager
def _batch(live: Services, number: int, owner_id: str) -> Iterator[str | None]:
    """The batch of many files, which expects no more of them after the block, whatever ended that; None for one."""
    if number < 2:
        yield None
        return
    batch_id = live.batches.begin(owner_id=owner_id, expected=number)
    try:
        yield batch_id
    finally:
        with suppress(StorageError):  # then the sweep says what did not come
            live.batches.complete(batch_id, owner_id=owner_id)


@contextmanager
def _own_worker(live: Services) -> Iterator[None]:
    """Work the queue in this process, with a model server of our own if none runs. Raises ModelMissing."""
    installed_path(find(live.settings.embedding_model), live.settings.model_store)
    stop = threading.Event()
    worker = make_worker(live.settings, live.db, live.client, stop)
    thread = threading.Thread(target=worker.run, name="ingest-worker")
    with live.with_model_server():
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _check_embedder(live: Services, job: Job) -> None:
    """Give up when the model server says that it has no embedder, instead of waiting for one."""
    if job.stage == WAITING and (error := live.client.status().embedder.error):
        raise ModelUnavailable(error)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# --- the worker process ----------------------------------------------------------------------------------


def work(settings: Settings, *, parent_pipe: bool) -> int:
    """Work the queue until SIGTERM, or until the parent is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s ingest %(levelname)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it reports every request to the model server
    if hasattr(os, "nice"):
        os.nice(BEHIND_EVERYBODY)
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    if parent_pipe:
        threading.Thread(target=_end_with_parent, args=(stop,), name="end-with-parent", daemon=True).start()
    upgrade(settings.database)
    db, client = Database(settings.database), ModelClient(settings.run)
    Rebuilds(db, Jobs(db), settings.embedding_model).begin_if_needed(owner_id=LOCAL.id)
    worker = make_worker(settings, db, client, stop)
    begin_recutting(db, worker.splitter)
    make_keeper(settings, db, stop).start()
    log.info("worker %s starts", worker.id)
    if not without_network():
        log.warning("this system does not let readers of files give up the network; only Python keeps them from it")
    if not without_disk():
        log.warning(
            "this system does not let readers of files give up writing to others; only Python keeps them from it"
        )
    worker.run()
    client.close()
    db.close()
    log.info("worker %s ended", worker.id)
    return 0


def make_worker(settings: Settings, db: Database, embedder: Embedder, stop: threading.Event) -> Worker:
    """A worker over the data folder. Here and not in core.services, which would load much that it does not need."""
    options = IntakeOptions(
        embedder=settings.embedding_model,
        reading=ReadingOptions(
            seconds=settings.parse_seconds,
            memory_mb=settings.parse_memory_mb,
            page_seconds=settings.ocr_page_seconds,
            languages=settings.ocr_languages,
        ),
    )
    intake = Intake(
        db,
        FileStore(settings.files),
        ChunkStore(db),
        embedder=embedder,
        counter=cache(lambda: token_counter(settings)),
        options=options,
    )
    return Worker(Jobs(db), intake, Presence(settings.run), stop)


def token_counter(settings: Settings) -> Count:
    """The tokenizer of the embedding model. Raises ModelMissing while it is not downloaded."""
    model = find(settings.embedding_model)
    installed_path(model, settings.model_store)
    return TokenCounter(settings.model_store / (model.tokenizer_file or ""))


def _end_with_parent(stop: threading.Event) -> None:
    """Read standard input to its end, which comes when the parent is gone, however it went."""
    while os.read(0, 4096):
        pass
    stop.set()
    time.sleep(ENDING)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
