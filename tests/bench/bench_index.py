"""The index from a thousand to a million chunks: load, search, refresh, memory, recall; keyword search beside it.

    python -m tests.bench.bench_index prepare [--folder DIR] [--sizes 1000,10000,100000,300000,1000000]
    python -m tests.bench.bench_index measure SIZE [--folder DIR]
    python -m tests.bench.bench_index web SIZE [--folder DIR]
    python -m tests.bench.bench_index table [--folder DIR]

`prepare` takes minutes (half an hour for a million chunks, 6 GB) and writes a library for each size, with its saved
index and the exact neighbours of 300 questions. `measure` is a process of its own for each size, builds the index anew
at its end, and keeps its figures in the folder; `web` starts the whole application over a library; `table` shows the
figures as the rows of docs/index.md. How the libraries are made: `index/library.py`.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from sqlalchemy import func, select

from core.accounts import LOCAL
from core.retrieval.dense import DenseIndex
from core.retrieval.keyword import KeywordIndex
from core.retrieval.retriever import CANDIDATES, HybridRetriever
from core.services import Services, build
from core.settings import load
from core.storage.tables import ChunkRow
from core.types import Chunk, Document, JobStatus, Scope
from tests.application import Application
from tests.bench.index.base import Base, load_or_make
from tests.bench.index.library import CHUNKS, HALF, TENTH, fill, vectors_for
from tests.stored import store_vectors

SIZES = "1000,10000,100000,300000,1000000"
EVERYTHING = Scope(LOCAL.id)
K = 10  # of recall@k
CHANGES = 10  # documents that are added and deleted again
TENTH_IS = 10  # the collection "A tenth" has one document in so many (index/library.py)
KEYWORD_SECONDS = 40.0  # at the most for each way of search by words


# --- preparing ---


def prepare(folder: Path, sizes: list[int]) -> None:
    """Each library is a copy of the next smaller one, grown."""
    before: Path | None = None
    for size in sizes:
        data = folder / str(size)
        if not (data / "exact.npy").exists():
            shutil.rmtree(data, ignore_errors=True)
            data.mkdir(parents=True)
            if before is not None:
                shutil.copy(before / "app.db", data / "app.db")
            _prepare(folder, data, size)
        before = data


def _prepare(folder: Path, data: Path, size: int) -> None:
    live = build(load(data=data))
    base = load_or_make(live, folder)
    with live.db.read() as session:
        have = session.scalar(select(func.count()).select_from(ChunkRow)) or 0
    began = time.monotonic()
    fill(live, base, have, size)
    written = time.monotonic()
    live.index.warm()
    live.index.current().upkeep.settle()
    live.index.close()
    live.release()
    np.save(data / "exact.npy", exact_neighbours(base, size))
    print(f"{size} chunks: written in {written - began:.0f} s")


def exact_neighbours(base: Base, size: int, *, every: int = 1) -> np.ndarray:
    """Chunk ids of the nearest K for every question, shape (questions, K), by comparing all chunks of every document,
    or of one document in `every`."""
    scores = np.zeros((len(base.questions), 0), dtype=np.float32)
    ids = np.zeros((len(base.questions), 0), dtype=np.int64)
    for start in range(0, size, 10_000):
        places = np.arange(start, min(size, start + 10_000))
        compared = places // CHUNKS % every == 0
        block = base.question_vectors @ vectors_for(base, start, start + len(places))[compared].T
        scores = np.concatenate([scores, block], axis=1)
        ids = np.concatenate([ids, np.broadcast_to(places[compared] + 1, block.shape)], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        scores, ids = np.take_along_axis(scores, best, 1), np.take_along_axis(ids, best, 1)
    return ids


# --- measuring ---


class Figures(dict[str, Any]):
    """Figures by name; times in ms."""

    def time(self, name: str, work: Callable[[int], object], count: int, *, seconds: float = 60.0) -> None:
        times, end = [], time.monotonic() + seconds
        for number in range(count):
            began = time.perf_counter()
            work(number)
            times.append((time.perf_counter() - began) * 1000)
            if time.monotonic() > end:
                break
        self[name] = {"p50": float(np.median(times)), "p95": float(np.percentile(times, 95)), "count": len(times)}


def memory() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


def measure(folder: Path, size: int) -> None:
    data, figures = folder / str(size), Figures(size=size)
    live = build(load(data=data))
    base = load_or_make(live, folder)
    KeywordIndex(live.db).search("warm the imports", EVERYTHING, 1)
    figures["memory_before"] = memory()
    index = live.index.current()
    began = time.perf_counter()
    assert index.warm() == size
    figures["load"] = (time.perf_counter() - began) * 1000
    figures["memory"] = memory() - figures["memory_before"]
    figures["file"] = index.path.stat().st_size / 1e6
    held = index.upkeep.held
    assert held is not None
    figures["form"] = f"{held.index.lists} lists, 8 bits" if held.index.lists else "exact, 32 bits"
    _searches(figures, base, index, np.load(data / "exact.npy"))
    _changes(figures, live, base, index)
    _words(figures, live, base)
    _build(figures, live, index)
    live.release()
    (folder / f"figures-{size}.json").write_text(json.dumps(figures))
    print(json.dumps(figures, indent=1))


def _searches(figures: Figures, base: Base, index: DenseIndex, exact: np.ndarray) -> None:
    vectors = base.question_vectors
    scopes = {name: Scope(LOCAL.id, collection_id=name.replace(" ", "")) for name in (HALF, TENTH)}
    scopes["One document"] = Scope(LOCAL.id, document_ids=(f"{0:032d}",))
    figures["recall"] = recall(base, index, EVERYTHING, exact)
    figures.time("search", lambda n: index.search(vectors[n], EVERYTHING, CANDIDATES), len(vectors))
    for name, scope in scopes.items():
        began = time.perf_counter()
        index.search(vectors[0], scope, CANDIDATES)
        figures[f"{name}, first"] = (time.perf_counter() - began) * 1000
        figures.time(name, lambda n, scope=scope: index.search(vectors[n], scope, CANDIDATES), 100)  # type: ignore[misc]
    both = [Figures(), Figures()]
    threads = [
        threading.Thread(
            target=one.time, args=("both", lambda n: index.search(vectors[n], EVERYTHING, CANDIDATES), len(vectors))
        )
        for one in both
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures["two at once"] = max((one["both"] for one in both), key=lambda one: float(one["p95"]))
    in_tenth = exact_neighbours(base, figures["size"], every=TENTH_IS)
    figures["recall in a tenth"] = recall(base, index, scopes[TENTH], in_tenth)


def recall(base: Base, index: DenseIndex, scope: Scope, exact: np.ndarray) -> float:
    """The mean share of a question's exact neighbours, shape (questions, K), that are among the first K found."""
    found = [{id for id, _ in index.search(vector, scope, K)} for vector in base.question_vectors]
    return float(np.mean([len(ids & set(row)) / K for ids, row in zip(found, exact.tolist(), strict=True)]))


