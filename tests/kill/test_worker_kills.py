"""The worker process dies at random moments, alone and beside another one."""

from __future__ import annotations

import pytest

from core.services import Services
from tests.kill.worker_kills import kill_rounds

ROUNDS = 5  # in the suite; tests/bench/ingest_kill.py makes hundreds


@pytest.mark.kill
@pytest.mark.parametrize("writers", [1, 2])
def test_killed_workers_lose_nothing_and_leave_nothing_half_done(live: Services, writers: int) -> None:
    outcome = kill_rounds(live, rounds=ROUNDS, documents=10, writers=writers, seed=writers)
    assert outcome.rounds == ROUNDS
    assert outcome.interrupted > 0, "no kill interrupted any work"
    assert (outcome.findings, outcome.lost, outcome.unfinished) == ([], [], [])
