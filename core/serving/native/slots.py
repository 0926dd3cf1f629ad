"""The places in the context where requests are worked on, and who gets which share of a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.serving.native.batch import MAX_BATCH
from core.serving.native.pace import piece
from core.serving.native.request import Request
from core.serving.native.text_stream import TextStream

WORTH_WAITING = 16  # tokens in common: for fewer, two slots read side by side


@dataclass(slots=True, eq=False)
class Work:
    """What belongs to the request that a slot works on. `next_token` is chosen, but not yet read by the model.

    `guess` are the tokens that may come after it; `shared` says how much of the prompt other slots have in common.
    """

    request: Request
    text: TextStream
    number: int  # counts up: the order in which the work began
    next_token: int | None = None
    guess: list[int] = field(default_factory=list)
    shared: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Slot:
    """One sequence of the context; `tokens` are those that its cells hold."""

    number: int
    tokens: list[int] = field(default_factory=list)
    work: Work | None = None

    @property
    def writing(self) -> bool:
        """Whether the prompt is read and the answer begun."""
        return self.work is not None and self.work.next_token is not None

    @property
    def unread(self) -> int:
        """Tokens that are still to be read before the answer begins."""
        if self.work is None or self.writing:
            return 0
        return len(self.work.request.given) - len(self.tokens)

    def pending(self, limit: int) -> list[int]:
        """What the model has to read next: the chosen token and the guess, or the next `limit` tokens given."""
        if self.work is None:
            return []
        if self.work.next_token is not None:
            return [self.work.next_token, *self.work.guess]
        return self.work.request.given[len(self.tokens) : len(self.tokens) + limit]


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of tokens that both begin with."""
    return next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def donor(slot: Slot, slots: Sequence[Slot]) -> tuple[Slot, int] | None:
    """Who has already read more of this slot's prompt than itself, and how many tokens of it.

    The last token is always read by the slot itself: the choice of the first token of the answer needs its logits.
    """
    if slot.work is None or slot.writing:
        return None
    most = len(slot.work.request.given) - 1
    found = [
        (min(slot.work.shared.get(other.number, 0), len(other.tokens), most), other) for other in slots if other.work
    ]
    length, best = max(found, key=lambda pair: pair[0], default=(0, slot))
    return (best, length) if length > len(slot.tokens) else None


def follows(slot: Slot, slots: Sequence[Slot]) -> bool:
    """Whether an earlier slot is just reading what this one needs too: it is better to wait and copy."""
    if slot.work is None:
        return False
    most = len(slot.work.request.given) - 1
    for other in slots:
        if other.work and other.unread and other.work.number < slot.work.number:
            common = min(slot.work.shared.get(other.number, 0), most)
            if common >= len(slot.tokens) + WORTH_WAITING and common > len(other.tokens):
                return True
    return False


def shares(slots: Sequence[Slot], budget: int) -> Iterator[tuple[Slot, int]]:
    """Who reads how much of a prompt in this step: (slot, tokens), together about `budget`.

    Who began first reads first: prompts that are read side by side only slow each other down. But one with less than
    half as much to read goes before, which keeps the mean wait low; then the first one still gets a quarter, so that
    it cannot be overtaken for ever. Another prompt comes along only where it fits whole: its beginning would keep the
    answer to this one waiting. `slots` are ordered by the begin of their work.
    """
    reading = [slot for slot in slots if slot.unread]
    if not reading:
        return
    first, shortest = reading[0], min(reading, key=lambda slot: slot.unread)
    quarter = 0
    if shortest.unread < first.unread / 2:
        quarter = min(first.unread, max(1, budget // 4))
        budget -= quarter
        yield first, quarter
        reading = sorted(reading[1:], key=lambda slot: slot.unread)
    for place, slot in enumerate(reading):
        tokens = slot.unread if place else piece(slot.unread, budget, MAX_BATCH - quarter)
        if place and tokens > budget:
            return
        budget -= tokens
        yield slot, tokens
