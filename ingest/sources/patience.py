"""What was tried in vain is left alone, each time for longer."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Pause:
    state: object
    seconds: float
    until: float  # on the monotonic clock


class Patience:
    """Remembers by name what failed, and the state that it was in: in another state it is worth a try at once."""

    def __init__(self, *, first: float, longest: float) -> None:
        self.first = first
        self.longest = longest
        self._pauses: dict[str, _Pause] = {}

    def failed(self, name: str, state: object = None) -> None:
        """Leave it alone for a while, twice as long as the last time."""
        before = self._pauses.get(name)
        longer = before.seconds * 2 if before is not None and before.state == state else self.first
        seconds = min(longer, self.longest)
        self._pauses[name] = _Pause(state, seconds, time.monotonic() + seconds)

    def waits(self, name: str, state: object = None) -> bool:
        """Whether it is too early for another try."""
        pause = self._pauses.get(name)
        return pause is not None and pause.state == state and time.monotonic() < pause.until

    def forget(self, name: str) -> bool:
        """It is as if it had never failed; returns whether it had."""
        return self._pauses.pop(name, None) is not None

    def forget_all(self) -> None:
        self._pauses.clear()
