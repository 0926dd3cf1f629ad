"""The list of conversations in the sidebar, and what can be done with the one that is open."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.chat.conversations import LONGEST_TITLE, ConversationInfo
from core.chat.export import to_json, to_markdown
from core.types import User
from pages.ui import state
from pages.ui.frame import attempt, errors, say
from pages.ui.labels import shortened
from pages.ui.markdown import plain

SEARCH = "conversation-search"
TITLE = "conversation-title"
MORE = 30
LONGEST_LABEL = 44


def sidebar(user: User) -> None:
    """New, search, the list, and the actions on the open one."""
    with errors():
        st.button(
            "New conversation",
            key="new",
            icon=":material/add:",
            width="stretch",
            on_click=state.open_conversation,
            args=(None,),
        )
        search = st.text_input(
            "Search conversations",
            key=SEARCH,
            placeholder="Search conversations",
            label_visibility="collapsed",
            icon=":material/search:",
            type="search",
        )
        _list(user, search or "")


def _list(user: User, search: str) -> None:
    chat = state.chat()
    found = state.services().conversations.list_conversations(owner_id=user.id, search=search, limit=chat.listed + 1)
    if not found:
        st.caption("Nothing found." if search else "Your conversations will be listed here.")
    current = state.conversation()
    with st.container(gap=None, key="conversations"):
        for entry in found[: chat.listed]:
            _row(entry, user, current=entry.id == current)
    if len(found) > chat.listed:
        st.button("Show more", key="more", type="tertiary", on_click=_more)


def _row(entry: ConversationInfo, user: User, *, current: bool) -> None:
    st.button(
        f"**{_title(entry)}**" if current else _title(entry),
        key=f"open-{entry.id}",
        icon=":material/chat_bubble:" if current else None,
        type="tertiary",
        wrap=False,
        on_click=state.open_conversation,
        args=(entry.id,),
    )
    if current:
        _actions(entry, user)


def _actions(entry: ConversationInfo, user: User) -> None:
    with st.container(horizontal=True, gap="xsmall", key="conversation-actions"):
        st.button(
            "Rename",
            key="rename",
            icon=":material/edit:",
            type="tertiary",
            on_click=_begin,
            args=("renaming", entry.id),
        )
        with st.popover("Export", icon=":material/download:", type="tertiary", key="export"):
            name = "".join(c if c.isalnum() else "-" for c in entry.title)[:60].strip("-") or "conversation"
            st.download_button(
                "Markdown",
                data=partial(export, entry.id, user, as_json=False),
                file_name=f"{name}.md",
                mime="text/markdown",
                key="export-markdown",
                on_click="ignore",
                width="stretch",
            )
            st.download_button(
                "JSON",
                data=partial(export, entry.id, user, as_json=True),
                file_name=f"{name}.json",
                mime="application/json",
                key="export-json",
                on_click="ignore",
                width="stretch",
            )
        st.button(
            "Delete",
            key="delete",
            icon=":material/delete:",
            type="tertiary",
            on_click=_begin,
            args=("deleting", entry.id),
        )


def dialogs(user: User) -> None:
    """The question before a deletion, and the new title; drawn by the page, because a dialog stands over all of it."""
    chat = state.chat()
    if chat.deleting:
        st.dialog("Delete this conversation?", on_dismiss=_cancel)(_confirm)(chat.deleting, user)
    elif chat.renaming:
        st.dialog("Rename this conversation", on_dismiss=_cancel)(_rename_form)(chat.renaming, user)


def _confirm(conversation_id: str, user: User) -> None:
    with errors():
        entry = state.services().conversations.get(conversation_id, owner_id=user.id)
        st.markdown(f"**{plain(entry.title)}** goes with all its questions, answers and ratings. Documents stay.")
        with st.container(horizontal=True):
            st.button(
                "Delete",
                key="delete-confirmed",
                type="primary",
                on_click=_delete,
                args=(conversation_id, user),
            )
            st.button("Keep it", key="delete-cancelled", on_click=_cancel_and_close)


def _rename_form(conversation_id: str, user: User) -> None:
    with errors():
        entry = state.services().conversations.get(conversation_id, owner_id=user.id)
        with st.form("rename-form", border=False):
            st.text_input("Title", entry.title, key=TITLE, max_chars=LONGEST_TITLE)
            st.form_submit_button(
                "Save", key="rename-save", type="primary", on_click=_rename, args=(conversation_id, user)
            )


def _title(entry: ConversationInfo) -> str:
    return plain(shortened(entry.title or "Untitled", LONGEST_LABEL))


def export(conversation_id: str, user: User, *, as_json: bool) -> str:
    """The conversation as a file; made when the button is pressed."""
    conversations = state.services().conversations
    info = conversations.get(conversation_id, owner_id=user.id)
    thread = conversations.thread(conversation_id, owner_id=user.id)
    return to_json(info, thread) if as_json else to_markdown(info, thread)


@attempt
def _begin(action: str, conversation_id: str) -> None:
    setattr(state.chat(), action, conversation_id)


def _cancel() -> None:
    chat = state.chat()
    chat.deleting = chat.renaming = None


def _cancel_and_close() -> None:
    _cancel()
    st.rerun()


@attempt
def _delete(conversation_id: str, user: User) -> None:
    services = state.services()
    if turn := services.turns.active(conversation_id):
        turn.cancel.set()
    services.conversations.delete(conversation_id, owner_id=user.id)
    state.open_conversation(None)
    say("The conversation was deleted.")
    st.rerun()


@attempt
def _rename(conversation_id: str, user: User) -> None:
    state.services().conversations.rename(conversation_id, state.value(TITLE) or "", owner_id=user.id)
    _cancel_and_close()


def _more() -> None:
    state.chat().listed += MORE
