"""What people notice when native code crashes, hangs or meets a file that wants to harm it: nearly nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import psutil
import pytest

from core.errors import GroundworkError, ModelCrashed
from core.models.catalog import find, installed_path
from core.serving import engine as engine_module
from core.serving.chat_process import ChatProcess
from core.serving.engine import Engine
from core.serving.fitting import fitted
from core.serving.generation import (
    SHORT_TRIES,
    SURE_TRIES,
    UNSURE_TRIES,
    Failure,
    Finish,
    Generation,
    News,
    Restarted,
    Text,
)
from core.serving.options import LoadOptions
from core.types import ChatMessage, GenerationOptions
from tests.application import until
from tests.serving.conftest import CHAT, Server, post
from tests.serving.test_engine import started

pytestmark = pytest.mark.model
STORY = [ChatMessage("user", "Write a long story about a dog and a cat.")]
LONG = GenerationOptions(max_tokens=60, stop=("never said",))


class Revived:
    """An engine whose process is started again when it ends, as the host does it."""

    def __init__(self, path: Path, *, slots: int = 2) -> None:
        self.path, self.slots, self.engine, self.ends = path, slots, Engine(), 0
        self.revive()

    def revive(self) -> None:
        options = LoadOptions(context_tokens=2048, slots=self.slots)
        process = ChatProcess(self.path.stem, options, hear=self.engine.hear, lost=self.lost)
        process.load(self.path, identity="", tuning=None)
        self.engine.use(process)

    def lost(self, process: ChatProcess) -> None:
        self.ends += 1
        self.engine.lost(process)
        threading.Thread(target=self.revive).start()

    def ask(self, options: GenerationOptions = LONG) -> SimpleQueue[News]:
        box: SimpleQueue[News] = SimpleQueue()
        self.engine.submit(STORY, options, box.put)
        return box

    def end(self, sign: signal.Signals) -> None:
        process = self.engine.chat
        assert process
        os.kill(process.pid, sign)


@pytest.fixture
def revived(store: Path) -> Iterator[Revived]:
    made = Revived(installed_path(find(CHAT), store))
    yield made
    until(lambda: made.engine.chat is not None and made.engine.chat.alive, 30, "the process is back")
    made.engine.close()


def whole(box: SimpleQueue[News], on_text: Callable[[str], object] = lambda _text: None) -> tuple[str, list[News]]:
    text, news = "", []
    while True:
        news.append(item := box.get(timeout=60))
        if isinstance(item, Text):
            text += item.text
            on_text(text)
        if isinstance(item, Failure):
            raise item.error
        if isinstance(item, Finish):
            return text, news


@pytest.mark.parametrize("sign", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL], ids=lambda sign: sign.name)
def test_answer_goes_on_after_a_crash_and_so_do_those_who_wait(revived: Revived, sign: signal.Signals) -> None:
    boxes = [revived.ask() for _ in range(4)]  # two are worked on, two wait
    written: list[str] = []

    def kill_once(text: str) -> None:
        if len(text) > 60 and not written:
            written.append(text)
            revived.end(sign)

    first, news = whole(boxes[0], kill_once)
    answers = [first, *(whole(box)[0] for box in boxes[1:])]
    assert revived.ends == 1
    assert sum(isinstance(item, Restarted) for item in news) == 1
    assert first.startswith(written[0])  # it goes on behind what was shown, and neither skips nor repeats
    assert first.count(written[0][-30:]) == 1
    end = news[-1]
    assert isinstance(end, Finish)
    assert end.completion_tokens == sum(isinstance(item, Text) for item in news) == LONG.max_tokens
    assert all(len(answer) > 100 for answer in answers)


def test_repeatable_answer_is_the_same_after_a_crash(revived: Revived) -> None:
    options = GenerationOptions(max_tokens=60, temperature=1.0, seed=5, cache_prompt=False, stop=("never said",))
    undisturbed, _ = whole(revived.ask(options))
    killed: list[bool] = []

    def kill_once(text: str) -> None:
        if len(text) > 40 and not killed:
            killed.append(True)
            revived.end(signal.SIGKILL)

    assert whole(revived.ask(options), kill_once)[0] == undisturbed


def test_request_that_ends_the_process_again_and_again_is_given_up(revived: Revived) -> None:
    box, begun = revived.ask(GenerationOptions(max_tokens=5)), 0
    with pytest.raises(ModelCrashed, match="came no further"):
        while True:
            item = box.get(timeout=60)
            if isinstance(item, Failure):
                raise item.error
            assert not isinstance(item, Finish)
            if getattr(item, "number", None) == 0:  # the work begins
                begun += 1
                revived.end(signal.SIGKILL)
    assert begun == 2 + UNSURE_TRIES
    assert whole(revived.ask(GenerationOptions(max_tokens=5)))[0]


def unheard(generation: Generation) -> Generation:
    generation.prompt_tokens, generation.cached_tokens = 300, 54
    return generation


def test_only_who_gets_no_further_is_given_up() -> None:
    made = unheard(Generation([], GenerationOptions(), listener=lambda _news: None))
    for read in (100, 200, 300):
        made.read = read
        assert made.interrupt("killed", alone=True)
    made.told.append(7)
    assert made.interrupt("killed", alone=True), "it had written more, and was not read again yet"
    made.read = 300
    assert made.interrupt("killed", alone=True), "now it was"
    for _ in range(SURE_TRIES):
        made.read = 300
        assert made.interrupt("killed", alone=True), "once more at the same place may be chance"
    made.read = 300
    assert not made.interrupt("killed", alone=True), "it always ends at the same place of the answer"


def test_who_only_waited_in_a_process_that_ended_is_tried_again() -> None:
    made = unheard(Generation([], GenerationOptions(), listener=lambda _news: None))
    tries = 0
    made.read = made.cached_tokens
    while tries < 9 and made.interrupt("killed", alone=True):
        made.read = made.cached_tokens
        tries += 1
    assert tries == 1 + UNSURE_TRIES


def test_who_shared_the_process_that_ended_is_tried_again() -> None:
    made = unheard(Generation([], GenerationOptions(), listener=lambda _news: None))
    made.read = 300
    assert made.interrupt("killed", alone=False)
    for _ in range(UNSURE_TRIES):
        made.read = 300
        assert made.interrupt("killed", alone=False)
    made.read = 300
    assert not made.interrupt("killed", alone=False)


def test_who_was_on_the_way_to_the_same_place_again_is_not_the_cause() -> None:
    made = unheard(Generation([], GenerationOptions(), listener=lambda _news: None))
    made.told, made.read = [1, 2, 3], 300
    assert made.interrupt("killed", alone=True)
    for _ in range(SHORT_TRIES):
        made.read = 100
        assert made.interrupt("killed", alone=True)
    made.read = 100
    assert not made.interrupt("killed", alone=True), "but not for ever"


def test_request_that_comes_while_the_process_ends_waits_for_the_next(revived: Revived) -> None:
    for _ in range(3):
        revived.end(signal.SIGKILL)
        assert whole(revived.ask(GenerationOptions(max_tokens=5)))[0]


def test_process_that_hangs_is_replaced(revived: Revived, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "SILENCE", 1.0)
    stopped: list[bool] = []

    def stop_once(text: str) -> None:
        if len(text) > 20 and not stopped:
            stopped.append(True)
            revived.end(signal.SIGSTOP)

    text, news = whole(revived.ask(), stop_once)
    assert any(isinstance(item, Restarted) for item in news)
    assert len(text) > 60


def native_processes(server: Server, module: str) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if module in child.cmdline()]


def test_server_is_back_soon_after_its_model_was_killed(start: Callable[..., Server], store: Path) -> None:
    server = start(store, context=1024, slots=2)
    server.wait(lambda health: health["status"] == "ok")
    before = server.health()["chat"]
    assert (before["restarts"], before["ended"]) == (0, "")
    native_processes(server, "core.serving.native")[0].send_signal(signal.SIGSEGV)
    server.wait(lambda health: health["chat"]["restarts"] == 1)
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
    begun = time.monotonic()
    assert post(server, "/v1/chat/completions", body)[0] == 200  # asked while there is no model: it waits for it
    assert time.monotonic() - begun < 15
    after = server.health()["chat"]
    assert "SIGSEGV" in after["ended"]
    assert after["status"] == "ok"


def test_texts_are_embedded_although_the_process_was_killed(server: Server) -> None:
    texts = [f"Sentence number {number} about something." for number in range(400)]
    killer = threading.Timer(0.5, lambda: native_processes(server, "core.serving.vectors")[0].kill())
    killer.start()
    status, body, _ = post(server, "/v1/embeddings", {"input": texts, "priority": "ingest"})
    killer.join()
    assert status == 200
    assert len(body["data"]) == 400
    assert all(sum(x * x for x in item["embedding"]) == pytest.approx(1, abs=1e-3) for item in body["data"])
    assert post(server, "/v1/embeddings", {"input": "Still there?"})[0] == 200


def test_native_processes_end_with_the_server_even_if_it_is_killed(start: Callable[..., Server], store: Path) -> None:
    server = start(store, context=512)
    server.wait(lambda health: health["chat"]["status"] == "ok")
    children = psutil.Process(server.process.pid).children()
    assert len(children) == 2
    server.process.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


def tried(path: Path) -> str:
    """Load a file the way the server does; returns the error's sentence, "" if it was loaded."""
    engine, process = Engine(), None
    try:
        fitted(path, path.stem, LoadOptions(context_tokens=512))
        process = started(engine, path, context_tokens=512)
    except GroundworkError as error:
        return str(error)
    finally:
        if process:
            process.close()
        engine.close()
    return ""


