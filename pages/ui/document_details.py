"""One document in a drawer: what was read from it, its text, its collections, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.documents import Collection, DocumentInfo
from core.errors import NotFound
from core.retrieval.store import FOUND
from core.types import DocumentStatus, User
from pages.ui import state
from pages.ui.figures import count, duration, moment, size
from pages.ui.frame import attempt, errors, say
from pages.ui.markdown import lines, plain

HOMES, PAGE = "details-collections", "details-page"
WIDTH = 680
LONGEST_PAGE = 6000  # characters of a text without pages that are shown at once


def draw_open(collections: Sequence[Collection], user: User) -> None:
    """The drawer of the document that is open, or the question before a deletion."""
    remembered = state.documents()
    if remembered.deleting:
        number = len(remembered.deleting)
        title = "Delete this document?" if number == 1 else f"Delete {number} documents?"
        st.dialog(title, on_dismiss=_close)(_confirm)(remembered.deleting, user)
    elif remembered.open_id:
        try:
            document = state.services().documents.get(remembered.open_id, owner_id=user.id)
        except NotFound:
            _close()
            raise
        drawer = st.dialog(plain(document.title or document.name), width=WIDTH, position="right", on_dismiss=_close)
        drawer(_details)(document.id, collections, user)


def _details(document_id: str, collections: Sequence[Collection], user: User) -> None:
    with errors():
        document = state.services().documents.get(document_id, owner_id=user.id)
        if document.error:
            st.error(plain(document.error), icon=":material/error:")
        _actions(document, user)
        _receipt(document)
        _homes(document, collections, user)
        if document.receipt:
            _text(document, user)


def _actions(document: DocumentInfo, user: User) -> None:
    services = state.services()
    with st.container(horizontal=True, key="document-actions"):
        if document.status in FOUND:
            st.button(
                "Ask about it",
                key="ask-document",
                icon=":material/forum:",
                type="primary",
                on_click=_ask,
                args=(document.id,),
            )
        st.download_button(
            "Download",
            data=lambda: services.documents.content(document.id, owner_id=user.id)[1],
            file_name=document.name,
            mime="application/octet-stream",
            key="download-document",
            icon=":material/download:",
            on_click="ignore",
        )
        if document.status == DocumentStatus.failed:
            st.button(
                "Retry", key="retry-document", icon=":material/refresh:", on_click=_retry, args=(document.id, user)
            )
        st.button("Delete", key="delete-document", icon=":material/delete:", on_click=_delete, args=(document.id,))


def _receipt(document: DocumentInfo) -> None:
    receipt = document.receipt
    facts = {"File": plain(document.name), "Size": size(document.size), "Added": moment(document.created_at)}
    for key, word in (("pages", "Pages"), ("characters", "Characters"), ("chunks", "Chunks"), ("tables", "Tables")):
        if receipt.get(key):
            facts[word] = f"{int(receipt[key]):,}"
    if seconds := receipt.get("seconds"):
        facts["Time"] = ", ".join(f"{plain(stage)} {duration(float(took))}" for stage, took in seconds.items())
    st.table(facts, border="horizontal", width="content", alt="What was read from the document")
    for warning in receipt.get("warnings", ()):
        st.warning(plain(str(warning)), icon=":material/warning:")


def _homes(document: DocumentInfo, collections: Sequence[Collection], user: User) -> None:
    names = {collection.id: collection.name for collection in collections}
    st.multiselect(
        "Collections",
        list(names.values()),
        default=[names[id] for id in document.collection_ids if id in names],
        key=f"{HOMES}-{document.id}",
        accept_new_options=True,
        placeholder="In no collection. Type a name to make one.",
        on_change=_set_homes,
        args=(document.id, user),
    )


def _text(document: DocumentInfo, user: User) -> None:
    """The text as it was read, one page at a time; never as Markdown."""
    if not st.toggle("Show the text", key=f"details-text-{document.id}"):
        return
    text = state.services().documents.text(document.id, owner_id=user.id)
    spans = [(page.start, page.end) for page in text.pages]
    if len(spans) < 2:
        spans = [(at, at + LONGEST_PAGE) for at in range(0, max(1, len(text.text)), LONGEST_PAGE)]
    number = st.pagination(len(spans), key=f"{PAGE}-{document.id}") if len(spans) > 1 else 1
    start, end = spans[number - 1]
    with st.container(border=True):
        shown = text.text[start:end]
        st.markdown(lines(shown) if shown.strip() else "*This page holds no text.*")


def _confirm(document_ids: tuple[str, ...], user: User) -> None:
    with errors():
        if len(document_ids) == 1:
            document = state.services().documents.get(document_ids[0], owner_id=user.id)
            st.markdown(f"**{plain(document.name)}** goes with its text, chunks and vectors.")
        else:
            st.markdown("They go with their texts, chunks and vectors.")
        st.caption("Answers that cite it stay, and say that it was deleted. This cannot be undone.")
        with st.container(horizontal=True):
            st.button("Delete", key="confirm-delete", type="primary", on_click=_delete_now, args=(document_ids, user))
            st.button("Keep", key="cancel-delete", on_click=_close_now)


def _close() -> None:
    remembered = state.documents()
    remembered.open_id, remembered.deleting = None, ()


def _close_now() -> None:
    _close()
    st.rerun()


def _delete(document_id: str) -> None:
    _close()
    state.documents().deleting = (document_id,)
    st.rerun()


@attempt
def _delete_now(document_ids: tuple[str, ...], user: User) -> None:
    gone = state.services().library.delete(document_ids, owner_id=user.id)
    say(f"{count(gone, 'document')} deleted.")
    _close_now()


@attempt
def _retry(document_id: str, user: User) -> None:
    state.services().documents.retry(document_id, owner_id=user.id)
    _close_now()


@attempt
def _set_homes(document_id: str, user: User) -> None:
    documents = state.services().documents
    names = state.value(f"{HOMES}-{document_id}") or []
    homes = [documents.collection(name, owner_id=user.id) for name in names]
    documents.set_collections(document_id, homes, owner_id=user.id)


def _ask(document_id: str) -> None:
    _close()
    state.open_conversation(None)
    state.chat().collection_id, state.chat().document_id = None, document_id
    state.app().destination = "chat.py"
    st.rerun()
