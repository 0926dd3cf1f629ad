"""What the server counts: in Prometheus' format for machines, and the last minutes for the Models page."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from core.errors import Cancelled, GroundworkError
from core.serving.generation import Finish, Generation
from core.serving.machine import memory_of

SAMPLE_SECONDS = 5.0
SAMPLES = 120  # ten minutes
_WAITS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)  # seconds
_SPEEDS = (1, 2, 5, 10, 15, 20, 30, 40, 60, 80, 120, 200, 400)  # tokens a second


@dataclass(frozen=True, slots=True)
class State:
    """How the server is at one moment; `processes` are the ids of its processes by name, `restarts` their ends.

    `read`, `known` and `written` count tokens and `texts` embedded texts since the start.
    """

    running: int = 0
    waiting: int = 0
    slots: int = 1
    state_bytes: int = 0
    processes: tuple[tuple[str, int], ...] = ()
    restarts: tuple[tuple[str, int], ...] = ()
    read: int = 0
    known: int = 0
    written: int = 0
    texts: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured over SAMPLE_SECONDS; speeds are tokens (or texts) a second of all requests together.

    `first_token` is a mean in seconds, None if no answer ended; `cached` the share of prompt tokens that were known,
    None if no prompt was read.
    """

    at: float
    running: int
    waiting: int
    prompt_speed: float
    answer_speed: float
    text_speed: float
    first_token: float | None
    cached: float | None
    memory_mb: float


class Metrics:
    """Counts requests as they end; looks at the state every few seconds. Safe to use from any thread."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry, "namespace": "groundwork"}
        self._requests = Counter("requests", "Requests by how they ended.", ["outcome"], **made)
        self._queue = Histogram("queue_seconds", "From the request to the begin of the work.", buckets=_WAITS, **made)
        self._first = Histogram("first_token_seconds", "From the request to its first token.", buckets=_WAITS, **made)
        self._speed = Histogram("answer_tokens_per_second", "Of each answer.", buckets=_SPEEDS, **made)
        self._tokens = Counter("tokens", "Tokens: read, known from before, written.", ["kind"], **made)
        self._gauges = {
            name: Gauge(name, text, **made)
            for name, text in {
                "requests_running": "Requests that are worked on.",
                "requests_waiting": "Requests in the line.",
                "batch_occupancy": "Share of the slots that are worked on.",
                "prompt_state_bytes": "Memory of beginnings of prompts that are remembered.",
                "embedded_texts": "Texts embedded since the start.",
            }.items()
        }
        self._memory = Gauge("process_memory_bytes", "Resident memory.", ["process"], **made)
        self._restarts = Gauge("process_restarts", "How often a process ended by itself.", ["process"], **made)
        self._lock = threading.Lock()
        self._waits: list[float] = []  # for first tokens, since the last sample
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)
        threading.Thread(target=self._watch, name="metrics", daemon=True).start()

    def ended(self, generation: Generation, end: Finish | GroundworkError) -> None:
        """Count a request that ended."""
        self._queue.observe(generation.queued)
        if isinstance(end, GroundworkError):
            self._requests.labels("cancelled" if isinstance(end, Cancelled) else end.code).inc()
            return
        self._requests.labels(end.reason).inc()
        first = end.queue + end.first_token
        self._first.observe(first)
        if end.completion_tokens > 1 and end.generation > 0:
            self._speed.observe((end.completion_tokens - 1) / end.generation)
        read = end.prompt_tokens - end.cached_tokens
        for kind, count in (("read", read), ("known", end.cached_tokens), ("written", end.completion_tokens)):
            self._tokens.labels(kind).inc(count)
        with self._lock:
            self._waits.append(first)

    def refused(self, error: GroundworkError) -> None:
        """Count a request that never came into the line."""
        self._requests.labels(error.code).inc()

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        state = self._state()
        self._gauges["requests_running"].set(state.running)
        self._gauges["requests_waiting"].set(state.waiting)
        self._gauges["batch_occupancy"].set(state.running / max(1, state.slots))
        self._gauges["prompt_state_bytes"].set(state.state_bytes)
        self._gauges["embedded_texts"].set(state.texts)
        for name, pid in state.processes:
            self._memory.labels(name).set(memory_of(pid))
        for name, count in state.restarts:
            self._restarts.labels(name).set(count)
        return generate_latest(self.registry)

    def recent(self) -> list[dict[str, object]]:
        """The samples of the last ten minutes, the oldest first."""
        return [asdict(sample) for sample in list(self._samples)]

    def _watch(self) -> None:
        before = self._state()
        while True:
            time.sleep(SAMPLE_SECONDS)
            now = self._state()
            with self._lock:
                waits, self._waits = self._waits, []
            read, known = now.read - before.read, now.known - before.known
            self._samples.append(
                Sample(
                    at=time.time(),
                    running=now.running,
                    waiting=now.waiting,
                    prompt_speed=read / SAMPLE_SECONDS,
                    answer_speed=(now.written - before.written) / SAMPLE_SECONDS,
                    text_speed=(now.texts - before.texts) / SAMPLE_SECONDS,
                    first_token=sum(waits) / len(waits) if waits else None,
                    cached=known / (read + known) if read + known else None,
                    memory_mb=sum(memory_of(pid) for _, pid in now.processes) / (1 << 20),
                )
            )
            before = now
