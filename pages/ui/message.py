"""One message of a conversation: the question with its editor, the answer with sources, rating and actions."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from core.chat.conversations import MessageView
from core.types import MessageState, User
from pages.ui import answer_details, citations, claims, rating, state
from pages.ui.frame import attempt
from pages.ui.markdown import plain
from pages.ui.speakers import ASSISTANT, PERSON, searched_for

Color = Literal["gray", "orange", "red"]

ENDED: dict[MessageState, tuple[str, str, Color]] = {
    MessageState.stopped: ("Stopped", ":material/stop_circle:", "gray"),
    MessageState.interrupted: ("Interrupted", ":material/power_off:", "orange"),
    MessageState.failed: ("Failed", ":material/error:", "red"),
    MessageState.writing: ("Interrupted", ":material/power_off:", "orange"),
}


def draw(message: MessageView, user: User, *, busy: bool, asked: str = "") -> None:
    """Draw a message that is not being written; while the conversation is busy nothing in it can be changed.

    `asked` is the question of an answer.
    """
    if message.role == "user":
        with st.chat_message("user", avatar=PERSON):
            if state.chat().editing == message.id and not busy:
                _editor(message, user)
            else:
                _question(message, user, busy=busy)
        return
    with st.chat_message("assistant", avatar=ASSISTANT):
        searched_for(message.query)
        claims.above(message)
        if message.content:
            st.markdown(claims.text(message, citations.links(message, state.conversation() or "")), anchors=False)
        if message.state in ENDED:
            _ended(message)
        citations.sources(message)
        _answer_actions(message, user, busy=busy)
        rating.explain(message, user)
        answer_details.draw(message, asked, user)


def show_earlier() -> None:
    """Show thirty messages more."""
    state.chat().shown += 30


def _ended(message: MessageView) -> None:
    word, icon, color = ENDED[message.state]
    st.badge(word, icon=icon, color=color)
    st.caption(plain(message.error or "This answer was not finished."))


def _question(message: MessageView, user: User, *, busy: bool) -> None:
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key=f"question-{message.id}"):
        st.text(message.content, width="stretch")
        _branches(message, user, busy=busy)
        st.button(
            "Edit",
            key=f"edit-{message.id}",
            icon=":material/edit:",
            type="tertiary",
            disabled=busy,
            help="Ask it differently. This version is kept.",
            on_click=_edit,
            args=(message.id,),
        )


def _answer_actions(message: MessageView, user: User, *, busy: bool) -> None:
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key=f"answer-{message.id}"):
        if message.content:
            rating.thumbs(message, user)
        _branches(message, user, busy=busy)
        unfinished = message.state != MessageState.complete
        st.button(
            "Try again" if unfinished else "Answer again",
            key=f"again-{message.id}",
            icon=":material/refresh:",
            type="secondary" if unfinished else "tertiary",
            disabled=busy,
            help="Write another answer. This one is kept.",
            on_click=_regenerate,
            args=(message.id, user),
        )


def _branches(message: MessageView, user: User, *, busy: bool) -> None:
    """Arrows between the alternatives of a message."""
    if len(message.siblings) < 2:
        return
    place = message.siblings.index(message.id)
    for step, icon, word in ((-1, ":material/chevron_left:", "Previous"), (1, ":material/chevron_right:", "Next")):
        target = min(max(place + step, 0), len(message.siblings) - 1)
        if step == 1:
            st.caption(f"{place + 1} / {len(message.siblings)}", width="content")
        st.button(
            word,
            key=f"branch-{message.id}-{step}",
            icon=icon,
            icon_position="left" if step < 0 else "right",
            type="tertiary",
            disabled=busy or target == place,
            on_click=_show,
            args=(message.siblings[target], user),
        )


def _editor(message: MessageView, user: User) -> None:
    key = f"edited-{message.id}"
    with st.form(f"editor-{message.id}", border=False):
        st.text_area("Your question", message.content, key=key, height=120)
        with st.container(horizontal=True):
            st.form_submit_button(
                "Ask", key=f"ask-{message.id}", type="primary", on_click=_ask_instead, args=(message.id, key, user)
            )
            st.form_submit_button("Cancel", key=f"keep-{message.id}", on_click=_edit, args=(None,))


@attempt
def _edit(message_id: int | None) -> None:
    state.chat().editing = message_id


@attempt
def _ask_instead(message_id: int, key: str, user: User) -> None:
    conversation = state.conversation() or ""
    state.services().turns.ask(conversation, state.value(key) or "", owner_id=user.id, instead_of=message_id)
    state.chat().editing = None


@attempt
def _regenerate(message_id: int, user: User) -> None:
    state.services().turns.regenerate(state.conversation() or "", message_id, owner_id=user.id)


@attempt
def _show(message_id: int, user: User) -> None:
    state.services().conversations.show_branch(state.conversation() or "", message_id, owner_id=user.id)
