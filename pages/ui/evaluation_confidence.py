"""How sure an answer has to be: what the confidence was fitted on, the curve that came of it, the chosen point."""

import streamlit as st

from core.chat.confidence import Calibration
from core.chat.judging import Judge
from pages.ui import state
from pages.ui.evaluation_figures import risk_chart
from pages.ui.markdown import plain


def draw() -> None:
    """Of the calibration for all documents."""
    found = Judge.shipped(state.services().settings.calibrations).of(None).calibration
    if found is None:
        st.info(
            "Answers have no confidence yet: none was fitted. Measure answers on questions with and without an answer "
            "in your documents, save the run, and fit it with `python -m core calibrate`.",
            icon=":material/info:",
        )
        return
    _figures(found)
    _curve(found)


def _figures(found: Calibration) -> None:
    left, middle, right = st.columns(3)
    left.metric("Least confidence", f"{found.point:.2f}", help="Below it, an answer says what was searched instead.")
    middle.metric("Tells answerable from not", f"{found.auroc:.2f}", help="AUROC: 1 is always, 0.5 is chance.")
    right.metric("Questions", f"{found.questions:,}")
    model = f" Only for answers of {found.probes[0].model}." if found.probes else ""
    st.caption(plain(f"Fitted on {found.fitted_on}; the figures are of questions about other documents.{model}"))


def _curve(found: Calibration) -> None:
    answered = [point for point in found.curve if point.threshold >= found.point]
    if not answered:
        return
    chosen, whole = answered[-1], found.curve[-1]
    words = (
        f"At the chosen point {chosen.coverage:.0%} of those questions are answered and {chosen.risk:.0%} of these "
        f"answers are wrong; without it all are answered and {whole.risk:.0%} are wrong."
    )
    st.subheader("Risk and coverage", anchor=False)
    risk_chart([(point.coverage, point.risk) for point in found.curve], words)
