"""Stretches of a document that talk to a model instead of a reader: how many, where, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.documents import DocumentInfo, DocumentText
from core.page_pictures import page_of
from core.types import User
from pages.ui import document_receipt, state
from pages.ui.figures import count
from pages.ui.markdown import marked, plain

SHOWN = 10
LONGEST = 400
KINDS = {
    "override": "asks to forget earlier instructions",
    "persona": "gives the model another role",
    "model": "addresses a model",
    "secrets": "asks for hidden instructions or passwords",
    "markup": "imitates the marks of a conversation",
    "answer": "says how the answer shall be written",
    "tools": "asks to run something",
}
WHAT = (
    "**{} of this document {} to a model instead of to a reader.** That may be innocent. Answers are made without "
    "them; they stay in the text, where they can be found and read."
)


def draw(document: DocumentInfo, user: User) -> None:
    """A warning with the first of them as text; nothing where there are none."""
    number = document_receipt.instructions(document.receipt)
    if not number:
        return
    talks = "talks" if number == 1 else "talk"
    st.warning(WHAT.format(count(number, "stretch", "stretches"), talks), icon=":material/front_hand:")
    text = state.services().documents.text(document.id, owner_id=user.id)
    for found in document.receipt["instructions"][:SHOWN]:
        _stretch(found, text)
    if number > SHOWN:
        st.caption(f"and {count(number - SHOWN, 'more', 'more')}")


def _stretch(found: Mapping[str, Any], text: DocumentText) -> None:
    start, end = int(found["start"]), int(found["end"])
    words = text.text[start : min(end, start + LONGEST)]
    page = page_of(text, start)
    where = f", page {plain(page.label or str(page.number))}" if page and len(text.pages) > 1 else ""
    st.markdown(marked(words, [(0, len(words))], style="red-background"))
    st.caption(f"It {KINDS.get(str(found['kind']), 'looks like an instruction')}{where}.")
