"""Thumbs under an answer, and what stands behind them. Everything is stored at once, and nothing is lost by a click."""

from __future__ import annotations

import streamlit as st

from core.chat.conversations import MessageView, Rating
from core.feedback import LONGEST_COMMENT, REASONS
from core.types import User
from pages.ui import state
from pages.ui.frame import attempt, say

DOWN = 0
TAKEN_BACK = "Your rating was taken back."


def thumbs(message: MessageView, user: User) -> None:
    """The two thumbs, showing what was said before, and for a rated answer the way to its explanation."""
    key, rated = f"thumb-{message.id}", message.rating
    st.feedback(
        "thumbs",
        key=key,
        default=rated.thumb if rated and state.value(key) is None else None,
        on_change=_rate,
        args=(message.id, key, rated, user),
    )
    if rated and state.chat().rating != message.id:
        st.button(
            "Edit explanation" if _explained(rated) else "Explain",
            key=f"explain-open-{message.id}",
            icon=":material/edit_note:",
            type="tertiary",
            help="Say why you rated it so.",
            on_click=_open,
            args=(message.id,),
        )


def explain(message: MessageView, user: User) -> None:
    """Ask for reasons and a comment while the rating of this answer is being explained."""
    rated = message.rating
    if state.chat().rating != message.id or rated is None:
        return
    reasons, comment = f"reasons-{message.id}", f"comment-{message.id}"
    arguments = (message.id, rated.thumb, reasons, comment, user)
    with st.container(border=True, key=f"explain-{message.id}"):
        if rated.thumb == DOWN:
            st.pills(
                "What was wrong?",
                list(REASONS),
                selection_mode="multi",
                default=list(rated.reasons),
                format_func=REASONS.__getitem__,
                key=reasons,
                on_change=_explain,
                args=arguments,
            )
        st.text_area(
            "Anything else?" if rated.thumb == DOWN else "What was good, and what could be better?",
            rated.comment,
            key=comment,
            height=80,
            max_chars=LONGEST_COMMENT,
            placeholder="What would the right answer have been?" if rated.thumb == DOWN else None,
            on_change=_explain,
            args=arguments,
        )
        with st.container(horizontal=True):
            st.button("Done", key=f"explained-{message.id}", type="primary", on_click=_finish, args=arguments)
            st.button("Take the rating back", key=f"unrate-{message.id}", on_click=_take_back, args=(message.id, user))


def _explained(rated: Rating) -> bool:
    return bool(rated.reasons or rated.comment)


@attempt
def _rate(message_id: int, key: str, before: Rating | None, user: User) -> None:
    thumb = state.value(key)
    if thumb is None and before is not None and _explained(before):
        state.put(key, before.thumb)
        state.chat().rating = message_id
        say("Your rating has an explanation, so it was kept. Below the answer you can take both back.")
        return
    state.services().feedback.rate(message_id, user_id=user.id, thumb=thumb)
    state.chat().rating = message_id if thumb == DOWN else None
    say(TAKEN_BACK if thumb is None else "Thank you. Your rating is stored.")


@attempt
def _open(message_id: int) -> None:
    state.chat().rating = message_id


@attempt
def _explain(message_id: int, thumb: int, reasons: str, comment: str, user: User) -> None:
    state.services().feedback.rate(
        message_id,
        user_id=user.id,
        thumb=thumb,
        reasons=(state.value(reasons) or []) if thumb == DOWN else None,  # reasons are asked for only then
        comment=state.value(comment) or "",
    )


@attempt
def _finish(message_id: int, thumb: int, reasons: str, comment: str, user: User) -> None:
    _explain(message_id, thumb, reasons, comment, user)
    state.chat().rating = None
    say("Thank you. What you wrote is stored.")


@attempt
def _take_back(message_id: int, user: User) -> None:
    state.services().feedback.rate(message_id, user_id=user.id, thumb=None)
    state.put(f"thumb-{message_id}", None)
    state.chat().rating = None
    say(TAKEN_BACK)