def _changes(figures: Figures, live: Services, base: Base, index: DenseIndex) -> None:
    added: list[str] = []

    def search_after(change: Callable[[int], None], name: str) -> None:
        times = []
        for number in range(CHANGES):
            change(number)
            began = time.perf_counter()
            index.search(base.question_vectors[number], EVERYTHING, CANDIDATES)
            times.append((time.perf_counter() - began) * 1000)
        figures[name] = {"p50": float(np.median(times)), "p95": float(max(times)), "count": CHANGES}

    search_after(lambda number: added.append(add_document(live, base, number)), "after adding")
    search_after(lambda number: live.documents.delete(added[number], owner_id=LOCAL.id), "after deleting")
    index.upkeep.settle()
    began = time.perf_counter()
    index.save()
    figures["save"] = (time.perf_counter() - began) * 1000


def _build(figures: Figures, live: Services, index: DenseIndex) -> None:
    """From SQL alone, as after a file that was damaged; the index is saved again for the next measurement."""
    index.upkeep.stop()
    index.path.unlink()
    anew = DenseIndex(live.chunks, index.embedder, index.path.parent)
    began = time.perf_counter()
    anew.warm()
    anew.upkeep.settle()
    figures["built"] = time.perf_counter() - began
    anew.close()
    assert len(anew.ids()) == figures["size"]


def add_document(live: Services, base: Base, number: int) -> str:
    """A document as the worker writes it: first its text, then its vectors."""
    name = f"new-{number}-{time.time_ns()}.md"
    parts = [f"{text} {name}" for text in base.texts[number * CHUNKS : (number + 1) * CHUNKS]]
    whole, chunks, start = "\n\n".join(parts), [], 0
    for position, part in enumerate(parts):
        chunks.append(Chunk(position, start, start + len(part), part))
        start += len(part) + 2
    added = live.documents.add(io.BytesIO(whole.encode()), name=name, owner_id=LOCAL.id)
    live.chunks.save_text(added.document_id, Document(name, "text/markdown", whole), chunks, {})
    store_vectors(live, added.document_id, base.vectors[number * CHUNKS : (number + 1) * CHUNKS])
    if job := live.jobs.claim("bench"):
        live.jobs.finish(job.id, "bench", JobStatus.done)
    return added.document_id


class KnownVectors:
    """The questions' vectors as the model server gave them, so that retrieval is measured without it."""

    def __init__(self, base: Base) -> None:
        self.known = dict(zip(base.questions, base.question_vectors, strict=True))

    def embed(self, texts: list[str], *, priority: str, model: str = "") -> np.ndarray:
        return np.stack([self.known[text] for text in texts])


