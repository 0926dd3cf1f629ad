"""The engine: one thread that owns the model's context, and the fair line in front of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from core.errors import Cancelled, GroundworkError, ModelBusy, ModelUnavailable
from core.serving.batching import Batcher
from core.serving.chat_model import ChatModel
from core.serving.cores import Cores
from core.serving.generation import Generation, Listener
from core.serving.waiting import Line
from core.types import ChatMessage, GenerationOptions

STOPPING = "The model server is stopping. Try again in a few seconds."


class Engine:
    """Takes requests from any thread and tells their listeners how it goes. Without a model until `use`."""

    def __init__(self, *, slots: int = 4, queue_limit: int = 64, cores: Cores | None = None) -> None:
        self._slots, self._queue_limit = slots, queue_limit
        self._cores = cores or Cores()
        self._line: Line[Generation] = Line()
        self._batcher: Batcher | None = None
        self._next: ChatModel | None = None
        self._closing = False
        self._changed = threading.Condition()  # guards all that is above and not constant
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    # --- from any thread ---------------------------------------------------------------------------------

    @property
    def chat(self) -> ChatModel | None:
        """The model that works on new requests."""
        return self._next or (self._batcher.chat if self._batcher else None)

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def running(self) -> int:
        return self._batcher.running if self._batcher else 0

    def use(self, chat: ChatModel) -> None:
        """Change to this model as soon as the running answers are finished; those who wait get the new one."""
        with self._changed:
            unused, self._next = self._next, chat
            if unused:
                unused.context.close()
            self._changed.notify_all()

    def submit(
        self, messages: Sequence[ChatMessage], options: GenerationOptions, listener: Listener, *, user: str = ""
    ) -> Generation:
        """Put a request into the line. Raises ContextTooLong, ModelBusy, ModelUnavailable, BadQuestion."""
        chat = self.chat
        if chat is None:
            raise ModelUnavailable("The chat model is still loading. Try again in a few seconds.")
        prompt = chat.prompt(messages, options.max_tokens)
        generation = Generation(chat, messages, options, listener, prompt, user)
        with self._changed:
            if self._closing:
                raise ModelUnavailable(STOPPING)
            if len(self._line) >= self._queue_limit:
                raise ModelBusy(
                    f"{len(self._line)} requests are waiting for the model already. Try again in a little while.",
                    retry_after=self._batcher.pace.seconds_until_free(self._slots) if self._batcher else 5.0,
                )
            self._line.add(generation)
            self._announce()
            self._changed.notify_all()
        return generation

    def cancel(self, generation: Generation) -> None:
        """Stop a request wherever it is: its listener hears Failure(Cancelled). No effect on a finished one."""
        with self._changed:
            generation.cancelled = True
            if self._line.remove(generation):
                generation.fail(Cancelled("The answer was stopped."))
                self._announce()
            elif self._batcher and not generation.done:
                self._batcher.abort()

    def close(self) -> None:
        """End the thread and every request; returns when that is done."""
        with self._changed:
            self._closing = True
            if self._batcher:
                self._batcher.abort()
            self._changed.notify_all()
        self._thread.join()

    # --- the engine's own thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while batcher := self._next_work():
                with self._cores.engine():
                    batcher.step()
        finally:
            self._end()

    def _next_work(self) -> Batcher | None:
        """Wait until there is something to do; None when the engine is closed."""
        with self._changed:
            while not self._closing:
                if self._batcher:
                    self._batcher.drop_cancelled()
                if self._next and not self.running:
                    self._change_model(self._next)
                if self._batcher and not self._next:
                    self._admit(self._batcher)
                if self._batcher and self._batcher.running:
                    return self._batcher
                self._cores.engine_rests()
                self._changed.wait()
        return None

    def _change_model(self, chat: ChatModel) -> None:
        if self._batcher:
            self._batcher.close(ModelUnavailable(STOPPING))
        self._batcher, self._next = Batcher(chat, slots=self._slots), None

    def _admit(self, batcher: Batcher) -> None:
        """Give slots to those who wait. Nobody is overtaken, even if only the next one does not fit."""
        while generation := next(iter(self._line), None):
            if generation.chat is not batcher.chat and not self._prepare_again(generation, batcher.chat):
                continue
            if not batcher.place(generation):
                return
            self._line.serve(generation)
            self._announce()

    def _prepare_again(self, generation: Generation, chat: ChatModel) -> bool:
        """Another model has other tokens, and maybe a smaller context."""
        try:
            generation.prompt = chat.prompt(generation.messages, generation.options.max_tokens)
            generation.chat = chat
        except GroundworkError as error:
            self._line.remove(generation)
            generation.fail(error)
            return False
        return True

    def _announce(self) -> None:
        for position, generation in enumerate(self._line, 1):
            generation.announce(position)

    def _end(self) -> None:
        with self._changed:
            self._closing = True
            self._cores.engine_rests()
            for generation in self._line:
                generation.fail(ModelUnavailable(STOPPING))
            if self._batcher:
                self._batcher.close(ModelUnavailable(STOPPING))
