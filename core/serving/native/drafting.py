"""Guessing ahead: an answer that quotes its passages repeats what stands in the prompt.

The last tokens are looked up in what was read and written before, and what followed them there is read in the same
step as the token that was just chosen. Every guess is checked against the model's own choice, so the answer is the
same with and without. Prompt lookup decoding: Saxena 2023, https://github.com/apoorvumang/prompt-lookup-decoding.

Whether it pays depends on the machine: where several tokens cost nearly as much time as one, a few right guesses are
a gain; where they cost several times as much, hardly ever. So the time of steps is measured, and so is how often the
guesses are right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LONGEST_GUESS = 7
MATCH = 3  # tokens that must agree before what follows them is guessed
GAIN = 1.1  # times faster a guess must promise to be: measurements are not exact
_WEIGHT = 0.05  # of the newest guess in the running mean
_HOPED = 0.7  # share of right guesses, before any was made


def look_up(tokens: Sequence[int], most: int) -> list[int]:
    """What followed the last MATCH tokens where they stood before, the latest place first; at most `most` tokens."""
    if most < 1 or len(tokens) <= MATCH:
        return []
    ending = list(tokens[-MATCH:])
    for place in range(len(tokens) - MATCH - 1, -1, -1):
        if tokens[place] == ending[0] and list(tokens[place : place + MATCH]) == ending:
            return list(tokens[place + MATCH : place + MATCH + most])
    return []


@dataclass(slots=True)
class Drafting:
    """How long a guess pays, given the seconds that steps of so many tokens take."""

    seconds: Mapping[int, float] = field(default_factory=dict)
    right: float = _HOPED

    def length(self) -> int:
        """Tokens to guess; 0 when it is faster to go one by one."""
        if 1 not in self.seconds:
            return 0
        gains = {size - 1: self._gain(size) for size in self.seconds if size > 1}
        best = max(gains, key=lambda length: gains[length], default=0)
        return best if best and gains[best] >= GAIN else 0

    def checked(self, guessed: int, right: int) -> None:
        """A guess of so many tokens began with so many right ones."""
        if guessed:
            tried = min(guessed, right + 1)  # what stands behind the first wrong one was not tried
            self.right += _WEIGHT * tried * (right / tried - self.right)

    def _gain(self, size: int) -> float:
        """Speed with steps of `size` tokens over the speed with steps of one."""
        expected = sum(self.right**place for place in range(size))
        return expected * self.seconds[1] / self.seconds[size]
