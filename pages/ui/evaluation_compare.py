"""Two runs side by side: the same questions in pairs, the largest loss first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import streamlit as st

from core.evaluation.figures import Figure
from core.evaluation.runs import Pair, RunInfo
from core.types import User
from pages.ui import evaluation_figures, state
from pages.ui.figures import count
from pages.ui.markdown import plain

FIRST, SECOND = "evaluation-first", "evaluation-second"
MOST_ROWS = 2_000
FEWEST = 6  # that differ: fewer all in one direction are chance once in twenty times (sign test)
# What pairs are compared by: to say rightly that there is no answer counts as a right one.
COMPARED = {"answers": "right answers, rightly given none included", "retrieval": "nDCG@10"}


def draw(runs: Sequence[RunInfo], user: User) -> None:
    """Which two, how much better the second is, and each question."""
    ended = {run.id: run for run in runs if run.asked and run.state != "running"}
    if len(ended) < 2:
        st.info("There is only one run to choose from. Measure a second time first.", icon=":material/info:")
        return
    left, right = st.columns(2)
    ids = list(ended)
    second = ended[str(_choice(right, "After", ids, ended, SECOND))]
    alike = [id for id in ids if id != second.id and ended[id].kind == second.kind]
    if not alike:
        st.info("No other run measured the same: answers and search cannot be compared.", icon=":material/info:")
        return
    first = ended[str(_choice(left, "Before", alike, ended, FIRST))]
    pairs, better = _compared(first.id, second.id, user.id)
    if not pairs:
        st.info("The two runs have no question in common.", icon=":material/info:")
        return
    st.markdown(plain(_verdict(first, better, sum(pair.loss != 0 for pair in pairs))))
    _figures(first, second)
    st.dataframe(
        [_row(pair, first.kind) for pair in pairs[:MOST_ROWS]], hide_index=True,
        alt="The questions that both runs have, the largest loss first", key="evaluation-pairs",
    )  # fmt: skip


@lru_cache(maxsize=4)  # both have ended; thousands of draws for the interval at every click would be felt
def _compared(first_id: str, second_id: str, owner_id: str) -> tuple[Sequence[Pair], Figure]:
    return state.services().evaluations.book.compare(first_id, second_id, owner_id=owner_id)


def _choice(column: Any, label: str, ids: Sequence[str], runs: Mapping[str, RunInfo], key: str) -> str | None:
    chosen: str | None = column.selectbox(
        label, ids, key=key, format_func=lambda id: evaluation_figures.label(runs[id]) if id in runs else ""
    )
    return chosen if chosen in runs else ids[0]


def _verdict(first: RunInfo, better: Figure, differing: int) -> str:
    name = COMPARED[first.kind]
    if better.value and differing < FEWEST:
        return (
            f"On {count(better.n, 'common question')} the second run is {abs(better.value):.3f} "
            f"{'better' if better.value > 0 else 'worse'} in {name}, but only {differing} of them differ: "
            "that is too few to tell it from chance."
        )
    sure = better.low > 0 or better.high < 0
    how = "better" if better.value > 0 else "worse"
    change = f"{abs(better.value):.3f} {how}" if better.value else "the same"
    judged = "" if sure else " That may be chance: the interval holds zero."
    return (
        f"On {count(better.n, 'common question')} the second run is {change} in {name} "
        f"(95 % interval {better.low:+.3f} to {better.high:+.3f}).{judged}"
    )


def _figures(first: RunInfo, second: RunInfo) -> None:
    names = [name for name, figure in second.figures.items() if figure.n and name in first.figures]
    rows = [
        {
            "Figure": plain(name),
            "Before": evaluation_figures.value(name, first.figures[name]),
            "After": evaluation_figures.value(name, second.figures[name]),
        }
        for name in names
    ]
    with st.expander("All figures of both"):
        st.table(rows, border="horizontal", alt="The figures of both runs")


def _row(pair: Pair, kind: str) -> Mapping[str, Any]:
    if kind == "answers":
        before, after = (item.detail.get("reply", {}).get("text", "") for item in (pair.before, pair.after))
    else:
        before, after = (", ".join(map(str, item.detail.get("found", ())[:3])) for item in (pair.before, pair.after))
    return {"Change": round(-pair.loss, 3), "Question": pair.question, "Before": before, "After": after}
