"""Answers and the embedding of documents on the same cores."""

from __future__ import annotations

import statistics
import threading
import time

from tests.bench.bench_answers import DATASET, lines
from tests.bench.serving.bench import Bench
from tests.bench.serving.people import prompt
from tests.bench.serving.report import Row, row
from tests.bench.serving.servers import Server, ask, groundwork

DOCUMENTS, CHUNKS = 200, 40
QUESTIONS = 6
PAUSE = 4.0  # seconds between two questions: somebody reads the answer


def measure(bench: Bench) -> list[Row]:
    firsts, shares = [], []
    texts = [passage["text"] for passage in lines(DATASET / "corpus.jsonl")]
    for number in range(max(2, bench.rounds // 2)):
        with groundwork(bench.store, bench.model, threads=bench.threads) as server:
            chunks = [f"{texts[n % len(texts)]} ({number}, {n})" for n in range(DOCUMENTS * CHUNKS)]
            idle = embed(server, chunks[: len(chunks) // 4]) / (len(chunks) // 4)
            alone = questions(server, bench, 3000 + number * 100)
            seconds: list[float] = []
            worker = threading.Thread(target=lambda: seconds.append(embed(server, chunks)))  # noqa: B023
            worker.start()
            time.sleep(1)
            beside = questions(server, bench, 4000 + number * 100)
            busy = worker.is_alive()
            worker.join()
            assert busy, "the documents were embedded before the questions were answered: take more of them"
            firsts.append(statistics.mean(beside) / statistics.mean(alone))
            shares.append(idle * len(chunks) / seconds[0])
            bench.say(
                f"first token {statistics.mean(beside):.2f} ÷ {statistics.mean(alone):.2f} s; ingest {shares[-1]:.0%}"
            )
    detail = f"{DOCUMENTS} documents of {CHUNKS} chunks; {QUESTIONS} questions of 700 tokens, one every few seconds"
    return [
        row("first token while documents are embedded ÷ idle", "≤ 1.5", firsts, most=1.5, detail=detail),
        row("ingest while people ask ÷ idle", "≥ 0.5", shares, least=0.5, detail=detail),
    ]


def embed(server: Server, chunks: list[str]) -> float:
    """Seconds to embed all of them, a document at a time, as the worker asks for it."""
    begin = time.perf_counter()
    for place in range(0, len(chunks), CHUNKS):
        server.post("/v1/embeddings", {"input": chunks[place : place + CHUNKS], "priority": "ingest"})
    return time.perf_counter() - begin


def questions(server: Server, bench: Bench, number: int) -> list[float]:
    """Seconds to the first token of some questions in a row."""
    found = []
    for place in range(QUESTIONS):
        messages = prompt(server, bench, number + place)
        found.append(ask(server, messages, max_tokens=32).first)
        time.sleep(PAUSE)
    return found
