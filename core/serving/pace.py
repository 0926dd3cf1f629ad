"""How fast this model is on this machine, and what follows: how much to read in a step, how long somebody waits."""

from __future__ import annotations

ALONE = 128  # prompt tokens of a step when nobody is writing: larger steps are hardly faster, but harder to share
SHARED = range(16, ALONE + 1, 8)  # the same while answers are being written; llama.cpp is best at multiples of 8
STEP_SECONDS = 0.25  # how long those who are being written to may wait for the next token
_WEIGHT = 0.3  # of the newest measurement in the running means


class Pace:
    """Running means of the time that tokens and whole requests take."""

    def __init__(self) -> None:
        self._token_seconds = STEP_SECONDS / SHARED.start
        self._request_seconds = 5.0

    def measured(self, tokens: int, seconds: float) -> None:
        """A step of so many tokens took so long; steps of a few tokens say nothing about reading prompts."""
        if tokens >= SHARED.start:
            self._token_seconds += _WEIGHT * (seconds / tokens - self._token_seconds)

    def served(self, seconds: float) -> None:
        """A request took so long from the begin of the work to its end."""
        self._request_seconds += _WEIGHT * (seconds - self._request_seconds)

    def prompt_tokens(self, writing: int) -> int:
        """Prompt tokens to read in the next step while `writing` answers wait for their next token."""
        if not writing:
            return ALONE
        wanted = int(STEP_SECONDS / self._token_seconds) // SHARED.step * SHARED.step
        return max(SHARED.start, min(wanted, ALONE))

    def seconds_until_free(self, slots: int) -> float:
        """When a place in a full line can be hoped for."""
        return min(60.0, max(1.0, self._request_seconds / slots))
