"""The cheapest way to put consecutive atoms into groups: few groups of like size, cut where cutting hurts least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

SMALL = 1 / 3  # of the room: groups below are avoided
SMALL_COST = 4.0
BALANCE = 0.5  # two groups of like size are cheaper than a large and a small one
MOST_ATOMS = 64  # in one group, which keeps the work in proportion to the number of atoms
NEVER = 1e6  # the cost of going on over a gap that no group may span


@dataclass(slots=True)
class Atoms:
    """Consecutive stretches of a text that are not cut any further, one entry of each list for each.

    `cuts` is what ending a group behind an atom costs, `crossings` what going on costs, `rooms` how many tokens a
    group that begins with the atom may have. A group costs 1 and more.
    """

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    crossings: list[float] = field(default_factory=list)
    rooms: list[int] = field(default_factory=list)

    def add(self, start: int, end: int, tokens: int, *, cut: float, crossing: float, room: int) -> None:
        self.starts.append(start)
        self.ends.append(end)
        self.tokens.append(tokens)
        self.cuts.append(cut)
        self.crossings.append(crossing)
        self.rooms.append(room)


def group(atoms: Atoms, room: int) -> Iterator[tuple[int, int]]:
    """Consecutive groups as (first atom, atom after the last). An atom above its room is a group of its own."""
    count = len(atoms.tokens)
    sizes, cuts, crossings = atoms.tokens, atoms.cuts, atoms.crossings
    priced = _prices(room)
    best, back = [0.0, *[float("inf")] * count], [0] * (count + 1)
    for first in range(count):
        spent, left, tokens = best[first], min(atoms.rooms[first], room), 0
        for last in range(first, min(count, first + MOST_ATOMS)):
            tokens += sizes[last]
            if tokens > left and last > first:
                break
            cost = spent + priced[min(tokens, room)] + cuts[last]
            if cost < best[last + 1]:
                best[last + 1], back[last + 1] = cost, first
            spent += crossings[last]
            if spent >= NEVER:
                break
    ends = []
    while count:
        ends.append(count)
        count = back[count]
    first = 0
    for end in reversed(ends):
        yield first, end
        first = end


@lru_cache(maxsize=16)
def _prices(room: int) -> list[float]:
    """What a group costs by its number of tokens, from 0 to the room."""
    small = room * SMALL
    return [
        1 + BALANCE * (tokens / room) ** 2 + SMALL_COST * max(0.0, (small - tokens) / small) ** 2
        for tokens in range(room + 1)
    ]
