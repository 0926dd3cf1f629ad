"""How fast this model is on this machine, and what follows: how much to read in a step."""

from __future__ import annotations

from math import ceil

GRAIN = 16  # llama.cpp computes this many tokens as fast as fewer: 31 of them take as long as 38, measured
SMALLEST, LARGEST = 16, 512  # tokens of a step
# llama.cpp's attention goes by tiles of this many tokens: with eight people, steps of 16 to 48 read 39 tokens a second
# and steps of 64 read 56, about as many as larger ones.
TILE = 64
WRITING_SECONDS = 0.5  # how long those who are being written to may wait for the next token, when nobody else waits
CROWD_SECONDS = 5.5  # the same when many wait: what a step costs besides its tokens is spread over more of them
# How long a step may take when nobody is being written to. Who comes next waits for its end, but pieces of 176 tokens
# cost some 4 % more than one of 512 (by the profile): weights are unpacked once for each, last tokens computed singly.
READING_SECONDS = 7.5
BACKGROUND_SECONDS = 2.75  # the same when what is read waits for nobody: a person's question comes next
WRITING_SHARE = 0.25  # of the time that a prompt takes goes to answers, so that they come as fast as people read
# How long a step may take when documents wait for their turn: with 0.3 s, a fast machine reads in pieces of 32 tokens,
# which takes a sixth longer than in pieces of 64.
SHARED_SECONDS = 0.6
ONE_STEP = 1e-3  # seconds, less than any step takes
START = 0.016  # seconds a token, until something is measured
# By so much a step may be larger than asked for, when that saves one: a prompt of 512 tokens is not 480 and then 32.
SLACK = 1.25
_WEIGHT = 0.3  # of the newest measurement in the running means


class Pace:
    """Running means of the time that tokens take: `reading` in large steps, `writing` in steps of one."""

    def __init__(self) -> None:
        self.reading = START
        self.writing = self.reading

    def measured(self, tokens: int, seconds: float) -> None:
        """A step of so many tokens took so long; steps of a few tokens say nothing about reading prompts."""
        if tokens >= SMALLEST:
            self.reading += _WEIGHT * (seconds / tokens - self.reading)
        elif tokens == 1:
            self.writing += _WEIGHT * (seconds - self.writing)

    def prompt_tokens(
        self, waiting: int, *, writing: bool, documents: bool = False, background: bool = False
    ) -> int:  # fmt: skip
        """Prompt tokens to read in the next step, in whole grains, while answers wait for their next token (`writing`)
        and `waiting` other requests for their turn; `background`: no person waits for them."""
        alone = BACKGROUND_SECONDS if background else READING_SECONDS
        seconds = min(WRITING_SECONDS * (1 + 2 * waiting), CROWD_SECONDS) if writing else alone
        if documents:
            seconds = min(seconds, SHARED_SECONDS)
        wanted = round(seconds / self.reading / GRAIN) * GRAIN
        return max(SMALLEST if documents else TILE, min(wanted, LARGEST))

    def writing_seconds(self, seconds: float, waiting: int) -> float:
        """Seconds that answers have after a step of so many seconds with a prompt, at least one step; not more while
        others wait for their first token: an answer then takes as long as the prompts of all who come after it."""
        return ONE_STEP if waiting else WRITING_SHARE * seconds


def piece(unread: int, budget: int, room: int = LARGEST) -> int:
    """Tokens of a prompt to read in a step for about `budget`, `room` at most: equal pieces, whole grains but for the
    last."""
    most = max(GRAIN, int(min(budget * SLACK, room)) // GRAIN * GRAIN)
    pieces = ceil(unread / most)
    return min(unread, ceil(unread / pieces / GRAIN) * GRAIN)
