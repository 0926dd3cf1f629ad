"""`python -m ingest`: adding files from the shell, with and without a worker."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import chdir
from pathlib import Path
from typing import BinaryIO

import pytest

from core.errors import BadUpload, StorageBusy
from core.jobs import Job
from core.services import Services
from core.settings import ROOT
from core.storage.files import FileStore
from core.types import DocumentStatus, JobStatus
from ingest.__main__ import main
from ingest.adding import Outcome, add_file, complete, find_files, follow, sentence
from tests.ingest.made import pdf
from tests.ingest.test_worker import Hooked, make_worker

OWNER = "local"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


def test_folders_are_searched_and_hidden_files_passed_over(folder: Path) -> None:
    for name in ("b.txt", "a.txt", ".hidden", "sub/c.txt", ".git/config"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    assert [path.name for path in find_files([folder / "b.txt", folder], [])] == ["b.txt", "a.txt", "b.txt", "c.txt"]
    with pytest.raises(BadUpload, match="no file or folder"):
        list(find_files([folder / "missing"], []))


def test_every_file_has_its_outcome(live: Services, folder: Path) -> None:
    (folder / "a.pdf").write_bytes(pdf(["Some words on a page."]))
    (folder / "same.pdf").write_bytes(pdf(["Some words on a page."]))
    (folder / "empty.txt").touch()
    (folder / "photo.pdf").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    outcomes = [add_file(live.documents, path, owner_id=OWNER, collection_id=None) for path in find_files([folder], [])]
    stop = threading.Event()
    thread = threading.Thread(target=make_worker(live, Hooked(Path("unused")), stop).run)
    thread.start()
    follow(live.jobs, outcomes, say=lambda line: None, check=lambda job: None)
    stop.set()
    thread.join(20)
    for outcome in outcomes:
        complete(live.documents, outcome, owner_id=OWNER)
    lines = {Path(outcome.path).name: sentence(outcome) for outcome in outcomes}
    assert lines["a.pdf"].endswith("a.pdf: ready: 1 pages, 21 characters, 1 chunks")
    assert "was there already" in lines["same.pdf"]
    assert "empty.txt is empty" in lines["empty.txt"]
    assert "photo.pdf is damaged: it cannot be opened as a picture" in lines["photo.pdf"]
    assert [bool(outcome.error) for outcome in outcomes] == [False, True, True, False]


def test_following_ends_with_what_became_of_each_file_and_sees_every_one_that_runs(
    live: Services, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.SLICE", 2)
    monkeypatch.setattr("ingest.adding.LOOK_EVERY", 0.0)
    for number in range(5):
        (folder / f"{number}.md").write_text(f"text {number}")
    outcomes = [add_file(live.documents, path, owner_id=OWNER, collection_id=None) for path in find_files([folder], [])]
    first = outcomes[0].job_id
    assert first is not None
    live.jobs.cancel(first, owner_id=OWNER)
    seen: list[str] = []

    def see(job: Job) -> None:
        seen.append(job.document_name)
        status = JobStatus.failed if job.document_name == "3.md" else JobStatus.done
        live.jobs.finish(job.id, "w", status, "3.md is damaged." if status == JobStatus.failed else "")
        live.jobs.claim("w")

    live.jobs.claim("w")
    follow(live.jobs, outcomes, say=lambda line: None, check=see)
    assert seen == ["1.md", "2.md", "3.md", "4.md"]
    assert [outcome.error for outcome in outcomes] == ["The job was cancelled.", "", "", "3.md is damaged.", ""]


def test_without_a_worker_files_are_queued_and_it_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "note.md").write_text("# A note\n\nwith words.")
    assert main(["add", str(folder / "note.md"), "--collection", "Notes"]) == 0
    said = capsys.readouterr()
    assert "note.md: queued" in said.out
    assert "does not run now" in said.err
    assert main(["add", str(folder / "note.md"), "--json"]) == 0
    (outcome,) = json.loads(capsys.readouterr().out)
    assert (outcome["status"], outcome["duplicate"], outcome["error"]) == ("queued", True, "")


def test_a_bad_file_or_path_fails_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty.txt").touch()
    assert main(["add", str(folder / "empty.txt"), "--json"]) == 1
    assert "is empty" in json.loads(capsys.readouterr().out)[0]["error"]
    assert main(["add", str(folder / "missing"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "bad_upload"


def test_waiting_without_the_embedding_model_says_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GROUNDWORK_MODELS", str(folder / "no-models"))
    (folder / "note.md").write_text("words")
    assert main(["add", str(folder / "note.md"), "--wait"]) == 1
    assert "is not downloaded" in capsys.readouterr().err


def test_a_folder_with_everything_in_it_that_is_no_file_is_taken_in_to_its_end(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.md").write_text("first words")
    (folder / "z.md").write_text("last words")
    (folder / "linked.md").symlink_to(folder / "a.md")
    (folder / "nowhere.md").symlink_to(folder / "gone.md")
    (folder / "round.md").symlink_to(folder / "round.md")
    os.mkfifo(folder / "pipe.md")
    with socket.socket(socket.AF_UNIX) as listening, chdir(folder):
        listening.bind("socket.md")
        assert main(["add", str(folder), "--json"]) == 1
    outcomes = {Path(outcome["path"]).name: outcome for outcome in json.loads(capsys.readouterr().out)}
    assert sorted(outcomes) == ["a.md", "linked.md", "nowhere.md", "round.md", "z.md"]
    assert [outcomes[name]["status"] for name in ("a.md", "linked.md", "z.md")] == ["queued"] * 3
    assert "is a link that leads nowhere." in outcomes["nowhere.md"]["error"]
    assert "could not be added: " in outcomes["round.md"]["error"]
    for named in ("pipe.md", "nowhere.md"):
        assert main(["add", str(folder / named)]) == 1
    assert "pipe.md is neither a file nor a folder." in capsys.readouterr().err


def test_a_file_that_has_become_a_pipe_holds_nothing_up(live: Services, folder: Path) -> None:
    os.mkfifo(folder / "pipe.md")
    outcome = add_file(live.documents, folder / "pipe.md", owner_id=OWNER, collection_id=None)
    assert (outcome.status, outcome.error) == ("refused", f"{folder / 'pipe.md'} is no file.")


def test_a_folder_that_may_not_be_opened_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "closed").mkdir()
    (folder / "a.md").write_text("words")
    scan = os.scandir

    def refuse(path: str) -> object:  # root, who runs tests in containers, may open every folder
        if path.endswith("closed"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    told: list[Outcome] = []
    assert [path.name for path in find_files([folder], told)] == ["a.md"]
    assert [sentence(outcome) for outcome in told] == [
        f"{folder / 'closed'} could not be opened (Permission denied): what is in it was not added."
    ]


def test_a_name_that_is_no_text_is_taken_in_and_printed(folder: Path, tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(folder) + b"/caf\xe9.md")).write_text("words")
    for more in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "ingest", "add", str(folder), *more], cwd=ROOT,
            env={**os.environ, "GROUNDWORK_DATA": str(tmp_path / "data")}, capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
        assert b"caf\\udce9.md" in done.stdout
    assert json.loads(done.stdout)[0]["path"] == os.fsdecode(bytes(folder) + b"/caf\xe9.md")


def test_a_disk_that_refuses_one_file_ends_neither_the_others_nor_the_batch(
    live: Services, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.md", "b.md", "c.md", "d.md"):
        (folder / name).write_text(f"words of {name}")
    write = FileStore._write

    def refusing(store: FileStore, source: BinaryIO, draft: Path, name: str, limit: int) -> object:
        if name == "b.md":
            raise StorageBusy("The database is busy.")
        if name == "c.md":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return write(store, source, draft, name, limit)

    monkeypatch.setattr(FileStore, "_write", refusing)
    assert main(["add", str(folder)]) == 1
    said = capsys.readouterr().out
    assert [line.rpartition(f"{folder}/")[2] for line in said.splitlines()] == [
        "a.md: queued", "b.md: The database is busy.",
        "c.md could not be added: Input/output error. Add it again when that is repaired.", "d.md: queued",
    ]  # fmt: skip
    (batch,) = live.batches.list_batches(owner_id=OWNER)
    assert (batch.total, batch.to_come) == (2, 0)


def test_a_batch_that_is_broken_off_expects_nothing_more(
    live: Services, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.md", "b.md", "c.md"):
        (folder / name).write_text(f"words of {name}")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FileStore, "_write", stop)
    assert main(["add", str(folder)]) == 130
    (batch,) = live.batches.list_batches(owner_id=OWNER)
    assert batch.to_come == 0


@pytest.mark.model
def test_waiting_works_the_queue_when_nothing_else_does(folder: Path, tmp_path: Path) -> None:
    (folder / "report.pdf").write_bytes(pdf(["The warranty lasts two years."] * 3))
    waited = subprocess.run(
        [sys.executable, "-m", "ingest", "add", str(folder), "--wait", "--json"],
        cwd=ROOT, env={**os.environ, "GROUNDWORK_DATA": str(tmp_path / "data")},
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert waited.returncode == 0, waited.stderr
    (outcome,) = json.loads(waited.stdout)
    assert outcome["status"] == DocumentStatus.ready
    assert outcome["receipt"]["vectors"] == outcome["receipt"]["chunks"] == 1
    assert "report.pdf: " in waited.stderr


@pytest.mark.model
def test_chunks_fit_the_embedder_with_its_own_tokenizer(tmp_path: Path) -> None:
    from core.models.catalog import find
    from core.settings import load
    from core.types import Document, Heading
    from ingest.__main__ import token_counter
    from ingest.split import split

    settings = load()
    count = token_counter(settings)
    text = "\n\n".join(f"Heading {n}\n\n" + "Ünïcode words and 日本語 with 12,345.67 numbers. " * 40 for n in range(20))
    starts = [found for found in range(len(text)) if text.startswith("Heading ", found)]
    headings = tuple(
        Heading(n % 3 + 1, f"Heading {n} with a rather long name", start) for n, start in enumerate(starts)
    )
    chunks = split(Document("t", "text/plain", text, headings=headings), count_tokens=count)
    longest = max(count(f"{chunk.heading}\n{chunk.text}") for chunk in chunks)
    assert longest + 2 <= find(settings.embedding_model).max_tokens
    assert longest > 150
