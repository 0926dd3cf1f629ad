"""What is not computed twice: the second turn of a conversation, the system prompt after a restart."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench.serving.bench import Bench
from tests.bench.serving.people import prompt
from tests.bench.serving.report import Row, row
from tests.bench.serving.servers import ask, groundwork


def measure(bench: Bench) -> list[Row]:
    ratios, computed = [], []
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch)
        with groundwork(bench.store, bench.model, data=data, threads=bench.threads) as server:
            for number in range(max(3, bench.rounds)):
                first = prompt(server, bench, 1000 + number)
                said = ask(server, first, max_tokens=40).text
                turn = [
                    *first,
                    {"role": "assistant", "content": said},
                    {"role": "user", "content": "Say more about it."},
                ]
                known, fresh = ask(server, turn, max_tokens=4), ask(server, turn, max_tokens=4, cache_prompt=False)
                ratios.append(known.first / fresh.first)
                cached = known.usage["prompt_tokens_details"]["cached_tokens"]
                tokens = known.usage["prompt_tokens"]
                bench.say(f"second turn: {known.first:.2f} ÷ {fresh.first:.2f} s, {cached} of {tokens} tokens known")
        with groundwork(bench.store, bench.model, data=data, threads=bench.threads) as server:
            question = prompt(server, bench, 2000)
            system = server.post("/tokenize", {"messages": question})["system"]
            usage = ask(server, question, max_tokens=4).usage
            cached = usage["prompt_tokens_details"]["cached_tokens"]
            assert system > 30
            computed.append(float(max(0, system - cached)))
            bench.say(f"after a restart: {cached} tokens known, {system} are the system prompt's")
    return [
        row("second turn: first token ÷ without cache", "≤ 0.45", ratios, most=0.45, detail="about 760 tokens"),
        row("after a restart: system prompt tokens computed again", "0", computed, most=0, detail="first question"),
    ]
