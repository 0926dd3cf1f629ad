"""How fast this model is on this machine, and what follows: how much to read in a step."""

from __future__ import annotations

ALONE = 128  # prompt tokens of a step when nobody is writing: larger steps are hardly faster, but harder to share
SHARED = range(16, ALONE + 1, 8)  # the same while answers are being written; llama.cpp is best at multiples of 8
STEP_SECONDS = 0.25  # how long those who are being written to may wait for the next token
_WEIGHT = 0.3  # of the newest measurement in the running means


class Pace:
    """Running means of the time that tokens take: `reading` in large steps, `writing` in steps of one."""

    def __init__(self) -> None:
        self.reading = STEP_SECONDS / SHARED.start
        self.writing = self.reading

    def measured(self, tokens: int, seconds: float) -> None:
        """A step of so many tokens took so long; steps of a few tokens say nothing about reading prompts."""
        if tokens >= SHARED.start:
            self.reading += _WEIGHT * (seconds / tokens - self.reading)
        elif tokens == 1:
            self.writing += _WEIGHT * (seconds - self.writing)

    def prompt_tokens(self, writing: int) -> int:
        """Prompt tokens to read in the next step while `writing` answers wait for their next token."""
        if not writing:
            return ALONE
        wanted = int(STEP_SECONDS / self.reading) // SHARED.step * SHARED.step
        return max(SHARED.start, min(wanted, ALONE))
