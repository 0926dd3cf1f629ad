"""An earlier answer made again: unchanged, which gives the same text, or with a change, to see what that does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from core.chat.making import GENERATE, Making, making_of
from core.chat.request import AnswerRequest, Habits
from core.chat.turns import LiveTurn
from core.errors import Cancelled, Conflict, GroundworkError
from core.models.installed import Models
from core.prompts import Prompts
from core.storage.db import Database
from core.traces import Trace
from core.types import Cited, Done, Failed, GenerationOptions, Passage, Way

if TYPE_CHECKING:
    from core.chat.chain import AnswerChain

log = logging.getLogger(__name__)

AFTERWARDS = ("general", "verify")  # prompts that may come after the answer, as they are now
MOST_PASSAGES = 12


@dataclass(frozen=True, slots=True)
class Change:
    """What shall be other than it was: None leaves it. `passages` more than there were are searched for anew."""

    prompt: int | None = None
    model: str | None = None
    passages: int | None = None
    temperature: float | None = None
    seed: int | None = None

    @property
    def nothing(self) -> bool:
        return self == Change()


@dataclass
class Replay:
    """A replay that runs or has ended; it is followed through its turn."""

    making: Making
    change: Change
    turn: LiveTurn
    trace: Trace = field(default_factory=Trace)

    @property
    def cited(self) -> Cited | None:
        """The finished answer."""
        return next((event for event in self.turn.events if isinstance(event, Cited)), None)

    @property
    def same_text(self) -> bool:
        return self.cited is not None and self.cited.text == self.making.answer

    @property
    def same_prompt(self) -> bool | None:
        """Whether the model was given the same prompt; None when that is not known of the earlier answer."""
        given = next((span.attributes.get("prompt_sha256") for span in self.trace.spans if span.name == GENERATE), None)
        return given == self.making.prompt_sha256 if given and self.making.prompt_sha256 else None


class Replays:
    """Makes answers again. `chain` gives the answer chain of a chat model by its id, and of what answers now by ""."""

    def __init__(self, db: Database, prompts: Prompts, models: Models, chain: Callable[[str], AnswerChain]) -> None:
        self._db, self._prompts, self._models, self._chain = db, prompts, models, chain

    def making(self, message_id: int, *, owner_id: str) -> Making:
        """How an answer was made. Raises NotFound."""
        return making_of(self._db, message_id, owner_id=owner_id)

    def obstacles(self, making: Making, change: Change = Change()) -> list[str]:
        """Why this cannot be replayed, in sentences; none when it can."""
        origin = making.attribution
        if origin is None:
            return ["It was made by a version of Groundwork that did not keep how."]
        found = list(_without_passages(making))
        if making.gone:
            found.append(f"{_passages(making.gone)} cannot be read any more: the document was deleted.")
        if making.changed:
            found.append(f"{_passages(making.changed)} says something else now: the document was read anew since.")
        service = self._models.endpoint()
        if change.model is None and origin.endpoint:
            if service is None or (service.url, service.model) != (origin.endpoint, origin.model):
                found.append(f"It was written by {origin.model} of {origin.endpoint}, which is not in use now.")
        else:
            found += self._without_model(change.model or origin.model, "" if change.model else origin.model_sha256)
        return found

    def start(self, message_id: int, change: Change = Change(), *, owner_id: str) -> Replay:
        """Make the answer again in a thread of its own. Raises NotFound, Conflict with what stands in the way."""
        making = self.making(message_id, owner_id=owner_id)
        if obstacles := self.obstacles(making, change):
            raise Conflict("This answer cannot be replayed. " + " ".join(obstacles))
        replay = Replay(making, change, LiveTurn("replay", 0))
        threading.Thread(target=self._run, args=(replay,), name=f"replay-{message_id}", daemon=True).start()
        return replay

    def _without_model(self, model_id: str, sha256: str) -> list[str]:
        """What is wrong with a model of this machine; `sha256` is what its file was, if that is known."""
        here = {view.model.id: view for view in self._models.list_models()}
        if model_id not in here or not (here[model_id].installed or here[model_id].active):
            return [f"The model {model_id} is not installed any more."]
        now = here[model_id].model.sha256
        return [f"The file of the model {model_id} is another one now."] if sha256 and now != sha256 else []

    def _run(self, replay: Replay) -> None:
        turn = replay.turn
        try:
            chain = self._chain(self._model(replay))
            for event in chain.stream(self._request(replay, chain)):
                if not isinstance(event, Done):
                    turn.append(event)
        except Cancelled as stopped:
            turn.append(Failed(str(stopped), stopped.code))
        except GroundworkError as problem:
            log.warning("replay of %s: %s", replay.making.message_id, problem)
            turn.append(Failed(str(problem), problem.code))
        finally:
            turn.end()

    def _model(self, replay: Replay) -> str:
        """The id of the model that shall write; "" for what answers now, which counts tokens exactly."""
        origin = replay.making.attribution
        wanted = replay.change.model or (origin.model if origin and not origin.endpoint else "")
        return "" if self._models.endpoint() is None and wanted == self._models.active_id() else wanted

    def _request(self, replay: Replay, chain: AnswerChain) -> AnswerRequest:
        making, change = replay.making, replay.change
        origin = making.attribution
        assert origin is not None
        prompt = self._prompts.version("answer", change.prompt).text if change.prompt else origin.prompt_text
        notes, summarised = str(making.ledger.get("remembered", "")), int(making.ledger.get("summarised", 0))
        habits = _habits(origin.retrieval)
        return AnswerRequest(
            question=making.query or making.question,
            scope=making.scope,
            answer_prompt=prompt,
            condense_prompt="",
            history=making.history[summarised:],
            passages=tuple(self._passages(making, change, chain, habits)),
            options=_options(origin.sampling, change),
            cancel=replay.turn.cancel,
            trace=replay.trace,
            habits=habits,
            prompts={name: self._prompts.published(name).text for name in AFTERWARDS},
            summary=notes,
            summarised=summarised,
            today=making.created_at.date().isoformat(),
        )

    def _passages(self, making: Making, change: Change, chain: AnswerChain, habits: Habits) -> Sequence[Passage]:
        wanted = change.passages
        if wanted is None or wanted <= len(making.passages):
            return making.passages[:wanted]
        from core.chat.cutting import cut
        from core.chat.neighbours import merged
        from core.retrieval.retriever import HybridRetriever

        if not isinstance(chain.retriever, HybridRetriever):
            raise Conflict("This search cannot be asked for more passages.")
        query = making.query or making.question
        found = merged(chain.retriever.within(making.scope).retrieve(query, k=min(wanted, MOST_PASSAGES)))
        return cut(found, query, tokens=habits.passage_tokens, count=chain.counter.count)


def _without_passages(making: Making) -> Sequence[str]:
    """Answers that other ways than passages led to."""
    way = making.cited.way if making.cited else Way.documents
    if way in (Way.documents, Way.general):
        return () if making.passages or making.history else ("Nothing was found for it, so no model was asked.",)
    return ("It was not made from passages, so there is nothing to hold still. Ask it again instead.",)


def _passages(numbers: Sequence[int]) -> str:
    named = " and ".join(str(number) for number in numbers)
    return f"Passage {named}" if len(numbers) == 1 else f"Each of the passages {named}"


def _habits(retrieval: Mapping[str, Any]) -> Habits:
    """The settings of then, as far as they were kept."""
    names = ("passage_tokens", "history_tokens", "general")
    return Habits(**{name: retrieval[name] for name in names if name in retrieval})


def _options(sampling: Mapping[str, Any], change: Change) -> GenerationOptions:
    """The sampling of then, from scratch: a prefix that lies in a cache may have been computed in other portions."""
    known = {name: value for name, value in sampling.items() if name in GenerationOptions.__dataclass_fields__}
    lists = {name: tuple(map(_frozen, value)) for name, value in known.items() if isinstance(value, list)}
    options = replace(GenerationOptions(**(known | lists)), cache_prompt=False)
    if change.temperature is not None:
        options = replace(options, temperature=change.temperature)
    return replace(options, seed=change.seed) if change.seed is not None else options


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
