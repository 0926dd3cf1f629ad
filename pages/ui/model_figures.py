"""What a model needs and how fast it is here: in a line, and every measurement in a table."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.models.attacks import Attacks
from core.models.fit import Fit
from core.models.workbench import Measurement
from pages.ui.figures import moment, size


def line(fit: Fit, newest: Measurement | None) -> str:
    """One line under a model's facts."""
    parts = [f"needs about {size(fit.memory)} of memory"]
    if not fit.fits:
        parts[0] += ", more than this machine has"
    elif fit.tight:
        parts[0] += ", most of what this machine has"
    if fit.speed is not None:
        how = "measured" if fit.measured else "estimated from another model"
        parts.append(f"{fit.pace} here: writes {fit.speed:.0f} tokens a second ({how})")
    if newest:
        figures = newest.figures
        parts.append(f"{figures['right']} of {figures['questions']} questions right")
    return " · ".join(parts)


def attacks(found: Attacks | None) -> str:
    """How often instructions that were hidden in documents were followed, with a plain prompt beside it."""
    if found is None:
        return "Poisoned documents: not measured with this model."
    return (
        f"Poisoned documents: it followed the attacker's instruction in {found.product} of {found.cases} answers; with "
        f"a plain prompt in {found.plain} (measured {found.measured})."
    )


def history(measurements: Sequence[Measurement]) -> None:
    """All measurements of a model, the newest first."""
    rows = [
        {
            "Measured": moment(found.created_at),
            "Reads, tokens/s": f"{found.figures['reading']:.0f}",
            "Writes": f"{found.figures['writing']:.0f}",
            "After a long text": f"{found.figures['writing_deep']:.0f}",
            "Four at a time": f"{found.figures['together']:.0f}",
            "Perplexity": f"{found.figures['perplexity']:.2f}",
            "Right": f"{found.figures['right']} of {found.figures['questions']}",
        }
        for found in measurements
    ]
    with st.expander(f"Measurements ({len(rows)})"):
        st.table(rows)
        st.caption("Perplexity: how surprised the model is by plain prose; lower is better.")
