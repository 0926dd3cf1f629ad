"""What a service says when it does not answer, in our own errors; and whether asking again may help."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from pydantic import SecretStr

from core.errors import AnswerBroken, ContextTooLong, KeyRefused, ModelBusy, ModelError, ModelMissing, ModelUnavailable
from core.guard import visible
from core.models.remote.address import host_of
from core.models.remote.call import End, Head

LONGEST_QUOTE, LONGEST_READ = 300, 2000
SHORTEST_SECRET = 4  # a shorter key is a placeholder for a service that wants none
BUSY_SECONDS = 10.0  # when a service does not say how long
AGAIN = {408, 409, 425, 429}  # and everything from 500 on
# OpenAI, Azure, llama-server, llama-cpp-python, vLLM, TGI, Triton, OpenRouter, Groq, Mistral, Anthropic, Gemini.
TOO_LONG = re.compile(
    r"context[ _]length|context[ _]size|context[ _]window|exceed_context|maximum model length|max_model_len|"
    r"prompt is too long|input token count|tokens? \+ `?max_new_tokens`? must|"
    r"reduce the length of the (?:messages|input)",
    re.IGNORECASE,
)
NO_CREDIT = re.compile(r"insufficient_quota|exceeded your current quota|insufficient credit", re.IGNORECASE)
NO_MODEL = re.compile(r"model", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request came to nothing. `again`: the same request may succeed; `wait`: seconds the service asks for."""

    error: ModelError
    again: bool = False
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Speaker:
    """The service that is quoted; nothing it says may show its key."""

    url: str
    model: str
    key: SecretStr | None = None

    @property
    def name(self) -> str:
        return host_of(self.url)

    def quote(self, text: str) -> str:
        """Its own words behind a sentence of ours: one line, short, without the key."""
        secret = self.key.get_secret_value() if self.key else ""
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "…")
        line = " ".join(visible(text).split())
        line = line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1] + "…"
        return f" It says: “{line}”" if line else ""

    def refused(self, head: Head, body: bytes) -> Failure:
        """What an answer with an error status means."""
        said, status = message_in(body), head.status
        quote, kind = self.quote(said), kind_in(body)
        if status >= 400 and TOO_LONG.search(kind + said):
            return Failure(self.too_long(said))
        if NO_CREDIT.search(kind + said) or status == HTTPStatus.PAYMENT_REQUIRED:
            return Failure(ModelError(f"The account at {self.name} has no credit left.{quote}"))
        if 300 <= status < 400:
            return Failure(self._elsewhere(head))
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return Failure(self._not_let_in(quote))
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            return Failure(self._not_there(said, quote))
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return Failure(self.too_long(said))
        again = (status in AGAIN or status >= 500) and head.headers.get("x-should-retry") != "false"
        wait = retry_after(head.headers)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return Failure(self.busy(wait, quote), again, wait)
        if again or status >= 500:
            return Failure(ModelUnavailable(f"{self.name} cannot answer now (status {status}).{quote}"), again, wait)
        return Failure(ModelError(f"{self.name} refuses the request (status {status}).{quote}"))

    def said_no(self, body: bytes, event: Mapping[str, Any], *, begun: bool) -> Failure:
        """What an error inside a stream means; once text has come nothing is asked again."""
        status = _status_in(event)
        if status and not begun:
            return self.refused(Head(status, {}), body)
        said = message_in(body)
        if TOO_LONG.search(kind_in(body) + said):
            return Failure(self.too_long(said))
        return Failure(AnswerBroken(f"{self.name} broke the answer off.{self.quote(said)}"), again=not begun)

    def lost(self, end: End, *, begun: bool) -> Failure:
        """What the end of a connection means when the answer was not whole."""
        match end:
            case End.exposed:
                sentence = (
                    f"{self.name} is not in a private network, and http:// would show the key to everybody on the way. "
                    "Use https://, or leave the key out."
                )
                return Failure(KeyRefused(sentence))
            case End.untrusted:
                sentence = f"The certificate of {self.name} is not valid, so nothing was sent there. Check the address."
                return Failure(ModelUnavailable(sentence))
            case End.unreachable:
                sentence = f"{self.name} cannot be reached. Check its address, and whether it runs."
                return Failure(ModelUnavailable(sentence), again=True)
            case _ if begun:
                return Failure(AnswerBroken(f"{self.name} broke off in the middle of the answer. Try again."))
            case _:
                sentence = f"{self.name} ended the connection without an answer. Try again."
                return Failure(AnswerBroken(sentence), again=end is not End.garbled)

    def silent(self, seconds: float, *, begun: bool) -> ModelError:
        """For a service that says nothing any more."""
        if begun:
            return AnswerBroken(f"{self.name} stopped in the middle of the answer: nothing came for {seconds:.0f} s.")
        return ModelUnavailable(f"{self.name} gave no answer within {seconds:.0f} s. Try again later.")

    def unfinished(self, seconds: float, *, begun: bool) -> ModelError:
        """For a service that goes on for longer than any answer takes."""
        kind = AnswerBroken if begun else ModelUnavailable
        return kind(f"{self.name} was not done with the answer after {seconds / 60:.0f} min, and was stopped.")

    def no_answer(self, what: str) -> AnswerBroken:
        """For something else than an answer; `what` it sent."""
        return AnswerBroken(f"{self.name} sent {what}. Check that the address is that of an OpenAI-compatible service.")

    def wordless(self, *, thought: bool, reason: str) -> str:
        """For an answer that is complete and has no text."""
        if thought and reason == "length":
            return (
                f"{self.model} at {self.name} used up the longest answer for thinking. Raise GROUNDWORK_ANSWER_TOKENS."
            )
        return f"{self.model} at {self.name} answered without a word. Ask again, or differently."

    def too_long(self, said: str) -> ContextTooLong:
        return ContextTooLong(
            f"The question with what goes with it is too long for {self.model} at {self.name}.{self.quote(said)} "
            "On the Models page set its context length to what the service can read."
        )

    def busy(self, wait: float | None, quote: str = "") -> ModelBusy:
        seconds = BUSY_SECONDS if wait is None else max(1.0, wait)
        sentence = f"{self.name} is busy, or its limit of requests is reached. Try again in {seconds:.0f} s.{quote}"
        return ModelBusy(sentence, retry_after=seconds)

    def _elsewhere(self, head: Head) -> ModelError:
        target = head.headers.get("location", "")
        return ModelError(
            f"{self.name} points to another address. It is not followed, because the key would go with it. "
            f"Enter the right address yourself.{self.quote(target.partition('?')[0])}"
        )

    def _not_let_in(self, quote: str) -> KeyRefused:
        if self.key is None:
            return KeyRefused(f"{self.name} wants a key. Enter it on the Models page.{quote}")
        return KeyRefused(f"{self.name} does not accept the key. Enter another on the Models page.{quote}")

    def _not_there(self, said: str, quote: str) -> ModelMissing:
        if NO_MODEL.search(said):
            return ModelMissing(f"{self.name} has no model {self.model}.{quote}")
        return ModelMissing(f"{self.name} has no model service at this address. Check the path, often /v1.{quote}")


def message_in(body: bytes) -> str:
    """The sentence for people in an error of any service; the text itself when it is short and no web page."""
    text = body.decode(errors="replace").strip()
    found = _json(text)
    if found is None:
        return "" if text.startswith("<") else text
    for name in ("error", "detail", "message"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    if isinstance(found, str):
        return found[:LONGEST_READ]
    try:
        return json.dumps(found, ensure_ascii=False)[:LONGEST_READ]
    except RecursionError:
        return ""


def kind_in(body: bytes) -> str:
    """The names that a service gives its error, for programs."""
    found = _json(body.decode(errors="replace"))
    error = found.get("error", found) if isinstance(found, dict) else None
    names = [error.get("type"), error.get("code")] if isinstance(error, dict) else []
    return " ".join(name for name in names if isinstance(name, str)) + " "


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the service wants to be asked again: a number, or a date."""
    if (milliseconds := _number(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at.tzinfo else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _status_in(event: Mapping[str, Any]) -> int | None:
    """The HTTP status that some services put into an error of a stream, as code or status."""
    error = event.get("error")
    for place in (error if isinstance(error, Mapping) else {}, event):
        for name in ("code", "status", "status_code", "http_status_code"):
            value = place.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
                return value
    return None
