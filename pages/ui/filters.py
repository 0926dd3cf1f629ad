"""Which kinds of documents a conversation asks: types, languages, tags, and from when they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta

import streamlit as st

from core.chat.conversations import ConversationInfo
from core.types import NO_FILTERS, Filters, User
from pages.ui import document_kinds, scope, state
from pages.ui.figures import count
from pages.ui.frame import attempt
from pages.ui.markdown import plain

KINDS, LANGUAGES, TAGS, SINCE, UNTIL = "media_types", "languages", "tags", "since", "until"
FIRST, LAST = date(1900, 1, 1), date(2100, 1, 1)  # by default Streamlit offers ten years
LONGEST = 22  # characters of what is chosen, on the button


def draw(info: ConversationInfo | None, user: User, *, busy: bool) -> None:
    """The button that opens them; on it stands what is chosen. Nothing where there are no documents."""
    facets, chosen = state.services().library.facets(owner_id=user.id), info.filters if info else state.chat().filters
    if not facets.media_types and not chosen.number:
        return
    holder, arguments = info.id if info else "new", (info.id if info else None, chosen, user)
    label = words(chosen)
    shown = label if len(label) <= LONGEST else label[: LONGEST - 1].rstrip() + "…"
    with st.popover(
        plain(shown) or "Filters", icon=":material/filter_alt:", disabled=busy, key=f"filters-{holder}",
        help="Ask only some kinds of documents", type="secondary" if chosen.number else "tertiary",
    ):  # fmt: skip
        for label, name, offered, taken, named in (
            ("Types", KINDS, facets.media_types, chosen.media_types, document_kinds.kind),
            ("Languages", LANGUAGES, facets.languages, chosen.languages, document_kinds.language),
            ("Tags", TAGS, facets.tags, chosen.tags, str),
        ):
            _several(label, f"{name}-{holder}", offered, taken, named, arguments)
        with st.container(horizontal=True):
            for label, name, moment in (("From", SINCE, chosen.since), ("Until", UNTIL, chosen.until)):
                key = state.stored(f"{name}-{holder}", _day(moment, last=name == UNTIL))
                st.date_input(label, None, FIRST, LAST, key=key, on_change=_store, args=arguments)
        with st.container(horizontal=True, vertical_alignment="center"):
            # Counted only where something is left out: every run of the page draws what is in here, open or not.
            st.caption(_left(info, user) if chosen.number else "Nothing is left out.", width="stretch")
            st.button(
                "Clear", key=f"clear-filters-{holder}", disabled=not chosen.number, on_click=_clear, args=arguments
            )


def words(filters: Filters) -> str:
    """What is chosen, in a line: `PDF or Word · German · #contract · from 1 May 2024`; "" for nothing."""
    parts = [
        " or ".join(document_kinds.kind(media_type) for media_type in filters.media_types),
        " or ".join(document_kinds.language(code) for code in filters.languages),
        " or ".join(f"#{tag}" for tag in filters.tags),
        f"from {_written(_day(filters.since))}" if filters.since else "",
        f"until {_written(_day(filters.until, last=True))}" if filters.until else "",
    ]
    return " · ".join(part for part in parts if part)


def _several(
    label: str, key: str, offered: Sequence[str], taken: Sequence[str], named: Callable[[str], str],
    arguments: tuple[str | None, Filters, User],
) -> None:  # fmt: skip
    if len(offered) < 2 and not taken and label != "Tags":
        return
    options = [*offered, *(value for value in taken if value not in offered)]
    if not options:
        st.caption("Documents can have tags: open one on the Documents page.")
        return
    st.multiselect(
        label, options, format_func=named, key=state.stored(key, list(taken)), placeholder="Any", on_change=_store,
        args=arguments,
    )  # fmt: skip


def _left(info: ConversationInfo | None, user: User) -> str:
    number = state.services().library.asked(scope.of(info, user))
    return f"{count(number, 'document')} asked" if number else "No document is left to ask"


def _written(day: date | None) -> str:
    return f"{day.day} {day:%b %Y}" if day else ""


def _day(moment: datetime | None, *, last: bool = False) -> date | None:
    """The day that a moment begins, or the last one before it, where the person is."""
    return (moment.astimezone() - timedelta(days=last)).date() if moment else None


def _moment(day: date | None, *, last: bool = False) -> datetime | None:
    return datetime.combine(day + timedelta(days=last), time.min).astimezone() if day else None


@attempt
def _store(conversation_id: str | None, before: Filters, user: User) -> None:
    """What the fields say; a moment within a day, as programs may give it, stays while its day does."""
    said = {name: state.value(f"{name}-{conversation_id or 'new'}") for name in (KINDS, LANGUAGES, TAGS, SINCE, UNTIL)}
    since = before.since if said[SINCE] == _day(before.since) else _moment(said[SINCE])
    until = before.until if said[UNTIL] == _day(before.until, last=True) else _moment(said[UNTIL], last=True)
    several = (tuple(said[name] or ()) for name in (KINDS, LANGUAGES, TAGS))
    _put(Filters(*several, since=since, until=until), conversation_id, user)


@attempt
def _clear(conversation_id: str | None, _before: Filters, user: User) -> None:
    _put(NO_FILTERS, conversation_id, user)


def _put(filters: Filters, conversation_id: str | None, user: User) -> None:
    state.chat().filters = filters
    if conversation_id:
        state.services().conversations.set_filters(conversation_id, filters, owner_id=user.id)
