"""Whether the passage with the answer is found: by keyword, by vector, and by both, without a model that answers.

    python -m tests.bench.bench_retrieval squad1-dev [--limit 300] [--best 3]

squad1-dev: a passage among the best holds the answer word for word. docugami-10q: a passage among the best is from a
filing that the question is about. The documents are read, split and stored as the worker does it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.models.catalog import find, installed_path
from core.models.client import ModelClient
from core.retrieval.retriever import HybridRetriever
from core.services import Services, build
from core.serving.vectors.forms import PLAIN
from core.serving.vectors.forms import load as load_form
from core.settings import ROOT, Settings, load
from core.types import Passage
from ingest import sandbox
from ingest.split import split
from ingest.tokens import TokenCounter
from tests.bench.bench_answers import holds, lines, write_articles
from tests.stored import store_vectors

EVALDATA = ROOT.parent / "shared" / "evaldata"
FILINGS = EVALDATA / "docugami" / "sec-10-q" / "data" / "v1" / "docs"
SEED = 7
BATCH = 32

Right = Callable[[dict[str, Any], Sequence[Passage]], bool]


class OwnEmbedder(ModelClient):
    """Embeds in this process; nothing else can be asked of it."""

    def __init__(self, settings: Settings, work: Path) -> None:
        super().__init__(settings.run)
        model = find(settings.embedding_model)
        folder = installed_path(model, settings.model_store)
        self.model = load_form(model.id, folder, PLAIN, work=work, threads=2)

    def embed(self, texts: Sequence[str], *, priority: str, model: str = "") -> NDArray[np.float32]:
        return self.model.encode(list(texts)).vectors


def take_in(live: Services, paths: Iterable[Path], count: TokenCounter) -> list[int]:
    """Read, split, embed and store; returns the tokens of the chunks."""
    tokens: list[int] = []
    embedder = live.settings.embedding_model
    for path in paths:
        with path.open("rb") as file:
            added = live.documents.add(file, name=path.name, owner_id="local")
        document = sandbox.parse(path, path.name, seconds=60, memory_mb=1024)
        chunks = split(document, count_tokens=count)
        tokens += count.many([chunk.text for chunk in chunks])
        live.chunks.save_text(added.document_id, document, chunks, {})
        pending = live.chunks.unembedded(added.document_id, embedder)
        parts = [pending[start : start + BATCH] for start in range(0, len(pending), BATCH)]
        vectors = [live.client.embed([text for _, text in part], priority="ingest") for part in parts]
        store_vectors(live, added.document_id, np.concatenate(vectors))
    return tokens


def measure(retriever: HybridRetriever, questions: Sequence[dict[str, Any]], right: Right, best: int) -> dict[str, Any]:
    found: dict[str, list[bool]] = {"by keyword": [], "by vector": [], "by both": []}
    seconds = []
    for question in questions:
        vector = retriever.embedder.embed([question["text"]], priority="query")[0]
        by_vector = retriever.dense.current().search(vector, retriever.scope, best)
        began = time.perf_counter()
        by_keyword = retriever.keyword.search(question["text"], retriever.scope, best)
        seconds.append(time.perf_counter() - began)
        for name, ids in (("by keyword", by_keyword), ("by vector", by_vector)):
            chunks = retriever.store.load([id for id, _ in ids], retriever.scope)
            found[name].append(right(question, list(chunks.values())))  # type: ignore[arg-type]
        found["by both"].append(right(question, retriever.retrieve(question["text"], k=best)))
    return {
        **{name: f"{mean(hits):.1%}" for name, hits in found.items()},
        "keyword search, median": f"{median(seconds) * 1000:.1f} ms",
    }


def squad(folder: Path) -> tuple[list[Path], list[dict[str, Any]], Right]:
    questions = [q for q in lines(EVALDATA / "beir" / "squad1-dev" / "queries.jsonl") if q["answerable"]]
    return write_articles(folder), questions, lambda q, found: any(holds(p.text, q["answers"]) for p in found)


def filings(_folder: Path) -> tuple[list[Path], list[dict[str, Any]], Right]:
    home = EVALDATA / "beir" / "docugami-10q"
    about: dict[str, set[str]] = {}
    for line in (home / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        question, passage, score = line.split("\t")
        if score.isdecimal() and int(score):
            about.setdefault(question, set()).add(passage.split("#")[0])
    questions = [q for q in lines(home / "queries.jsonl") if q["_id"] in about]
    return (
        sorted(FILINGS.glob("*.pdf")),
        questions,
        lambda q, found: any(p.document_title in about[q["_id"]] for p in found),
    )


SETS = {"squad1-dev": squad, "docugami-10q": filings}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--best", type=int, default=3)
    options = parser.parse_args()
    if not EVALDATA.exists():
        print("../shared/evaldata is not here")
        return 2
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        settings = Settings(data=folder / "data", models=load().model_store)
        live = build(settings, OwnEmbedder(settings, folder))
        try:
            paths, questions, right = SETS[options.set](folder)
            chosen = random.Random(SEED).sample(questions, min(options.limit, len(questions)))
            model = find(settings.embedding_model)
            tokens = take_in(live, paths, TokenCounter(settings.model_store / (model.tokenizer_file or "")))
            retriever = live.chain().retriever
            assert isinstance(retriever, HybridRetriever)
            print(f"{len(paths)} documents, {len(tokens)} chunks of {mean(tokens):.0f} tokens, {len(chosen)} questions")
            for name, figure in measure(retriever, chosen, right, options.best).items():
                print(f"{name:26} {figure}")
        finally:
            live.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
