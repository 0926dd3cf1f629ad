"""How fast the engine is: one stream, four together, and what that is beside the bare llama.cpp in the same run.

    python tests/bench/bench_serving.py --model qwen2.5-coder-1.5b-instruct-q4_k_m

Whatever else runs on the machine can only slow it down, so the best of several rounds counts; both sides take turns.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.models.catalog import find, installed_path
from core.serving.engine import Engine
from core.serving.generation import Failure, Finish, News
from core.serving.native.chat_model import ChatModel, ContextOptions
from core.serving.native.llama import Batch, Context, Model, physical_cores
from core.settings import load
from core.types import ChatMessage, GenerationOptions

SLOTS, CELLS = 4, 8192


def main() -> None:
    arguments = parse()
    settings = load()
    model = find(arguments.model)
    path = installed_path(model, settings.model_store)
    bare_prompt, bare_written = [], []
    alone: list[Finish] = []
    together: list[float] = []
    chat = ChatModel.load(model.id, path, ContextOptions(CELLS, SLOTS, arguments.threads))
    engine = Engine(slots=SLOTS)
    engine.use(chat)
    for number in range(arguments.rounds):
        prompt, written = bare(chat.model, arguments.threads, arguments.prompt, arguments.write)
        bare_prompt.append(prompt)
        bare_written.append(written)
        alone += ask(engine, 1, arguments, number)[0]
        together.append(ask(engine, SLOTS, arguments, number)[1])
    engine.close()
    report(arguments, bare_prompt, bare_written, alone, together)


def report(
    arguments: argparse.Namespace,
    bare_prompt: Sequence[float],
    bare_written: Sequence[float],
    alone: Sequence[Finish],
    together: Sequence[float],
) -> None:
    read = [finish.prompt_tokens / finish.prompt for finish in alone]
    write = [(finish.completion_tokens - 1) / finish.generation for finish in alone]
    rows = [
        ("reading a prompt, one stream", max(read), max(bare_prompt)),
        ("writing, one stream", max(write), max(bare_written)),
        (f"writing, {SLOTS} streams together", max(together), max(bare_written)),
    ]
    print(f"{arguments.model}, {arguments.threads} threads, {arguments.prompt} + {arguments.write} tokens, the best of")
    print(f"{arguments.rounds} rounds; the bare loop is one stream of llama_decode without anything around it\n")
    print("| tokens per second | engine | bare loop | ratio |")
    print("|---|---|---|---|")
    for name, engine_speed, bare_speed in rows:
        print(f"| {name} | {engine_speed:.1f} | {bare_speed:.1f} | {engine_speed / bare_speed:.2f} |")


def bare(model: Model, threads: int, prompt: int, write: int) -> tuple[float, float]:
    """Tokens per second of reading and of writing with nothing but llama_decode, in steps of 512 and of 1 token."""
    context, batch = Context(model, cells=CELLS, sequences=SLOTS, threads=threads), Batch()
    tokens = [100 + (number * 7919) % 20_000 for number in range(prompt + write)]

    def read(start: int, count: int) -> None:
        batch.clear()
        batch.add(tokens[start : start + count], sequence=0, position=start, logits=True)
        context.decode(batch)

    read(0, 32)
    context.forget(0, 0)
    begin = time.perf_counter()
    for start in range(0, prompt, 512):
        read(start, min(512, prompt - start))
    middle = time.perf_counter()
    for start in range(prompt, prompt + write):
        read(start, 1)
    end = time.perf_counter()
    context.close()
    return prompt / (middle - begin), write / (end - middle)


def ask(engine: Engine, streams: int, arguments: argparse.Namespace, number: int) -> tuple[list[Finish], float]:
    """Answers written at the same time: their ends, and the tokens per second of all together while writing."""
    boxes: list[SimpleQueue[tuple[float, News]]] = [SimpleQueue() for _ in range(streams)]
    # With a seed and without the cache the context is emptied first, as that of the bare loop is: every cell that
    # remembers another conversation costs a little in each step.
    seed = 1 if streams == 1 else None
    options = GenerationOptions(max_tokens=arguments.write, cache_prompt=False, seed=seed)
    length = arguments.prompt if streams == 1 else 32
    for stream, box in enumerate(boxes):
        words = " ".join(f"w{(number + stream + place) % 10}" for place in range(length // 3))
        text = f"Write a very long story about these words: {words}"
        engine.submit([ChatMessage("user", text)], options, lambda news, box=box: box.put((time.perf_counter(), news)))  # type: ignore[misc]
    ends, written = [], 0
    first, last = float("inf"), 0.0
    for box in boxes:
        while not isinstance((heard := box.get())[1], Finish):
            if isinstance(heard[1], Failure):
                raise heard[1].error
        end = heard[1]
        assert isinstance(end, Finish)
        ends.append(end)
        written += end.completion_tokens
        first, last = min(first, heard[0] - end.generation), max(last, heard[0])
    return ends, written / (last - first)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="id of a chat model in the store")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of the prompt, about")
    parser.add_argument("--write", type=int, default=32, help="tokens of the answer at the most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=physical_cores())
    return parser.parse_args()


if __name__ == "__main__":
    main()
