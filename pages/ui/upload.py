"""Taking files in, into a collection: many are a batch, of one it is said at once what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.arrivals import Arrival
from core.documents import Collection
from core.errors import GroundworkError
from core.names import clean_name
from core.types import User
from pages.ui import document_kinds, state
from pages.ui.figures import count
from pages.ui.frame import attempt
from pages.ui.markdown import plain

HOME = "upload-collection"
NO_HOME = "No collection"


def form(collections: Sequence[Collection], user: User) -> None:
    """The drop zone; files are taken in as soon as they have arrived."""
    key = f"files-{state.documents().uploads}"
    files, home = st.columns([3, 1])
    files.file_uploader(
        "Add files: drop one or thousands, of any kind",
        accept_multiple_files=True,
        help=document_kinds.can_be_taken_in(),
        key=key,
        on_change=_take_in,
        args=(key, user),
    )
    home.selectbox(
        "Put them into",
        [NO_HOME, *(collection.name for collection in collections)],
        key=HOME,
        accept_new_options=True,
        help="Choose a collection, or type the name of a new one. It holds for the files that you add next.",
    )
    home.button("Manage collections", key="manage-collections", type="tertiary", on_click=_manage)
    results()


def results() -> None:
    """What became of each file of the last upload."""
    remembered = state.documents()
    if not remembered.results:
        return
    refused = [result for result in remembered.results if not result.added]
    added = len(remembered.results) - len(refused)
    if added:
        st.success(f"{count(added, 'file')} added.", icon=":material/check_circle:")
    for result in refused:
        st.warning(plain(f"{result.name}: {result.message}"), icon=":material/info:")
    st.button("Dismiss", key="dismiss-results", type="tertiary", on_click=_dismiss)


@attempt
def _take_in(key: str, user: User) -> None:
    remembered, services = state.documents(), state.services()
    files = state.value(key) or []
    home = state.value(HOME) or NO_HOME
    collection = services.documents.collection(home, owner_id=user.id) if files and home != NO_HOME else None
    if len(files) > 1:
        services.arrivals.take(
            [Arrival(file.name, file) for file in files], owner_id=user.id, collection_id=collection
        )  # its card says what becomes of each
        remembered.results, remembered.uploads = (), remembered.uploads + 1
        return
    found: list[state.UploadResult] = []
    for file in files:
        name = clean_name(file.name)
        try:
            added = services.documents.add(file, name=file.name, owner_id=user.id, collection_id=collection)
            already = f"already here as {added.name}" if added.name != name else "already here"
            found.append(state.UploadResult(name, already if added.duplicate else "", not added.duplicate))
        except GroundworkError as problem:
            found.append(state.UploadResult(name, str(problem), added=False))
    if found:
        remembered.results = tuple(found)
        remembered.uploads += 1


def _manage() -> None:
    state.documents().managing = True


def _dismiss() -> None:
    state.documents().results = ()
