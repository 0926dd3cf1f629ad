"""Every file, name and prompt in the browser."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from tests.application import until
from tests.bench.abuse.trial import AS_DOCUMENTS, BIG, REFUSED, Record, Trial
from tests.browser.conftest import ARGUMENTS, near
from tests.browser.test_main_job import answers, ask, finished, settled

CANARY = "canary.invalid"
# Chromium cannot type these, or takes them as several keys: they are sent over REST.
NOT_TYPED = {"nul", "lone_surrogate", "empty", "blank"}


class InBrowser:
    """All files as one batch, all names as another, all prompts one after the other; the page must stay whole."""

    def __init__(self, trial: Trial, chromium: str, pictures: Path | None) -> None:
        self.trial, self.app, self.chromium, self.pictures = trial, trial.app, chromium, pictures

    def run(self) -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=self.chromium, args=ARGUMENTS)
            self.page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            self.page.on("request", self.requested)
            self.page.on("dialog", self.asked)
            self.upload_files()
            self.upload_names()
            self.type_prompts()
            browser.close()

    def requested(self, request: Any) -> None:
        self.trial.expect(near(request.url, self.app), f"the page asked for {request.url[:100]}")

    def asked(self, dialog: Any) -> None:
        self.trial.expect(False, f"a script ran: {dialog.message}")
        dialog.dismiss()

    def whole(self, name: str) -> Page:
        """The page shows no error of its own, and no picture from elsewhere."""
        settled(self.page)
        self.trial.expect(self.page.get_by_test_id("stException").count() == 0, f"{name}: an exception on the page")
        self.trial.expect(self.page.locator(f'img[src*="{CANARY}"]').count() == 0, f"{name}: a picture from elsewhere")
        if self.pictures:
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=self.pictures / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.png")
        return self.page

    def batch(self, files: Any, number: int) -> Record:
        """Drop files on the page and wait until the batch is over."""
        self.page.goto(self.app.url + "/documents")
        settled(self.page)
        before = len(self.batches())
        self.page.locator('input[type="file"]').first.set_input_files(files)
        until(lambda: len(self.batches()) > before, 120, "the batch begins")
        until(lambda: self.batches()[0]["status"] == "done" and not self.batches()[0]["to_come"], 900, "the batch ends")
        found = self.batches()[0]
        self.trial.expect(found["total"] == number, f"a batch of {number} files counts {found['total']}")
        return found

    def batches(self) -> list[Record]:
        return list(self.app.http.get("/api/v1/batches").json()["batches"])

    def documents(self) -> dict[str, Record]:
        found = self.app.http.get("/api/v1/documents", params={"limit": 1000}).json()["documents"]
        return {document["name"]: document for document in found}

    def upload_files(self) -> None:
        entries = [entry for entry in self.trial.files if entry["bytes"] < BIG]
        self.batch([str(self.trial.corpus / entry["file"]) for entry in entries], len(entries))
        self.whole("files")
        stored = self.documents()
        for entry in entries:
            self.trial.counts["files"] += 1
            document = stored.get(entry["file"])
            became = self.trial.became(document) if document else REFUSED
            if entry["category"] in AS_DOCUMENTS:
                self.trial.verdict(entry, became, (document or {}).get("error") or "")

    def upload_names(self) -> None:
        entries = [entry for entry in self.trial.names if entry["name"]]
        files = [
            {"name": entry["name"], "mimeType": "text/plain", "buffer": f"Number {n} is of colour {n * 7}.".encode()}
            for n, entry in enumerate(entries)
        ]
        self.batch(files, len(files))
        self.trial.counts["names"] += len(entries)
        self.whole("names")
        refused = sum(entry["expect"] == "reject" for entry in entries)
        found = self.batches()[0]
        failed = found["refused"] + found["failed"]
        self.trial.expect(failed >= refused, f"{failed} names are refused, not {refused} or more: {found}")

    def type_prompts(self) -> None:
        for entry in self.trial.prompts:
            if entry["id"] in NOT_TYPED:
                continue
            self.page.goto(self.app.url)
            settled(self.page)
            began = time.monotonic()
            ask(self.page, entry["text"])
            self.trial.counts["prompts"] += 1
            refusal = self.page.get_by_test_id("stAlert").or_(self.page.get_by_test_id("stToast"))
            expect(answers(self.page).or_(refusal).first).to_be_visible(timeout=60_000)
            if answers(self.page).count():
                finished(self.page, 1)
                self.trial.verdict(entry, {"accept", "sanitise"}, "")
            else:
                self.trial.verdict(entry, REFUSED, refusal.first.inner_text())
            self.page.wait_for_timeout(300)
            self.trial.slowest = max(self.trial.slowest, time.monotonic() - began)
            self.whole(f"prompt {entry['id']}")
