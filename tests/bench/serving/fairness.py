"""Twenty people with five questions each: does anybody wait much longer than the others?"""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor

from tests.bench.serving.bench import Bench
from tests.bench.serving.report import Row, row
from tests.bench.serving.servers import Server, ask, groundwork

CLIENTS, REQUESTS, ANSWER = 20, 5, 16


def measure(bench: Bench) -> list[Row]:
    ratios = []
    for _ in range(max(1, bench.rounds // 2)):
        with groundwork(bench.store, bench.model, threads=bench.threads) as server:
            with ThreadPoolExecutor(CLIENTS) as pool:
                waits = [
                    wait for found in pool.map(lambda client: one(server, client), range(CLIENTS)) for wait in found
                ]
            ratios.append(max(waits) / statistics.median(waits))
            bench.say(f"waits: median {statistics.median(waits):.1f} s, slowest {max(waits):.1f} s")
    detail = f"{CLIENTS} clients × {REQUESTS} requests one after the other, time to the first token"
    return [row("fairness: slowest ÷ median wait", "< 3", ratios, most=3, detail=detail)]


def one(server: Server, client: int) -> list[float]:
    """The waits of one client, whose questions differ in length."""
    found = []
    for number in range(REQUESTS):
        words = " ".join(
            f"w{(client * 7 + number + place) % 50}" for place in range(10 + (client * 13 + number * 29) % 60)
        )
        messages = [{"role": "user", "content": f"Say something about these: {words}"}]
        answer = ask(server, messages, max_tokens=ANSWER, user=f"client-{client}")
        assert not answer.error, answer.error
        found.append(answer.first)
    return found
