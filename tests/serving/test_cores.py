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


def test_engine_and_documents_never_compute_at_the_same_time() -> None:
    cores, computing, most, stop = Cores(), [0], [0], threading.Event()

    def compute() -> None:
        computing[0] += 1
        most[0] = max(most[0], computing[0])
        time.sleep(0.001)
        computing[0] -= 1

    def engine() -> None:
        while not stop.is_set():
            with cores.engine():
                compute()

    thread = started(engine)
    for _ in range(5):
        with cores.ingest(time.monotonic() + 0.01, never) as granted:
            assert granted
            compute()
    stop.set()
    thread.join(10)
    assert most == [1]


def test_documents_wait_for_the_engine_but_not_for_ever() -> None:
    cores = Cores()
    with cores.engine():
        pass  # between two steps it still counts as working
    begun = time.monotonic()
    with cores.ingest(begun + PATIENCE, never) as granted:
        assert granted
    assert time.monotonic() - begun >= PATIENCE


def test_documents_begin_as_soon_as_the_engine_rests() -> None:
    cores, begun = Cores(), threading.Event()
    with cores.engine():
        pass

    def embed() -> None:
        with cores.ingest(time.monotonic() + 600, never):
            begun.set()

    thread = started(embed)
    assert not begun.wait(0.02)
    cores.engine_rests()
    thread.join(10)
    assert begun.is_set()


def test_question_interrupts_the_waiting_of_documents() -> None:
    cores, question, turns = Cores(), threading.Event(), []

    def embed() -> None:
        with cores.ingest(time.monotonic() + 600, question.is_set) as granted:
            turns.append(granted)

    with cores.engine():
        thread = started(embed)
        question.set()
        cores.nudge()
        thread.join(10)
    assert turns == [False]
    with cores.engine():  # and nobody is kept waiting by the turn that was not taken
        pass
