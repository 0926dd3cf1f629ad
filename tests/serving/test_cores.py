"""The ruler over the cores, with threads that only count."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from core.serving.cores import PATIENCE, Cores


def started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def never() -> bool:
    return False


def test_documents_have_the_cores_while_the_engine_rests() -> None:
    with Cores().ingest(time.monotonic() + 60, never) as granted:
        assert granted


class RestingEngine:
    """Computes nothing."""

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def share(self, documents: bool) -> None:
        self.shares = documents


RESTING = RestingEngine()


class SteppingEngine:
    """Computes step after step in a thread, and stops between two of them when it is asked to."""

    def __init__(self, compute: Callable[[], None]) -> None:
        self.stop = threading.Event()
        self._go, self._between = threading.Event(), threading.Lock()
        self._go.set()
        self._compute = compute
        self.thread = started(self._run)

    def pause(self) -> None:
        self._go.clear()
        with self._between:
            pass

    def resume(self) -> None:
        self._go.set()

    def share(self, documents: bool) -> None:
        self.shares = documents

    def _run(self) -> None:
        while not self.stop.is_set():
            self._go.wait(0.1)
            with self._between:
                if self._go.is_set():
                    self._compute()


def test_engine_and_documents_never_compute_at_the_same_time() -> None:
    cores, computing, most = Cores(), [0], [0]

    def compute() -> None:
        computing[0] += 1
        most[0] = max(most[0], computing[0])
        time.sleep(0.001)
        computing[0] -= 1

    engine = SteppingEngine(compute)
    cores.rule(engine)
    cores.engine_begins(engine)
    for _ in range(5):
        with cores.ingest(time.monotonic() + 0.01, never) as granted:
            assert granted
            compute()
    engine.stop.set()
    engine.thread.join(10)
    assert most == [1]


def test_documents_wait_for_the_engine_but_not_for_ever() -> None:
    cores = Cores()
    cores.engine_begins(RESTING)
    begun = time.monotonic()
    with cores.ingest(begun + PATIENCE, never) as granted:
        assert granted
    assert time.monotonic() - begun >= PATIENCE


def test_documents_begin_as_soon_as_the_engine_rests() -> None:
    cores, begun = Cores(), threading.Event()
    cores.engine_begins(RESTING)

    def embed() -> None:
        with cores.ingest(time.monotonic() + 600, never):
            begun.set()

    thread = started(embed)
    assert not begun.wait(0.02)
    cores.engine_rests(RESTING)
    thread.join(10)
    assert begun.is_set()


def test_question_interrupts_the_waiting_of_documents() -> None:
    cores, question, turns = Cores(), threading.Event(), []

    def embed() -> None:
        with cores.ingest(time.monotonic() + 600, question.is_set) as granted:
            turns.append(granted)

    cores.engine_begins(RESTING)
    thread = started(embed)
    question.set()
    cores.nudge()
    thread.join(10)
    assert turns == [False]
