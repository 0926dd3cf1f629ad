"""The real part of the made library: passages, questions and their vectors by the product's own embedder.

Passages come from ../shared/evaldata: the corpora of the question sets and the text files. They are embedded by the model
server that the product starts. A thousand of them are embedded a second time after a part of their words was replaced
and moved: the differences between the two vectors are how meaning really moves when words do, and the copies of
`library.py` move by them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.services import Services
from tests.application import until
from tests.bench.bench_answers import DATASET, lines

EVALDATA = DATASET.parent.parent
CORPORA = ("squad1-dev", "squad2-dev", "hotpotqa-100", "xquad-mixed-dev")
TEXT_FILES = (".txt", ".md", ".rst")
SHORTEST, LONGEST = 300, 900  # characters
QUESTIONS, MOVED = 300, 1000
BATCH = 64
READY_SECONDS = 120
SEED = 5


@dataclass(frozen=True)
class Base:
    """Vectors have shape (number, 384), float32, length 1; `moves` are differences of such vectors."""

    texts: list[str]
    vectors: NDArray[np.float32]
    moves: NDArray[np.float32]
    questions: list[str]
    question_vectors: NDArray[np.float32]


def real_passages() -> list[str]:
    """Passages of the question sets and pieces of the text files, no two alike."""
    found = [entry["text"] for name in CORPORA for entry in lines(EVALDATA / "beir" / name / "corpus.jsonl")]
    for path in sorted((EVALDATA / "docs").rglob("*")):
        if path.suffix in TEXT_FILES and path.is_file():
            found += pieces(path.read_text(encoding="utf-8", errors="replace"))
    return list(dict.fromkeys(found))


def pieces(text: str) -> Iterator[str]:
    """Neighbouring paragraphs joined until they are long enough to be a chunk."""
    held = ""
    for paragraph in re.split(r"\n\s*\n", text):
        held = f"{held}\n{' '.join(paragraph.split())}".strip()
        if len(held) >= SHORTEST:
            yield held[:LONGEST]
            held = ""


def noisy(text: str, words: Sequence[str], luck: random.Random) -> str:
    """The text with a tenth to a third of its words replaced by others or moved to another place."""
    parts = text.split()
    for _ in range(max(1, int(len(parts) * luck.uniform(0.1, 0.33)))):
        place = luck.randrange(len(parts))
        if luck.random() < 0.5:
            parts[place] = luck.choice(words)
        else:
            parts.insert(luck.randrange(len(parts)), parts.pop(place))
    return " ".join(parts)


def embed(live: Services, texts: Sequence[str]) -> NDArray[np.float32]:
    batches = [live.client.embed(texts[n : n + BATCH], priority="ingest") for n in range(0, len(texts), BATCH)]
    return np.concatenate(batches).astype(np.float32)


def make(live: Services) -> Base:
    """Embed everything; some minutes."""
    luck = random.Random(SEED)
    texts = real_passages()
    words = " ".join(texts).split()
    asked = luck.sample([entry["text"] for entry in lines(DATASET / "queries.jsonl")], QUESTIONS)
    with live.with_model_server():
        until(lambda: live.client.status().embedder.status == "ok", READY_SECONDS, "the embedding model is ready")
        vectors, questions = embed(live, texts), embed(live, asked)
        chosen = luck.sample(range(len(texts)), min(MOVED, len(texts)))
        moves = embed(live, [noisy(texts[n], words, luck) for n in chosen]) - vectors[chosen]
    return Base(texts, vectors, moves, asked, questions)


def load_or_make(live: Services, folder: Path) -> Base:
    """The base of an earlier run in this folder, else a new one."""
    path = folder / "base.npz"
    if not path.exists():
        made = make(live)
        np.savez(
            path, texts=np.array(made.texts), vectors=made.vectors, moves=made.moves,
            questions=np.array(made.questions), question_vectors=made.question_vectors,
        )  # fmt: skip
    kept = np.load(path, allow_pickle=False)
    return Base(
        kept["texts"].tolist(), kept["vectors"], kept["moves"], kept["questions"].tolist(), kept["question_vectors"]
    )
