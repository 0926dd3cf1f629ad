"""Eight people ask at once: the product's prompt with three passages each, beside the servers that others use."""

from __future__ import annotations

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from core.prompts import render
from core.settings import ROOT
from tests.bench.bench_answers import DATASET, lines
from tests.bench.serving.bench import Bench
from tests.bench.serving.report import Row, row
from tests.bench.serving.servers import Server, ask, groundwork, llama_cpp_python, llama_server

PEOPLE, TOKENS, ANSWER = 8, 700, 48
OURS = "Groundwork"


def measure(bench: Bench) -> list[Row]:
    """The servers take turns at being first, because the machine's speed drifts by a third within minutes."""
    with groundwork(bench.store, bench.model, threads=bench.threads) as server:
        prompts = [prompt(server, bench, number) for number in range(bench.rounds * PEOPLE)]
    starts = {
        OURS: lambda: groundwork(bench.store, bench.model, threads=bench.threads),
        "llama-cpp-python": lambda: llama_cpp_python(bench.path, threads=bench.threads, cells=8192),
        "llama-server": lambda: llama_server(bench.tools, bench.path, slots=PEOPLE, threads=bench.threads, cells=8192),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in starts}
    for number in range(bench.rounds):
        names = list(starts)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            with starts[name]() as server:
                seconds[name].append(at_once(server, prompts[number * PEOPLE :][:PEOPLE], bench))
    return rows(seconds)


def rows(seconds: dict[str, list[tuple[float, float]]]) -> list[Row]:
    found = []
    detail = f"{PEOPLE} × {TOKENS} tokens with the product's system prompt, {ANSWER} tokens of answer each; seconds: "
    for name, total, first in (("llama-cpp-python", 0.88, 0.78), ("llama-server", 0.92, 0.80)):
        for place, (what, bar) in enumerate((("total time", total), ("mean first token", first))):
            pairs = [(own[place], foreign[place]) for own, foreign in zip(seconds[OURS], seconds[name], strict=True)]
            shown = "; ".join(f"{own:.1f} ÷ {foreign:.1f}" for own, foreign in pairs)
            ratios = [own / foreign for own, foreign in pairs]
            found.append(row(f"8 people: {what} ÷ {name}", f"≤ {bar}", ratios, most=bar, detail=detail + shown))
    return found


def prompt(server: Server, bench: Bench, number: int) -> list[dict[str, str]]:
    """The published answer prompt with passages, cut to about TOKENS tokens by the model's own count."""
    text = (ROOT / "data" / "prompts" / "answer.md").read_text(encoding="utf-8")
    texts = [passage["text"] for passage in lines(DATASET / "corpus.jsonl")]
    question = f"What does the text say about number {number}?"
    words = " ".join(texts[(number * 13 + place) % len(texts)] for place in range(12)).split()
    low, high = 10, len(words)
    while high - low > 4:
        middle = (low + high) // 2
        messages = filled(text, " ".join(words[:middle]), question)
        low, high = (
            (middle, high) if server.post("/tokenize", {"messages": messages})["count"] <= TOKENS else (low, middle)
        )
    return filled(text, " ".join(words[:low]), question)


def filled(text: str, passages: str, question: str) -> list[dict[str, str]]:
    rendered = render(text, {"passages": f"[1] {passages}", "question": question})
    return [{"role": message.role, "content": message.content} for message in rendered]


def at_once(server: Server, prompts: list[list[dict[str, str]]], bench: Bench) -> tuple[float, float]:
    """Seconds until all are answered, and the mean to their first token."""
    ask(server, [{"role": "user", "content": "Hello"}], max_tokens=4)
    begin = time.perf_counter()
    with ThreadPoolExecutor(len(prompts)) as pool:
        answers = list(pool.map(lambda messages: ask(server, messages, max_tokens=ANSWER), prompts))
    total = time.perf_counter() - begin
    assert not any(answer.error for answer in answers), json.dumps([answer.error for answer in answers])
    first = statistics.mean(answer.first for answer in answers)
    written = sum(answer.usage.get("completion_tokens", 0) for answer in answers)
    bench.say(f"{server.name}: all after {total:.1f} s, first token after {first:.1f} s in the mean, {written} tokens")
    return total, first
