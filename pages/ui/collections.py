"""The collections in a dialog: make, rename, delete. Deleting a collection keeps its documents."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.documents import Collection
from core.names import LONGEST_NAME
from core.types import User
from pages.ui import state
from pages.ui.figures import count
from pages.ui.frame import attempt, errors
from pages.ui.markdown import plain, spoken

NEW = "new-collection"


def draw_open(collections: Sequence[Collection], user: User) -> None:
    """The dialog, while it is open."""
    if state.documents().managing:
        st.dialog("Collections", on_dismiss=_close)(_manage)(collections, user)


def _manage(collections: Sequence[Collection], user: User) -> None:
    with errors():
        st.caption("A collection is a set of documents that can be asked alone. A document may be in several.")
        for collection in collections:
            _row(collection, user)
        with st.form("collection-form", border=False, clear_on_submit=True):
            with st.container(horizontal=True, vertical_alignment="bottom"):
                st.text_input("New collection", key=NEW, max_chars=LONGEST_NAME, placeholder="Name")
                st.form_submit_button("Add", key="add-collection", on_click=_add, args=(user,))


def _row(collection: Collection, user: User) -> None:
    key = f"collection-{collection.id}"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input(
            f"{spoken(collection.name)} · {count(collection.documents, 'document')}",
            collection.name,
            key=key,
            max_chars=LONGEST_NAME,
            on_change=_rename,
            args=(collection.id, key, user),
        )
        st.button(
            "Delete",
            key=f"delete-{collection.id}",
            help=f"Delete the collection {plain(collection.name)}. Its documents stay.",
            on_click=_delete,
            args=(collection.id, user),
        )


def _close() -> None:
    state.documents().managing = False


@attempt
def _add(user: User) -> None:
    state.services().documents.collection(state.value(NEW) or "", owner_id=user.id)
    st.rerun()


@attempt
def _rename(collection_id: str, key: str, user: User) -> None:
    state.services().library.rename_collection(collection_id, state.value(key) or "", owner_id=user.id)
    st.rerun()


@attempt
def _delete(collection_id: str, user: User) -> None:
    state.services().documents.delete_collection(collection_id, owner_id=user.id)
    st.rerun()
