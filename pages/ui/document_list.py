"""The documents, fifteen at a time: filters, rows with their state, and what can be done with several at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.documents import Collection, DocumentInfo
from core.jobs import Job
from core.library import BUSY, DocumentFilter, Facets
from core.overview import Listed
from core.types import DocumentStatus, JobStatus, User
from pages.ui import document_kinds, document_receipt, jobs, state
from pages.ui.figures import count, moment, size
from pages.ui.frame import attempt, say
from pages.ui.markdown import plain, spoken

PAGE = 15
SEARCH, STATUS, COLLECTION, NUMBER = "document-search", "document-status", "document-collection", "document-page"
KIND, LANGUAGE, TAG = "document-kind", "document-language", "document-tag"
NEW_TAG = "bulk-tag"
STATES = {
    "All": (),
    "Ready": (DocumentStatus.ready, DocumentStatus.searchable),
    "In progress": BUSY,
    "Failed": (DocumentStatus.failed,),
}
BADGES = {
    DocumentStatus.queued: ":gray-badge[:material/schedule: Waiting]",
    DocumentStatus.processing: ":blue-badge[:material/hourglass_top: Being read]",
    DocumentStatus.searchable: ":blue-badge[:material/search: Found by words]",
    DocumentStatus.ready: ":green-badge[:material/check: Ready]",
    DocumentStatus.failed: ":red-badge[:material/error: Failed]",
}
PAUSED = ":gray-badge[:material/pause: Paused]"
EVERY, EVERY_KIND, EVERY_LANGUAGE, EVERY_TAG = "All collections", "All types", "All languages", "All tags"


def draw(collections: Sequence[Collection], user: User) -> bool:
    """Filters, bulk actions, rows and page numbers; nothing, and False, when there is no document at all."""
    homes = {EVERY: None} | {collection.name: collection.id for collection in collections}
    overview, chosen = state.services().overview, _chosen(homes)
    number = state.value(NUMBER) or 1
    found = overview.listed(chosen, owner_id=user.id, start=(number - 1) * PAGE, size=PAGE)
    if not found.documents and number > 1:  # the last one of the last page was deleted
        number = 1
        found = overview.listed(chosen, owner_id=user.id, size=PAGE)
    state.documents().seen = tuple(sorted((document.id, document.status.value) for document in found.documents))
    if not found.total and chosen == DocumentFilter():
        return False
    _filters(list(homes), found.facets)
    if not found.total:
        st.caption("No document matches.")
        return True
    _bulk(found, collections, user)
    names = {collection.id: collection.name for collection in collections}
    with st.container(key="documents", gap="xsmall"):
        for document in found.documents:
            _row(document, found.jobs.get(document.id), names, user)
    if found.total > PAGE:
        st.pagination(-(-found.total // PAGE), key=NUMBER)
    return True


def _chosen(homes: dict[str, str | None]) -> DocumentFilter:
    """What the filters say; they are drawn afterwards, if there is anything to choose from."""
    home, status = state.value(COLLECTION) or EVERY, state.value(STATUS) or "All"
    kind, language = state.value(KIND) or "", state.value(LANGUAGE) or ""
    return DocumentFilter(
        homes.get(home), STATES[status], state.value(SEARCH) or "", language=language, tag=state.value(TAG) or "",
        media_types=(kind,) if kind else (),
    )  # fmt: skip


def _filters(homes: list[str], facets: Facets) -> None:
    hidden: dict[str, Any] = {"label_visibility": "collapsed", "on_change": _first_page}
    with st.container(horizontal=True, vertical_alignment="center", key="filters", gap="small"):
        st.text_input("Search", key=SEARCH, placeholder="Search by name", type="search", width=240, **hidden)
        if len(homes) > 1:
            st.selectbox("Collection", homes, key=COLLECTION, width=180, **hidden)
        for label, every, key, values, named in (
            ("Type", EVERY_KIND, KIND, facets.media_types, document_kinds.kind),
            ("Language", EVERY_LANGUAGE, LANGUAGE, facets.languages, document_kinds.language),
            ("Tag", EVERY_TAG, TAG, facets.tags, str),
        ):
            chosen = state.value(key) or ""
            if len(values) > 1 or chosen or (values and key == TAG):
                choices = ["", *values] if chosen in ("", *values) else ["", chosen, *values]
                words = {value: named(value) if value else every for value in choices}
                st.selectbox(label, choices, key=key, format_func=words.__getitem__, width=160, **hidden)
        st.segmented_control("Status", list(STATES), default="All", required=True, key=STATUS, **hidden)


def _bulk(found: Listed, collections: Sequence[Collection], user: User) -> None:
    here = [document.id for document in found.documents]
    marked = [id for id in here if state.value(f"pick-{id}")]
    with st.container(horizontal=True, vertical_alignment="center", key="bulk"):
        st.caption(
            f"{count(len(marked), 'document')} selected" if marked else count(found.total, "document"), width="content"
        )
        st.button(
            "Select none" if marked else "Select all on this page",
            key="select",
            type="tertiary",
            on_click=_select,
            args=(here, not marked),
        )
        if marked and collections:  # a menu without entries is an error
            st.menu_button(
                "Add to collection",
                list(collections),
                format_func=lambda collection: plain(collection.name),
                key="bulk-collection",
                on_click=_add_to_collection,
                args=(marked, user),
            )
        if marked:
            st.multiselect(
                "Tag", found.facets.tags, key=NEW_TAG, accept_new_options=True, placeholder="Add a tag",
                label_visibility="collapsed", width=180, on_change=_add_tags, args=(marked, user),
            )  # fmt: skip
            st.button("Delete", key="bulk-delete", icon=":material/delete:", on_click=_delete, args=(marked,))


def _row(document: DocumentInfo, job: Job | None, names: dict[str, str], user: User) -> None:
    """Few elements, because there are many rows: each one costs every run of the page a third of a millisecond."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"document-{document.id}"):
        st.checkbox(
            f"Select {spoken(document.name)}", key=f"pick-{document.id}", label_visibility="collapsed", width=24
        )
        with st.container(gap=None, width="stretch"):
            st.button(
                f"**{plain(document.title or document.name)}**",
                key=f"details-{document.id}",
                type="tertiary",
                help="What was read from it, and what can be done with it",
                on_click=_open,
                args=(document.id,),
            )
            error = f"  \n:red[{plain(document.error)}]" if document.error else ""
            facts = " · ".join(_facts(document, job, names))
            st.markdown(f"{_badge(document, job)} :small[:gray[{facts}]]{error}")
        if document.status == DocumentStatus.failed:
            st.button("Retry", key=f"retry-{document.id}", on_click=_retry, args=(document.id, user))
        elif job is not None and job.status == JobStatus.paused:
            st.button("Resume", key=f"resume-{document.id}", on_click=_resume, args=(job.id, user))
        elif document.status in BUSY:
            st.button("Cancel", key=f"stop-{document.id}", on_click=_cancel, args=(document.id, user))


