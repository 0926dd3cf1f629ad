"""One request for an answer, and how its stream is read: every way in which a service can fail has its sentence."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import AnswerBroken, ContextTooLong
from core.models.remote.answer import FILTERED, Answer
from core.models.remote.call import Call, End
from core.models.remote.refusals import Failure, Speaker
from core.models.remote.sse import DONE, EventLines, LineTooLong
from core.types import GenerationChunk

MOST_ERROR, MOST_BODY = 1 << 16, 8 << 20  # bytes that are read of an error, and of an answer in one piece
WRITES_ON = "wrote far more than the longest answer allows, and was stopped."


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, and how often. `first` is the wait for the first text, `silence` that between two pieces of it."""

    connect: float = 10.0
    first: float = 300.0
    silence: float = 90.0
    whole: float = 1800.0
    afterwards: float = 3.0  # for what comes behind what matters: figures after an answer, the words of an error
    listing: float = 15.0
    attempts: int = 3
    delay: float = 0.5
    longest_delay: float = 8.0
    longest_wait: float = 30.0  # that a service may ask for; beyond it the person is told instead


PATIENCE = Patience()

Steps = Generator[GenerationChunk, None, Failure | None]


class Attempt:
    """`run` yields the text and returns why there is no whole answer, or None. `complaint` is a refusal to learn from.

    `until` is the time on the monotonic clock by which all has to be over.
    """

    def __init__(
        self,
        call: Call,
        speaker: Speaker,
        patience: Patience,
        *,
        until: float,
        most_characters: int,
        cancel: threading.Event,
    ) -> None:
        self.accepted = False
        self.complaint: tuple[int, str] | None = None
        self._call = call
        self._speaker = speaker
        self._patience = patience
        self._until = until
        self._most = most_characters
        self._cancel = cancel
        self._answer = Answer()
        self._allow(patience.first)

    def run(self) -> Steps:
        """Raises Cancelled."""
        try:
            with self._call:
                return (yield from self._run())
        except TimeoutError:
            if self._answer.finish:  # all is said; only the connection was not closed
                return (yield from self._close())
            begun = self._answer.begun
            if time.monotonic() >= self._until:
                return Failure(self._speaker.unfinished(self._patience.whole, begun=begun))
            return Failure(self._speaker.silent(self._allowed, begun=begun))

    def _run(self) -> Steps:
        head = self._call.head(self._deadline, self._cancel)
        if isinstance(head, End):
            return self._speaker.lost(head, begun=False)
        if not 200 <= head.status < 300:
            self._allow(self._patience.afterwards)
            body = self._call.rest(self._deadline, self._cancel, MOST_ERROR)
            failure = self._speaker.refused(head, body)
            if not isinstance(failure.error, ContextTooLong):  # which names fields that have nothing to do with it
                self.complaint = head.status, body.decode(errors="replace")
            return failure
        self.accepted = True
        if "html" in head.headers.get("content-type", ""):
            return Failure(self._speaker.no_answer("a web page"))
        news = self._piece()
        while isinstance(news, bytes) and not news.strip():
            news = self._piece()
        # Labels are wrong now and then: what it is can be seen from how it begins.
        begin = news.lstrip()[:1] if isinstance(news, bytes) else b""
        if begin == b"<":
            return Failure(self._speaker.no_answer("a web page"))
        if isinstance(news, bytes) and begin == b"{":
            return (yield from self._read_whole(news))
        return (yield from self._read_stream(news))

    def _read_stream(self, news: bytes | End) -> Steps:
        lines = EventLines()
        while isinstance(news, bytes):
            try:
                events = lines.feed(news)
            except LineTooLong:
                return self._senseless("a line without an end")
            for event in events:
                if event == DONE:
                    return (yield from self._close())
                failure = yield from self._take(event)
                if failure is not None:
                    return failure
            news = self._piece()
        rest = lines.rest()
        if rest is not None and rest != DONE and _parsed(rest) is not None:
            failure = yield from self._take(rest)
            if failure is not None:
                return failure
        return (yield from self._close(news))

    def _read_whole(self, begin: bytes) -> Steps:
        """A service that does not stream: the whole answer at once."""
        body = begin + self._call.rest(self._deadline, self._cancel, MOST_BODY)
        if _parsed(body) is None:
            return self._senseless("something that is cut off")
        failure = yield from self._take(body)
        if failure is not None:
            return failure
        self._answer.finish = self._answer.finish or "stop"
        return (yield from self._close())

    def _take(self, event: bytes) -> Steps:
        body = _parsed(event)
        if body is None:
            return self._senseless("something that is not JSON")
        if body.get("error") or body.get("object") == "error":
            return self._speaker.said_no(event, body, begun=self._answer.begun)
        finished = bool(self._answer.finish)
        text = self._answer.take(body)
        if text:
            yield GenerationChunk(text=text)
        if self._answer.characters > self._most:
            return Failure(AnswerBroken(f"{self._speaker.name} {WRITES_ON}"))
        if self._answer.finish and not finished:
            self._allow(self._patience.afterwards)
        elif self._answer.progressed and not finished:
            self._allow(self._patience.silence)  # what brings nothing does not prolong the wait
        return None

    def _close(self, end: End | None = None) -> Steps:
        """After the mark of the end, or with `end` after that of the connection."""
        answer, name = self._answer, self._speaker.name
        if not answer.finish:
            if end is not None:
                return self._speaker.lost(end, begun=answer.begun)
            # llama-cpp-python does this to an answer when somebody else asks: it is cut, whatever the mark says.
            return Failure(
                AnswerBroken(f"{name} ended the answer without saying that it is complete."), again=not answer.begun
            )
        if answer.finish == FILTERED:
            return Failure(AnswerBroken(f"The content filter of {name} stopped the answer."))
        if not answer.begun:
            return Failure(AnswerBroken(self._speaker.wordless(thought=answer.thought, reason=answer.reason())))
        yield GenerationChunk(finish_reason=answer.reason(), usage=answer.cost())
        return None

    def _senseless(self, what: str) -> Failure:
        if self._answer.begun:
            return Failure(AnswerBroken(f"{self._speaker.name} sent {what} in the middle of the answer. Try again."))
        return Failure(self._speaker.no_answer(what))

    def _allow(self, seconds: float) -> None:
        self._allowed = seconds
        self._deadline = min(self._until, time.monotonic() + seconds)

    def _piece(self) -> bytes | End:
        return self._call.piece(self._deadline, self._cancel)


def _parsed(text: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
