"""Server-sent events as model services send them: one JSON text behind each `data:`."""

from __future__ import annotations

MOST_BYTES = 1 << 20  # of one line; an event of a chat has a few hundred
DONE = b"[DONE]"


class LineTooLong(ValueError):
    """A line goes on and on."""


class EventLines:
    """Collects bytes and gives out what stands behind `data:`, line by line.

    The standard ends an event with an empty line and lets its text have several. Services put all of an event into one
    line, and some forget the empty one (LitServe before an error, older ones always): so a line is an event here.
    """

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that this piece completes. Raises LineTooLong."""
        self._rest += piece
        if b"\n" not in piece:
            self._check(len(self._rest))
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in (*lines, rest):
            self._check(len(line))
        return [event for line in lines if (event := _event(line)) is not None]

    def rest(self) -> bytes | None:
        """The event in a last line that was not ended."""
        return _event(bytes(self._rest))

    def _check(self, length: int) -> None:
        if length > MOST_BYTES:
            raise LineTooLong


def _event(line: bytes) -> bytes | None:
    """None for everything else: comments that keep the line alive, names, numbers, empty lines."""
    if not line.startswith(b"data:"):
        return None
    return line[5:].strip() or None
