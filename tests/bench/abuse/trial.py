"""The application under abuse, and what must hold whatever is done to it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import psutil

from core.settings import ROOT, load
from tests.application import Application
from tests.browser.conftest import CHAT

AS_DOCUMENTS = {"pdf", "zip", "text", "prompt-injection", "xss"}  # the others must only be harmless when uploaded
BIG = 64 << 20  # bytes, more than an upload may have
REFUSED = {"reject"}
MODULES = ("ingest", "core.serving")  # of the children of the web process
INTERNAL = re.compile(r"Traceback|File \"|Exception|0x[0-9a-f]{6}|\.py\b|/tmp/")

Record = dict[str, Any]


class Trial:
    """A running application with an empty data folder, watched; `wrong` collects what should not be."""

    def __init__(self, folder: Path, corpus: Path) -> None:
        self.corpus, self.wrong = corpus, list[str]()
        self.files: list[Record] = json.loads((corpus / "manifest.json").read_text())
        self.names: list[Record] = json.loads((corpus / "names.json").read_text())
        lines = (corpus / "prompts.jsonl").read_text().splitlines()
        self.prompts: list[Record] = [json.loads(line) for line in lines]
        self.scratch = folder / "scratch"
        self.scratch.mkdir(parents=True)
        settings = load()
        self.app = Application(
            folder / "data", models=settings.model_store, chat_model=CHAT, cache=settings.cache_folder, answer_tokens=64,
            embedding_form="",
        )  # fmt: skip
        # Kept connections are closed by the server while a browser is driven for minutes.
        self.app.http = httpx.Client(
            base_url=self.app.url, timeout=300, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self.app.environment["TMPDIR"] = str(self.scratch)
        self.slowest, self.largest, self.counts = 0.0, 0, dict.fromkeys(("files", "names", "prompts"), 0)
        self._over = threading.Event()

    def __enter__(self) -> Trial:
        self.app.start().wait_ready(300)
        self.started = self.alive()
        self.warm_up()
        self.resident = self.memory()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()
        self.app.stop()

    def expect(self, holds: object, sentence: str) -> None:
        if not holds:
            self.wrong.append(sentence)
            print("WRONG:", sentence, flush=True)

    def clear(self, sentence: str, what: str) -> None:
        """What people are told is one or two sentences without anything from inside."""
        self.expect(sentence and not INTERNAL.search(sentence) and len(sentence) < 500, f"{what}: {sentence[:300]!r}")

    def verdict(self, entry: Record, became: set[str], sentence: str) -> None:
        expected = set(entry["expect"].split("|"))
        name = entry.get("id") or repr(entry["name"])[:80]
        self.expect(became & expected, f"{name}: expected {entry['expect']}, became {sorted(became)}: {sentence[:200]}")

    def became(self, document: Record) -> set[str]:
        """What the manifest calls that which became of a stored document."""
        if document["status"] == "failed":
            self.clear(document["error"] or "", f"failed {document['name']!r}")
            return {"reject", "partial"} if "no text" in (document["error"] or "").lower() else REFUSED
        warned = (document["receipt"] or {}).get("warnings")
        return {"accept", "sanitise", "partial"} if warned else {"accept", "sanitise"}

    # --- the processes

    def alive(self) -> dict[str, int]:
        return {module: child.pid for module in MODULES if (child := self.app.child(module))}

    def warm_up(self) -> None:
        """One document and one question: what is imported when it is first needed is not growth."""
        path = self.scratch.parent / "warm.txt"
        path.write_text("The warm water of the spring has 31 degrees.\n", encoding="utf-8")
        self.app.upload(path)
        (document,) = self.app.wait_ingested()
        question = {"messages": [{"role": "user", "content": "How warm is the water of the spring?"}]}
        self.app.http.post("/v1/chat/completions", json=question).raise_for_status()
        self.app.http.delete(f"/api/v1/documents/{document['id']}").raise_for_status()

    def memory(self) -> dict[str, int]:
        """Resident bytes of the processes whose children do the dangerous work, and of the model server's own."""
        assert self.app.process is not None
        processes = {"web": psutil.Process(self.app.process.pid)}
        processes |= {module: child for module in MODULES if (child := self.app.child(module))}
        return {name: process.memory_info().rss for name, process in processes.items()}

    def _watch(self) -> None:
        """The most memory that a reader, a child of the worker, ever has."""
        while not self._over.wait(0.05):
            worker = self.app.child("ingest")
            try:
                for reader in worker.children(recursive=True) if worker else ():
                    self.largest = max(self.largest, reader.memory_info().rss)
            except psutil.Error:
                continue

    def told(self, edge: str) -> int:
        """Look at what is left, print the figures; returns how much was wrong."""
        growth = {name: (size - self.resident.get(name, 0)) >> 20 for name, size in self.memory().items()}
        self.expect(self.alive() == self.started, f"a process was lost: {self.started} → {self.alive()}")
        self.expect(max(growth.values()) < 200, f"a process grew: {growth} MB")
        self.expect(self.largest < 1 << 30, f"a reader had {self.largest >> 20} MB")
        self.expect("Traceback" not in self.app.log.read_text(errors="replace"), f"a traceback in {self.app.log}")
        left = [path.name for path in self.scratch.rglob("*") if path.is_file()]
        self.expect(not left, f"left in the temporary folder: {left[:10]}")
        strange = [path for name in ("PICKLE_EXECUTED", "pwned") for path in ROOT.glob(f"**/{name}")]
        self.expect(not strange, f"something was run: {strange}")
        command = [sys.executable, "-m", "core", "fsck", "--json"]
        fsck = subprocess.run(command, cwd=ROOT, env=self.app.environment, capture_output=True, text=True)
        self.expect(fsck.returncode == 0, fsck.stdout[-500:])
        figures = {
            "edge": edge, **self.counts, "wrong": len(self.wrong), "slowest_seconds": round(self.slowest, 1),
            "reader_mb": self.largest >> 20, "growth_mb": growth,
        }  # fmt: skip
        print(json.dumps(figures), flush=True)
        return len(self.wrong)