def test_hostile_model_files_are_refused_with_a_clear_sentence(abuse_corpus: Path) -> None:
    manifest = json.loads((abuse_corpus / "manifest.json").read_text())
    files = [abuse_corpus / case["file"] for case in manifest if case["file"].endswith(".gguf")]
    assert len(files) == 18
    for file in files:
        sentence = tried(file)
        assert file.name.removesuffix(".gguf") in sentence, file.name
        assert "Traceback" not in sentence


def test_damaged_model_files_are_refused_or_harmless(store: Path, tmp_path: Path) -> None:
    real = installed_path(find(CHAT), store)
    head, luck, loaded = real.read_bytes()[: 4 << 20], random.Random(74), 0
    for number in range(74):
        changed = bytearray(head)
        place = luck.choice([luck.randrange(4, 24), luck.randrange(24, 3_000), luck.randrange(24, len(head) // 2)])
        changed[place] ^= luck.randrange(1, 256)
        file = tmp_path / f"damaged-{number}.gguf"
        with file.open("wb") as out:
            out.write(changed)
            out.truncate(real.stat().st_size)  # weights of zeros: it is the head that native code trips over
        sentence = tried(file)
        assert not sentence or f"damaged-{number}" in sentence
        loaded += not sentence
        file.unlink()
    assert loaded < 74
