"""The question field with the documents it asks, and what asking does."""

from __future__ import annotations

import streamlit as st

from core.chat.conversations import ConversationInfo
from core.errors import GroundworkError
from core.types import User
from pages.ui import filters, scope, state
from pages.ui.frame import NOTICE, attempt
from pages.ui.markdown import words

KEY = "question"


def field(info: ConversationInfo | None, user: User, *, busy: bool) -> None:
    """Draw the field at the bottom of the page; while an answer is being written it is locked."""
    with st.bottom:
        left, right = st.columns(2, vertical_alignment="center")
        with left:
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key="asked"):
                scope.selector(info, user, busy=busy)
                filters.draw(info, user, busy=busy)
        service = state.services().endpoints.active()
        right.caption(NOTICE, text_alignment="right")
        if service is not None:
            icon = ":material/cloud_upload:" if service.is_elsewhere else ":material/computer:"
            st.caption(f"{icon} {words(service.destination)}")
    # Outside of `st.bottom`: Streamlit puts it there itself, and only then keeps the end of the conversation in sight.
    # Without max_chars: with it, the field takes nothing of a text that is too long, and does not say why.
    st.chat_input(
        "Wait for the answer, or stop it" if busy else "Ask about your documents",
        key=KEY,
        disabled=busy,
        on_submit=_submit,
        args=(user,),
    )


@attempt
def _submit(user: User) -> None:
    question = state.value(KEY) or ""
    try:
        ask(question, user)
    except GroundworkError:
        state.put(KEY, question)  # nobody should have to type it again
        raise


def ask(question: str, user: User) -> None:
    """Ask in the open conversation; the first question opens one. Raises what Turns.ask raises."""
    turns, conversation_id = state.services().turns, state.conversation()
    if conversation_id is not None:
        turns.ask(conversation_id, question, owner_id=user.id)
        return
    chat = state.chat()
    turn = turns.begin(
        question, owner_id=user.id, collection_id=chat.collection_id, document_id=chat.document_id,
        filters=chat.filters,
    )  # fmt: skip
    state.open_conversation(turn.conversation_id)
