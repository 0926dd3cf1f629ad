"""Thumbs under an answer, and the question why after a thumbs-down. Everything is stored at once."""

from __future__ import annotations

import streamlit as st

from core.chat.conversations import MessageView
from core.feedback import LONGEST_COMMENT, REASONS
from core.types import User
from pages.ui import state
from pages.ui.frame import attempt, say

DOWN = 0


def thumbs(message: MessageView, user: User) -> None:
    """The two thumbs, showing what was said before."""
    key = f"thumb-{message.id}"
    st.feedback(
        "thumbs",
        key=key,
        default=message.rating.thumb if message.rating else None,
        on_change=_rate,
        args=(message.id, key, user),
    )


def explain(message: MessageView, user: User) -> None:
    """Ask for reasons and a comment while a thumbs-down of this answer is being explained."""
    if state.chat().rating != message.id or message.rating is None or message.rating.thumb != DOWN:
        return
    reasons, comment = f"reasons-{message.id}", f"comment-{message.id}"
    arguments = (message.id, reasons, comment, user)
    with st.container(border=True, key=f"explain-{message.id}"):
        st.pills(
            "What was wrong?",
            list(REASONS),
            selection_mode="multi",
            default=list(message.rating.reasons),
            format_func=REASONS.__getitem__,
            key=reasons,
            on_change=_explain,
            args=arguments,
        )
        st.text_area(
            "Anything else?",
            message.rating.comment,
            key=comment,
            height=80,
            max_chars=LONGEST_COMMENT,
            placeholder="What would the right answer have been?",
            on_change=_explain,
            args=arguments,
        )
        st.button("Done", key=f"explained-{message.id}", type="primary", on_click=_finish, args=arguments)


@attempt
def _rate(message_id: int, key: str, user: User) -> None:
    thumb = state.value(key)
    state.services().feedback.rate(message_id, user_id=user.id, thumb=thumb)
    state.chat().rating = message_id if thumb == DOWN else None
    say("Your rating was taken back." if thumb is None else "Thank you. Your rating is stored.")


@attempt
def _explain(message_id: int, reasons: str, comment: str, user: User) -> None:
    state.services().feedback.rate(
        message_id,
        user_id=user.id,
        thumb=DOWN,
        reasons=state.value(reasons) or [],
        comment=state.value(comment) or "",
    )


@attempt
def _finish(message_id: int, reasons: str, comment: str, user: User) -> None:
    _explain(message_id, reasons, comment, user)
    state.chat().rating = None
    say("Thank you. What you wrote is stored.")
