"""Which documents a conversation asks: all, a collection, or one document."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from core.chat.conversations import ConversationInfo
from core.types import User
from pages.ui import state
from pages.ui.frame import attempt
from pages.ui.labels import distinct

KEY = "scope"


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of the selector."""

    label: str
    collection_id: str | None = None
    document_id: str | None = None


ALL = Choice("All documents")


def selector(info: ConversationInfo | None, user: User, *, busy: bool) -> None:
    """The selector above the question; what it says is stored with the conversation."""
    chat = state.chat()
    chosen = (info.collection_id, info.document_id) if info else (chat.collection_id, chat.document_id)
    offered = choices(user)
    index = next((n for n, c in enumerate(offered) if (c.collection_id, c.document_id) == chosen), 0)
    st.selectbox(
        "Documents to ask",
        offered,
        index=index,
        format_func=lambda choice: choice.label,
        key=f"{KEY}-{info.id if info else 'new'}",
        label_visibility="collapsed",
        icon=":material/library_books:",
        disabled=busy,
        on_change=_choose,
        args=(info.id if info else None, user),
    )


def choices(user: User) -> list[Choice]:
    """All documents, then collections, then single documents."""
    services = state.services()
    collections = services.documents.list_collections(owner_id=user.id)
    titles = services.library.titles(owner_id=user.id)
    found = [Choice(f"Collection: {c.name} ({c.documents})", collection_id=c.id) for c in collections]
    offered = [ALL, *found, *(Choice(title, document_id=id) for id, title in titles)]
    named = zip(offered, distinct([choice.label for choice in offered]), strict=True)
    return [replace(choice, label=label) for choice, label in named]


@attempt
def _choose(conversation_id: str | None, user: User) -> None:
    choice = state.value(f"{KEY}-{conversation_id or 'new'}") or ALL
    chat = state.chat()
    chat.collection_id, chat.document_id = choice.collection_id, choice.document_id
    if conversation_id:
        state.services().conversations.set_scope(
            conversation_id, owner_id=user.id, collection_id=choice.collection_id, document_id=choice.document_id
        )
