"""A short measurement of this machine with this model: how many threads are fastest, and what steps cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from core.serving.native.batch import Batch
from core.serving.native.chat_model import ChatModel
from core.serving.native.drafting import LONGEST_GUESS

BEFORE = 32  # tokens that stand before what is measured
PROMPT = 32  # tokens: enough to see how fast prompts are read
SIZES = (1, 2, 4, LONGEST_GUESS + 1)
ROUNDS = 3
BUSY = 0.15  # of a core that others may use meanwhile
CLEARLY = 0.9  # of the time with one thread per core: what is hardly faster may be an accident


@dataclass(frozen=True, slots=True)
class Tuning:
    """The fastest numbers of threads for writing and reading; seconds of a step by the number of its tokens."""

    writing_threads: int
    reading_threads: int
    step_seconds: dict[int, float]

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**asdict(self), "step_seconds": {str(size): cost for size, cost in self.step_seconds.items()}}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Tuning:
        """What `plain` gave."""
        steps = {int(size): float(cost) for size, cost in plain["step_seconds"].items()}
        return cls(int(plain["writing_threads"]), int(plain["reading_threads"]), steps)


def measure(chat: ChatModel, threads: Sequence[int], stop: Callable[[], bool]) -> Tuning | None:
    """Try numbers of threads, the usual one first, with an empty context, which is left empty.

    Takes some seconds. None if it came to nothing: somebody wanted it to `stop`, or the machine was busy with other
    things, so that the times would say little.
    """
    before = _others(), time.perf_counter()
    try:
        found = _measure(chat, threads, stop)
    except _Stopped:
        found = None
    chat.context.clear()
    if found is None:
        chat.context.use_threads(threads[0], threads[0])
        return None
    chat.context.use_threads(found.writing_threads, found.reading_threads)
    busy = (_others() - before[0]) / (time.perf_counter() - before[1])
    return found if busy < BUSY else None


def _others() -> float:
    """Seconds that the cores spent on other processes than this one since they were started."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    own = psutil.Process().cpu_times()
    return float(sum(times[:8]) - idle - own.user - own.system)


class _Stopped(Exception):
    """Somebody came."""


def _measure(chat: ChatModel, threads: Sequence[int], stop: Callable[[], bool]) -> Tuning:
    context, batch = chat.context, Batch()
    tokens = [(1 + place * 7) % chat.model.words for place in range(BEFORE + PROMPT)]
    batch.add(tokens[:BEFORE], sequence=0, position=0, logits=1)
    context.decode(batch)

    def seconds(size: int) -> float:
        """The fastest of some steps: whatever else the machine does can only make them slower."""
        found = []
        for _ in range(ROUNDS):
            if stop():
                raise _Stopped
            batch.clear()
            batch.add(tokens[BEFORE : BEFORE + size], sequence=0, position=BEFORE, logits=min(size, SIZES[-1]))
            begin = time.perf_counter()
            context.decode(batch)
            found.append(time.perf_counter() - begin)
            context.forget(0, BEFORE)
        return min(found)

    writing, reading = {}, {}
    for count in threads:
        context.use_threads(count, count)
        writing[count], reading[count] = seconds(1), seconds(PROMPT)
    write, read = _fastest(writing), _fastest(reading)
    context.use_threads(write, read)
    # Steps of more than one token count as reading for llama.cpp, so their threads are the reading ones.
    steps = {1: writing[write], **{size: seconds(size) for size in SIZES[1:]}}
    return Tuning(write, read, steps)


def _fastest(seconds: dict[int, float]) -> int:
    usual = next(iter(seconds))
    best = min(seconds, key=seconds.__getitem__)
    return best if seconds[best] < CLEARLY * seconds[usual] else usual
