"""A line while the model cannot answer, or is being changed."""

from __future__ import annotations

import streamlit as st

from core.health import Health
from core.models.endpoint import Endpoint
from pages.ui import state
from pages.ui.frame import errors
from pages.ui.markdown import plain, words

LOOK_SECONDS = 2.0


def model() -> None:
    """Say what is wrong with the model; what passes by itself goes away by itself."""
    health = state.services().health.current()
    if health.passing:
        st.fragment(_passing, run_every=LOOK_SECONDS)()
    elif not health.answers:
        _show(health)


def destination(service: Endpoint) -> None:
    """Where the text of a question goes while another service answers."""
    icon = ":material/cloud_upload:" if service.is_elsewhere else ":material/computer:"
    st.info(words(service.destination), icon=icon)


def _passing() -> None:
    with errors():
        health = state.services().health.current()
        if not health.passing:
            st.rerun()
        _show(health)


def _show(health: Health) -> None:
    if health.passing:
        st.info(plain(health.sentence), icon=":material/hourglass_top:")
        return
    st.warning(plain(health.sentence), icon=":material/warning:")
    st.page_link("models.py", label="Open Models", icon=":material/deployed_code:")
