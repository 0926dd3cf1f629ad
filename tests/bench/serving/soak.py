"""Ten minutes of people who ask, leave and come back; then the native process is killed twenty times."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psutil

from tests.bench.serving.bench import Bench
from tests.bench.serving.report import Row, row
from tests.bench.serving.servers import Server, ask, groundwork

CLIENTS, KILLS = 4, 20
LONGEST = 180.0  # seconds: who waits longer for an answer here, waits for ever
WARM_UP = 0.2  # of the time, before memory is looked at: caches fill
FULL_STEP = 250  # times three tokens: the largest step touches all of the buffers that were reserved when loading


def measure(bench: Bench) -> list[Row]:
    with groundwork(bench.store, bench.model, threads=bench.threads, prefix_mb=64) as server:
        ask(server, [{"role": "user", "content": "A word. " * FULL_STEP}], max_tokens=1)
        counts, memory = soak(server, bench)
        growth = (sum(memory[-1].values()) - sum(memory[0].values())) / (1 << 20)
        megabytes = {name: f"{memory[0][name] >> 20} → {memory[-1].get(name, 0) >> 20}" for name in memory[0]}
        bench.say(f"{counts}; MB {megabytes}")
        lost, back = kill(server, bench)
    detail = f"{bench.minutes:.0f} minutes, {CLIENTS} clients, {counts['asked']} requests of which {counts['left']} were left"
    kills = f"{KILLS} × SIGKILL of the native process under the same clients; back after {max(back):.1f} s at the most"
    return [
        row("soak: hangs", "0", [float(counts["hung"])], most=0, detail=detail),
        row("soak: requests without an answer or a clear error", "0", [float(counts["lost"])], most=0, detail=detail),
        row(
            "soak: memory growth of all processes, MB",
            "< 20",
            [growth],
            most=20,
            detail=f"after one prompt as long as a step takes and the first {WARM_UP:.0%}",
        ),
        row("kills: requests without an answer", "0", [float(lost)], most=0, detail=kills),
        row("kills: seconds until it answers again", "≤ 15", back, most=15, detail=kills),
    ]


def soak(server: Server, bench: Bench) -> tuple[dict[str, int], list[dict[str, int]]]:
    over = threading.Event()
    counts = {"asked": 0, "left": 0, "hung": 0, "lost": 0}
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, server, number, over, counts) for number in range(CLIENTS)]
        begin, memory = time.monotonic(), []
        while (gone := time.monotonic() - begin) < bench.minutes * 60:
            time.sleep(5)
            if gone > WARM_UP * bench.minutes * 60:
                memory.append(resident(server))
        over.set()
        for done in clients:
            done.result(LONGEST)
    tail = max(1, len(memory) // 5)
    return counts, [min(part, key=lambda look: sum(look.values())) for part in (memory[:tail], memory[-tail:])]


def client(server: Server, number: int, over: threading.Event, counts: dict[str, int]) -> None:
    luck = random.Random(number)
    while not over.is_set():
        words = " ".join(f"w{luck.randrange(200)}" for _ in range(luck.randrange(5, 120)))
        messages = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": f"Tell of {words}"}]
        leave, timer = threading.Event(), None
        if luck.random() < 0.4:
            timer = threading.Timer(luck.uniform(0, 4), leave.set)
            timer.start()
        counts["asked"] += 1
        begin = time.monotonic()
        try:
            answer = ask(
                server, messages, stop=leave, max_tokens=luck.randrange(4, 60), temperature=1, user=str(number)
            )
        except httpx2.HTTPError:
            counts["lost"] += 1
            continue
        finally:
            if timer:
                timer.cancel()
        counts["hung"] += time.monotonic() - begin > LONGEST
        counts["left"] += leave.is_set()
        if not leave.is_set() and not answer.usage and not answer.error:
            counts["lost"] += 1


def kill(server: Server, bench: Bench) -> tuple[int, list[float]]:
    """Requests that got no answer, and the seconds from each kill to the next token of anybody."""
    lost, back, over = [0], [], threading.Event()
    luck = random.Random(9)

    def go_on(number: int) -> None:
        while not over.is_set():
            try:
                answer = ask(server, [{"role": "user", "content": f"Story {number}"}], max_tokens=24, user=str(number))
                lost[0] += bool(answer.error) or not answer.usage
            except httpx2.HTTPError:
                lost[0] += 1

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(go_on, number) for number in range(CLIENTS)]
        for _ in range(KILLS):
            time.sleep(luck.uniform(1, 5))
            before = server.get("/healthz")["chat"]["restarts"]
            begin = time.monotonic()
            os.kill(native(server), signal.SIGKILL)
            while (state := server.get("/healthz")["chat"])["restarts"] == before or state["status"] != "ok":
                time.sleep(0.05)
            back.append(time.monotonic() - begin)
        over.set()
        for done in clients:
            done.result(LONGEST)
    bench.say(f"killed {KILLS} times: {lost[0]} lost, back after {max(back):.1f} s at the most")
    return lost[0], back


def native(server: Server) -> int:
    children = psutil.Process(server.process.pid).children()
    return next(int(child.pid) for child in children if "core.serving.native" in child.cmdline())


def resident(server: Server) -> dict[str, int]:
    """Bytes that each process holds for itself; pages of mapped files come and go, and are not counted."""
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children()]
    return {
        f"{process.cmdline()[2]} {process.pid}": sum(part.anonymous for part in process.memory_maps())
        for process in processes
    }
