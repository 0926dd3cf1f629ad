"""Why an answer was wrong: the person says what the right one would have been, and the first broken link is named."""

from __future__ import annotations

import streamlit as st

from core.chat.conversations import MessageView
from core.errors import NotFound
from core.types import User
from pages.ui import state
from pages.ui.frame import attempt
from pages.ui.markdown import plain

EXPECTED = "expected answer wrong"
# The links in their order, by the names that core/evaluation/diagnosis.py gives them.
LINKS = {
    "not in the file": "It is not in the file",
    "lost in parsing": "It was lost when the file was read",
    "in no chunk": "It is in no single passage",
    "not in the top 100": "The search does not find it",
    "below the cut": "The search finds it too far down",
    "cut from the context": "It was cut from the context",
    "in the prompt and ignored": "The model was shown it, and ignored it",
    "contradicted": "The model was shown it, and said something else",
    EXPECTED: "The document says something else than was expected",
}


def draw(message: MessageView, question: str, user: User) -> None:
    """Ask for the right answer, then show the links as far as they held."""
    id = message.id
    st.caption("Say what the right answer would have been. Then each step from the file to the answer is looked at.")
    with st.form(f"wrong-{id}", border=False):
        st.text_input("The right answer", key=f"expected-{id}", placeholder="24 months")
        st.form_submit_button(
            "Find out why",
            key=f"why-{id}",
            icon=":material/troubleshoot:",
            on_click=_diagnose,
            args=(message, question, user),
        )
    found = state.chat().diagnosis
    if found is not None and found[0] == id:
        st.warning(f"**{LINKS[found[1]]}.** {plain(found[2])}", icon=":material/link_off:")
        if found[1] != EXPECTED:  # with that one no link of ours is broken
            st.markdown("\n".join(_links(found[1])))


def _links(broken: str) -> list[str]:
    """The links before the broken one, which held, and that one."""
    names = list(LINKS)
    held = [f"- :green[:material/check:] Not this: {LINKS[name].lower()}" for name in names[: names.index(broken)]]
    return [*held, f"- :red[:material/close:] **{LINKS[broken]}**"]


@attempt
def _diagnose(message: MessageView, question: str, user: User) -> None:
    expected = " ".join(str(state.value(f"expected-{message.id}") or "").split())
    state.chat().expanded = message.id
    if not expected:
        return
    from core.evaluation.why import why_wrong  # brings the search with it, which no page should load

    services = state.services()
    try:
        scope = services.replays.making(message.id, owner_id=user.id).scope
    except NotFound:  # the process ended before the record was written
        scope = services.conversations.scope(state.conversation() or "", owner_id=user.id)
    found = why_wrong(services, message, question=question, expected=[expected], scope=scope)
    state.chat().diagnosis = (message.id, found.cause.value, found.sentence)
