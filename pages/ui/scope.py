"""Which documents a conversation asks: all, a collection, or one document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import streamlit as st

from core.chat.conversations import ConversationInfo
from core.chat.scopes import scope_from
from core.documents import Collection
from core.errors import NotFound
from core.types import Scope, User
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
    holder = info or state.chat()
    offered = _with_chosen(choices(user), holder.document_id, user)
    chosen = (holder.collection_id, holder.document_id)
    index = next((n for n, c in enumerate(offered) if (c.collection_id, c.document_id) == chosen), None)
    if index is None and info is None:  # it was deleted meanwhile
        state.chat().collection_id = state.chat().document_id = None
    st.selectbox(
        "Documents to ask",
        offered,
        index=index or 0,
        format_func=lambda choice: choice.label,
        key=f"{KEY}-{info.id if info else 'new'}",
        label_visibility="collapsed",
        icon=":material/library_books:",
        disabled=busy,
        on_change=_choose,
        args=(info.id if info else None, user),
    )


def of(info: ConversationInfo | None, user: User) -> Scope:
    """What a question in this conversation, or in a new one, asks."""
    holder = info or state.chat()
    return scope_from(user.id, holder.collection_id, holder.document_id, holder.filters)


def choices(user: User) -> Sequence[Choice]:
    """All documents, then collections, then single documents."""
    services = state.services()
    collections = services.documents.list_collections(owner_id=user.id)
    return _choices(tuple(collections), services.library.titles(owner_id=user.id))


@lru_cache(maxsize=8)  # the same for every run of the page until something changes
def _choices(collections: tuple[Collection, ...], titles: tuple[tuple[str, str], ...]) -> tuple[Choice, ...]:
    found = [Choice(f"Collection: {c.name} ({c.documents})", collection_id=c.id) for c in collections]
    offered = [ALL, *found, *(Choice(title, document_id=id) for id, title in titles)]
    named = zip(offered, distinct([choice.label for choice in offered]), strict=True)
    return tuple(replace(choice, label=label) for choice, label in named)


def _with_chosen(offered: Sequence[Choice], document_id: str | None, user: User) -> Sequence[Choice]:
    """Only the newest documents are offered; the one that is asked is in any case."""
    if document_id is None or any(choice.document_id == document_id for choice in offered):
        return offered
    try:
        document = state.services().documents.get(document_id, owner_id=user.id)
    except NotFound:
        return offered
    labels = distinct([*(choice.label for choice in offered), document.title or document.name])
    return [*offered, Choice(labels[-1], document_id=document_id)]


@attempt
def _choose(conversation_id: str | None, user: User) -> None:
    choice = state.value(f"{KEY}-{conversation_id or 'new'}") or ALL
    chat = state.chat()
    chat.collection_id, chat.document_id = choice.collection_id, choice.document_id
    if conversation_id:
        state.services().conversations.set_scope(
            conversation_id, owner_id=user.id, collection_id=choice.collection_id, document_id=choice.document_id
        )
