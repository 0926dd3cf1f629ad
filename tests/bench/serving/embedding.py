"""Texts that become vectors, beside SentenceTransformer.encode as it comes: see tests/bench/bench_embedding.py."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import mean, median

from core.models.catalog import find, installed_path
from core.serving.vectors import choice, forms, sample
from core.serving.vectors.choice import COSINE
from core.serving.vectors.processor import processor
from core.settings import load
from tests.bench.bench_embedding import compare
from tests.bench.serving.bench import Bench
from tests.bench.serving.report import Row, row

TEXTS = 2_000
TIMES = 2.5  # as fast, where the processor computes in bfloat16; elsewhere the best that pays is taken


def measure(bench: Bench) -> list[Row]:
    model = find(load().embedding_model)
    folder = installed_path(model, bench.store)
    with tempfile.TemporaryDirectory() as made:
        found = choice.choose(model.id, folder, work=Path(made), threads=bench.threads)
        ours = forms.load(model.id, folder, found.form, work=Path(made), threads=bench.threads)
        given = sample.paragraphs(TEXTS)
        rounds = compare(folder, ours, given, times=max(3, bench.rounds), threads=bench.threads)
        tokens = mean(ours.tokenize(given))
    speeds = median(one.chosen for one in rounds), median(one.plain for one in rounds)
    detail = f"{model.id} as {found.form}; {TEXTS:,} texts of {tokens:.0f} tokens; texts/s: {speeds[0]:.0f} ÷ {speeds[1]:.0f}"
    bench.say(detail)
    least = TIMES if processor().computes_bfloat16 else 1.0
    cosine = min(one.cosine for one in rounds)
    return [
        row(
            "embedding ÷ SentenceTransformer.encode",
            f"≥ {least}",
            [one.chosen / one.plain for one in rounds],
            least=least,
            detail=detail,
        ),
        Row("embedding: smallest cosine to its vectors", f"≥ {COSINE}", f"{cosine:.5f}", cosine >= COSINE, "all texts"),
    ]
