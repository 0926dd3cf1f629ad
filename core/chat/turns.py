"""A turn outlives its page: it runs in a thread of its own, stores as it goes, and anybody may follow it by its id."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from core.chat.conversations import Conversations
from core.chat.live_turn import LiveTurn
from core.chat.records import TurnRecords, TurnResult
from core.chat.request import AnswerRequest
from core.errors import Cancelled, Conflict, GroundworkError, ModelBusy, busy
from core.guard import clean_question
from core.traces import Trace
from core.types import NO_FILTERS, ChatMessage, Cited, Done, Failed, Filters, MessageState, Retrieved, Scope

if TYPE_CHECKING:
    from core.chat.chain import AnswerChain

__all__ = ["LiveTurn", "Turns", "job"]

log = logging.getLogger(__name__)

MOST_TURNS = 64
SAVE_SECONDS = 1.0
STOPPED = "You stopped this answer."
UNEXPECTED = "Something went wrong inside Groundwork. The log names it {}; your question is kept."
CLOSED = "Groundwork was closed while this answer was being written."
USUAL_SECONDS = 20.0  # that an answer takes, before one has ended
WEIGHT = 0.1  # of the newest answer in the running mean


class Draft(Protocol):
    """Makes the request of a turn; called in the turn's own thread."""

    def __call__(self, *, trace: Trace) -> AnswerRequest: ...


@contextmanager
def job(turn: LiveTurn) -> Iterator[None]:
    """The edge of a background job: a turn ends with it, and says so, whatever nobody expected goes wrong."""
    try:
        yield
    except Exception:
        log.exception("turn %s failed [%s]", turn.message_id or turn.conversation_id, mark := uuid4().hex[:8])
        _unexpected(turn, mark)
    finally:
        turn.end()


def _unexpected(turn: LiveTurn, mark: str) -> str:
    """The sentence for what nobody expected, told to those who follow: they see the mark, the log has the rest."""
    sentence = UNEXPECTED.format(mark)
    turn.append(Failed(sentence, "internal"))
    return sentence