def _badge(document: DocumentInfo, job: Job | None) -> str:
    paused = job is not None and job.status == JobStatus.paused
    return PAUSED if paused and document.status in BUSY else BADGES[document.status]


def _facts(document: DocumentInfo, job: Job | None, names: dict[str, str]) -> list[str]:
    receipt = document.receipt
    facts = [plain(document.name)] if document.title not in ("", document.name) else []
    if job is not None and job.active and document.status == DocumentStatus.searchable:
        facts.append(jobs.words(job))
    for key in ("pages", "characters", "chunks"):
        if amount := document_receipt.number(receipt, key):
            facts.append(count(amount, key[:-1]))
    facts += [size(document.size), moment(document.created_at)]
    facts += [plain(names[id]) for id in document.collection_ids if id in names]
    facts += [plain(f"#{tag}") for tag in document.tags]
    if isinstance(warnings := receipt.get("warnings"), list) and warnings:
        facts.append(f":orange[{count(len(warnings), 'warning')}]")
    if number := document_receipt.instructions(receipt):
        facts.append(f":orange[{count(number, 'stretch', 'stretches')} addressed to a model]")
    if missed := document_receipt.missed(receipt):
        facts.append(f":orange[{count(missed, 'sentence')} of the self-test not found]")
    return facts


def _first_page() -> None:
    state.put(NUMBER, 1)


def _select(ids: list[str], chosen: bool) -> None:
    for id in ids:
        state.put(f"pick-{id}", chosen)


def _open(document_id: str) -> None:
    state.documents().open_id = document_id


def _delete(ids: list[str]) -> None:
    state.documents().deleting = tuple(ids)


@attempt
def _add_to_collection(ids: list[str], user: User) -> None:
    collection: Collection = state.value("bulk-collection")
    state.services().library.add_to_collection(ids, collection.id, owner_id=user.id)
    say(f"{count(len(ids), 'document')} added to {collection.name}.")
    _select(ids, False)


@attempt
def _add_tags(ids: list[str], user: User) -> None:
    """At once, and they stay selected: one tag may not be all that they get."""
    if tags := state.value(NEW_TAG):
        state.put(NEW_TAG, [])
        state.services().library.add_tags(ids, tags, owner_id=user.id)
        say(f"{count(len(ids), 'document')} tagged {', '.join(tags)}.")


@attempt
def _cancel(document_id: str, user: User) -> None:
    jobs = state.services().jobs
    if job := jobs.latest([document_id]).get(document_id):
        jobs.cancel(job.id, owner_id=user.id)


@attempt
def _resume(job_id: str, user: User) -> None:
    state.services().jobs.resume(job_id, owner_id=user.id)


@attempt
def _retry(document_id: str, user: User) -> None:
    state.services().documents.retry(document_id, owner_id=user.id)
