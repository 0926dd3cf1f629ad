"""One document in a drawer: what was read from it, its text, its collections, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.documents import Collection, DocumentInfo
from core.errors import NotFound
from core.jobs import Job
from core.retrieval.store import FOUND
from core.types import NO_FILTERS, DocumentStatus, User
from pages.ui import document_instructions, document_progress, document_receipt, jobs, state
from pages.ui.frame import attempt, errors
from pages.ui.markdown import lines, plain

HOMES, TAGS, PAGE = "details-collections", "details-tags", "details-page"
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
        services = state.services()
        document = services.documents.get(document_id, owner_id=user.id)
        if document.error:
            st.error(plain(document.error), icon=":material/error:")
        job = services.jobs.latest([document_id]).get(document_id)
        if job is not None and job.active:
            _progress(job, user)
        _actions(document, user)
        document_receipt.draw(document)
        document_instructions.draw(document, user)
        _homes(document, collections, user)
        _tags(document, user)
        if document.receipt:
            _text(document, user)


def _progress(job: Job, user: User) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="document-work"):
        st.progress(jobs.share(job), text=jobs.words(job))
        document_progress.steer(job, user, "drawer-")


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


def _tags(document: DocumentInfo, user: User) -> None:
    known = state.services().library.facets(owner_id=user.id).tags
    st.multiselect(
        "Tags",
        [*known, *(tag for tag in document.tags if tag not in known)],
        key=state.stored(f"{TAGS}-{document.id}", list(document.tags)),
        accept_new_options=True,
        placeholder="No tags. Type a word to add one.",
        help="Questions and lists can be narrowed to documents with a tag.",
        on_change=_change_tags,
        args=(document.id, document.tags, user),
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
    services = state.services()
    services.library.delete(document_ids, owner_id=user.id)
    state.documents().gone = tuple(document_ids)
    services.deletions.settle()  # so that the index file is searched now, and not at the next tidying
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


@attempt
def _change_tags(document_id: str, before: tuple[str, ...], user: User) -> None:
    """Only what was added and taken away here: another tab may have changed others."""
    services, now = state.services(), state.value(f"{TAGS}-{document_id}") or []
    there = services.documents.get(document_id, owner_id=user.id).tags
    kept = [tag for tag in there if tag in now or tag not in before]
    services.library.set_tags(document_id, [*kept, *(tag for tag in now if tag not in before)], owner_id=user.id)


def _ask(document_id: str) -> None:
    _close()
    state.open_conversation(None)
    chat = state.chat()
    chat.collection_id, chat.document_id, chat.filters = None, document_id, NO_FILTERS
    state.app().destination = "chat.py"
    st.rerun()
