"""What a browser tab remembers: one typed value per page. The only user of st.session_state and of services.get()."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st

from core import services as composition
from core.chat.comparisons import Comparison
from core.chat.replays import Replay
from core.chat.turns import LiveTurn
from core.models.remote.offer import OfferedModel
from core.services import Services
from core.types import NO_FILTERS, Filters

Kind = TypeVar("Kind")

CONVERSATION = "c"
SOURCE = "source"


@dataclass
class ChatState:
    """The chat page. `collection_id`, `document_id`, `filters`: the scope of a conversation that has not begun."""

    conversation_id: str | None = None
    collection_id: str | None = None
    document_id: str | None = None
    filters: Filters = NO_FILTERS
    listed: int = 20  # conversations in the list
    shown: int = 30  # messages of the conversation, from its end
    drawn: int = 0  # messages that the last complete run of the page drew
    editing: int | None = None  # the question that is being edited
    rating: int | None = None  # the answer whose thumbs-down is being explained
    expanded: int | None = None  # the answer whose passages are shown from the start
    source: tuple[int, int] | None = None  # answer and number of the citation that is open
    waiting: str | None = None  # a question to ask once the sample documents are read
    deleting: str | None = None  # a conversation, until the deletion is confirmed
    renaming: str | None = None
    replay: Replay | None = None  # the answer that is being made again, or was last
    diagnosis: tuple[int, str, str] | None = None  # an answer, its broken link, and a sentence about it


@dataclass
class UploadResult:
    """What became of one file of the last upload."""

    name: str
    message: str
    added: bool


@dataclass
class DocumentsState:
    """The documents page. `seen` is what the list shows, ids with their states; None until it is drawn."""

    results: tuple[UploadResult, ...] = ()
    uploads: int = 0  # part of the uploader's key: a new one empties it
    open_id: str | None = None
    deleting: tuple[str, ...] = ()
    managing: bool = False  # the collections dialog
    seen: tuple[tuple[str, str], ...] | None = None
    documents: int = 0  # all there were when the page was drawn
    gone: tuple[str, ...] = ()  # documents that were just deleted, until that was read
    deletions: bool = False  # the list of deletions is open
    adding_source: bool = False  # the form for a web page or folder
    source: str | None = None  # a web page or folder whose details are open
    source_problem: str = ""  # what was wrong with the form at the last attempt to save it
    active_sources: frozenset[str] = frozenset()  # those that were looked at at the last look


@dataclass
class PromptsState:
    """The prompts page. `trial` is the answer that is being made, or was made last, with the text of the editor."""

    purpose: str = "answer"
    trial: LiveTurn | None = None
    trial_of: int | None = None
    publishing: int | None = None
    problem: str = ""  # what was wrong with the text at the last attempt to save


@dataclass
class ModelsState:
    """The models page. `editing` is the service whose form is open, empty for a new one."""

    removing: str | None = None
    editing: str | None = None
    forgetting: str | None = None  # a service, until its removal is confirmed
    offered: tuple[OfferedModel, ...] = ()  # what the service of the form lists
    problem: str = ""  # what was wrong with the form at the last attempt to save it
    importing: bool = False  # the form for a model file is open
    shrinking: str | None = None  # a model, while the form for a smaller version is open
    comparison: Comparison | None = None


@dataclass
class EvaluationState:
    """The evaluation page. `told` is the last measurement whose end was announced."""

    deleting: str | None = None  # a run, until the deletion is confirmed
    told: str = ""


@dataclass
class AppState:
    """What every page shares: sentences to show at the next run, and the page to go to then."""

    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    destination: str = ""


def services() -> Services:
    """The services of this process."""
    return composition.get()


def app() -> AppState:
    return _remembered("app", AppState)


def chat() -> ChatState:
    return _remembered("chat", ChatState)


def documents() -> DocumentsState:
    return _remembered("documents", DocumentsState)


def prompts() -> PromptsState:
    return _remembered("prompts", PromptsState)


def models() -> ModelsState:
    return _remembered("models", ModelsState)


def evaluation() -> EvaluationState:
    return _remembered("evaluation", EvaluationState)


def conversation() -> str | None:
    """The open conversation. A reload loses the state and a page switch the query: each is kept in the other."""
    state = chat()
    named = st.query_params.get(CONVERSATION)
    if named:
        state.conversation_id = named
    return state.conversation_id


def open_conversation(conversation_id: str | None) -> None:
    """Go to a conversation, or with None to a new one; what was being done in the old one is dropped."""
    kept = chat()
    fresh = ChatState(conversation_id=conversation_id, listed=kept.listed, drawn=kept.drawn)
    if conversation_id is None:
        fresh.collection_id, fresh.document_id, fresh.filters = kept.collection_id, kept.document_id, kept.filters
    st.session_state["page:chat"] = fresh
    write_address()


def write_address() -> None:
    """Make the address of the page name the open conversation, and nothing else."""
    open_id = chat().conversation_id
    wanted = {CONVERSATION: open_id} if open_id else {}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def take_destination() -> str:
    """The page that a callback wants to go to; callbacks run before the router knows its pages."""
    wanted, app().destination = app().destination, ""
    return wanted


def take_source() -> None:
    """Open the citation that the address names, as the markers in answers do."""
    message, _, number = (st.query_params.get(SOURCE) or "").partition("-")
    if message.isdecimal() and number.isdecimal():
        chat().source = (int(message), int(number))


def value(key: str) -> Any:
    """What the widget with this key holds."""
    return st.session_state.get(key)


def put(key: str, content: object) -> None:
    """Set what a widget holds; only in callbacks, and before the widget is drawn."""
    st.session_state[key] = content


def stored(key: str, content: object) -> str:
    """Let a widget show what is stored, also where another tab changed it; returns the key.

    For widgets whose callback stores every change before anything is drawn.
    """
    if key not in st.session_state or st.session_state[key] != content:
        st.session_state[key] = content
    return key


def breathe() -> None:
    """Let Streamlit interrupt a long script: reading the state is one of its stopping points."""
    st.session_state.get("page:app")


def _remembered(name: str, kind: type[Kind]) -> Kind:
    key = f"page:{name}"
    if key not in st.session_state:
        st.session_state[key] = kind()
    found: Kind = st.session_state[key]
    return found
