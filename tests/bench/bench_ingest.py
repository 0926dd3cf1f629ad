"""Born-digital PDFs through the running application and through the usual LangChain pipeline, on the same files.

    python -m tests.bench.bench_ingest [--filings 8] [--rounds 2] [--out FILE]

Parsing alone is one file after the other in one process on both sides. "Searchable" and "embedded" are the time from the
upload of all files to the last one in that state, beside PyPDFLoader with RecursiveCharacterTextSplitter, and with
HuggingFaceEmbeddings and FAISS.from_documents. The same five sentences of each document are asked of both indexes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from core.settings import ROOT, load
from ingest.selftest import AMONG, draw
from tests.application import Application

EVALDATA = ROOT.parent / "shared" / "evaldata"
FILINGS = EVALDATA / "docugami" / "sec-10-q" / "data" / "v1" / "docs"
HANDBOOKS = [EVALDATA / "docs" / "debian" / "pdf" / name for name in ("policy.pdf", "install.es.pdf")]
CHAT = "smollm2-135m-instruct-q4_1"  # nobody asks it anything
PAGES = 100
UPLOADS = 7  # of a document of PAGES pages


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filings", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--foreign", type=Path, help=argparse.SUPPRESS)  # a child: its task as JSON
    options = parser.parse_args()
    if options.foreign:
        print(json.dumps(langchain(**json.loads(options.foreign.read_text(encoding="utf-8")))))
        return 0
    if not FILINGS.exists():
        print("../shared/evaldata is not here")
        return 2
    paths = [*sorted(FILINGS.glob("*.pdf"))[: options.filings], *HANDBOOKS]
    rounds = []
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            own = groundwork(paths, Path(folder))
            task = Path(folder) / "task.json"
            task.write_text(json.dumps({"paths": list(map(str, paths)), "questions": own.pop("questions")}))
            foreign = child(task)
        rounds.append({"groundwork": own, "langchain": foreign})
        print(json.dumps(rounds[-1]), file=sys.stderr, flush=True)
        if number == 0:
            print(f"{len(paths)} files, {own['pages']} pages")
    report(rounds)
    if options.out:
        options.out.write_text(json.dumps(rounds, indent=1), encoding="utf-8")
    return 0


def report(rounds: Sequence[dict[str, Any]]) -> None:
    for name in ("parse", "searchable", "embedded"):
        ratios = sorted(one["langchain"][name] / one["groundwork"][name] for one in rounds)
        own = median(one["groundwork"]["pages"] / one["groundwork"][name] for one in rounds)
        foreign = median(one["groundwork"]["pages"] / one["langchain"][name] for one in rounds)
        print(f"{name:12} {own:7.1f} pages/s, LangChain {foreign:6.1f}: {median(ratios):.2f} times", ratios)
    for side in ("groundwork", "langchain"):
        print(f"{side}: {rounds[-1][side]['found']} of {rounds[-1][side]['asked']} sentences among the first {AMONG}")
    times = [seconds for one in rounds for seconds in one["groundwork"]["uploads"]]
    print(f"{PAGES} pages from upload to searchable: {median(times):.2f} s ({min(times):.2f}–{max(times):.2f})")


def groundwork(paths: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Seconds of each stage, and the questions that its own self-test asked."""
    began = time.perf_counter()
    texts = {path: parse(path) for path in paths}
    seconds = {"parse": time.perf_counter() - began}
    settings = load()
    app = Application(
        folder / "data", models=settings.model_store, chat_model=CHAT, cache=settings.cache_folder, embedding_form=""
    )  # fmt: skip
    try:
        app.start().wait_ready(300)
        first = [upload(app, path) for path in parts(folder)]
        known = {document["id"] for document in app.http.get("/api/v1/documents").json()["documents"]}
        began = time.perf_counter()
        app.upload(*paths)
        seconds["searchable"] = reached(app, known, ("searchable", "ready"), began)
        seconds["embedded"] = reached(app, known, ("ready",), began)
        time.sleep(3)  # the self-test of the last ones
        receipts = [receipt(app, document) for document in documents(app, known)]
    finally:
        app.stop()
    return {
        **{name: round(value, 2) for name, value in seconds.items()},
        "pages": sum(receipt["pages"] for receipt in receipts),
        "asked": sum(receipt["self_test"]["asked"] for receipt in receipts),
        "found": sum(receipt["self_test"].get("hybrid", 0) for receipt in receipts),
        "uploads": first,
        "questions": {str(path): [one.text for one in draw(text)] for path, text in texts.items()},
    }


