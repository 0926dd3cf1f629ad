"""Documents: add files, see what was taken from them, sort them into collections, delete them."""

import streamlit as st

from core.types import User
from pages.ui import (
    collections,
    document_deletions,
    document_details,
    document_list,
    document_progress,
    frame,
    sources,
    state,
    upload,
    welcome,
)


def draw(user: User) -> None:
    homes = state.services().documents.list_collections(owner_id=user.id)
    upload.form(homes, user)
    sources.section(homes, user)
    document_progress.draw(user)
    document_deletions.told(user)
    if not document_list.draw(homes, user):
        st.caption("No documents yet. Add your own above, or begin with these:")
        welcome.load_button(user)
    document_deletions.link(user)
    collections.draw_open(homes, user)
    document_deletions.draw_open(user)
    document_details.draw_open(homes, user)


with frame.page("Documents", "Answers come from these files. They are kept and searched on this machine.") as user:
    draw(user)
