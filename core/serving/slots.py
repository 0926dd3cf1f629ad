"""The places in the context where requests are worked on, and who gets which share of a step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.serving.generation import Generation
from core.serving.sampling import Sampler
from core.serving.text_stream import TextStream


@dataclass(slots=True, eq=False)
class Work:
    """What belongs to the request that a slot works on. `next_token` is chosen, but not yet read by the model."""

    generation: Generation
    sampler: Sampler
    text: TextStream
    number: int  # counts up: the order in which the work began
    next_token: int | None = None


@dataclass(slots=True, eq=False)
class Slot:
    """One sequence of the context; `tokens` are those that its cells hold, also after the work is done."""

    number: int
    tokens: list[int] = field(default_factory=list)
    work: Work | None = None
    used: float = 0.0

    @property
    def writing(self) -> bool:
        """Whether the prompt is read and the answer begun."""
        return self.work is not None and self.work.next_token is not None

    @property
    def unread(self) -> int:
        """Prompt tokens that are still to be read."""
        if self.work is None or self.writing:
            return 0
        return len(self.work.generation.prompt) - len(self.tokens)

    def pending(self, limit: int) -> list[int]:
        """What the model has to read next: the chosen token, or the next `limit` tokens of the prompt."""
        if self.work is None:
            return []
        if self.work.next_token is not None:
            return [self.work.next_token]
        return self.work.generation.prompt[len(self.tokens) : len(self.tokens) + limit]

    def release(self) -> None:
        """The work is over; the tokens stay, for the next prompt that begins with them."""
        self.work, self.used = None, time.monotonic()


@dataclass(frozen=True, slots=True)
class Placing:
    """Where a request will be worked on: in `slot`, beginning with the first `kept` tokens of `donor`."""

    slot: Slot
    donor: Slot
    kept: int


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of tokens that both begin with."""
    return next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def choose(slots: Sequence[Slot], prompt: Sequence[int], *, reuse: bool) -> Placing | None:
    """The free slot for a prompt, and who has the longest common beginning with it; None if no slot is free.

    A slot whose tokens are mostly this prompt goes on with it. Otherwise the beginning is copied, so that a system
    prompt in common does not cost an earlier conversation its place: the slot that will be missed least is taken.
    The last prompt token is always read again: the choice of the first token of the answer needs its logits.
    """
    free = [slot for slot in slots if slot.work is None]
    if not free:
        return None
    kept = {slot.number: common_prefix(slot.tokens, prompt[:-1]) if reuse else 0 for slot in slots}
    donor = max(slots, key=lambda slot: (kept[slot.number], slot.work is None, slot.used))
    count = kept[donor.number]
    if count and donor.work is None and len(donor.tokens) - count <= count // 2:
        return Placing(donor, donor, count)
    least = min(free, key=lambda slot: (bool(slot.tokens), slot.used))
    return Placing(least, donor, count)


def shares(slots: Sequence[Slot], budget: int) -> Iterator[tuple[Slot, int]]:
    """Who reads how much of a prompt in this step: (slot, tokens), together at most `budget`.

    The shortest rest goes first, which keeps the mean wait low; the longest waiting one gets a quarter in any case,
    so that it cannot be overtaken for ever. `slots` are ordered by the begin of their work.
    """
    reading = [slot for slot in slots if slot.unread]
    granted = dict.fromkeys(reading, 0)
    if reading:
        granted[reading[0]] = min(reading[0].unread, max(1, budget // 4))
        budget -= granted[reading[0]]
    for slot in sorted(reading, key=lambda slot: slot.unread):
        more = min(slot.unread - granted[slot], budget)
        granted[slot] += more
        budget -= more
    return ((slot, tokens) for slot, tokens in granted.items() if tokens)
