"""One stream, four and eight, beside llama.cpp's own benchmarks, round by round in turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from queue import SimpleQueue

from core.serving.chat_process import ChatProcess
from core.serving.engine import Engine
from core.serving.generation import Failure, Finish, News
from core.serving.options import LoadOptions
from core.types import ChatMessage, GenerationOptions
from tests.bench.serving.bench import Bench
from tests.bench.serving.report import Row, row
from tests.bench.serving.yardsticks import batched_bench, llama_bench

PROMPT, WRITE = 512, 64
PAIRS = 3  # measurements of one stream in a round, each beside one of llama-bench
WORDS = [
    "a",
    "dog",
    "and",
    "a",
    "cat",
    "who",
    "go",
    "to",
    "the",
    "sea",
    "with",
    "an",
    "old",
    "man",
    "from",
    "the",
    "north",
    "where",
    "it",
    "is",
    "cold",
    "and",
    "dark",
    "all",
    "year",
]
SHORT = 128  # tokens of a prompt when several streams are measured


def measure(bench: Bench) -> list[Row]:
    reading, writing = [], []
    together: dict[int, list[float]] = {4: [], 8: []}
    for number in range(bench.rounds):
        for own, yard in in_turns(bench, number):
            reading.append(own[0] / yard["prompt"])
            writing.append(own[1] / yard["write"])
            bench.say(
                f"one stream: reading {own[0]:.1f} ÷ {yard['prompt']:.1f}, writing {own[1]:.1f} ÷ {yard['write']:.1f}"
            )
        for streams, ratios in together.items():
            theirs = batched_bench(
                bench.tools, bench.path, streams=streams, prompt=SHORT, write=WRITE, threads=bench.threads, cells=8192
            )
            ours = side_by_side(bench, streams, number)
            ratios.append(ours / theirs["speed"])
            bench.say(f"{streams} streams: {ours:.1f} ÷ {theirs['speed']:.1f} tokens a second")
    detail = f"{PROMPT} tokens read at once, {WRITE} written behind 64; llama-bench in the same round"
    both = (
        f"{SHORT} tokens read and {WRITE} written for each stream, all at once; llama-batched-bench in the same round"
    )
    return [
        row("one stream, reading ÷ llama-bench", "≥ 0.97", reading, least=0.97, detail=detail),
        row("one stream, writing ÷ llama-bench", "≥ 0.97", writing, least=0.97, detail=detail),
        row("4 streams ÷ llama-batched-bench", "≥ 0.95", together[4], least=0.95, detail=both),
        row("8 streams ÷ llama-batched-bench", "≥ 0.95", together[8], least=0.95, detail=both),
    ]


def in_turns(bench: Bench, number: int) -> Iterator[tuple[tuple[float, float], dict[str, float]]]:
    """What one stream reaches and what llama-bench does, PAIRS times in turns.

    Both have read as much once before they are measured: the first time, memory is touched first.
    """
    engine = started(bench, 4)
    run(engine, [PROMPT], 2, 98)
    for pair in range(PAIRS):
        own = alone(engine, number * PAIRS + pair)
        yard = llama_bench(bench.tools, bench.path, prompt=PROMPT, write=0, depth=0, threads=bench.threads)
        yard |= llama_bench(bench.tools, bench.path, prompt=0, write=WRITE, depth=64, threads=bench.threads)
        yield own, yard
    engine.close()


def alone(engine: Engine, number: int) -> tuple[float, float]:
    """Tokens a second of reading PROMPT tokens, and of writing behind a short prompt."""
    read = run(engine, [PROMPT], 2, number)[0]
    written = run(engine, [64], WRITE, number)[0]
    # The first token comes with the prompt; the step that chooses the end of the text writes nothing, and counts.
    steps = written.completion_tokens - (written.reason == "length")
    return read.prompt_tokens / read.prompt, steps / written.generation


def side_by_side(bench: Bench, streams: int, number: int) -> float:
    """Tokens a second, read and written, of so many streams together."""
    engine = started(bench, streams)
    begin = time.perf_counter()
    ends = run(engine, [SHORT] * streams, WRITE, number)
    seconds = time.perf_counter() - begin
    engine.close()
    return sum(end.prompt_tokens + end.completion_tokens for end in ends) / seconds


def started(bench: Bench, slots: int) -> Engine:
    engine = Engine()
    options = LoadOptions(context_tokens=8192, slots=slots, threads=bench.threads, drafting=False)
    process = ChatProcess(bench.model, options, hear=engine.hear, lost=engine.lost)
    process.load(bench.path, identity="", tuning=None)
    engine.use(process)
    run(engine, [32], 2, 99)
    return engine


def run(engine: Engine, lengths: list[int], write: int, number: int) -> list[Finish]:
    """Ask at the same moment, with prompts of about so many tokens that have nothing in common."""
    boxes: list[SimpleQueue[News]] = [SimpleQueue() for _ in lengths]
    options = GenerationOptions(max_tokens=write, cache_prompt=False)
    for stream, (box, length) in enumerate(zip(boxes, lengths, strict=True)):
        begin = (number * 31 + stream * 7) % len(WORDS)
        words = " ".join((WORDS[begin:] + WORDS * 99)[: max(1, length - 46)])
        engine.submit(
            [ChatMessage("user", f"{stream} {words}. Write a very long story with all this.")], options, box.put
        )
    ends: list[Finish] = []
    for box in boxes:
        while not isinstance(news := box.get(timeout=600), Finish):
            if isinstance(news, Failure):
                raise news.error
        ends.append(news)
    return ends
