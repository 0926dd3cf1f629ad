"""Who may begin now, and how long the others will wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.serving.chat_process import ChatProcess
from core.serving.generation import Generation

_USUAL = 150.0  # tokens of an answer, before any was written
_WEIGHT = 0.1  # of the newest answer in the running mean


def fits(generation: Generation, others: Sequence[Generation], *, slots: int, cells: int) -> bool:
    """Whether a slot is free, and all that a request may need fits into the cells beside what the others may.

    Background work leaves the last slot to a person. Who wants the same tokens every time works alone, since sums are
    rounded differently in other company.
    """
    promised = sum(other.cells for other in others)
    if len(others) >= slots or promised + generation.cells > cells:
        return False
    if generation.priority == "background" and 0 < len(others) >= slots - 1:
        return False
    return not others or not (generation.repeatable or any(other.repeatable for other in others))


class Forecast:
    """How long those who wait will wait, by the pace of the model and the usual length of its answers."""

    def __init__(self) -> None:
        self._tokens = _USUAL

    def learn(self, tokens: int) -> None:
        """An answer had so many tokens."""
        self._tokens += _WEIGHT * (tokens - self._tokens)

    def waits(
        self, process: ChatProcess | None, running: Iterable[Generation], waiting: Iterable[Generation]
    ) -> list[float]:
        """Seconds until each of the waiting begins; 0 while nothing is known of the model."""
        if process is None:
            return [0.0 for _ in waiting]

        def seconds(generation: Generation) -> float:
            return generation.seconds_left(process.reading, process.writing, self._tokens)

        return waits(list(map(seconds, running)), list(map(seconds, waiting)), process.options.slots)


def waits(running: Sequence[float], waiting: Sequence[float], slots: int) -> list[float]:
    """Seconds until each of the waiting begins.

    `running` and `waiting` are the seconds of work that each needs with the processor for itself; at most `slots`
    share it. (Processor sharing: what n requests do together takes n times as long for each.)
    """
    rest, clock, begun = sorted(running), 0.0, []
    for work in waiting:
        if len(rest) >= slots:
            shortest = rest.pop(0)
            clock += shortest * (len(rest) + 1)
            rest = [other - shortest for other in rest]
        begun.append(clock)
        rest = sorted([*rest, work])
    return begun
