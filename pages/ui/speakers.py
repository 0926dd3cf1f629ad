"""Who speaks in a conversation, and what was searched for when a question was rewritten."""

from __future__ import annotations

import streamlit as st

from pages.ui.markdown import plain

PERSON, ASSISTANT = ":material/person:", ":material/book_2:"


def searched_for(query: str) -> None:
    """The query that a follow-up was rewritten into."""
    if query:
        st.caption(f"Searched for: {plain(query)}")
