"""The client of a model service elsewhere: streams an answer like the one of our own server, whatever happens there."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from core.errors import AnswerBroken, Cancelled
from core.models import estimate
from core.models.remote.address import is_encrypted, join, key_headers
from core.models.remote.attempt import MOST_BODY, PATIENCE, Attempt, Patience
from core.models.remote.call import Call, End, Request
from core.models.remote.habits import Habits
from core.models.remote.offer import OfferedModel, offered
from core.models.remote.refusals import Failure, Speaker
from core.types import ChatMessage, GenerationChunk, GenerationOptions

log = logging.getLogger(__name__)

# A service that does not keep to the longest answer is stopped: no tokenizer makes this much of a token on average.
CHARACTERS_PER_TOKEN = 40


@dataclass(frozen=True, slots=True)
class Service:
    """Where to ask, for which model, with which key."""

    url: str
    model: str = ""
    context_tokens: int = 0
    key: SecretStr | None = None
    habits: Habits = field(default_factory=Habits)


class RemoteClient:
    """Asks one service. `learned` is told when the service was found to want something otherwise."""

    def __init__(
        self,
        service: Service,
        *,
        patience: Patience = PATIENCE,
        learned: Callable[[Habits], None] = lambda _: None,
    ) -> None:
        self.service = service
        self.patience = patience
        self._learned = learned
        self._speaker = Speaker(service.url, service.model, service.key)

    def chat(
        self, messages: Sequence[ChatMessage], options: GenerationOptions, cancel: threading.Event
    ) -> Iterator[GenerationChunk]:
        """Stream an answer; before its first text a failure that may pass is tried again.

        Raises Cancelled within a moment after `cancel` is set, and the narrower ModelErrors.
        """
        habits, tried, until = self.service.habits, 0, time.monotonic() + self.patience.whole
        while True:
            body = habits.body(self.service.model, messages, options)
            attempt = Attempt(
                self._call("/chat/completions", body),
                self._speaker,
                self.patience,
                until=until,
                most_characters=options.max_tokens * CHARACTERS_PER_TOKEN,
                cancel=cancel,
            )
            failure = yield from attempt.run()
            if attempt.accepted and habits != self.service.habits:
                self._learned(habits)
            if failure is None:
                return
            if attempt.complaint and (better := habits.after(*attempt.complaint, body)):
                habits = better
                continue
            tried += 1
            self._raise_unless_again(failure, tried, messages, options)
            self._wait(failure, tried, until, cancel)

    def list_models(self, cancel: threading.Event) -> list[OfferedModel]:
        """What the service offers. Raises ModelError, also where it has no such list."""
        until = time.monotonic() + self.patience.listing
        try:
            with self._call("/models", None) as call:
                head = call.head(until, cancel)
                body = b"" if isinstance(head, End) else call.rest(until, cancel, MOST_BODY)
        except TimeoutError:
            raise self._speaker.silent(self.patience.listing, begun=False) from None
        if isinstance(head, End):
            raise self._speaker.lost(head, begun=False).error
        if not 200 <= head.status < 300:
            raise self._speaker.refused(head, body).error
        if not (found := offered(body)):
            raise self._speaker.no_answer("no list of models")
        return found

    def _call(self, path: str, body: Mapping[str, Any] | None) -> Call:
        service, headers = self.service, {"Content-Type": "application/json"}
        if service.key is not None:
            headers |= key_headers(service.url, service.key.get_secret_value())
        request = Request(
            join(service.url, path),
            headers,
            None if body is None else json.dumps(body).encode(),
            only_private=service.key is not None and not is_encrypted(service.url),
        )
        return Call(request, connect_seconds=self.patience.connect, longest_seconds=self.patience.whole)

    def _raise_unless_again(
        self, failure: Failure, tried: int, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> None:
        error, wait = failure.error, failure.wait or 0.0
        if isinstance(error, AnswerBroken) and failure.again and self._is_long(messages, options):
            # Some end the stream without a word when the prompt is too long (llama-cpp-python), or say only that
            # something went wrong inside (LitServe).
            raise self._speaker.too_long("")
        if not failure.again or tried >= self.patience.attempts or wait > self.patience.longest_wait:
            raise error

    def _is_long(self, messages: Sequence[ChatMessage], options: GenerationOptions) -> bool:
        fits = self.service.context_tokens
        return 0 < fits < estimate.prompt_tokens(messages) + options.max_tokens

    def _wait(self, failure: Failure, tried: int, until: float, cancel: threading.Event) -> None:
        """Longer from time to time, and never as long as somebody else who failed at the same moment."""
        patience = self.patience
        if failure.wait is None:
            seconds = min(patience.longest_delay, patience.delay * 2 ** (tried - 1)) * random.uniform(0.5, 1)
        else:
            seconds = failure.wait + patience.delay * random.uniform(0, 1)
        if time.monotonic() + seconds > until:
            raise failure.error
        log.info("%s: asked again in %.1f s after %s", self._speaker.name, seconds, failure.error.code)
        if cancel.wait(seconds):
            raise Cancelled("Stopped.")
