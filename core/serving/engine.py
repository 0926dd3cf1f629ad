"""The engine: the fair line in front of a model, and what becomes of its requests if the model's process ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from core.errors import Cancelled, GroundworkError, ModelCrashed, ModelUnavailable, busy, from_code
from core.serving.admission import Forecast, fits
from core.serving.chat_process import ChatProcess, Item
from core.serving.cores import Cores
from core.serving.generation import Counts, Ended, Generation, Listener, Token, unheard
from core.serving.waiting import Line
from core.types import ChatMessage, GenerationOptions

log = logging.getLogger(__name__)

STOPPED = "The answer was stopped."
STOPPING = "The model server is stopping. Try again in a few seconds."
LOADING = "The chat model is still loading. Try again in a few seconds."
SILENCE = 120.0  # seconds without any news of a running request: the process hangs
TICK = 2.0  # seconds between two looks at that, and at how long people will wait


class Engine:
    """Takes requests from any thread and tells their listeners how it goes. Without a model until `use`."""

    def __init__(self, *, queue_limit: int = 64, cores: Cores | None = None, ended: Ended = unheard) -> None:
        """`ended` hears how every request ended, for the statistics."""
        self._queue_limit, self._ended = queue_limit, ended
        self._cores = cores or Cores()
        self._line: Line[Generation] = Line()
        self._running: dict[int, Generation] = {}
        self._process: ChatProcess | None = None
        self._next: ChatProcess | None = None
        self._closing = self._stirred = self._retiring = self._documents = self._paused = False
        self._heard = time.monotonic()
        self._forecast = Forecast()
        self.counts = Counts()
        self._changed = threading.Condition()  # guards all that is above and not constant
        self._cores.rule(self)
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    # --- from any thread ---------------------------------------------------------------------------------

    @property
    def chat(self) -> ChatProcess | None:
        """The model that works on new requests; maybe it has ended and another process is on its way."""
        return self._next or self._process

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def running(self) -> int:
        return len(self._running)

    def use(self, process: ChatProcess) -> None:
        """Change to this model as soon as the running answers are finished; those who wait get the new one."""
        with self._changed:
            unused, self._next = self._next, process
            if unused:
                unused.close_soon()
            self._stir()

    def retire(self) -> None:
        """End the model as soon as its running answers are finished, and return then; who waits, waits for another."""
        with self._changed:
            self._retiring = True
            self._changed.wait_for(lambda: not self._running or self._closing)
            old, self._retiring = self._process, False
            if old:
                old.ready = False  # nothing is begun there any more
        if old:
            old.close()

    def submit(
        self, messages: Sequence[ChatMessage], options: GenerationOptions, listener: Listener, *, user: str = ""
    ) -> Generation:
        """Put a request into the line. Raises ContextTooLong, ModelBusy, ModelUnavailable, BadQuestion."""
        if (chat := self.chat) is None:
            raise ModelUnavailable(LOADING)
        self._refuse_when_full()
        generation = Generation(messages, options, listener, user)
        with suppress(ModelUnavailable):  # it has just ended: the request is prepared by the next one, in its turn
            if chat.alive:
                generation.prepare(chat)
        with self._changed:
            try:
                self._refuse_when_full()
            except GroundworkError:
                generation.withdraw()
                raise
            self._line.add(generation)
            self._announce()
            self._stir()
        return generation

    def cancel(self, generation: Generation) -> None:
        """Stop a request wherever it is: its listener hears Failure(Cancelled). No effect on a finished one."""
        with self._changed:
            if generation.done:
                return
            generation.cancelled = True
            generation.withdraw()
            if self._line.remove(generation):
                self._fail(generation, Cancelled(STOPPED))
                self._announce()

    def lost(self, process: ChatProcess) -> None:
        """A process ended: what it worked on goes to the front of the line, and on with the next, if it got further."""
        with self._changed:
            if process is self._next:
                self._next = None
            if process is not self._process:
                return
            alone = len(self._running) == 1
            for generation in list(self._running.values()):
                if generation.cancelled:  # the process did not live to say that it stopped
                    self._fail(generation, Cancelled(STOPPED))
                elif generation.interrupt(process.end, alone=alone):
                    self._line.add(generation)
                else:
                    why = f"The model was lost again and this answer came no further: {process.end}. Ask differently."
                    self._fail(generation, ModelCrashed(why))
            self._running.clear()
            self._stir()

    def delay(self, why: str) -> None:
        """The next process is not there yet: those who wait hear why it takes longer."""
        with self._changed:
            for generation in self._line:
                generation.delay(why)
            self._stir()

    def give_up(self, error: GroundworkError) -> None:
        """There will be no other process: those who wait hear why."""
        with self._changed:
            self._process = self._next = None
            for generation in [other for other in list(self._line) if self._line.remove(other)]:
                self._fail(generation, error)

    def pause(self) -> None:
        """Let the running process stop between two steps; returns when it has."""
        self._paused = True
        if (process := self._process) and process.alive:
            process.pause()

    def resume(self) -> None:
        self._heard, self._paused = time.monotonic(), False  # it had nothing to tell meanwhile
        if (process := self._process) and process.alive:
            process.resume()

    def share(self, documents: bool) -> None:
        """Let steps be short, because documents want their turns between them; or no more."""
        with self._changed:
            self._documents = documents
            self._stir()

    def close(self) -> None:
        """End the thread, every request and the processes; returns when that is done."""
        with self._changed:
            self._closing = True
            self._stir()
        self._thread.join()
        for process in filter(None, (self._process, self._next)):
            process.close()

    def hear(self, process: ChatProcess, items: Sequence[Item]) -> None:
        """News of the requests that a process works on, in the thread that reads from it."""
        self._heard = time.monotonic()
        for kind, number, *news in items:
            generation = self._running.get(number)
            if generation is None or generation.process is not process:
                continue
            if kind == "start":
                generation.start(news[0])
                self.counts.known += news[0]
            elif kind == "read":
                self.counts.read += max(0, news[0] - max(generation.read, news[1]))
                generation.report(*news)
            elif kind == "text":
                self.counts.written += 1
                generation.tell(news[0], news[1], Token.of(news[0], news[2]))
            elif kind == "end":
                self._finish(generation, news)
            elif kind == "fail":
                with self._changed:
                    self._running.pop(number, None)
                    self._fail(generation, from_code(news[0], news[1]))
                    self._stir()

    def _finish(self, generation: Generation, news: Sequence[object]) -> None:
        finish = generation.finish(*news)  # type: ignore[arg-type]
        self._forecast.learn(finish.completion_tokens)
        self._ended(generation, finish)
        with self._changed:
            self._running.pop(generation.number, None)
            self._stir()

    def _fail(self, generation: Generation, error: GroundworkError) -> None:
        generation.fail(error)
        self._ended(generation, error)

    # --- the engine's own thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stirred or self._closing, timeout=TICK)
                if self._closing:
                    break
                self._stirred = False
                self._look_after()
                unprepared = self._admit()
            if unprepared:
                self._prepare_again(*unprepared)
        self._cores.dismiss(self)
        with self._changed:
            for generation in (*self._line, *self._running.values()):
                self._fail(generation, ModelUnavailable(STOPPING))

    def _look_after(self) -> None:
        """End a process that hangs; tell how long it takes."""
        if self._running and self._process and not self._paused and time.monotonic() - self._heard > SILENCE:
            log.error("no word from %s for %.0f s: it hangs and is ended", self._process.id, SILENCE)
            self._process.kill()
        self._announce()

    def _admit(self) -> tuple[Generation, ChatProcess] | None:
        """Begin with those who wait, as far as there is room, in their order. Returns whom to prepare first."""
        if self._next and not self._running:
            old, self._process, self._next = self._process, self._next, None
            if old:
                old.close_soon()
        process = None if self._next or self._retiring else self._process
        while process and process.alive and (generation := next(iter(self._line), None)):
            if generation.process is not process:
                return generation, process
            if not fits(generation, list(self._running.values()), slots=process.options.slots, cells=process.cells):
                break
            self._line.serve(generation)
            if not self._running:
                self._cores.engine_begins(self)
                self._heard = time.monotonic()
            self._running[generation.number] = generation
            process.begin(generation.number, generation.written_before())
            self._announce()
        if process and process.alive:
            process.tell_crowd(len(self._line), documents=self._documents)
        if not self._running:
            self._cores.engine_rests(self)
        return None

    def _prepare_again(self, generation: Generation, process: ChatProcess) -> None:
        """Another process has other tokens, and maybe a smaller context. Not under the lock: it may take its time."""
        error: GroundworkError | None = None
        try:
            generation.prepare(process)
        except ModelUnavailable:
            log.info("%s ended before it began; the request waits on", process.id)
        except GroundworkError as problem:
            error = problem
        with self._changed:
            if error and self._line.remove(generation):
                self._fail(generation, error)
            if generation.done:  # also if it was stopped meanwhile: what was prepared is not wanted any more
                generation.withdraw()
            self._stir()

    def _stir(self) -> None:
        self._stirred = True
        self._changed.notify_all()

    def _refuse_when_full(self) -> None:
        with self._changed:
            if self._closing:
                raise ModelUnavailable(STOPPING)
            if len(self._line) < self._queue_limit:
                return
            soonest = next(iter(self._waits()), 1.0)
        raise busy(f"{self._queue_limit} requests are waiting for the model already.", soonest)

    def _announce(self) -> None:
        for position, (generation, seconds) in enumerate(zip(self._line, self._waits(), strict=True), 1):
            generation.announce(position, seconds)

    def _waits(self) -> list[float]:
        return self._forecast.waits(self.chat, self._running.values(), self._line)
