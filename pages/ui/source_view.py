"""The source that is open: the page with the cited words marked, the words as text, and why the passage was chosen."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.chat.conversations import MessageView
from core.chat.reasons import stages, why
from core.documents import DocumentText
from core.errors import GroundworkError
from core.instructions import suspicions
from core.page_pictures import page_of
from core.types import Citation, Page, Passage, User
from pages.ui import state
from pages.ui.figures import count
from pages.ui.frame import errors
from pages.ui.markdown import marked, plain
from pages.ui.surroundings import CHANGED, GONE, surroundings

SUSPICIOUS = (
    "This passage holds {} that talks to the model instead of to a reader. It is shown here as text: do not follow it."
)


def draw(message: MessageView, number: int, asked: str, user: User) -> None:
    """The content of the dialog; `asked` is what was searched for."""
    with errors():
        found = [citation for citation in message.citations if citation.number == number]
        first = found[0]
        if not first.document_id:
            st.info(GONE, icon=":material/delete:")
            return
        if any(citation.changed for citation in found):
            st.info(CHANGED, icon=":material/update:")
            return
        services = state.services()
        document = services.documents.get(first.document_id, owner_id=user.id)
        text = services.documents.text(first.document_id, owner_id=user.id)
        page = page_of(text, first.start)
        st.caption(" · ".join(_facts(found, text, page)))
        passage = next((passage for passage in message.passages if passage.rank == number), None)
        if passage is not None:
            _warn(passage)
        beside = st.columns([2, 3]) if services.pictures.can_draw(text, document.media_type) else [st.container()]
        with beside[0]:
            with st.container(border=True, key="source-text"):
                st.markdown(surroundings(found, text, page))
            if passage is not None:
                _reasons(passage, message, asked)
        with beside[-1]:
            _picture(found, text, user)
        st.download_button(
            "Download the original",
            data=lambda: services.documents.content(first.document_id, owner_id=user.id)[1],
            file_name=document.name,
            mime="application/octet-stream",
            icon=":material/download:",
            on_click="ignore",
        )


def _facts(found: Sequence[Citation], text: DocumentText, page: Page | None) -> list[str]:
    first = found[0]
    facts = (
        [f"Page {plain(page.label or str(page.number))} of {len(text.pages)}"] if page and len(text.pages) > 1 else []
    )
    if first.heading:
        facts.append(plain(first.heading))
    support = max(citation.support for citation in found)
    return [*facts, f"The marked words hold {support:.0%} of what the answer says"]


def _warn(passage: Passage) -> None:
    """The words that look like an instruction to the model, set off and shown as text."""
    spans = suspicions(passage.text)
    if not spans:
        return
    kept_out = " The model was not shown it." if passage.kept else ""  # answers of earlier versions were made with it
    st.warning(SUSPICIOUS.format(count(len(spans), "stretch", "stretches")) + kept_out, icon=":material/front_hand:")
    for span in spans:
        words = passage.text[span.start : span.end]
        st.markdown(marked(words, [(0, len(words))], style="red-background"))


def _picture(found: Sequence[Citation], text: DocumentText, user: User) -> None:
    """The page as it looks, where it can be drawn; its words stand above as text in any case."""
    with st.empty().container():
        with st.spinner("Drawing the page"):
            try:
                picture = state.services().pictures.draw(found, text, owner_id=user.id)
            except GroundworkError:  # a full disk, say: the words are there without it
                picture = None
    if picture is None:
        return
    quoted = " ".join(" ".join(citation.quote.split()) for citation in found)[:300]
    marks = "The words quoted above are marked." if picture.marked else "Its words could not be placed on the picture."
    st.image(picture.png, width="stretch", alt=f"Page {picture.page} of the document. {marks} They say: {quoted}")
    st.caption(marks)


def _reasons(passage: Passage, message: MessageView, asked: str) -> None:
    st.markdown("**Why this passage was chosen**")
    cited = any(citation.number == passage.rank for citation in message.citations)
    st.markdown("\n".join(f"- {plain(reason)}" for reason in why(passage, message.passages, asked, cited=cited)))
    rows = [
        {"Search": stage, "Score": score, "Place": place} for stage, score, place in stages(passage, message.passages)
    ]
    st.table(rows, border="horizontal", hide_index=True, alt="The passage's scores at each stage of the search")
