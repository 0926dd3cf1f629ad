"""What an empty chat page says: what this is, how to get documents in, and questions to try."""

from __future__ import annotations

import streamlit as st

from core.library import DocumentCounts
from core.samples import COLLECTION, QUESTIONS
from core.types import User
from pages.ui import asking, state
from pages.ui.figures import count
from pages.ui.frame import attempt, errors
from pages.ui.markdown import plain

LOOK_SECONDS = 1.0


def draw(user: User) -> None:
    """The empty conversation, on an empty installation and later."""
    services = state.services()
    counts = services.library.counts(owner_id=user.id)
    samples = next((c for c in services.documents.list_collections(owner_id=user.id) if c.name == COLLECTION), None)
    if not counts.total:
        _first_visit(user)
        return
    st.title("What would you like to know?", anchor=False)
    st.markdown(_stock(counts))
    if samples and samples.documents:
        _questions(user, samples.id)
    elif not counts.found:
        st.page_link("documents.py", label="Open Documents", icon=":material/description:")


def _first_visit(user: User) -> None:
    st.title("Ask your own documents", anchor=False)
    st.markdown(
        "Groundwork answers questions from your documents and shows for each claim the page and the words it rests on. "
        f"{_stays()}"
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        load_button(user)
        st.page_link("documents.py", label="Add your own documents", icon=":material/upload_file:")


def _stays() -> str:
    service = state.services().endpoints.active()
    if service is not None and service.is_elsewhere:
        return "Your documents are kept and searched on this machine."
    return "Everything stays on this machine."


def load_button(user: User) -> None:
    """Loads the sample documents."""
    st.button(
        "Load three sample documents",
        key="load-samples",
        type="primary",
        icon=":material/auto_stories:",
        on_click=_load,
        args=(user,),
    )


def _stock(counts: DocumentCounts) -> str:
    said = f"Answers come from {count(counts.found, 'document')}." if counts.found else "No document can be asked yet."
    if counts.busy:
        said += f" {count(counts.busy, 'document')} {'is' if counts.busy == 1 else 'are'} still being read."
    if counts.failed:
        said += f" {count(counts.failed, 'document')} could not be read; the page Documents says why."
    return said


def _questions(user: User, collection_id: str) -> None:
    st.caption("Questions to try with the sample documents")
    waiting = state.chat().waiting
    for number, question in enumerate(QUESTIONS):
        st.button(
            plain(question),
            key=f"sample-{number}",
            icon=":material/search:",
            disabled=waiting is not None,
            on_click=_try,
            args=(question, user, collection_id),
        )
    if waiting is not None:
        st.fragment(_wait, run_every=LOOK_SECONDS)(user, collection_id)


def _wait(user: User, collection_id: str) -> None:
    """Ask the waiting question as soon as the sample documents can be searched."""
    with errors():
        waiting = state.chat().waiting
        counts = state.services().library.counts(owner_id=user.id, collection_id=collection_id)
        if waiting is None or not counts.busy:
            _ask_waiting(user)
            st.rerun()
        done = counts.total - counts.busy
        st.progress(done / max(1, counts.total), text="Your question is asked as soon as the documents are read")
        st.button("Do not wait", key="stop-waiting", type="tertiary", on_click=_forget)


@attempt
def _ask_waiting(user: User) -> None:
    waiting, state.chat().waiting = state.chat().waiting, None
    if waiting:
        asking.ask(waiting, user)


@attempt
def _load(user: User) -> None:
    state.services().samples.load(owner_id=user.id)


@attempt
def _try(question: str, user: User, collection_id: str) -> None:
    if state.services().library.counts(owner_id=user.id, collection_id=collection_id).busy:
        state.chat().waiting = question
    else:
        asking.ask(question, user)


def _forget() -> None:
    state.chat().waiting = None
