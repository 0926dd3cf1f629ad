"""Continuous batching: several requests in one context, one step at a time.

Each step makes one batch: the next token of every answer that is being written, and a bounded piece of the prompts
that are being read, so that one long prompt never freezes the others.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable, Iterator

from core.errors import Cancelled, GroundworkError, ModelError
from core.serving.chat_model import ChatModel
from core.serving.generation import Generation
from core.serving.llama import Batch, Decoded
from core.serving.pace import Pace
from core.serving.sampling import Sampler
from core.serving.slots import Placing, Slot, Work, choose, shares
from core.serving.text_stream import TextStream

log = logging.getLogger(__name__)

Share = tuple[Slot, list[int]]  # a slot and the tokens that are read for it in a step


class Batcher:
    """Works on requests in the slots of one model's context. For one thread only, but for `abort` and `running`."""

    def __init__(self, chat: ChatModel, *, slots: int) -> None:
        self.chat = chat
        self.pace = Pace()
        self._context = chat.context
        self._slots = [Slot(number) for number in range(slots)]
        self._batch = Batch()
        self._numbers = itertools.count()

    @property
    def running(self) -> int:
        return sum(slot.work is not None for slot in self._slots)

    def abort(self) -> None:
        """Make the step that runs now return at once; nothing but its work is lost."""
        self._context.abort()

    def drop_cancelled(self) -> None:
        """End the requests that were cancelled, and let steps run again after an abort."""
        self._context.abort(False)
        for work, slot in self._working():
            if work.generation.cancelled:
                self._fail(slot, Cancelled("The answer was stopped."))

    def close(self, error: GroundworkError) -> None:
        """End all requests with this error and free the context."""
        for _, slot in self._working():
            self._fail(slot, error)
        self._context.close()

    # --- admission ---------------------------------------------------------------------------------------

    def place(self, generation: Generation) -> bool:
        """Begin to work on a request, if a slot is free and all that it may need fits beside what the others may."""
        reuse = generation.options.cache_prompt and self.chat.model.divisible
        placing = choose(self._slots, generation.prompt, reuse=reuse)
        promised = sum(work.generation.cells for work, _ in self._working())
        room = self._context.cells - promised - generation.cells
        if placing is None or room < 0 or not self._may_join(generation):
            return False
        if generation.repeatable:
            self._clear()
        self._keep_prefix(placing)
        sampler, text = Sampler(generation.options), TextStream(generation.options.stop)
        placing.slot.work = Work(generation, sampler, text, next(self._numbers))
        self._make_room(room)
        generation.start(placing.kept)
        return True

    def _may_join(self, generation: Generation) -> bool:
        """Background work leaves the last slot to a person. Who wants the same tokens every time works alone, since
        sums are rounded differently in other company."""
        others = [work.generation for work, _ in self._working()]
        if generation.priority == "background" and 0 < len(others) >= len(self._slots) - 1:
            return False
        return not others or not (generation.repeatable or any(other.repeatable for other in others))

    def _clear(self) -> None:
        self._context.clear()
        for slot in self._slots:
            slot.tokens = []

    def _keep_prefix(self, placing: Placing) -> None:
        slot, donor = placing.slot, placing.donor
        if slot is donor:
            self._shorten(slot, placing.kept)
            return
        self._shorten(slot, 0)
        if placing.kept:
            self._context.copy(donor.number, slot.number, placing.kept)
            slot.tokens = donor.tokens[: placing.kept]

    def _make_room(self, room: int) -> None:
        """Forget the ends of what idle slots remember, the longest unused first, until it fits into `room` cells."""
        idle = sorted((slot for slot in self._slots if slot.work is None), key=lambda slot: slot.used)
        excess = sum(len(slot.tokens) for slot in idle) - room
        for slot in idle:
            if excess > 0:
                before = len(slot.tokens)
                self._shorten(slot, max(0, before - excess))
                excess -= before - len(slot.tokens)

    def _shorten(self, slot: Slot, length: int) -> None:
        """Keep the first `length` tokens, or none if this model cannot forget only the rest."""
        if not self._context.forget(slot.number, length):
            length = 0
            self._context.forget(slot.number, 0)
        del slot.tokens[length:]

    # --- steps -------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Read one batch; where a prompt or a token of an answer ends in it, choose and tell the next token."""
        plan = list(self._plan())
        places = self._fill(plan)
        begin = time.monotonic()
        try:
            outcome = self._context.decode(self._batch)
        except ModelError as error:
            log.error("%s", error)
            self._undo(plan, error)
            return
        if outcome is Decoded.done:
            self.pace.measured(len(self._batch), time.monotonic() - begin)
            for slot, tokens in plan:
                self._advance(slot, tokens, places.get(slot.number))
        elif outcome is Decoded.aborted:
            self._undo(plan)
        else:
            self._undo(plan, ModelError("There was no room in the model's context. Ask again."))

    def _plan(self) -> Iterator[Share]:
        """Which tokens of which slots are read in this step."""
        busy = [slot for _, slot in sorted(self._working(), key=lambda pair: pair[0].number)]
        writing = [slot for slot in busy if slot.writing]
        yield from ((slot, slot.pending(1)) for slot in writing)
        budget = self.pace.prompt_tokens(len(writing))
        yield from ((slot, slot.pending(share)) for slot, share in shares(busy, budget))

    def _fill(self, plan: Iterable[Share]) -> dict[int, int]:
        """Write the batch; returns where the logits of which slot will stand."""
        self._batch.clear()
        places = {}
        for slot, tokens in plan:
            ends = slot.writing or len(tokens) == slot.unread
            last = self._batch.add(tokens, sequence=slot.number, position=len(slot.tokens), logits=ends)
            if ends:
                places[slot.number] = last
        return places

    def _undo(self, plan: Iterable[Share], error: ModelError | None = None) -> None:
        """Drop what an unfinished step left in the cells; with an error, its requests end."""
        for slot, _ in plan:
            whole = self._context.forget(slot.number, len(slot.tokens))
            if error or not whole:
                self._fail(slot, error or ModelError("The answer was lost when another was stopped. Ask again."))

    def _advance(self, slot: Slot, tokens: list[int], place: int | None) -> None:
        """Account for tokens that were read; where `place` has their logits, choose and tell the next token."""
        if slot.work is None:
            return
        work, generation = slot.work, slot.work.generation
        slot.tokens += tokens
        if not slot.writing:
            generation.report(len(slot.tokens))
        if place is None:
            return
        token = work.sampler.sample(self._context, place)
        raw = self.chat.model.piece(token)
        if raw is not None:
            generation.completion_tokens += 1
            generation.tell(work.text.feed(raw))
        if raw is None or work.text.stopped:
            self._finish(slot, work, "stop")
        elif generation.completion_tokens == generation.options.max_tokens:
            self._finish(slot, work, "length")
        else:
            work.next_token = token

    def _finish(self, slot: Slot, work: Work, reason: str) -> None:
        slot.release()
        self.pace.served(work.generation.seconds)
        work.generation.tell(work.text.finish())
        work.generation.finish(reason)

    def _fail(self, slot: Slot, error: GroundworkError) -> None:
        work = slot.work
        slot.release()
        self._shorten(slot, len(slot.tokens))
        if work:
            work.generation.fail(error)

    def _working(self) -> list[tuple[Work, Slot]]:
        return [(slot.work, slot) for slot in self._slots if slot.work]
