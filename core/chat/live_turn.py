"""A turn while it runs, as pages, the API and whoever else follows it see it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from core.types import (
    Condensed,
    Event,
    Reading,
    Remembering,
    Retrieved,
    Searching,
    Summarising,
    Token,
    Waiting,
)


@dataclass
class LiveTurn:
    """A turn that runs now, or ended a moment ago. Pages and the API only read it, and may cancel it."""

    conversation_id: str
    message_id: int
    events: list[Event] = field(default_factory=list)
    text: str = ""
    query: str = ""
    active: bool = True
    began: float = field(default_factory=time.monotonic)
    cancel: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def append(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            if isinstance(event, Token):
                self.text += event.text
            elif isinstance(event, Condensed):
                self.query = event.query
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self.active = False
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> int:
        """Return the number of events once there are more than `seen`, the turn is over, or the time is up."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.events) > seen or not self.active, timeout)
            return len(self.events)

    def ended(self, timeout: float) -> bool:
        """Wait for the end; whether it came within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.active, timeout)

    def stage(self) -> str:
        """What is being done now, in words for people."""
        for event in reversed(self.events):
            match event:
                case Waiting(restarted=why) if why:
                    return f"The model is started again ({why}); the answer goes on in a few seconds"
                case Waiting(position, seconds):
                    about = f", about {seconds:.0f} s" if seconds else ""
                    return f"Waiting for the model: place {position} in the queue{about}"
                case Summarising(done, total, title) if done < total:
                    return f"Reading {title}: part {done + 1} of {total}"
                case Summarising():
                    return "Putting the summary together"
                case Remembering(messages):
                    return f"Making notes of the first {messages} messages"
                case Reading(done, total) if done < total:
                    return f"Reading: {done:,} of {total:,} tokens"
                case Reading():
                    return "Writing"
                case Retrieved(passages):
                    return f"Reading {len(passages)} passage{'' if len(passages) == 1 else 's'}"
                case Searching():
                    return "Searching your documents"
                case _:
                    continue
        return "Thinking"
