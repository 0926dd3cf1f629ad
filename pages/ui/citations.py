"""What an answer rests on: markers that lead to a source, the row of sources, and the place in the document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from urllib.parse import urlencode

import streamlit as st

from core.chat.citations import abstains
from core.chat.conversations import MessageView
from core.documents import DocumentText
from core.types import Citation, MessageState, Page, Passage, User
from pages.ui import state
from pages.ui.figures import count
from pages.ui.frame import attempt, errors
from pages.ui.markdown import lines, marked, plain

BEFORE, AFTER = 300, 1500  # characters that are shown around a quotation: it must be seen without scrolling
BLANKS = re.compile(r"\s+")
GONE = "This document was deleted."


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
        if message.state == MessageState.complete and not abstains(message.content):
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
    dialog = st.dialog(f"Source {chosen[1]}: {title}", width="medium", on_dismiss=_close)(_source)
    dialog(found, user)


def _source(found: list[Citation], user: User) -> None:
    with errors():
        first = found[0]
        if not first.document_id:
            st.info(GONE, icon=":material/delete:")
            return
        services = state.services()
        text = services.documents.text(first.document_id, owner_id=user.id)
        page = next((page for page in text.pages if page.start <= first.start < page.end), None)
        st.caption(" · ".join(_facts(found, text, page)))
        with st.container(border=True, key="source-text"):
            st.markdown(surroundings(found, text, page))
        st.download_button(
            "Download the original",
            data=lambda: services.documents.content(first.document_id, owner_id=user.id)[1],
            file_name=services.documents.get(first.document_id, owner_id=user.id).name,
            mime="application/octet-stream",
            icon=":material/download:",
            on_click="ignore",
        )


def _facts(found: list[Citation], text: DocumentText, page: Page | None) -> list[str]:
    first = found[0]
    facts = [f"Page {page.label or page.number} of {len(text.pages)}"] if page and len(text.pages) > 1 else []
    if first.heading:
        facts.append(plain(first.heading))
    support = max(citation.support for citation in found)
    return [*facts, f"The marked words hold {support:.0%} of what the answer says"]


def surroundings(found: Sequence[Citation], text: DocumentText, page: Page | None) -> str:
    """The words around the quotations, no further than their page, with the quotations marked."""
    first, last = (page.start, page.end) if page else (0, len(text.text))
    quoted = min(citation.start for citation in found)
    low = max(first, quoted - BEFORE)
    if low > first and (blank := BLANKS.search(text.text, low, quoted)):
        low = blank.end()  # no half words
    high = min(last, max(citation.end for citation in found) + AFTER)
    before, after = "… " if low > first else "", " …" if high < last else ""
    shift = len(before) - low
    spans = [(citation.start + shift, citation.end + shift) for citation in found]
    return marked(before + text.text[low:high] + after, spans)


def passages(message: MessageView) -> None:
    """Everything that was given to the model, cited or not, with the scores of the search."""
    cited = {citation.number for citation in message.citations}
    for passage in message.passages:
        used = "cited" if passage.rank in cited else "not cited"
        with st.container(border=True, gap="xsmall"):
            st.markdown(f"**{passage.rank} · {plain(label(passage))}**")
            st.caption(" · ".join([used, *_scores(passage)]))
            st.markdown(lines(passage.text) if passage.text else GONE)
    if not message.passages:
        st.caption("No passage was found for this question.")


def _scores(passage: Passage) -> list[str]:
    scores = []
    if passage.dense_score is not None:
        scores.append(f"meaning {passage.dense_score:.2f}")
    if passage.keyword_score is not None:
        scores.append(f"words {passage.keyword_score:.2f}")
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
