"""Continuous batching: several requests in one context, one step at a time.

Each step makes one batch: the next token of every answer that is being written, or a bounded piece of the prompts that
are being read, so that one long prompt never freezes the others. Never both: llama.cpp's attention goes by tiles of 64
tokens, and passes over the cells of other sequences only where no token of a tile needs them. With four answers beside
it, a piece of 96 tokens took 1.7 s instead of 1.35; a step for the four answers alone takes 0.16 s.
"""

from __future__ import annotations

import base64
import itertools
import logging
import time
from collections.abc import Iterable, Iterator, Sequence

from core.errors import Cancelled, GroundworkError, ModelError
from core.serving.native.batch import Batch
from core.serving.native.chat_model import ChatModel
from core.serving.native.drafting import Drafting, look_up
from core.serving.native.inner_state import InnerStates
from core.serving.native.llama import Decoded
from core.serving.native.pace import Pace
from core.serving.native.prefixes import Prefixes
from core.serving.native.request import Request
from core.serving.native.slots import Slot, Work, common_prefix, donor, follows, shares
from core.serving.native.text_stream import TextStream

log = logging.getLogger(__name__)

Share = tuple[Slot, list[int]]  # a slot and the tokens that are read for it in a step


class Batcher:
    """Works on requests in the slots of one model's context. For one thread only, but for `abort` and `running`."""

    def __init__(self, chat: ChatModel, *, prefixes: Prefixes, drafting: Drafting) -> None:
        self.chat, self.prefixes, self.drafting = chat, prefixes, drafting
        self.pace = Pace()
        self.crowd = 0  # requests that wait for a slot
        self.documents = False  # whether documents wait for turns between steps
        self._owed = 0.0  # seconds of steps without reading, which those who are being written to have coming
        self._others = 0  # requests that wait for their first token, besides the one whose prompt is being read
        self._context = chat.context
        self._inner = InnerStates(chat.model, chat.context, chat.options)
        self._slots = [Slot(number) for number in range(chat.options.slots)]
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
            if work.request.cancelled:
                self._keep(slot, work.request)
                self._fail(slot, Cancelled("The answer was stopped."))

    # --- admission ---------------------------------------------------------------------------------------

    def place(self, request: Request) -> None:
        """Begin to work on a request; who sends it has seen to it that a slot and enough cells are free."""
        slot = next((slot for slot in self._slots if slot.work is None), None)
        if slot is None:
            request.fail(ModelError("There was no room for the request. Ask again."))
            return
        if request.repeatable:
            self._context.clear()  # what is read next stands in the same cells as in a new context
        text = TextStream(request.options.stop)
        for token in request.given[len(request.given) - request.written :]:
            request.sampler.accept(token)
            request.completion_tokens += 1
            text.feed(self.chat.model.piece(token) or b"")
        slot.work = Work(request, text, next(self._numbers))
        request.start(self._begin_with_known(slot, request))

    def _begin_with_known(self, slot: Slot, request: Request) -> int:
        """Take over what other slots or earlier requests have read of this prompt; returns how many tokens."""
        if slot.work is None or not request.options.cache_prompt or not self.chat.model.divisible:
            return 0
        for work, other in self._working():
            if other is not slot and work.request.options.cache_prompt:
                slot.work.shared[other.number] = common_prefix(work.request.given, request.given)
                work.shared.pop(slot.number, None)
        self._copy_from_donor(slot)
        known = self.prefixes.restore(slot.number, request.given[:-1], system=request.system, known=len(slot.tokens))
        if known:
            slot.tokens = request.given[:known]
        return len(slot.tokens)

    def _copy_from_donor(self, slot: Slot) -> None:
        found = donor(slot, self._slots)
        if found is None or slot.work is None:
            return
        other, length = found
        self._context.forget(slot.number, 0)
        self._context.copy(other.number, slot.number, length)
        slot.work.request.cached += length - len(slot.tokens)
        slot.tokens = other.tokens[:length]

    def _keep(self, slot: Slot, request: Request) -> None:
        """Remember what was read, for a prompt that begins like this one."""
        if request.options.cache_prompt and self.chat.model.divisible:
            self.prefixes.remember(slot.number, slot.tokens, system=request.system)

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
            seconds = time.monotonic() - begin
            self.pace.measured(len(self._batch), seconds)
            self._settle(plan, seconds)
            for slot, tokens in plan:
                self._advance(slot, tokens, places.get(slot.number))
        elif outcome is Decoded.aborted:
            self._undo(plan)
        else:
            self._undo(plan, ModelError("There was no room in the model's context. Ask again."))

    def _plan(self) -> Iterator[Share]:
        """Which tokens of which slots are read in this step."""
        busy = [slot for _, slot in sorted(self._working(), key=lambda pair: pair[0].number)]
        for slot in busy:
            self._copy_from_donor(slot)
        writing = [slot for slot in busy if slot.writing]
        unread = sum(slot.unread > 0 for slot in busy if not slot.writing)
        if writing and (self._owed > 0 or not unread):
            for slot in writing:
                self._guess(slot, alone=len(busy) == 1)
            yield from ((slot, slot.pending(1)) for slot in writing)
            return
        reading = [slot for slot in busy if not follows(slot, busy)]
        self._others = max(0, unread - 1 + self.crowd)
        background = all(slot.work is None or slot.work.request.options.priority == "background" for slot in reading)
        budget = self.pace.prompt_tokens(
            self._others, writing=bool(writing), documents=self.documents, background=background
        )
        yield from ((slot, slot.pending(share)) for slot, share in shares(reading, budget))

    def _settle(self, plan: Sequence[Share], seconds: float) -> None:
        """After a step with prompts, those who are being written to have steps of their own for a while."""
        if any(not slot.writing for slot, _ in plan):
            self._owed = self.pace.writing_seconds(seconds, self._others)
        else:
            self._owed = max(0.0, self._owed - seconds)

    def _guess(self, slot: Slot, *, alone: bool) -> None:
        """Guess what comes next, where that pays: in company every token of a step has its price."""
        work = slot.work
        if work is None or work.next_token is None:
            return
        left = work.request.options.max_tokens - work.request.completion_tokens
        length = min(self.drafting.length(), left) if alone and self.chat.model.divisible else 0
        work.guess = look_up([*slot.tokens, work.next_token], length) if length else []

    def _fill(self, plan: Iterable[Share]) -> dict[int, int]:
        """Write the batch; returns where the first logits of which slot will stand."""
        self._batch.clear()
        places = {}
        for slot, tokens in plan:
            wanted = len(tokens) if slot.writing else int(len(tokens) == slot.unread)
            last = self._batch.add(tokens, sequence=slot.number, position=len(slot.tokens), logits=wanted)
            if wanted:
                places[slot.number] = last - wanted + 1
        return places

    def _undo(self, plan: Iterable[Share], error: ModelError | None = None) -> None:
        """Drop what an unfinished step left in the cells; with an error, its requests end."""
        for slot, _ in plan:
            whole = self._context.forget(slot.number, len(slot.tokens))
            if error or not whole:
                self._fail(slot, error or ModelError("The answer was lost when another was stopped. Ask again."))

    def _advance(self, slot: Slot, tokens: list[int], place: int | None) -> None:
        """Account for tokens that were read; from `place` on, choose and tell the tokens that come next."""
        work = slot.work
        if work is None:
            return
        if not slot.writing:
            slot.tokens += tokens
            work.request.report(len(slot.tokens))
            if place is not None:
                self._write(slot, work, place)
            return
        assert place is not None
        guess = tokens[1:]
        slot.tokens.append(tokens[0])
        right = 0
        while self._write(slot, work, place + right) and right < len(guess) and work.next_token == guess[right]:
            slot.tokens.append(guess[right])
            right += 1
        self.drafting.checked(len(guess), right)
        if right < len(guess) and slot.work is work:
            self._context.forget(slot.number, len(slot.tokens))

    def _write(self, slot: Slot, work: Work, place: int) -> bool:
        """Choose a token by the logits at `place` and tell it; False when the answer is finished with it."""
        request = work.request
        token = request.sampler.sample(self._context, place)
        choice = request.sampler.judge(self._context, place, token)
        raw = self.chat.model.piece(token)
        if raw is None:
            return self._finish(slot, work, "stop")
        request.completion_tokens += 1
        request.tell(token, work.text.feed(raw), choice)
        if work.text.stopped:
            return self._finish(slot, work, "stop")
        if request.completion_tokens >= request.options.max_tokens:
            return self._finish(slot, work, "length")
        work.next_token = token
        return True

    def _finish(self, slot: Slot, work: Work, reason: str) -> bool:
        work.request.finish(work.text.finish(), reason, self._inner_state(slot, work.request))
        self._context.forget(slot.number, len(slot.tokens))  # the end of a guess is not part of it
        self._keep(slot, work.request)
        self._release(slot)
        return False

    def _inner_state(self, slot: Slot, request: Request) -> str:
        """What was asked for beside the answer, as it travels; an answer does not fail because it is not to be had."""
        if not request.options.inner_state:
            return ""
        try:
            found = self._inner.after(slot.number, slot.tokens, len(request.prompt))
        except ModelError as error:
            log.warning("no inner state: %s", error)
            return ""
        return "" if found is None else base64.b64encode(found.astype("<f2").tobytes()).decode()

    def _fail(self, slot: Slot, error: GroundworkError) -> None:
        work = slot.work
        self._release(slot)
        if work:
            work.request.fail(error)

    def _release(self, slot: Slot) -> None:
        """The slot is free, and so are its cells: what nobody works on would slow down every step."""
        self._context.forget(slot.number, 0)
        slot.work, slot.tokens = None, []
        for other, _ in self._working():
            other.shared.pop(slot.number, None)

    def _working(self) -> Sequence[tuple[Work, Slot]]:
        return [(slot.work, slot) for slot in self._slots if slot.work]
