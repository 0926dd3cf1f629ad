"""The processes beside the web process are started again, also when the system cannot start one now."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.processes import ChildProcess
from tests.application import until

WORK = "import sys; print('here', flush=True); sys.stdin.read()"


def test_a_process_that_cannot_be_started_now_is_started_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "not there yet" / "child.log"
    child = ChildProcess("child", lambda: ["-c", WORK], log=log)
    child.start()
    try:
        until(lambda: "cannot be started" in caplog.text, 10, "a start has failed")
        log.parent.mkdir()
        until(lambda: child.pid is not None, 20, "it runs now")
        until(lambda: "here" in log.read_text(), 20, "it works")
    finally:
        child.close()
    assert child.pid is None
