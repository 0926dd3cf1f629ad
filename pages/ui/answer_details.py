"""What is below an answer, drawn only while it is open: its passages, how it was made, and making it again."""

from __future__ import annotations

import streamlit as st

from core.chat.conversations import MessageView
from core.types import User
from pages.ui import answer_making, answer_replay, answer_wrong, citations, claims, state
from pages.ui.figures import count, duration

PASSAGES, MADE, AGAIN, WRONG = "Passages", "How it was made", "Replay", "Why was this wrong?"


def draw(message: MessageView, question: str, user: User) -> None:
    """An expander with one view at a time, so that nothing is read that nobody looks at."""
    if not (message.passages or message.seconds):
        return
    facts = [
        f"{count(len(message.passages), 'passage')} used",
        claims.summary(message),
        duration(message.seconds) if message.seconds else "",
    ]
    opened = st.expander(
        " · ".join(fact for fact in facts if fact),
        expanded=state.chat().expanded == message.id,
        key=f"details-{message.id}",
        type="compact",
        on_change="rerun",
    )
    if not opened.open:
        return
    with opened:
        view = st.segmented_control(
            "What to show",
            [PASSAGES, MADE, AGAIN, WRONG],
            default=PASSAGES,
            required=True,
            key=f"view-{message.id}",
            label_visibility="collapsed",
        )
        if view == MADE:
            answer_making.draw(message.id, user)
        elif view == AGAIN:
            answer_replay.draw(message.id, user)
        elif view == WRONG:
            answer_wrong.draw(message, question, user)
        else:
            _passages(message)


def _passages(message: MessageView) -> None:
    claims.table(message)
    citations.passages(message)
    if message.content:
        st.caption("The answer as text")
        st.code(message.content, language=None, wrap_lines=True)
