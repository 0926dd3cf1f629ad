"""Ratings with the question and answer they are about, and what a reviewer does with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.feedback import REASONS, FeedbackEntry
from core.types import User
from pages.ui import state
from pages.ui.figures import moment
from pages.ui.frame import attempt
from pages.ui.markdown import answer, plain

THUMB, STATE, REASON, SEARCH, NUMBER = "fb-thumb", "fb-state", "fb-reason", "fb-search", "fb-page"
PAGE = 10
EVERY, ANY, NO_REASON = "All ratings", "Any state", "Any reason"
THUMBS = {EVERY: None, "Helpful": 1, "Not helpful": 0}
STATES = {ANY: None, "To review": False, "Reviewed": True}
LONGEST_ANSWER = 1200


@dataclass(frozen=True, slots=True)
class Filters:
    """Which ratings are shown; None means all."""

    thumb: int | None
    reviewed: bool | None
    reason: str | None
    search: str


def filters() -> Filters:
    """The row of filters."""
    hidden: dict[str, Any] = {"label_visibility": "collapsed", "on_change": _first}
    with st.container(horizontal=True, vertical_alignment="center", key="filters"):
        thumb = st.segmented_control("Rating", list(THUMBS), default=EVERY, required=True, key=THUMB, **hidden)
        review = st.segmented_control("State", list(STATES), default=ANY, required=True, key=STATE, **hidden)
        reason = st.selectbox(
            "Reason", [NO_REASON, *REASONS], format_func=lambda r: REASONS.get(r, r), key=REASON, width=240, **hidden
        )
        search = st.text_input("Search", key=SEARCH, placeholder="Search", type="search", width=240, **hidden)
    return Filters(THUMBS[thumb or EVERY], STATES[review or ANY], None if reason == NO_REASON else reason, search or "")


def draw(entries: list[FeedbackEntry], user: User) -> None:
    """Ten ratings at a time."""
    pages = -(-len(entries) // PAGE)
    number = min(state.value(NUMBER) or 1, pages)
    for entry in entries[(number - 1) * PAGE : number * PAGE]:
        _entry(entry, user)
    if pages > 1:
        st.pagination(pages, key=NUMBER)


def _entry(entry: FeedbackEntry, user: User) -> None:
    with st.container(border=True, key=f"feedback-{entry.id}"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            if entry.thumb:
                st.badge("Helpful", icon=":material/thumb_up:", color="green")
            else:
                st.badge("Not helpful", icon=":material/thumb_down:", color="red")
            for reason in entry.reasons:
                st.badge(REASONS.get(reason, plain(reason)), color="orange")
            if entry.reviewed_at:
                st.badge("Reviewed", icon=":material/check:", color="gray")
        st.markdown(f"**{plain(entry.question)}**")
        cut = entry.answer[:LONGEST_ANSWER] + (" …" if len(entry.answer) > LONGEST_ANSWER else "")
        st.markdown(answer(cut), anchors=False)
        if entry.comment:
            with st.container(border=True):
                st.caption("Comment")
                st.text(entry.comment)
        version = f"prompt version {entry.prompt_version}" if entry.prompt_version else "prompt unknown"
        st.caption(f"{moment(entry.created_at)} · {plain(entry.model) or 'model unknown'} · {version}")
        with st.container(horizontal=True):
            st.button(
                "Open conversation", key=f"show-{entry.id}", icon=":material/forum:", on_click=_open, args=(entry, user)
            )
            st.button(
                "Reopen" if entry.reviewed_at else "Mark as reviewed",
                key=f"review-{entry.id}",
                icon=":material/undo:" if entry.reviewed_at else ":material/check:",
                on_click=_review,
                args=(entry.id, entry.reviewed_at is None, user),
            )


def _first() -> None:
    state.put(NUMBER, 1)


@attempt
def _open(entry: FeedbackEntry, user: User) -> None:
    state.services().conversations.show_branch(entry.conversation_id, entry.message_id, owner_id=user.id)
    state.open_conversation(entry.conversation_id)
    state.chat().expanded = entry.message_id
    state.app().destination = "chat.py"


@attempt
def _review(feedback_id: int, reviewed: bool, user: User) -> None:
    state.services().feedback.review(feedback_id, user_id=user.id, reviewed=reviewed)