class Turns:
    """Starts turns and keeps those that are running. `chain` makes the answer chain when it is first needed."""

    def __init__(
        self,
        chain: Callable[[], AnswerChain],
        conversations: Conversations,
        records: TurnRecords,
        name_conversation: Callable[[str, str], None],
    ) -> None:
        self.chain = chain
        self.conversations = conversations
        self.records = records
        self._name = name_conversation
        self._live: dict[str, LiveTurn] = {}
        self._reserved: set[str] = set()  # conversations whose next turn is being stored
        self._usual = USUAL_SECONDS
        self._lock = threading.Lock()  # guards these three
        self._closing = threading.Event()

    def begin(
        self, question: str, *, owner_id: str, collection_id: str | None = None, document_id: str | None = None,
        filters: Filters = NO_FILTERS,
    ) -> LiveTurn:  # fmt: skip
        """Open a conversation with its first question. Raises BadQuestion, NotFound, ModelBusy, and opens none."""
        question = clean_question(question)
        with self._place(uuid4().hex):
            conversation_id = self.conversations.create(
                owner_id=owner_id, collection_id=collection_id, document_id=document_id, filters=filters
            )
            ids = self.records.add_question(conversation_id, question, owner_id=owner_id)
            return self._start(conversation_id, ids, owner_id)

    def ask(self, conversation_id: str, question: str, *, owner_id: str, instead_of: int | None = None) -> LiveTurn:
        """Store a question and start its answer.

        `instead_of` is the id of a question that this one replaces, as a branch beside it. Raises BadQuestion,
        NotFound, Conflict while another answer of this conversation is being written, ModelBusy.
        """
        question = clean_question(question)
        with self._place(conversation_id):
            ids = self.records.add_question(conversation_id, question, owner_id=owner_id, instead_of=instead_of)
            return self._start(conversation_id, ids, owner_id)

    def regenerate(self, conversation_id: str, message_id: int, *, owner_id: str) -> LiveTurn:
        """Answer the question of this answer once more; the earlier answer stays as a branch."""
        with self._place(conversation_id):
            ids = self.records.add_answer(conversation_id, message_id, owner_id=owner_id)
            return self._start(conversation_id, ids, owner_id)

    def ask_once(self, question: str, scope: Scope, *, history: Sequence[ChatMessage] = ()) -> LiveTurn:
        """Answer without storing anything: for programs and the command line. Raises BadQuestion, ModelBusy."""
        question = clean_question(question)
        turn = LiveTurn(f"once-{uuid4().hex}", 0)
        return self._start_once(
            turn, partial(self.records.draft, question, scope, history=tuple(history), cancel=turn.cancel)
        )

    def try_prompt(self, message_id: int, prompt: str, *, owner_id: str) -> LiveTurn:
        """Answer an earlier question again from the same passages with another text of the answer prompt."""
        turn = LiveTurn(f"try-{uuid4().hex}", 0)
        return self._start_once(
            turn, partial(self.records.replay, message_id, prompt, owner_id=owner_id, cancel=turn.cancel)
        )

    def active(self, conversation_id: str) -> LiveTurn | None:
        turn = self._live.get(conversation_id)
        return turn if turn and turn.active else None

    def running(self) -> int:
        return sum(turn.active for turn in list(self._live.values()))

    def stop_all(self) -> None:
        """End every turn; what is written so far is stored."""
        self._closing.set()
        for turn in list(self._live.values()):
            turn.cancel.set()

    def wait_idle(self, timeout: float) -> bool:
        """Whether all turns have ended within the time."""
        end = time.monotonic() + timeout
        return all(turn.ended(max(0.0, end - time.monotonic())) for turn in list(self._live.values()))

    @contextmanager
    def _place(self, conversation_id: str) -> Iterator[None]:
        """Hold a place until the turn is stored and begun, so that nobody else takes it. Raises Conflict, ModelBusy."""
        with self._lock:
            if conversation_id in self._reserved or self.active(conversation_id):
                raise Conflict("An answer is still being written in this conversation. Stop it or wait for it.")
            running = [turn for turn in self._live.values() if turn.active]
            if len(running) + len(self._reserved) >= MOST_TURNS:
                oldest = min((turn.began for turn in running), default=time.monotonic())
                left = self._usual - (time.monotonic() - oldest)
                raise busy(f"{MOST_TURNS} answers are being written already.", left)
            self._reserved.add(conversation_id)
        try:
            yield
        finally:
            with self._lock:
                self._reserved.discard(conversation_id)

    def _start_once(self, turn: LiveTurn, draft: Draft) -> LiveTurn:
        """Start a turn that is not stored."""
        with self._place(turn.conversation_id):
            self._keep(turn)
        threading.Thread(target=self._run_once, args=(turn, draft), name="turn-once", daemon=True).start()
        return turn

    def _start(self, conversation_id: str, message_id: int, owner_id: str) -> LiveTurn:
        turn = LiveTurn(conversation_id, message_id)
        self._keep(turn)
        threading.Thread(target=self._run, args=(turn, owner_id), name=f"turn-{message_id}", daemon=True).start()
        return turn

    def _keep(self, turn: LiveTurn) -> None:
        with self._lock:
            self._live = {id: other for id, other in self._live.items() if other.active}
            self._live[turn.conversation_id] = turn

    def _run_once(self, turn: LiveTurn, draft: Draft) -> None:
        with job(turn):
            trace = Trace()
            result = self._answer(turn, draft, trace)
            self._tell(turn, result, trace)

    def _run(self, turn: LiveTurn, owner_id: str) -> None:
        complete = False
        with job(turn):
            threading.Thread(target=self._save_while_writing, args=(turn,), name="turn-save", daemon=True).start()
            trace = Trace()
            draft = partial(self.records.request, turn.message_id, owner_id=owner_id, cancel=turn.cancel)
            result = self._answer(turn, draft, trace)
            try:
                self.records.finish(turn.message_id, result, trace)
            except GroundworkError as problem:  # a full disk: the answer stays on the screen, and the page says so
                log.warning("answer %s could not be stored: %s", turn.message_id, problem)
                turn.append(Failed(str(problem), problem.code))
            self._tell(turn, result, trace)
            complete = result.state == MessageState.complete
        if complete:
            self._name(turn.conversation_id, owner_id)

    def _tell(self, turn: LiveTurn, result: TurnResult, trace: Trace) -> None:
        """Tell the end of an answer, and remember how long it took."""
        if result.cited:
            turn.append(result.cited)
            turn.append(Done(trace.usage))
            with self._lock:
                self._usual += WEIGHT * (time.monotonic() - turn.began - self._usual)

    def _answer(self, turn: LiveTurn, draft: Draft, trace: Trace) -> TurnResult:
        try:
            cited = self._follow(turn, draft(trace=trace))
            return TurnResult(MessageState.complete, cited.text, cited=cited)
        except Cancelled:
            if self._closing.is_set():
                return TurnResult(MessageState.interrupted, turn.text, CLOSED)
            return TurnResult(MessageState.stopped, turn.text, STOPPED)
        except GroundworkError as problem:
            later = problem.retry_after if isinstance(problem, ModelBusy) else None
            turn.append(Failed(str(problem), problem.code, later))
            return TurnResult(MessageState.failed, turn.text, str(problem))
        except Exception:  # the same edge, while the answer can still be stored as failed
            log.exception("turn %s failed [%s]", turn.message_id, mark := uuid4().hex[:8])
            return TurnResult(MessageState.failed, turn.text, _unexpected(turn, mark))

    def _follow(self, turn: LiveTurn, request: AnswerRequest) -> Cited:
        cited = Cited("", ())
        for event in self.chain().stream(request):
            if isinstance(event, Cited):
                cited = event
            elif not isinstance(event, Done):  # both are told only once they are stored
                turn.append(event)
            if isinstance(event, Retrieved) and turn.message_id:
                self.records.save_passages(turn.message_id, event.passages, turn.query)
        return cited

    def _save_while_writing(self, turn: LiveTurn) -> None:
        saved = ""
        while not turn.ended(SAVE_SECONDS):
            if turn.text != saved:
                saved = turn.text
                try:
                    self.records.save_partial(turn.message_id, saved)
                except GroundworkError as problem:
                    log.warning("partial answer %s could not be stored: %s", turn.message_id, problem)
