"""Evaluation: measure search and answers on questions with known answers, look at runs, compare two."""

import streamlit as st

from core.types import User
from pages.ui import (
    evaluation_compare,
    evaluation_confidence,
    evaluation_form,
    evaluation_runs,
    evaluation_work,
    frame,
    state,
)

RUNS, MEASURE, COMPARE, CONFIDENCE = "Runs", "Measure", "Compare", "Confidence"


def draw(user: User) -> None:
    evaluation_work.progress()
    runs = state.services().evaluations.book.list_runs(owner_id=user.id)
    shown = st.segmented_control(
        "View",
        [RUNS, MEASURE, COMPARE, CONFIDENCE],
        default=RUNS if runs else MEASURE,
        key="evaluation-view",
        required=True,
        label_visibility="collapsed",
    )
    if shown == MEASURE:
        evaluation_form.draw(user)
    elif shown == CONFIDENCE:
        evaluation_confidence.draw()
    elif not runs:
        st.info(
            "Nothing was measured yet. Questions with known answers show whether search finds them, whether answers "
            "are right and cited, and whether they say so when your documents do not hold it.",
            icon=":material/info:",
        )
    elif shown == COMPARE:
        evaluation_compare.draw(runs, user)
    else:
        evaluation_runs.draw(runs, user)


with frame.page(
    "Evaluation", "Figures instead of impressions: how good search and answers are, and what broke."
) as person:
    draw(person)
