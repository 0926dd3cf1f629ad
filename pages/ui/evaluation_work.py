"""The measurement that goes on: how far it is, how long it takes, and a way to end it."""

from __future__ import annotations

import streamlit as st

from core.evaluation.bench import LiveRun
from pages.ui import state
from pages.ui.figures import duration
from pages.ui.frame import errors
from pages.ui.markdown import plain

TICK_SECONDS = 1.0


def progress() -> None:
    """What goes on, or how the last one ended."""
    live = state.services().evaluations.live
    if live is None:
        return
    if live.active:
        st.fragment(_progress, run_every=TICK_SECONDS)(live)
    elif live.error:
        st.warning(plain(f"{live.title}: {live.error}"), icon=":material/info:")
    elif live.run_id and state.evaluation().told != live.run_id:
        state.evaluation().told = live.run_id
        st.success(plain(f"{live.title} is measured."), icon=":material/check_circle:")


def _progress(live: LiveRun) -> None:
    with errors():
        if not live.active:
            st.rerun()
        left = f" · about {duration(live.seconds_left)} left" if live.seconds_left else ""
        many = f": {live.done:,} of {live.total:,}" if live.total else ""
        st.progress(live.share, text=plain(f"{live.title} · {live.stage}{many}{left}"))
        st.caption("It goes on when you leave this page. People who ask a question go first.")
        st.button("Stop", key="evaluation-stop", icon=":material/stop_circle:", on_click=live.cancel.set)
