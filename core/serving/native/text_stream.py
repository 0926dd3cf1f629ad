"""From token bytes to text that may be shown: whole characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Puts characters together that are split over tokens and ends at the first stop string.

    What could still become a stop string is held back, so no part of one is ever shown.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(stop)
        # A half character at the end, or one that never gets its other half, is left out: it stands for nothing.
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._held = ""
        self.stopped = False

    def feed(self, raw: bytes) -> str:
        """Take the bytes of a token; returns the text that can be shown now."""
        text = self._held + self._decoder.decode(raw)
        found = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stop), default=0)
        cut = len(text) - keep
        self._held = text[cut:]
        return text[:cut]

    def finish(self) -> str:
        """The text that was held back, once no more tokens come."""
        text, self._held = self._held, ""
        return text


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that `stop` begins with."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
