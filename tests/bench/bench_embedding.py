"""How fast texts become vectors in the form that is chosen here, beside SentenceTransformer.encode as it comes.

    python -m tests.bench.bench_embedding --model all-minilm-l6-v2 [--corpus chunks.jsonl]

Both sides turn the same texts into vectors, in rounds that take turns, each with other texts; who begins changes.
Without --corpus (JSON lines with a "text" each) the texts are made from a small stock of sentences.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.models.catalog import find, installed_path
from core.serving.vectors import choice, forms, sample
from core.serving.vectors.processor import processor
from core.settings import ROOT, load

BATCH_TEXTS = 16  # of ours, taken in the order of length; the other side takes 32, in that order too
START = """
import sys, time
began = time.perf_counter()
from pathlib import Path
from core.serving.vectors.forms import Form, load
model_id, folder, work, form, threads = sys.argv[1:]
model = load(model_id, Path(folder), Form.parse(form), work=Path(work), threads=int(threads))
model.encode(["A first question?"])
seconds = time.perf_counter() - began
import psutil
print(seconds, psutil.Process().memory_info().rss / 1e6)
"""


@dataclass(frozen=True, slots=True)
class Round:
    """Texts a second of both sides, the smallest cosine between their vectors, and the seconds of our longest batch."""

    plain: float
    chosen: float
    cosine: float
    longest: float


def main() -> None:
    arguments = parse()
    model = find(arguments.model)
    folder = installed_path(model, load().model_store)
    with tempfile.TemporaryDirectory() as made:
        work = Path(made)
        began = time.perf_counter()
        found = choice.choose(model.id, folder, work=work, threads=arguments.threads)
        seconds = time.perf_counter() - began
        print(f"{model.id} on {processor().name}, {arguments.threads} threads; chosen in {seconds:.0f} s\n")
        report_choice(found)
        report_starts([model.id, str(folder), str(work)], found.form, arguments.threads)
        ours = forms.load(model.id, folder, found.form, work=work, threads=arguments.threads)
        given = texts(arguments)
        tokens = mean(ours.tokenize(given))
        print(f"\n{len(given)} texts of {tokens:.0f} tokens in the mean, {arguments.rounds} rounds\n")
        report_rounds(found.form, compare(folder, ours, given, times=arguments.rounds, threads=arguments.threads))


def compare(folder: Path, ours: forms.VectorModel, given: Sequence[str], *, times: int, threads: int) -> list[Round]:
    """Both sides over all texts, a part of them in each round."""
    import torch
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    rounds = []
    for number in range(times):
        part = list(given[number::times])
        ends: dict[str, tuple[NDArray[Any], float, float]] = {}
        for side in ("plain", "chosen") if number % 2 else ("chosen", "plain"):
            torch.set_num_threads(threads)
            began = time.perf_counter()
            vectors, longest = batches(ours, part) if side == "chosen" else (theirs.encode(part), 0.0)
            ends[side] = vectors, len(part) / (time.perf_counter() - began), longest
        wanted, plain, _ = ends["plain"]
        vectors, chosen, longest = ends["chosen"]
        cosines = (wanted * vectors).sum(axis=1) / np.linalg.norm(wanted, axis=1)
        rounds.append(Round(plain, chosen, float(cosines.min()), longest))
    return rounds


def batches(ours: forms.VectorModel, part: Sequence[str]) -> tuple[NDArray[Any], float]:
    """The vectors, made in batches as a server would, and the seconds of the longest batch."""
    order = sorted(range(len(part)), key=lambda place: -len(part[place]))
    vectors = np.zeros((len(part), ours.dimension), np.float32)
    longest = 0.0
    for start in range(0, len(order), BATCH_TEXTS):
        places = order[start : start + BATCH_TEXTS]
        began = time.perf_counter()
        vectors[places] = ours.encode([part[place] for place in places]).vectors
        longest = max(longest, time.perf_counter() - began)
    return vectors, longest


def texts(arguments: argparse.Namespace) -> list[str]:
    found: list[str] = []
    for path in arguments.corpus:
        found += [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    return (found or sample.paragraphs(arguments.texts))[: arguments.texts]


def report_choice(found: choice.Choice) -> None:
    print("| form | texts/s | smallest cosine | |\n|---|---|---|---|")
    for trial in found.trials:
        note = trial.reason or ("chosen" if trial.form == found.form else "")
        print(f"| {trial.form} | {trial.speed:.1f} | {trial.cosine:.5f} | {note} |")


def report_starts(given: Sequence[str], form: forms.Form, threads: int) -> None:
    """How long a process of its own takes to its first vector, and its memory then."""
    print("\n| form | first vector, s | memory, MB |\n|---|---|---|")
    for each in dict.fromkeys((form, forms.PLAIN)):
        command = [sys.executable, "-W", "ignore", "-c", START, *given, str(each), str(threads)]
        ended = [subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True) for _ in range(3)]
        seconds, memory = zip(*(map(float, one.stdout.split()) for one in ended), strict=True)
        print(f"| {each} | {median(seconds):.1f} | {median(memory):.0f} |")


def report_rounds(form: forms.Form, rounds: Sequence[Round]) -> None:
    ratios = [one.chosen / one.plain for one in rounds]
    print("| | texts/s, median | lowest | highest |\n|---|---|---|---|")
    for name, speeds in (
        ("SentenceTransformer.encode", [one.plain for one in rounds]),
        (str(form), [one.chosen for one in rounds]),
    ):
        print(f"| {name} | {median(speeds):.1f} | {min(speeds):.1f} | {max(speeds):.1f} |")
    print(f"| **ratio** | **{median(ratios):.2f}** | {min(ratios):.2f} | {max(ratios):.2f} |")
    print(f"\nSmallest cosine {min(one.cosine for one in rounds):.5f}; ", end="")
    print(f"longest batch {max(one.longest for one in rounds):.2f} s (median of the rounds ", end="")
    print(f"{median(one.longest for one in rounds):.2f} s)")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="all-minilm-l6-v2", help="id of an embedding model in the store")
    parser.add_argument("--corpus", type=Path, nargs="*", default=[], help='JSON lines with a "text" each')
    parser.add_argument("--texts", type=int, default=2_000, help="how many of them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
