"""The real worker, killed at random moments while a folder changes: in the end the documents are those of the folder."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.fsck import Fsck
from core.services import Services
from core.settings import ROOT
from tests.sources.conftest import OWNER, all_ready, make_keeper

ROUNDS = 12


@pytest.mark.kill
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_folder_is_followed_exactly_however_often_the_worker_is_killed(live: Services, tmp_path: Path) -> None:
    chance, folder = random.Random(4), tmp_path / "watched"
    folder.mkdir()
    live.sources.add_folder(str(folder), owner_id=OWNER)
    environment = {**os.environ, "GROUNDWORK_DATA": str(live.settings.data)}
    for turn in range(ROUNDS):
        change(folder, turn, chance)
        worker = subprocess.Popen(
            [sys.executable, "-m", "ingest", "work"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.8, 3.0))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    keeper = make_keeper(live)
    for _ in range(5):
        while keeper.turn_of_folders(due_only=False):
            pass
        all_ready(live)
    wanted = {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    live.documents.sweep(older_than=time.time() + 1)
    assert {d.sha256 for d in live.documents.list_documents(owner_id=OWNER)} == wanted == set(live.files.stored())
    with live.db.write() as session:  # what no model has read here is not what is looked for
        session.connection().exec_driver_sql("UPDATE documents SET status = 'queued'")
    findings = Fsck(live.db, live.files, live.jobs, live.index).run()
    assert [finding for finding in findings if finding.check != "job"] == []


def change(folder: Path, turn: int, chance: random.Random) -> None:
    """Add, change, rename and remove some files, all of them long ago as far as the clock of the files says."""
    for number in range(12):
        write(folder / f"{turn}-{number}.md", f"file {turn} {number}")
    for path in chance.sample(sorted(folder.iterdir()), 6):
        action = chance.choice(("change", "rename", "remove"))
        if action == "change":
            write(path, f"changed {turn} {path.name}")
        elif action == "rename":
            path.rename(path.with_name(f"renamed-{turn}-{path.name}"))
        else:
            path.unlink()


def write(path: Path, text: str) -> None:
    path.write_text(text)
    moment = time.time() - 1000 - len(text)
    os.utime(path, (moment, moment))
