"""The client of other services against one that does everything wrong that a service can do."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from core.errors import (
    AnswerBroken,
    Cancelled,
    ContextTooLong,
    KeyRefused,
    ModelBusy,
    ModelError,
    ModelMissing,
    ModelUnavailable,
)
from core.models.remote import address, call
from core.models.remote.attempt import Patience
from core.models.remote.client import RemoteClient, Service
from core.models.remote.habits import Habits
from core.models.remote.offer import OfferedModel
from core.types import ChatMessage, GenerationChunk, GenerationOptions
from tests.misbehaving import ANSWER, DONE, HOLD, RESET, Misbehaving, Step, event, finished, head, refusal, said, used

KEY = "sesame-open-1234"
ASK = [ChatMessage("user", "How high is the dam?")]
# Short only where a test waits for the end of it: everything else may take its time on a busy machine.
HASTE = Patience(connect=10, first=10, silence=0.4, whole=20, afterwards=0.1, delay=0.01, longest_delay=0.05)
HURRY = replace(HASTE, first=0.4)
HANGS = 30  # seconds: longer than everything above


@pytest.fixture
def service() -> Iterator[Misbehaving]:
    with Misbehaving() as made:
        yield made


Make = Callable[..., RemoteClient]


@pytest.fixture
def client(service: Misbehaving) -> Make:
    def make(patience: Patience = HASTE, **fields: object) -> RemoteClient:
        described = Service(service.url, "tiny", 4096, SecretStr(KEY))
        return RemoteClient(replace(described, **fields), patience=patience)  # type: ignore[arg-type]

    return make


def chat(client: RemoteClient, cancel: threading.Event | None = None, **options: object) -> list[GenerationChunk]:
    chosen = GenerationOptions(**{"max_tokens": 32, **options})  # type: ignore[arg-type]
    return list(client.chat(ASK, chosen, cancel or threading.Event()))


def text_of(chunks: list[GenerationChunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def until_it_fails(client: RemoteClient, kind: type[ModelError], words: str | None = None) -> str:
    """The text that came before this error, which must come before anything hangs."""
    text, began = "", time.monotonic()
    with pytest.raises(kind, match=words) as raised:
        for chunk in client.chat(ASK, GenerationOptions(max_tokens=32), threading.Event()):
            text += chunk.text
    assert type(raised.value) is kind
    assert time.monotonic() - began < HANGS
    return text


# --- what is well ----------------------------------------------------------------------------------------


def test_an_answer_streams_and_ends_with_what_it_cost(service: Misbehaving, client: Make) -> None:
    service.plays(ANSWER)
    chunks = chat(client())
    assert text_of(chunks) == "The dam is high."
    last = chunks[-1]
    assert last.finish_reason == "stop"
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (7, 2)
    assert last.usage.total_seconds >= last.usage.first_token_seconds > 0


def test_a_service_is_sent_nothing_that_it_might_not_know(service: Misbehaving, client: Make) -> None:
    service.plays(ANSWER)
    chat(client(), seed=7, stop=("x",), priority="background", cache_prompt=False)
    sent = service.asked[0]
    assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.body == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "How high is the dam?"}],
        "max_tokens": 32,
        "temperature": 0.0,
        "seed": 7,
        "stop": ["x"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


CRLF = ANSWER.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r")
WHOLE = {"choices": [{"message": {"content": "The dam is high."}, "finish_reason": "stop"}], "usage": None}
PARTS = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "The dam is high."}]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(
            (head() + b": PROCESSING\n\n", 0.1, b": PROCESSING\n\n", 0.1, ANSWER[len(head()) :]), id="comments"
        ),
        pytest.param(
            (head() + event({"choices": [{"delta": {"role": "assistant"}}]}), 0.6, ANSWER[len(head()) :]),
            id="a role, and a long prompt to read",
        ),
        pytest.param((CRLF,), id="carriage returns"),
        pytest.param((ANSWER.replace(DONE, b""),), id="no DONE"),
        pytest.param((ANSWER.replace(DONE, b""), HOLD), id="no DONE and never closed"),
        pytest.param((ANSWER.replace(used(), b""),), id="no usage"),
        pytest.param(
            (ANSWER.replace(used(), event({"choices": [], "usage": {"prompt_tokens": "many"}})),), id="odd usage"
        ),
        pytest.param((head() + event({"choices": []}) + event({}) + ANSWER[len(head()) :],), id="empty choices"),
        pytest.param((ANSWER.replace(b"\n\n", b"\n").replace(b"close\n", b"close\n\n"),), id="single line ends"),
        pytest.param((head(content_type="text/plain") + ANSWER[len(head()) :],), id="wrong content type"),
        pytest.param((head(content_type="application/json") + ANSWER[len(head()) :],), id="wrong content type, json"),
        pytest.param((head(Content_Encoding="gzip") + gzip.compress(ANSWER[len(head()) :]),), id="gzip"),
        pytest.param((head(content_type="application/json") + json.dumps(WHOLE).encode(),), id="not streamed"),
        pytest.param((head() + said(PARTS) + finished() + DONE,), id="text in parts"),  # type: ignore[arg-type]
        pytest.param(tuple(bytes([byte]) for byte in ANSWER), id="byte by byte"),
    ],
)
def test_an_answer_that_is_whole_is_understood(service: Misbehaving, client: Make, steps: tuple[Step, ...]) -> None:
    service.plays(*steps)
    chunks = chat(client())
    assert text_of(chunks) == "The dam is high."
    assert chunks[-1].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert len(service.asked) == 1


def test_characters_are_whole_wherever_the_bytes_are_cut(service: Misbehaving, client: Make) -> None:
    answer = said("日本語 🎉") + finished() + DONE
    service.plays(head(), *(bytes([byte]) for byte in answer))
    assert text_of(chat(client())) == "日本語 🎉"


def test_characters_are_whole_when_json_cuts_them_in_two(service: Misbehaving, client: Make) -> None:
    halves = [
        b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n' % half
        for half in (b"a\\ud83c", b"\\udf89b", b"\\ude00c")
    ]
    service.plays(head() + b"".join(halves) + finished() + DONE)
    assert text_of(chat(client())) == "a🎉b\ufffdc"


# --- half-broken streams ---------------------------------------------------------------------------------

CHUNKED = head().replace(b"Connection: close", b"Transfer-Encoding: chunked")
PIECE = said("The dam ")
BEGUN = head() + PIECE
ERROR = {"error": {"message": "the GPU is on fire", "type": "server_error", "code": None}}


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        pytest.param((BEGUN,), "broke off in the middle", id="cut between events"),
        pytest.param((BEGUN + said("is")[:20],), "broke off in the middle", id="cut in an event"),
        pytest.param((BEGUN, RESET), "broke off in the middle", id="reset"),
        pytest.param(
            (CHUNKED + f"{len(PIECE):x}\r\n".encode() + PIECE + b"\r\n5\r\nab",), "broke off", id="cut in a chunk"
        ),
        pytest.param((BEGUN + DONE,), "without saying that it is complete", id="DONE without an end"),
        pytest.param((BEGUN + b"data: {no json}\n\n",), "is not JSON in the middle", id="invalid JSON"),
        pytest.param((BEGUN + b"data: 7\n\n",), "is not JSON in the middle", id="JSON of another kind"),
        pytest.param((BEGUN + b"data: " + b"[" * 90_000 + b"\n\n",), "is not JSON", id="deep JSON"),
        pytest.param((BEGUN + event(ERROR),), "the GPU is on fire", id="error event"),
        pytest.param((BEGUN + event(ERROR).rstrip(),), "the GPU is on fire", id="error event without its end"),
        pytest.param((BEGUN + event({"error": "on fire", "error_type": "x"}),), "on fire", id="error as a string"),
        pytest.param((BEGUN + event({"object": "error", "message": "on fire"}),), "on fire", id="error as an object"),
        pytest.param((BEGUN + b"data: " + b"x" * (2 << 20),), "a line without an end", id="huge line"),
        pytest.param((BEGUN, HOLD), "nothing came for", id="silence"),
        pytest.param(
            (BEGUN, *[step for _ in range(30) for step in (b": alive\n\n", 0.1)]), "nothing came", id="comments alone"
        ),
        pytest.param((BEGUN, *[step for _ in range(30) for step in (b"d", 0.1)]), "nothing came for", id="slow drip"),
        pytest.param(
            (BEGUN, *[step for _ in range(30) for step in (said(""), 0.1)]),
            "nothing came for",
            id="events without text",
        ),
        pytest.param((BEGUN + finished("content_filter") + DONE,), "content filter", id="content filter"),
        pytest.param((BEGUN + said("x" * 1400), HOLD), "far more than the longest", id="writes on and on"),
    ],
)
def test_what_was_said_before_a_stream_breaks_is_kept(
    service: Misbehaving, client: Make, steps: tuple[Step, ...], words: str
) -> None:
    service.plays(*steps)
    assert until_it_fails(client(), AnswerBroken, words).startswith("The dam ")
    assert len(service.asked) == 1, "after text nothing is asked again"


def test_a_drip_of_events_without_an_end_is_ended(service: Misbehaving, client: Make) -> None:
    service.plays(head(), *[step for _ in range(60) for step in (said("a"), 0.1)])
    patience = replace(HASTE, whole=1, silence=5)
    assert set(until_it_fails(client(patience), AnswerBroken, "was not done")) == {"a"}


GARBAGE = b"\x1f\x8b\x08" + b"\xff" * 40


@pytest.mark.parametrize(
    ("steps", "kind", "words", "asked"),
    [
        pytest.param((head(content_type="text/html") + b"<html>",), AnswerBroken, "a web page", 1, id="web page"),
        pytest.param((head() + b"\n<!doctype html>",), AnswerBroken, "a web page", 1, id="web page in disguise"),
        pytest.param((head() + b'{"choices": [',), AnswerBroken, "cut off", 1, id="half an answer in one piece"),
        pytest.param((head() + b"data: <html>\n\n",), AnswerBroken, "not JSON", 1, id="invalid JSON at once"),
        pytest.param((head(),), AnswerBroken, "without an answer", 3, id="nothing at all"),
        pytest.param((head() + b'{"a": 1}\n{"b": 2}\n',), AnswerBroken, "cut off", 1, id="JSON lines"),
        pytest.param((b"",), AnswerBroken, "without an answer", 3, id="closed at once"),
        pytest.param((RESET,), AnswerBroken, "without an answer", 3, id="reset at once"),
        pytest.param((b"SSH-2.0-OpenSSH_9.2\r\n",), AnswerBroken, "without an answer", 3, id="another protocol"),
        pytest.param((head() + DONE,), AnswerBroken, "without saying", 3, id="DONE alone"),
        pytest.param((head() + finished() + DONE,), AnswerBroken, "without a word", 1, id="an end without text"),
        pytest.param(
            (head() + event({"choices": [{"delta": {"reasoning_content": "hm"}}]}) + finished("length") + DONE,),
            AnswerBroken, "for thinking", 1, id="thought and said nothing",
        ),
        pytest.param((head() + event(ERROR),), AnswerBroken, "on fire", 3, id="error event at once"),
        pytest.param(
            (head() + event({"error": {"message": "no", "code": 401}}),), KeyRefused, "not accept the key", 1,
            id="error event with a status",
        ),
        pytest.param(
            (head() + event({"error": {"code": "context_length_exceeded", "message": "no"}}),), ContextTooLong,
            "too long", 1, id="too long, in the stream",
        ),
        pytest.param((head(Content_Encoding="gzip") + GARBAGE,), AnswerBroken, "without an answer", 1, id="broken gzip"),
        pytest.param((HOLD,), ModelUnavailable, "no answer within", 1, id="says nothing"),
        pytest.param((head(), HOLD), ModelUnavailable, "no answer within", 1, id="a head and nothing more"),
        pytest.param(
            (head(), *[step for _ in range(30) for step in (b": alive\n\n", 0.1)]), ModelUnavailable,
            "no answer within", 1, id="comments and nothing more",
        ),
        pytest.param((b"HTTP/1.1 200", *[step for _ in range(30) for step in (b" ", 0.1)]), ModelUnavailable,
                     "no answer within", 1, id="a head that drips"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_said_to_be_none(
    service: Misbehaving, client: Make, steps: tuple[Step, ...], kind: type[ModelError], words: str, asked: int
) -> None:
    service.plays(*steps)
    assert until_it_fails(client(HURRY if kind is ModelUnavailable else HASTE), kind, words) == ""
    assert len(service.asked) == asked


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "kind", "words"),
    [
        (401, {"message": "Invalid API Key"}, KeyRefused, "does not accept the key"),
        (403, {"message": "not in your country"}, KeyRefused, "not in your country"),
        (402, {"message": "pay"}, ModelError, "no credit"),
        (429, {"code": "insufficient_quota", "message": "You exceeded your current quota"}, ModelError, "no credit"),
        (404, {"message": "The model `tiny` does not exist"}, ModelMissing, "no model tiny"),
        (404, '{"detail":"Not Found"}', ModelMissing, "Check the path"),
        (400, {"message": "messages: bad"}, ModelError, "messages: bad"),
        (418, "<html>teapot</html>", ModelError, r"\(status 418\)\.$"),
        (400, {"message": "'max_tokens' or 'max_completion_tokens' is too large: this model's maximum context length is 4096"}, ContextTooLong, "4096"),
        (413, {"message": "Request Entity Too Large"}, ContextTooLong, "too long"),
        (400, {"code": "context_length_exceeded", "message": "no"}, ContextTooLong, "too long"),
        (400, {"message": "request (5031 tokens) exceeds the available context size (1024 tokens)"}, ContextTooLong, "5031"),
        (400, {"type": "exceed_context_size_error", "message": "no"}, ContextTooLong, "too long"),
        (400, '{"object":"error","message":"This model\'s maximum context length is 4096 tokens."}', ContextTooLong, "4096"),
        (422, '{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096"}', ContextTooLong, "4096"),
        (500, {"message": "Requested tokens (5031) exceed context window of 1024"}, ContextTooLong, "1024"),
    ],
)  # fmt: skip
def test_a_refusal_is_not_asked_again(
    service: Misbehaving, client: Make, status: int, error: object, kind: type[ModelError], words: str
) -> None:
    service.plays(refusal(status, error))
    until_it_fails(client(), kind, words)
    assert len(service.asked) == 1


def test_the_words_of_a_refusal_are_not_waited_for_for_ever(service: Misbehaving, client: Make) -> None:
    service.plays(refusal(400, {"message": "no such"})[:-3], HOLD)
    until_it_fails(client(), ModelError, "no such")


def test_a_service_that_wants_a_key_is_understood(service: Misbehaving, client: Make) -> None:
    service.plays(refusal(401, {"message": "Unauthorized"}))
    until_it_fails(client(key=None), KeyRefused, "wants a key")
    assert "authorization" not in service.asked[0].headers


def test_an_empty_stream_for_a_prompt_that_looks_too_long_is_explained(service: Misbehaving, client: Make) -> None:
    service.plays(head())  # what llama-cpp-python's server answers then
    until_it_fails(client(context_tokens=32), ContextTooLong, "context length")


def test_a_redirect_is_not_followed_with_the_key(service: Misbehaving, client: Make) -> None:
    with Misbehaving() as other:
        other.plays(ANSWER)
        service.plays(head(307, Location=other.url + "/chat/completions?token=abc"))
        until_it_fails(client(), ModelError, "points to another address")
        assert not other.connected.is_set()


# --- again, and how long to wait -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_asked_again(service: Misbehaving, client: Make, status: int) -> None:
    service.plays(refusal(status, {"message": "later"})).plays(RESET).plays(ANSWER)
    assert text_of(chat(client())) == "The dam is high."
    assert len(service.asked) == 3


def test_it_is_asked_three_times_and_then_no_more(service: Misbehaving, client: Make) -> None:
    service.plays(refusal(503, {"message": "overloaded"}))
    until_it_fails(client(), ModelUnavailable, "overloaded")
    assert len(service.asked) == 3


def test_a_service_may_say_that_asking_again_is_of_no_use(service: Misbehaving, client: Make) -> None:
    service.plays(refusal(503, {"message": "never"}, X_Should_Retry="false"))
    until_it_fails(client(), ModelUnavailable)
    assert len(service.asked) == 1


def waited_for(service: Misbehaving, client: RemoteClient, **headers: str) -> float:
    service.plays(refusal(429, {"message": "slow down"}, **headers)).plays(ANSWER)
    began = time.monotonic()
    chat(client)
    return time.monotonic() - began


@pytest.mark.parametrize("headers", [{"Retry_After": "0.3"}, {"Retry_After_Ms": "300"}])
def test_the_wait_that_a_service_asks_for_is_obeyed(
    service: Misbehaving, client: Make, headers: dict[str, str]
) -> None:
    assert waited_for(service, client(), **headers) >= 0.3


def test_a_wait_until_a_date_is_obeyed(service: Misbehaving, client: Make) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)  # whole seconds: 1 to 2
    assert waited_for(service, client(), Retry_After=date) >= 0.9


@pytest.mark.parametrize("nonsense", ["soon", "-5", "nan", "inf", "Mon, 99 Foo 2026"])
def test_a_wait_that_is_no_time_is_ignored(service: Misbehaving, client: Make, nonsense: str) -> None:
    assert waited_for(service, client(), Retry_After=nonsense) < HANGS


def test_a_wait_that_is_too_long_is_told_to_the_person(service: Misbehaving, client: Make) -> None:
    service.plays(refusal(429, {"message": "slow down"}, Retry_After="90"))
    with pytest.raises(ModelBusy, match="Try again in 90 s") as raised:
        chat(client())
    assert raised.value.retry_after == 90
    assert len(service.asked) == 1


def test_a_limit_that_stays_reached_says_when_to_come_back(service: Misbehaving, client: Make) -> None:
    service.plays(refusal(429, {"message": "slow down"}, Retry_After="0"))
    with pytest.raises(ModelBusy) as raised:
        chat(client())
    assert raised.value.retry_after == 1
    assert len(service.asked) == 3


def test_nobody_there_is_said_plainly(client: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    until_it_fails(client(url=f"http://127.0.0.1:{port}/v1"), ModelUnavailable, "cannot be reached")
    until_it_fails(client(url="https://nobody.invalid/v1"), ModelUnavailable, "cannot be reached")


# --- what a service wants otherwise ----------------------------------------------------------------------

OPENAI = {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "param": "max_tokens", "code": "unsupported_parameter"}  # fmt: skip
VLLM = "{\"object\":\"error\",\"message\":\"[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options')}]\",\"code\":400}"
FASTAPI = '{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}'
FIXED = {"message": "Unsupported value: 'temperature' does not support 0 with this model.", "param": "temperature"}


def test_a_service_that_refuses_fields_gets_its_way_and_is_remembered(service: Misbehaving, client: Make) -> None:
    for status, error in ((400, OPENAI), (400, VLLM), (422, FASTAPI), (400, FIXED)):
        service.plays(refusal(status, error))
    service.plays(ANSWER)
    learned: list[Habits] = []
    asking = RemoteClient(client().service, patience=HASTE, learned=learned.append)
    assert text_of(chat(asking, seed=1)) == "The dam is high."
    assert set(service.asked[-1].body) == {"model", "messages", "max_completion_tokens", "stream"}
    assert learned == [Habits(frozenset({"stream_options", "seed", "temperature"}), new_limit=True)]
    chat(client(habits=learned[0]), seed=1)
    assert set(service.asked[-1].body) == {"model", "messages", "max_completion_tokens", "stream"}
    assert len(service.asked) == 6


def test_nothing_is_learned_from_a_refusal_that_stays(service: Misbehaving, client: Make) -> None:
    service.plays(refusal(400, {"message": "the seed of all evil"}))
    learned: list[Habits] = []
    asking = RemoteClient(client().service, patience=HASTE, learned=learned.append)
    with pytest.raises(ModelError, match="all evil"):
        chat(asking, seed=1)
    assert learned == []
    assert len(service.asked) == 2


def test_habits_survive_being_stored() -> None:
    habits = Habits(frozenset({"seed"}), new_limit=True)
    assert Habits.from_dict(habits.as_dict()) == habits
    assert Habits.from_dict({"without": ["model", "seed"]}) == Habits(frozenset({"seed"}))


# --- Stop ------------------------------------------------------------------------------------------------


def stopped_after(client: RemoteClient, ready: threading.Event, text: str = "") -> float:
    """Press Stop once `ready` is set and this much was said; seconds until it had an effect."""
    cancel, pressed = threading.Event(), [0.0]

    def press() -> None:
        assert ready.wait(HANGS)
        time.sleep(0.1)
        pressed[0] = time.monotonic()
        cancel.set()

    presser = threading.Thread(target=press)
    presser.start()
    heard = ""
    with pytest.raises(Cancelled):
        for chunk in client.chat(ASK, GenerationOptions(max_tokens=32), cancel):
            heard += chunk.text
    took = time.monotonic() - pressed[0]
    presser.join()
    assert heard == text
    return took


PATIENT = Patience(delay=60, longest_delay=60)
AT_ONCE = 2.0  # seconds; it takes 0.05, and what it would wait for takes minutes


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        pytest.param((HOLD,), "", id="before the first byte"),
        pytest.param((head(), HOLD), "", id="before the first event"),
        pytest.param((BEGUN, HOLD), "The dam ", id="between two pieces"),
        pytest.param((BEGUN + finished(), HOLD), "The dam ", id="after the end"),
        pytest.param((refusal(503, "later"),), "", id="while it waits to ask again"),
        pytest.param((refusal(429, "later", Retry_After="25"),), "", id="while it waits as it was told"),
    ],
)
def test_stop_has_an_effect_at_every_moment(
    service: Misbehaving, client: Make, steps: tuple[Step, ...], text: str
) -> None:
    service.plays(*steps)
    assert stopped_after(client(PATIENT), service.connected, text) < AT_ONCE
    if HOLD in steps:
        assert service.hung_up.wait(AT_ONCE), "the service is not left working for nobody"


def test_stop_has_an_effect_while_it_connects(client: Make) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # two connections fill it; the third one waits for somebody to accept
        place, ready = full.getsockname(), threading.Event()
        ready.set()
        with socket.create_connection(place), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(place)
            patience = replace(PATIENT, connect=1)
            assert stopped_after(client(patience, url=f"http://127.0.0.1:{place[1]}/v1"), ready) < AT_ONCE


def test_a_reader_that_goes_away_hangs_up(service: Misbehaving, client: Make) -> None:
    service.plays(BEGUN, HOLD)
    answer = client(PATIENT).chat(ASK, GenerationOptions(), threading.Event())
    assert next(iter(answer)).text == "The dam "
    answer.close()  # type: ignore[attr-defined]
    assert service.hung_up.wait(AT_ONCE)


# --- keys ------------------------------------------------------------------------------------------------


def test_a_key_is_not_sent_over_an_open_line_beyond_the_private_network(
    service: Misbehaving, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "PRIVATE", ())  # as if the service were far away
    service.plays(ANSWER)
    until_it_fails(client(), KeyRefused, "http:// would show the key")
    assert not service.asked
    assert text_of(chat(client(key=None))) == "The dam is high."


def test_a_key_shows_nowhere(service: Misbehaving, client: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    echo = f"the header was Bearer {KEY}"
    shown = [repr(client().service), repr(client().__dict__)]
    for steps in ((refusal(401, {"message": echo}),), (refusal(500, echo),), (BEGUN + event({"error": echo}),)):
        service.plays(*steps)
    service.plays(head(302, Location=f"http://elsewhere/{KEY}"))
    for _ in range(4):
        with pytest.raises(ModelError) as raised:
            chat(client(replace(HASTE, attempts=1)))
        error: BaseException | None = raised.value
        while error is not None:
            shown.append(f"{error!r} {error.args}")
            error = error.__cause__ or error.__context__
    assert len(service.asked) == 4
    assert all(asked.headers["authorization"].endswith(KEY) for asked in service.asked)
    assert not [text for text in [*shown, caplog.text] if KEY in text]


@pytest.mark.parametrize(
    ("base", "header"),
    [
        ("https://api.example.org/v1", "Authorization"),
        ("https://name.openai.azure.com/openai/v1", "api-key"),
        ("https://name.services.ai.azure.com/openai/v1", "api-key"),
        ("https://gateway.example.org/openai/deployments/gpt?api-version=2024-10-21", "api-key"),
        ("https://openai.azure.com.example.org/v1", "Authorization"),
    ],
)
def test_azure_gets_the_key_in_its_own_header(base: str, header: str) -> None:
    assert list(address.key_headers(base, KEY)) == [header]


def test_the_older_form_of_azure_keeps_its_query(service: Misbehaving, client: Make) -> None:
    service.plays(ANSWER)
    base = service.url.removesuffix("/v1") + "/openai/deployments/gpt-4o?api-version=2024-10-21"
    assert text_of(chat(client(url=base))) == "The dam is high."
    sent = service.asked[0]
    assert sent.path == "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    assert sent.headers["api-key"] == KEY
    assert "authorization" not in sent.headers


# --- encryption ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that only those trust who are told to, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    place, now = x509.IPAddress(ip_address("127.0.0.1")), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([place]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + key.private_bytes(*form))
    return file


@pytest.fixture
def encrypted(certificate: Path) -> Iterator[Misbehaving]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with Misbehaving(context) as made:
        yield made


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    call.trusted.cache_clear()
    yield
    call.trusted.cache_clear()


def test_a_service_with_a_false_certificate_is_sent_nothing(encrypted: Misbehaving, client: Make) -> None:
    encrypted.plays(ANSWER)
    until_it_fails(client(url=encrypted.url), ModelUnavailable, "certificate of 127.0.0.1")
    assert not encrypted.asked


@pytest.mark.usefixtures("trusted")
def test_an_encrypted_answer_streams_and_stops(encrypted: Misbehaving, client: Make) -> None:
    encrypted.plays(ANSWER).plays(BEGUN, HOLD)
    assert text_of(chat(client(url=encrypted.url))) == "The dam is high."
    encrypted.connected.clear()
    assert stopped_after(client(PATIENT, url=encrypted.url), encrypted.connected, "The dam ") < AT_ONCE
    assert encrypted.hung_up.wait(AT_ONCE)


@pytest.mark.usefixtures("trusted")
def test_stop_has_an_effect_while_keys_are_exchanged(encrypted: Misbehaving, client: Make) -> None:
    encrypted.plays(HOLD)
    assert stopped_after(client(PATIENT, url=encrypted.url), encrypted.connected) < AT_ONCE
    assert encrypted.hung_up.wait(AT_ONCE)


# --- the list of models ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"data": [{"id": "b", "meta": {"n_ctx": 1024, "n_ctx_train": 8192}}, {"id": "a"}]}, [("a", 0), ("b", 1024)]),
        ({"data": [{"id": "v", "max_model_len": 4096}]}, [("v", 4096)]),
        ([{"id": "t", "context_length": 8192}], [("t", 8192)]),
        ({"data": [{"id": ""}, {"id": 7}, {}, 3, {"id": "x" * 300}, {"id": "a\nb"}, {"id": "ok"}]}, [("ok", 0)]),
    ],
)
def test_the_models_of_a_service_are_listed(
    service: Misbehaving, client: Make, body: object, found: list[tuple[str, int]]
) -> None:
    service.plays(head(content_type="application/json") + json.dumps(body).encode())
    assert client().list_models(threading.Event()) == [OfferedModel(*model) for model in found]
    assert (service.asked[0].method, service.asked[0].path) == ("GET", "/v1/models")


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ((refusal(404, '{"detail":"Not Found"}'),), ModelMissing),
        ((refusal(401, "no"),), KeyRefused),
        ((head(content_type="application/json") + b"[]",), AnswerBroken),
        ((head(content_type="application/json") + b"[" * 90_000,), AnswerBroken),
        ((HOLD,), ModelUnavailable),
        ((head(), HOLD), AnswerBroken),
        ((RESET,), AnswerBroken),
    ],
)
def test_a_service_without_a_list_says_so(
    service: Misbehaving, client: Make, steps: tuple[Step, ...], kind: type[ModelError]
) -> None:
    service.plays(*steps)
    with pytest.raises(kind):
        client(replace(HASTE, listing=1 if HOLD in steps else 10)).list_models(threading.Event())
