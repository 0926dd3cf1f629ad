"""How long somebody will wait: the requests that run share the processor equally, and the next ones follow."""

from __future__ import annotations

from collections.abc import Sequence


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
