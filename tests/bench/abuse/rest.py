"""Every file, name and prompt over REST, one after the other."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from tests.application import until
from tests.bench.abuse.trial import AS_DOCUMENTS, BIG, REFUSED, Record, Trial

SEEN = ("searchable", "ready", "failed")


class OverRest:
    """One file, name and prompt after the other, each until what becomes of it is known."""

    def __init__(self, trial: Trial) -> None:
        self.trial, self.app = trial, trial.app
        self.seconds = 0.0  # from the upload of the newest file until it was found by keyword, or refused

    def run(self) -> None:
        for entry in self.trial.files:
            self.file(entry)
        for number, entry in enumerate(self.trial.names):
            self.name(number, entry)
        for entry in self.trial.prompts:
            self.prompt(entry)

    def send(self, name: str, path: Path) -> tuple[set[str], str]:
        """Upload by hand-written multipart, because clients escape names; returns what became of it, and why."""
        boundary = "groundwork-abuse"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="'.encode()
        escaped = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22").encode("utf-8", "replace")

        def body() -> Any:
            yield head + escaped + b'"\r\nContent-Type: application/octet-stream\r\n\r\n'
            with path.open("rb") as file:
                yield from iter(lambda: file.read(1 << 20), b"")
            yield f"\r\n--{boundary}--\r\n".encode()

        began = time.monotonic()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        reply = self.app.http.post("/api/v1/documents", content=body(), headers=headers)
        told, self.seconds = reply.json(), time.monotonic() - began
        if reply.status_code != 202:
            self.trial.expect(400 <= reply.status_code < 500, f"{name!r}: status {reply.status_code}")
            return REFUSED, str(told.get("error", {}).get("message") or told)
        document = str(told["documents"][0]["id"])
        until(lambda: self.document(document)["status"] in SEEN, 120, f"{name!r} is read")
        self.seconds = time.monotonic() - began
        found = until(lambda: self.settled(document), 300, f"{name!r} is ready")
        became = self.trial.became(found)
        self.trial.expect(not re.search(r"[\x00-\x1f/\\\u202a-\u202e]", found["name"]), f"shown name {found['name']!r}")
        self.app.http.delete(f"/api/v1/documents/{document}")
        return became, found["error"] or ""

    def document(self, document: str) -> Record:
        return dict(self.app.http.get(f"/api/v1/documents/{document}").json())

    def settled(self, document: str) -> Record | None:
        found = self.document(document)
        return found if found["status"] in ("ready", "failed") else None

    def file(self, entry: Record) -> None:
        became, sentence = self.send(entry["file"], self.trial.corpus / entry["file"])
        seconds = self.seconds
        self.trial.counts["files"] += 1
        if entry["bytes"] < BIG:
            self.trial.slowest = max(self.trial.slowest, seconds)
            self.trial.expect(seconds <= entry["max_s"], f"{entry['id']} took {seconds:.1f} s")
        if became == REFUSED:
            self.trial.clear(sentence, entry["id"])
        if entry["category"] in AS_DOCUMENTS:
            self.trial.verdict(entry, became, sentence)

    def name(self, number: int, entry: Record) -> None:
        path = self.trial.corpus / "named"
        path.write_text(f"Document number {number} says that its colour is {number * 7}.\n", encoding="utf-8")
        became, sentence = self.send(entry["name"], path)
        self.trial.counts["names"] += 1
        self.trial.verdict(entry, became, sentence)

    def prompt(self, entry: Record) -> None:
        body = json.dumps({"messages": [{"role": "user", "content": entry["text"]}]})  # ASCII: surrogates as escapes
        began = time.monotonic()
        headers = {"Content-Type": "application/json"}
        reply = self.app.http.post("/v1/chat/completions", content=body, headers=headers)
        seconds = time.monotonic() - began
        self.trial.counts["prompts"] += 1
        self.trial.expect(seconds < 60, f"prompt {entry['id']} took {seconds:.0f} s")
        told = reply.json()
        if reply.status_code == 200:
            self.trial.verdict(entry, {"accept", "sanitise"}, "")
            return
        self.trial.expect(400 <= reply.status_code < 500, f"prompt {entry['id']}: status {reply.status_code}")
        sentence = str(told.get("error", {}).get("message") or told)
        self.trial.clear(sentence, f"prompt {entry['id']}")
        self.trial.verdict(entry, REFUSED, sentence)
