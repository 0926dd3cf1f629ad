"""Follows a turn that runs in a thread of its own: at most ten pictures a second, and a way out between any two."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.chat.turns import LiveTurn
from core.types import Failed, Reading, Token
from pages.ui import state
from pages.ui.markdown import answer, plain
from pages.ui.speakers import ASSISTANT, searched_for

PICTURE_SECONDS = 0.1
CURSOR = " ▌"


def follow(turn: LiveTurn, *, below: int) -> None:
    """Draw the turn until it is over, then run the page again. Leaving the page does not disturb the turn.

    `below` is how many messages of an earlier picture may still stand under this one: they go at once.
    """
    # Inside a container: the finished answer that may have stood here is another kind of block, and goes at once.
    with st.container(key="live"), st.chat_message("assistant", avatar=ASSISTANT):
        searched, stage, text = st.empty(), st.empty(), st.empty()
        st.button("Stop", key="stop", icon=":material/stop_circle:", on_click=turn.cancel.set)
    for _ in range(below):
        st.empty()
    watch(turn, stage, text, searched)
    state.app().problems += [
        event.message for event in turn.events if isinstance(event, Failed) and event.code.startswith("storage")
    ]  # what could not be stored cannot be read again by the next run
    st.rerun()


def watch(turn: LiveTurn, stage: DeltaGenerator, text: DeltaGenerator, searched: DeltaGenerator | None = None) -> None:
    """Draw into these places until the turn is over."""
    seen, queried = -1, False
    while turn.active:
        if len(turn.events) != seen:
            seen = len(turn.events)
            if turn.query and searched is not None and not queried:
                queried = True
                with searched:
                    searched_for(turn.query)
            _draw(turn, stage, text)
        if not turn.ended(PICTURE_SECONDS):
            turn.wait(seen, PICTURE_SECONDS)
        state.breathe()


def _draw(turn: LiveTurn, stage: DeltaGenerator, text: DeltaGenerator) -> None:
    last = turn.events[-1] if turn.events else None
    if turn.text and isinstance(last, Token):
        stage.empty()
        text.markdown(answer(turn.text) + CURSOR, anchors=False)
    elif isinstance(last, Reading) and 0 < last.done < last.total:
        stage.progress(last.done / last.total, text=plain(turn.stage()))
    else:
        stage.markdown(f":shimmer[{plain(turn.stage())}]")