def parse(path: Path) -> str:
    """The text of a file, read as the worker reads it but in this process."""
    from ingest import loaders

    return loaders.load(path, path.name).text


def parts(folder: Path) -> list[Path]:
    """Documents of PAGES pages, each other pages of a handbook."""
    from pypdf import PdfReader, PdfWriter

    reader, found = PdfReader(HANDBOOKS[0]), []
    for number in range(UPLOADS):
        writer = PdfWriter()
        for page in reader.pages[number * 10 : number * 10 + PAGES]:
            writer.add_page(page)
        found.append(folder / f"part {number}.pdf")
        writer.write(found[-1])
    return found


def upload(app: Application, path: Path) -> float:
    """Seconds from the upload to being found by keyword, with nothing else to do."""
    began = time.perf_counter()
    (document,) = app.upload(path)
    place = f"/api/v1/documents/{document['id']}"
    seconds = until(lambda: app.http.get(place).json()["status"] in ("searchable", "ready"), began)
    app.wait_ingested(600)
    return round(seconds, 2)


def reached(app: Application, known: set[str], states: Sequence[str], began: float) -> float:
    return until(lambda: all(document["status"] in states for document in documents(app, known)), began)


def until(condition: Callable[[], bool], began: float) -> float:
    while not condition():
        time.sleep(0.05)
    return time.perf_counter() - began


def documents(app: Application, known: set[str]) -> list[dict[str, Any]]:
    return [one for one in app.http.get("/api/v1/documents").json()["documents"] if one["id"] not in known]


def receipt(app: Application, document: dict[str, Any]) -> dict[str, Any]:
    return dict(app.http.get(f"/api/v1/documents/{document['id']}").json()["receipt"])


def child(task: Path) -> dict[str, Any]:
    """LangChain in a process of its own, so that nothing of ours is loaded beside it."""
    command = [sys.executable, "-m", "tests.bench.bench_ingest", "--foreign", str(task)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def langchain(paths: Sequence[str], questions: dict[str, list[str]]) -> dict[str, Any]:
    """The pipeline of the tutorials; seconds from the begin to the end of each stage."""
    from langchain_community.document_loaders import PyPDFLoader
    from langchain_community.embeddings import HuggingFaceEmbeddings
    from langchain_community.vectorstores import FAISS
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    settings = load()
    model = HuggingFaceEmbeddings(model_name=str(settings.model_store / settings.embedding_model))
    began = time.perf_counter()
    pages = [page for path in paths for page in PyPDFLoader(path).load()]
    seconds = {"parse": time.perf_counter() - began}
    chunks = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200).split_documents(pages)
    seconds["searchable"] = time.perf_counter() - began
    store = FAISS.from_documents(chunks, model)
    seconds["embedded"] = time.perf_counter() - began
    back = [
        any(
            found.metadata["source"] == path and bare(sentence) in bare(found.page_content)
            for found in store.similarity_search(sentence, k=AMONG)
        )
        for path, asked in questions.items()
        for sentence in asked
    ]
    rounded = {name: round(value, 2) for name, value in seconds.items()}
    return {**rounded, "chunks": len(chunks), "asked": len(back), "found": sum(back)}


def bare(text: str) -> str:
    """Letters alone: the two sides set blanks and line ends differently."""
    return "".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