def _words(figures: Figures, live: Services, base: Base) -> None:
    keyword = KeywordIndex(live.db)
    retriever = HybridRetriever(
        store=live.chunks, dense=live.index, keyword=keyword, embedder=KnownVectors(base), scope=EVERYTHING, k=3
    )
    questions = base.questions
    figures.time(
        "by keyword", lambda n: keyword.search(questions[n], EVERYTHING, CANDIDATES), len(questions),
        seconds=KEYWORD_SECONDS,
    )  # fmt: skip
    first = retriever.model_copy(update={"second_stage": False})
    figures.time("first stage", lambda n: first.retrieve(questions[n]), len(questions), seconds=KEYWORD_SECONDS)
    figures.time("all", lambda n: retriever.retrieve(questions[n]), len(questions), seconds=KEYWORD_SECONDS)


# --- the whole web process ---


def web(folder: Path, size: int, models: Path, chat_model: str) -> None:
    """Memory of the web process with this library, after questions and pages."""
    data = folder / str(size)
    app = Application(data, models=models, chat_model=chat_model)
    try:
        app.start().wait_ready(180)
        assert app.process is not None
        process, most = psutil.Process(app.process.pid), 0.0
        for question in ("Who began the crisis?", "What is a dam made of?", "When was the embargo lifted?"):
            body = {"messages": [{"role": "user", "content": question}], "max_tokens": 20}
            app.http.post("/v1/chat/completions", json=body).raise_for_status()
            most = max(most, process.memory_info().rss / 1e6)
        app.http.get("/api/v1/documents")
        rss = process.memory_info().rss / 1e6
        print(
            f"web process with {size} chunks: {most:.0f} MB after questions, {rss:.0f} MB after listing all documents"
        )
        (folder / f"web-{size}.json").write_text(json.dumps({"web": most, "web_listed": rss}))
    finally:
        app.stop()


# --- the table ---

COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "chunks": lambda f: f"{f['size']:,}",
    "form": lambda f: f["form"],
    "recall@10, 300 questions": lambda f: f"{f['recall']:.3f}",
    "recall@10 in a collection of a tenth": lambda f: f"{f['recall in a tenth']:.3f}",
    "load at start": lambda f: f"{f['load'] / 1000:.2f} s",
    "search of everything, p50 / p95": lambda f: pair(f["search"]),
    "the same, two threads at once": lambda f: pair(f["two at once"]),
    "in one document": lambda f: pair(f["One document"]),
    "in a collection of a tenth": lambda f: pair(f[TENTH]),
    "in a collection of half": lambda f: pair(f[HALF]),
    "the first search in a tenth / in half": lambda f: f"{f[f'{TENTH}, first']:.0f} / {f[f'{HALF}, first']:.0f} ms",
    "first search after a document of 20 chunks, p50 / most": lambda f: pair(f["after adding"]),
    "first search after a deletion, p50 / most": lambda f: pair(f["after deleting"]),
    "memory of the loaded index": lambda f: f"{f['memory']:.0f} MB",
    "web process, after three questions": lambda f: f"{f['web']:.0f} MB" if "web" in f else "",
    "file": lambda f: f"{f['file']:.0f} MB",
    "build from SQL, one core, searches go on": lambda f: f"{f['built']:.1f} s",
    "save": lambda f: f"{f['save'] / 1000:.2f} s",
    "by keyword, p50 / p95": lambda f: pair(f["by keyword"]),
    "keyword + dense + fusion + rows, p50 / p95": lambda f: pair(f["first stage"]),
    "the same with the second stage, p50 / p95": lambda f: pair(f["all"]),
}


def pair(times: dict[str, float]) -> str:
    return f"{times['p50']:.1f} / {times['p95']:.1f} ms"


def table(folder: Path) -> None:
    """All figures of the folder as a Markdown table, a row for each figure."""
    rows = []
    for path in sorted(folder.glob("figures-*.json"), key=lambda path: int(path.stem.split("-")[1])):
        figures = json.loads(path.read_text())
        if not {"recall in a tenth", "built"} <= figures.keys():
            sys.exit(f"{path.name} is of an earlier version: measure {figures['size']} again.")
        beside = folder / f"web-{figures['size']}.json"
        rows.append(figures | (json.loads(beside.read_text()) if beside.exists() else {}))
    for number, (name, shown) in enumerate(COLUMNS.items()):
        print(f"| {name} | " + " | ".join(shown(row) for row in rows) + " |")
        if number == 0:
            print("|---|" + "---|" * len(rows))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("prepare", "measure", "web", "table"))
    parser.add_argument("size", nargs="?", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=load().data / "bench-index")
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--models", type=Path, default=load().model_store)
    parser.add_argument("--chat-model", default=load().chat_model)
    options = parser.parse_args()
    if options.what == "prepare":
        prepare(options.folder, sorted(int(size) for size in options.sizes.split(",")))
    elif options.what == "measure":
        measure(options.folder, options.size)
    elif options.what == "web":
        web(options.folder, options.size, options.models, options.chat_model)
    else:
        table(options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
