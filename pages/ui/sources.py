"""Web pages and folders that documents come from: add, follow, see what is wrong, stop."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.documents import Collection
from core.errors import GroundworkError
from core.sources.types import DEEPEST, FOLDER, ItemState, Source, SourceState
from core.types import User
from pages.ui import state
from pages.ui.figures import count, moment
from pages.ui.frame import attempt, errors, say
from pages.ui.markdown import plain, spoken

ADDRESS, DEPTH, WITHIN, EVERY, PATH, HOME = (
    "source-address", "source-depth", "source-within", "source-every", "source-folder", "source-collection",
)  # fmt: skip
NO_HOME = "No collection"
WEB_PAGE, A_FOLDER = "Web page or site", "Folder of this machine"
KIND = "source-kind"
INTERVALS = {"Only when I say so": 0, "Every hour": 60, "Every day": 1440, "Every week": 10080}
LOOK_SECONDS = 2.0
SHOWN = 50  # pages or files with something wrong that are listed
BADGES = {
    SourceState.waiting: ":gray-badge[:material/schedule: Waiting]",
    SourceState.looking: ":blue-badge[:material/travel_explore: Looking]",
    SourceState.followed: ":green-badge[:material/sync: Followed]",
    SourceState.done: ":green-badge[:material/check: Read]",
    SourceState.paused: ":gray-badge[:material/pause: Paused]",
    SourceState.failed: ":orange-badge[:material/warning: Look at this]",
}


def section(homes: Sequence[Collection], user: User) -> None:
    """The list, redrawn by itself while something is looked at; and the dialogs that are open."""
    found = state.services().sources.list_sources(owner_id=user.id)
    with st.container(key="sources", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Web pages and folders**" if found else "", width="stretch")
            st.button("Add a web page or folder", key="add-source", icon=":material/add_link:", on_click=_open)
        busy = any(source.active for source in found)
        st.fragment(_rows, run_every=LOOK_SECONDS if busy else None)(user)
    remembered = state.documents()
    if remembered.adding_source:
        st.dialog("Add a web page or folder", on_dismiss=_close)(_form)(homes, user)
    elif chosen := next((source for source in found if source.id == remembered.source), None):
        st.dialog(plain(chosen.address), width="large", on_dismiss=_close)(_details)(chosen.id, user)


def _rows(user: User) -> None:
    with errors():
        found = state.services().sources.list_sources(owner_id=user.id)
        active = frozenset(source.id for source in found if source.active)
        ended = state.documents().active_sources - active
        state.documents().active_sources = active
        if ended:  # its documents are in the list below, which has to be drawn again
            st.rerun()
        for source in found:
            _row(source, user)


def _row(source: Source, user: User) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"source-{source.id}"):
        with st.container(gap=None, width="stretch"):
            st.button(
                f"**{plain(source.address)}**",
                key=f"source-open-{source.id}",
                type="tertiary",
                help="What was found, and what is wrong with it",
                on_click=_show,
                args=(source.id,),
            )
            error = f"  \n:orange[{plain(source.error)}]" if source.error else ""
            st.markdown(f"{BADGES[source.state]} :small[:gray[{' · '.join(_facts(source))}]]{error}")
        if source.state == SourceState.looking:
            _button("Stop", "cancel", source, user)
        elif source.state == SourceState.paused:
            _button("Resume", "resume", source, user)
        else:
            _button("Look now", "look", source, user)


def _facts(source: Source) -> list[str]:
    counts = source.counts
    facts = [count(counts.known, "file" if source.kind == FOLDER else "page")]
    if source.state == SourceState.looking and source.total:
        facts.append(f"{source.done:,} of {source.total:,} asked")
    words = (
        (counts.busy, "being read"), (counts.failed, "failed"), (counts.refused, "not taken"),
        (counts.gone, "no longer there"), (counts.deleted, "deleted by you"),
    )  # fmt: skip
    facts += [f"{number:,} {word}" for number, word in words if number]
    if source.collection:
        facts.append(plain(source.collection))
    if source.looked_at:
        facts.append(f"looked at {moment(source.looked_at)}")
    return facts


def _button(label: str, action: str, source: Source, user: User) -> None:
    st.button(
        label,
        key=f"source-{action}-{source.id}",
        help=f"{label}: {spoken(source.address)}",
        on_click=_act,
        args=(action, source.id, user),
    )


def _form(homes: Sequence[Collection], user: User) -> None:
    with errors():
        kind = st.segmented_control("What", [WEB_PAGE, A_FOLDER], default=WEB_PAGE, required=True, key=KIND)
        if kind == A_FOLDER:
            st.text_input("Folder", key=PATH, placeholder="/home/me/papers")
            st.caption(
                "New, changed and removed files follow within a minute while Groundwork runs. Hidden and temporary "
                "files are passed over. A folder that is not there removes nothing."
            )
        else:
            _site_fields()
        st.selectbox("Put them into", [NO_HOME, *(home.name for home in homes)], key=HOME, accept_new_options=True)
        if state.documents().source_problem:
            st.error(plain(state.documents().source_problem), icon=":material/error:")
        with st.container(horizontal=True):
            st.button("Add", key="source-save", type="primary", on_click=_save, args=(user,))
            st.button("Cancel", key="source-cancel", on_click=_close_now)


def _site_fields() -> None:
    st.text_input("Address", key=ADDRESS, placeholder="https://example.org/docs/")
    st.number_input(
        "Follow links this often",
        0,
        DEEPEST,
        key=DEPTH,
        help="0 reads this page alone, 1 also the pages that it links to, and so on. Other hosts are never read.",
    )
    if state.value(DEPTH):
        st.text_input("Only pages below this path", key=WITHIN, placeholder="/docs")
    st.selectbox("Look again", list(INTERVALS), key=EVERY)
    st.caption("The page is fetched from the internet by this machine. What robots.txt asks is obeyed.")


def _details(source_id: str, user: User) -> None:
    with errors():
        sources = state.services().sources
        source = sources.get(source_id, owner_id=user.id)
        st.markdown(f"{BADGES[source.state]} :small[:gray[{' · '.join(_facts(source))}]]")
        if source.error:
            st.warning(plain(source.error), icon=":material/warning:")
        if source.state != SourceState.paused:
            _button("Pause", "pause", source, user)
        wrong = [
            item
            for item in sources.items(source_id, owner_id=user.id, limit=10_000)
            if item.error or item.state in (ItemState.refused, ItemState.gone)
        ]
        for item in wrong[:SHOWN]:
            st.markdown(f"{plain(item.address)}  \n:small[:orange[{plain(item.error)}]]")
        if len(wrong) > SHOWN:
            st.caption(f"and {count(len(wrong) - SHOWN, 'more', 'more')}")
        st.caption("Removing it stops the following. Documents that you also uploaded stay in any case.")
        with st.container(horizontal=True):
            for label, gone in (("Remove, keep its documents", False), ("Remove with its documents", True)):
                st.button(label, key=f"source-remove-{gone}", on_click=_remove, args=(source_id, gone, user))


def _open() -> None:
    state.documents().adding_source, state.documents().source_problem = True, ""


def _show(source_id: str) -> None:
    state.documents().source = source_id


def _close() -> None:
    remembered = state.documents()
    remembered.adding_source, remembered.source, remembered.source_problem = False, None, ""


def _close_now() -> None:
    _close()
    st.rerun()


@attempt
def _save(user: User) -> None:
    services, remembered = state.services(), state.documents()
    home = state.value(HOME) or NO_HOME
    try:
        collection = services.documents.collection(home, owner_id=user.id) if home != NO_HOME else None
        if state.value(KIND) == A_FOLDER:
            services.sources.add_folder(state.value(PATH) or "", owner_id=user.id, collection_id=collection)
        else:
            depth = int(state.value(DEPTH) or 0)
            services.sources.add_site(
                state.value(ADDRESS) or "",
                owner_id=user.id,
                depth=depth,
                within=(state.value(WITHIN) or "") if depth else "",
                interval_minutes=INTERVALS.get(state.value(EVERY) or "", 0),
                collection_id=collection,
            )
    except GroundworkError as problem:
        remembered.source_problem = str(problem)  # shown in the dialog, where it can be put right
        return
    _close_now()


@attempt
def _act(action: str, source_id: str, user: User) -> None:
    sources = state.services().sources
    actions = {
        "look": sources.look, "pause": sources.pause, "resume": sources.resume, "cancel": sources.cancel
    }  # fmt: skip
    actions[action](source_id, owner_id=user.id)
    st.rerun()


@attempt
def _remove(source_id: str, with_documents: bool, user: User) -> None:
    state.services().sources.remove(source_id, owner_id=user.id, with_documents=with_documents)
    say("Removed. Its documents go now." if with_documents else "Removed. Its documents stay.")
    _close_now()
