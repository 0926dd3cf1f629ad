"""Five hundred files in one batch, steered in a browser while its worker and the application are killed.

    python -m tests.bench.bench_browser [--files 500] [--pictures FOLDER]

After each step the page must say what the database says, and what was taken in must stay; at the end every file is in
once, or named with its sentence. Ends with 1 where that is not so.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from core.settings import ROOT, load
from tests.application import Application, until
from tests.bench.bench_answers import DATASET, lines
from tests.browser.conftest import ARGUMENTS, CHAT, chromium

BAD, TWINS = 10, 5  # files of blanks; files with the bytes of others under another name
SECONDS = 60.0
LAG = 8  # looks into the database, at most 0.3 s and two requests apart
STILL = 4.0  # how long the page is watched while nothing may move
_BADGE = re.compile(
    r"([\d,]+) (ready|found by words already|waiting or being read|still arriving|failed|refused|here already|cancelled)"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    path = chromium()
    if path is None or not DATASET.exists():
        print("Chromium or ../shared/evaldata is not here")
        return 2
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        paths = made(Path(folder) / "files", options.files)
        settings = load()
        app = Application(
            Path(folder) / "data", models=settings.model_store, chat_model=CHAT, cache=settings.cache_folder,
            embedding_form="",
        )  # fmt: skip
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            app.start().wait_ready(300)
            tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            return Trial(app, tab, options.pictures).run(paths)
        finally:
            browser.close()
            app.stop()


def made(folder: Path, number: int) -> list[Path]:
    """Passages as Markdown files, some of them twice, and some files of blanks."""
    folder.mkdir()
    texts = list(dict.fromkeys(passage["text"] for passage in lines(DATASET / "corpus.jsonl")))
    good = number - BAD - TWINS
    contents = [f"# Passage {place}\n\n{texts[place % len(texts)]}\n" for place in range(good)]
    contents += contents[:TWINS] + [" " * place + "\n" for place in range(1, BAD + 1)]
    paths = [folder / f"file {place:03}.md" for place in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content, encoding="utf-8")
    return paths


class Trial:
    """The steps, each with what must hold after it; `wrong` collects what did not."""

    def __init__(self, app: Application, page: Page, pictures: Path | None) -> None:
        self.app, self.page, self.pictures = app, page, pictures
        self.wrong: list[str] = []
        self.taken_in: set[str] = set()

    def run(self, paths: list[Path]) -> int:
        self.page.goto(self.app.url + "/documents")
        self.loaded()
        self.page.locator('input[type="file"]').first.set_input_files(list(map(str, paths)))
        self.step("upload", lambda: self.total() == len(paths))
        self.step("reload", self.page.reload)
        self.press("Pause", "pause", "paused")
        until(lambda: not self.batch()["to_come"], SECONDS, "all files are here")
        self.agree("paused, and all files are here", time.monotonic())
        before = self.stored()
        time.sleep(STILL)
        self.expect(self.stored() == before, "something moved while the batch was paused")
        self.kill_worker("killed worker of a paused batch")
        self.press("Resume", "resume", "running")
        self.advance("after resuming")
        self.kill_worker("killed worker")
        self.advance("after the worker was killed")
        self.kill_application()
        self.advance("after the application was killed")
        self.press("Cancel the rest", "cancel", "cancelled", seconds=2.0)
        self.step("reload of a cancelled batch", self.page.reload)
        self.press("Try", "retry", "running")
        self.finish(paths)
        for sentence in self.wrong:
            print("WRONG:", sentence)
        print("nothing lost, nothing twice, the page was right after each step" if not self.wrong else "not passed")
        return int(bool(self.wrong))

    # --- steps

    def step(self, name: str, do: Callable[[], Any]) -> None:
        """Do it, or wait for it where it says whether it is so; then the page must say what is stored."""
        began = time.monotonic()
        if do() is False:
            until(do, SECONDS, name)
        self.agree(name, began)

    def press(self, label: str, name: str, status: str, seconds: float = SECONDS) -> None:
        began = time.monotonic()
        self.page.locator(f'[class*="st-key-batch-{name}-"] button').first.click()
        until(lambda: self.batch()["status"] == status, SECONDS, label)
        took = time.monotonic() - began
        self.expect(took <= seconds, f"{label} took {took:.1f} s")
        self.agree(f"{label} ({took:.1f} s)", began)

    def kill_worker(self, name: str) -> None:
        began = time.monotonic()
        worker = self.app.child("ingest")
        assert worker is not None
        worker.kill()
        until(lambda: (new := self.app.child("ingest")) and new.pid != worker.pid, SECONDS, "a new worker")
        self.agree(name, began)

    def kill_application(self) -> None:
        began = time.monotonic()
        assert self.app.process is not None
        self.app.process.send_signal(signal.SIGKILL)
        self.app.process.wait()
        self.app.start().wait_ready(300)
        self.page.goto(self.app.url + "/documents")
        self.agree("killed application, started again", began)

    def advance(self, name: str) -> None:
        began, before = time.monotonic(), self.batch()["done"]
        until(lambda: self.batch()["done"] >= before + 20, 180, f"20 more files {name}")
        self.agree(f"20 more files {name}", began)

    def finish(self, paths: list[Path]) -> None:
        began = time.monotonic()
        until(lambda: self.batch()["status"] == "done", 1_800, "the batch ends")
        self.agree("the end", began)
        found = Counter((document["name"], document["status"]) for document in self.documents())
        batch = self.batch()
        good = len(paths) - BAD - TWINS
        self.expect(max(found.values()) == 1, f"twice: {found.most_common(1)}")
        self.expect(sum(status == "ready" for _, status in found) == good, f"not {good} documents are ready: {batch}")
        self.expect(
            batch["known"] == TWINS and batch["failed"] + batch["refused"] == BAD, f"files are missing: {batch}"
        )
        command = [sys.executable, "-m", "core", "fsck", "--json"]
        fsck = subprocess.run(command, cwd=ROOT, env=self.app.environment, capture_output=True, text=True)
        self.expect(fsck.returncode == 0, fsck.stdout[-500:])

    # --- what is seen and what is stored

    def agree(self, name: str, began: float) -> None:
        """The page looks once a second: what it shows was stored at some moment of the last LAG looks here."""
        self.settled()
        stored = [self.stored()]
        for _ in range(20):
            shown = self.shown()
            stored = [*stored[-LAG:], self.stored()]
            if all(min(s[key] for s in stored) <= shown[key] <= max(s[key] for s in stored) for key in stored[0]):
                break
            time.sleep(0.3)
        else:
            self.wrong.append(f"{name}: the page says {dict(shown)}, stored is {dict(stored[-1])}")
        ready = {document["name"] for document in self.documents() if document["status"] == "ready"}
        self.expect(self.taken_in <= ready, f"{name}: lost {sorted(self.taken_in - ready)[:5]}")
        self.taken_in |= ready
        print(f"{time.monotonic() - began:6.1f} s  {name}: {dict(+shown)}", flush=True)
        if self.pictures:
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=self.pictures / f"{re.sub(r'[^a-z]+', '-', name.lower())}.png")

    def shown(self) -> Counter[str]:
        text = self.page.locator('[class*="st-key-batch-"]').first.inner_text()
        return Counter({word: int(number.replace(",", "")) for number, word in _BADGE.findall(text)})

    def stored(self) -> Counter[str]:
        batch = self.batch()
        return Counter({
            "ready": batch["done"], "found by words already": batch["searchable"], "failed": batch["failed"],
            "waiting or being read": batch["left"] - batch["searchable"] - batch["to_come"], "still arriving": batch["to_come"], "refused": batch["refused"],
            "here already": batch["known"], "cancelled": batch["cancelled"],
        })  # fmt: skip

    def batch(self) -> dict[str, Any]:
        found = self.app.http.get("/api/v1/batches").json()["batches"]
        return dict(found[0]) if found else {"status": "none", "done": 0}

    def total(self) -> int:
        return int(self.batch().get("total", 0))

    def documents(self) -> list[dict[str, Any]]:
        return list(self.app.http.get("/api/v1/documents", params={"limit": 1000}).json()["documents"])

    def loaded(self) -> None:
        self.page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=60_000)

    def settled(self) -> None:
        self.loaded()
        self.page.wait_for_selector('[class*="st-key-batch-"]', timeout=60_000)

    def expect(self, holds: bool, sentence: str) -> None:
        if not holds:
            self.wrong.append(sentence)


if __name__ == "__main__":
    sys.exit(main())
