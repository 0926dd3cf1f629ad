"""What an answer rests on: markers that lead to a source, the row of sources, and the place in the document."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from urllib.parse import urlencode

import streamlit as st

from core.chat.citations import abstains
from core.chat.conversations import MessageView
from core.chat.reasons import place_by_words
from core.types import Citation, MessageState, Passage, User, Way
from pages.ui import source_view, state
from pages.ui.figures import count
from pages.ui.frame import attempt
from pages.ui.markdown import plain
from pages.ui.surroundings import CHANGED, GONE, as_shown, is_cut, whole


def links(message: MessageView, conversation_id: str) -> dict[int, str]:
    """The addresses that the markers of an answer open: this conversation with the source in front, in a new tab."""
    return {
        citation.number: "?"
        + urlencode({state.CONVERSATION: conversation_id, state.SOURCE: f"{message.id}-{citation.number}"})
        for citation in message.citations
    }


def sources(message: MessageView) -> None:
    """A button for each source that the answer cites."""
    if not message.citations:
        way = message.cited.way if message.cited else Way.documents
        if message.state == MessageState.complete and way is Way.documents and not abstains(message.content):
            st.caption(":material/help: No passage supports this answer.")
        return
    with st.container(horizontal=True, gap="xsmall", key=f"sources-{message.id}"):
        for number, found in _by_number(message.citations):
            st.button(
                f"{number} · {plain(label(found[0]))}",
                key=f"source-{message.id}-{number}",
                icon=":material/format_quote:",
                help="Show the place in the document",
                on_click=_open,
                args=(message.id, number),
            )


def label(place: Citation | Passage) -> str:
    """The document and where in it: `Travel policy, page 3`, `Travel policy, Lost luggage`."""
    if not place.document_id:
        return f"{place.document_title} (deleted)"
    if place.page:
        return f"{place.document_title}, page {place.page}"
    last = place.heading.rsplit(" › ", 1)[-1]
    return f"{place.document_title}, {last}" if last and last != place.document_title else place.document_title


def draw_open(thread: Sequence[MessageView], user: User) -> None:
    """The dialog of the source that is open, if there is one in this conversation."""
    chosen = state.chat().source
    if chosen is None:
        return
    message = next((message for message in thread if message.id == chosen[0]), None)
    found = [citation for citation in message.citations if citation.number == chosen[1]] if message else []
    if not found:
        _close()
        return
    title = plain(found[0].document_title)
    dialog = st.dialog(f"Source {chosen[1]}: {title}", width="large", on_dismiss=_close)(source_view.draw)
    dialog(message, chosen[1], _asked(message, thread), user)


def _asked(message: MessageView, thread: Sequence[MessageView]) -> str:
    """What was searched for: the question, or what it was rewritten into."""
    question = next((entry.content for entry in thread if entry.id == message.parent_id), "")
    return message.query or question


def passages(message: MessageView) -> None:
    """Everything that was given to the model, cited or not, with the scores of the search."""
    cited = {citation.number for citation in message.citations}
    for passage in message.passages:
        used = "cited" if passage.rank in cited else "not cited"
        with st.container(border=True, gap="xsmall"):
            st.markdown(f"**{passage.rank} · {plain(label(passage))}**")
            st.caption(" · ".join([used, *_scores(passage, message.passages)]))
            _words(passage, message)
    if not message.passages:
        st.caption("No passage was found for this question.")


def _words(passage: Passage, message: MessageView) -> None:
    """The passage as the model was shown it; what was cut is there at a click."""
    if not passage.text:
        st.markdown(CHANGED if passage.changed else GONE)
    elif is_cut(passage) and st.toggle(
        "Show the whole passage", key=f"whole-{message.id}-{passage.rank}", help="What the model was shown is marked"
    ):
        st.markdown(whole(passage))
    else:
        st.markdown(as_shown(passage))


def _scores(passage: Passage, passages: Sequence[Passage]) -> list[str]:
    scores = []
    if passage.dense_score is not None:
        scores.append(f"meaning {passage.dense_score:.2f}")
    if place := place_by_words(passage, passages):
        scores.append(f"by words number {place}")
    return [*scores, f"together {passage.score:.4f}", count(len(passage.text), "character")]


def _by_number(citations: Sequence[Citation]) -> list[tuple[int, list[Citation]]]:
    ordered = sorted(citations, key=lambda citation: citation.number)
    return [(number, list(group)) for number, group in groupby(ordered, key=lambda citation: citation.number)]


@attempt
def _open(message_id: int, number: int) -> None:
    state.chat().source = (message_id, number)


def _close() -> None:
    state.chat().source = None
    state.write_address()
