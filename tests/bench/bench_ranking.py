"""What each part of the search is worth on the question sets: nDCG@10 and recall@5, as the product reads and splits.

    python -m tests.bench.bench_ranking SET... [--limit 600] [--keep DIR] [--languages]

Sets are the folders of ../shared/evaldata/beir. Every entry of a corpus is taken in as a document of its own; of
docugami-10q the filings themselves are, and documents are scored. The best chunk of an entry stands for it. Rows leave
out one part each. `--keep` holds the libraries, so that they are made once.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.models.catalog import find
from core.retrieval import evidence, hops, keyword, second_stage
from core.retrieval.keyword import KeywordIndex
from core.retrieval.search import Search
from core.services import Services, build
from core.settings import Settings, load
from core.types import Scope
from ingest.tokens import TokenCounter
from tests.bench.bench_answers import lines
from tests.bench.bench_retrieval import EVALDATA, FILINGS, SEED, OwnEmbedder, take_in

DEPTH = 50  # candidates of each search
Relevant = Mapping[str, Mapping[str, int]]

# Names of rows, and what is set for them.
PARTS: dict[str, list[tuple[Any, str, float]]] = {
    "everything": [],
    "without proximity": [(second_stage, "NEAR", 0.0)],
    "without the cosine": [(second_stage, "MEANING", 0.0)],
    "without what documents are about": [(second_stage, "ABOUT", 0.0)],
    "without titles and headings": [(evidence, "HEAD", 0.0), (keyword, "HEAD_WEIGHT", 0.0)],
    "without the second hop": [(hops, "SEEDS", 0)],
    "without identifiers": [(second_stage, "IDENTIFIERS", 0.0)],
}


class KnownVectors:
    """Every question is embedded once, however many rows there are."""

    def __init__(self, embedder: OwnEmbedder) -> None:
        self.embedder = embedder
        self.known: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: list[str], *, priority: str, model: str = "") -> NDArray[np.float32]:
        for text in texts:
            if text not in self.known:
                self.known[text] = self.embedder.embed([text], priority=priority, model=model)[0]
        return np.stack([self.known[text] for text in texts])


def ndcg(found: Sequence[str], relevant: Mapping[str, int], k: int = 10) -> float:
    gain = sum(relevant.get(id, 0) / math.log2(rank + 2) for rank, id in enumerate(found[:k]))
    best = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(sorted(relevant.values(), reverse=True)[:k]))
    return gain / best


def recall(found: Sequence[str], relevant: Mapping[str, int], k: int = 5) -> float:
    return len(set(found[:k]) & set(relevant)) / len(relevant)


def judgements(home: Path, *, whole_documents: bool) -> Relevant:
    told: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (home / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question, entry, grade = line.split("\t")
        if int(grade):
            told[question][entry.split("#")[0] if whole_documents else entry] = int(grade)
    return told


def sources(name: str, folder: Path) -> list[Path]:
    """The files of a set, named by the ids of their entries."""
    if name == "docugami-10q":
        return sorted(FILINGS.glob("*.pdf"))
    paths = []
    for entry in lines(EVALDATA / "beir" / name / "corpus.jsonl"):
        path = folder / f"{entry['_id']}.md"
        path.write_text(f"# {entry['title']}\n\n{entry['text']}\n", encoding="utf-8")
        paths.append(path)
    return paths


@contextmanager
def changed(values: Sequence[tuple[Any, str, float]]) -> Iterator[None]:
    before = [(place, name, getattr(place, name)) for place, name, _ in values]
    for place, name, value in values:
        setattr(place, name, value)
    try:
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)


class Bench:
    """One set, taken in, with the questions that are asked of it."""

    def __init__(self, live: Services, name: str, embedder: OwnEmbedder, limit: int) -> None:
        home = EVALDATA / "beir" / name
        self.live, self.words, self.embedder = live, KeywordIndex(live.db), KnownVectors(embedder)
        self.relevant = judgements(home, whole_documents=name == "docugami-10q")
        asked = [question for question in lines(home / "queries.jsonl") if question["_id"] in self.relevant]
        self.questions = random.Random(SEED).sample(asked, min(limit, len(asked))) if limit else asked
        self.ids = {d.id: d.name.rsplit(".", 1)[0] for d in live.documents.list_documents(owner_id="local")}

    def row(self, *, stages: str = "all") -> tuple[float, float, dict[str, float]]:
        """nDCG@10, recall@5, and nDCG@10 by language; `stages`: keyword, dense, fused or all."""
        gains, hits, by_language = [], [], defaultdict(list)
        for question in self.questions:
            found, relevant = self.found(question["text"], stages), self.relevant[question["_id"]]
            gains.append(ndcg(found, relevant))
            hits.append(recall(found, relevant))
            by_language[question.get("lang", "en")].append(gains[-1])
        return fmean(gains), fmean(hits), {name: fmean(values) for name, values in sorted(by_language.items())}

    def found(self, query: str, stages: str) -> list[str]:
        scope, live = Scope("local"), self.live
        if stages == "keyword":
            chunks = live.chunks.load(ids := [id for id, _ in self.words.search(query, scope, DEPTH)], scope)
            documents = [chunks[id].document_id for id in ids]
        elif stages == "dense":
            vector = self.embedder.embed([query], priority="query")[0]
            chunks = live.chunks.load(ids := [id for id, _ in live.index.current().search(vector, scope, DEPTH)], scope)
            documents = [chunks[id].document_id for id in ids]
        else:
            search = Search(live.db, live.index, self.words, self.embedder, scope, DEPTH)
            documents = [one.document_id for one in search.run(query, second_stage=stages == "all")]
        return list(dict.fromkeys(self.ids[document] for document in documents))


def show(bench: Bench, *, languages: bool) -> None:
    rows: dict[str, tuple[float, float, dict[str, float]]] = {}
    for stage, title in (("keyword", "keyword alone"), ("dense", "dense alone"), ("fused", "fused, first stage")):
        rows[title] = bench.row(stages=stage)
    for name, values in PARTS.items():
        with changed(values):
            rows[name] = bench.row()
    for name, (gain, hit, by_language) in rows.items():
        told = "  ".join(f"{code} {value:.3f}" for code, value in by_language.items()) if languages else ""
        print(f"{name:30} {gain:.4f}  {hit:.4f}  {told}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--limit", type=int, default=600, help="questions of each set; 0: all")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--languages", action="store_true")
    options = parser.parse_args()
    if not EVALDATA.exists():
        print("../shared/evaldata is not here")
        return 2
    with tempfile.TemporaryDirectory() as made:
        for name in options.sets:
            home = (options.keep or Path(made)) / name
            home.mkdir(parents=True, exist_ok=True)
            settings = Settings(data=home / "data", models=load().model_store)
            embedder = OwnEmbedder(settings, Path(made))
            live = build(settings, embedder)
            try:
                if not live.documents.list_documents(owner_id="local", limit=1):
                    model = find(settings.embedding_model)
                    count = TokenCounter(settings.model_store / (model.tokenizer_file or ""))
                    take_in(live, sources(name, Path(made)), count)
                bench = Bench(live, name, embedder, options.limit)
                print(f"{name}: {len(bench.ids)} documents, {len(bench.questions)} questions; nDCG@10, recall@5")
                show(bench, languages=options.languages)
            finally:
                live.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
