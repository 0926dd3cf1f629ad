"""Feedback: what people said of answers, for those who make the next answers better."""

import streamlit as st

from core.types import User
from pages.ui import feedback_list, frame, state


def draw(user: User) -> None:
    book = state.services().feedback
    counts = book.counts(owner_id=user.id)
    if not counts.up + counts.down:
        st.info("No answer was rated yet. The thumbs are under each answer.", icon=":material/thumbs_up_down:")
        st.page_link("chat.py", label="Open the chat", icon=":material/forum:")
        return
    with st.grid(3, min_column_width=90):
        st.metric("Helpful", counts.up, border=True)
        st.metric("Not helpful", counts.down, border=True)
        st.metric("To review", counts.open, border=True)
    chosen = feedback_list.filters()
    entries = book.entries(
        owner_id=user.id,
        thumb=chosen.thumb,
        reviewed=chosen.reviewed,
        reason=chosen.reason,
        search=chosen.search,
    )
    if not entries:
        st.caption("No rating matches.")
        return
    feedback_list.draw(entries, user)


with frame.page("Feedback", "What people said of answers, with what the answers were made from.") as user:
    draw(user)
