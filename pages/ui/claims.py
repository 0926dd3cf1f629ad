"""What bears each sentence of an answer: marked in its text, counted below it, and said above it where nothing does."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.chat.conversations import MessageView
from core.types import Claim, Verdict, Way
from pages.ui.figures import count
from pages.ui.markdown import Links, annotated, plain

# Words as well as colours: not everybody sees those. What is supported needs no word, its marker leads to the source.
BADGES = {
    Verdict.weak: ":orange-badge[:material/warning: weak]",
    Verdict.unsupported: ":red-badge[:material/help: unsupported]",
}
WORDS = {Verdict.supported: "Supported", Verdict.weak: "Weak", Verdict.unsupported: "Unsupported"}
MEANING = (
    "Supported: the cited words hold what the sentence says. Weak: they hold some of it, or not its numbers. "
    "Unsupported: no words of the passages hold it."
)
NO_SUPPORT = (
    "**No words of your documents support this answer.** It may still be right: check it before you rely on it."
)
GENERAL = "**This is not from your documents.** The model answered from what it learned, which cannot be checked here."


def above(message: MessageView) -> None:
    """What a person must know before reading."""
    cited = message.cited
    if cited is None:
        return
    if cited.way is Way.general:
        st.warning(GENERAL, icon=":material/travel_explore:")
    elif cited.unsupported:
        st.warning(NO_SUPPORT, icon=":material/gpp_maybe:")


def text(message: MessageView, links: Links) -> str:
    """The answer as Markdown, with a word behind each sentence that its sources do not bear."""
    claims = message.cited.claims if message.cited else ()
    notes = [(claim.end, BADGES[claim.verdict]) for claim in claims if claim.verdict in BADGES]
    return annotated(message.content, links, notes)


def summary(message: MessageView) -> str:
    """`2 of 3 sentences are supported`; empty where nothing was checked."""
    claims = message.cited.claims if message.cited else ()
    if not claims:
        return ""
    good = sum(claim.verdict is Verdict.supported for claim in claims)
    if len(claims) == 1:
        return f"{WORDS[claims[0].verdict]} by its source" if good else f"{WORDS[claims[0].verdict]}: see below"
    return f"{good} of {count(len(claims), 'sentence')} supported"


def table(message: MessageView) -> None:
    """Each sentence with its verdict, for those who want to see it all."""
    claims: Sequence[Claim] = message.cited.claims if message.cited else ()
    if not claims:
        return
    rows = [
        {
            "Sentence": plain(message.content[claim.start : claim.end]),
            "Verdict": WORDS[claim.verdict],
            "Held by its source": f"{claim.support:.0%}",
            "Source": ", ".join(str(number) for number in claim.numbers) or "none",
        }
        for claim in claims
    ]
    st.table(rows, border="horizontal", hide_index=True, alt="The sentences of the answer and what bears them")
    st.caption(MEANING)
