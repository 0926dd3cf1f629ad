"""What the model server does at this moment and did in the last minutes, as small charts that move."""

from __future__ import annotations

import streamlit as st

from pages.ui import state
from pages.ui.figures import count, moment_of
from pages.ui.frame import errors

TICK_SECONDS = 5.0
CHARTS = (
    ("Answers at a time", "running", "", 0),
    ("Waiting", "waiting", "", 0),
    ("To the first token", "first_token", "s", 1),
    ("Writing, all together", "answer_speed", "tokens/s", 0),
    ("Reading prompts", "prompt_speed", "tokens/s", 0),
    ("Prompts known from before", "cached", "%", 0),
    ("Embedding texts", "text_speed", "texts/s", 0),
    ("Memory", "memory_mb", "MB", 0),
)


def draw() -> None:
    """The charts, drawn anew every few seconds."""
    st.caption("The last ten minutes, a point for every five seconds. Prometheus finds the same figures at /metrics.")
    st.fragment(_charts, run_every=TICK_SECONDS)()


def _charts() -> None:
    with errors():
        services = state.services()
        samples = services.client.recent()
        status = services.client.status()
        if status.chat.restarts:
            st.info(
                f"The model was started again {count(status.chat.restarts, 'time')}, last "
                f"{moment_of(status.chat.ended_at)}: {status.chat.ended}. Answers that were being "
                "written went on, or ended with a sentence that says why.",
                icon=":material/restart_alt:",
            )
        if not samples:
            st.markdown("The model server has not told anything yet.")
            return
        with st.grid(4, min_column_width=150):
            for title, name, unit, digits in CHARTS:
                values = [sample[name] * (100 if unit == "%" else 1) for sample in samples if sample[name] is not None]
                newest = f"{values[-1]:,.{digits}f} {unit}".strip() if values else "–"
                st.metric(title, newest, chart_data=values if len(values) > 1 else None, border=True)
