"""Who may begin now, and how long the others will wait."""

from __future__ import annotations

from collections.abc import Sequence

from core.serving.generation import Generation


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
