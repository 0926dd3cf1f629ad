"""What a search found of deleted documents: right after the deletion, and later in a list."""

from __future__ import annotations

import streamlit as st

from core.deletions import COPIES, Deletion
from core.tidying import COPIES_KEPT
from core.types import User
from pages.ui import state
from pages.ui.figures import count, moment
from pages.ui.frame import errors
from pages.ui.markdown import plain

SHOWN = 50
# Where was looked, in the words of people; a place that is missing here is said as it is called.
PLACES = {
    "file": "files", "documents": "rows", "text": "rows", "collections": "rows", "tags": "rows", "jobs": "rows",
    "passages": "rows", "citations": "rows", "chunks": "rows", "sources": "rows", "source items": "rows",
    "vectors": "vectors", "vector drafts": "vectors",
    "keyword index": "keyword index", "recognised pages": "caches", "index file": "index file",
    COPIES: "copies before updates",
}  # fmt: skip
ORDER = tuple(dict.fromkeys(PLACES.values()))


def told(user: User) -> None:
    """What became of the documents that were just deleted."""
    remembered = state.documents()
    if not remembered.gone:
        return
    latest = state.services().deletions.list_deletions(owner_id=user.id, limit=max(SHOWN, 2 * len(remembered.gone)))
    mine = [deletion for deletion in latest if deletion.document_id in remembered.gone]
    with st.container(key="gone", gap="small"):
        if len(mine) > 1 and all(deletion.clean for deletion in mine):
            st.success(f"{count(len(mine), 'document')}: {_verdict(mine[0])}", icon=":material/delete_forever:")
        else:
            for deletion in mine:
                show = st.success if deletion.clean else st.warning
                show(f"{plain(deletion.name)}: {_verdict(deletion)}", icon=":material/delete_forever:")
        st.button("Dismiss", key="dismiss-gone", type="tertiary", on_click=_forget)


def link(user: User) -> None:
    """The way to the list, when there is anything in it."""
    if state.services().deletions.list_deletions(owner_id=user.id, limit=1):
        st.button(
            "Last deletions", key="show-deletions", type="tertiary", icon=":material/delete_history:", on_click=_open
        )


def draw_open(user: User) -> None:
    """The list in a dialog, while it is open."""
    if state.documents().deletions:
        st.dialog("Last deletions", width="large", on_dismiss=_close)(_list)(user)


def _list(user: User) -> None:
    with errors():
        st.caption(
            "After each deletion a search looks for what may be left. Its result stays here, the document does not."
        )
        found = state.services().deletions.list_deletions(owner_id=user.id, limit=SHOWN)
        st.markdown("\n".join(f"- **{plain(d.name)}**, {moment(d.deleted_at)}: {_verdict(d)}" for d in found))


def _verdict(deletion: Deletion) -> str:
    """`Gone`, with the places that were searched, or what is left where."""
    left = {place: number for place, number in deletion.residues.items() if number}
    if set(left) == {COPIES}:
        number = count(left[COPIES], "copy", "copies")
        return (
            f"gone, but for {number} of the database that an update made before it changed anything. It is removed "
            f"{COPIES_KEPT.days} days after that; to be sooner, remove `app.before-….db` from the data folder."
        )
    if left:
        where = ", ".join(f"{number:,} in {plain(place)}" for place, number in left.items())
        return f"something was left: {where}. The next look, within five minutes, tries to remove it."
    searched = {PLACES.get(place, place) for place in deletion.residues}
    places = [place for place in ORDER if place in searched] + sorted(searched - set(ORDER))
    where = f"{', '.join(places[:-1])} and {places[-1]}" if len(places) > 1 else "".join(places)
    if deletion.checked_at is None:
        return f"nothing was found in {where}; the index file is still to be checked." if where else "being checked."
    return f"gone. Nothing of it was found in {where}."


def _forget() -> None:
    state.documents().gone = ()


def _open() -> None:
    state.documents().deletions = True


def _close() -> None:
    state.documents().deletions = False
