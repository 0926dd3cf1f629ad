"""The history of measurements, and all about one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import streamlit as st

from core.evaluation.runs import Item, RunInfo
from core.types import User
from pages.ui import evaluation_figures, state
from pages.ui.frame import attempt
from pages.ui.markdown import plain

RUN = "evaluation-run"
MOST_ROWS = 2_000


def draw(runs: Sequence[RunInfo], user: User) -> None:
    """One run is shown; which one is chosen from the list, newest first."""
    by_id = {run.id: run for run in runs}
    chosen = st.selectbox(
        "Run", list(by_id), key=RUN, format_func=lambda id: evaluation_figures.label(by_id[id]) if id in by_id else ""
    )
    run = by_id.get(str(chosen))
    if run is None:
        return
    if run.error:
        st.warning(plain(run.error), icon=":material/info:")
    for note in run.extra.get("notes", ()):
        st.caption(plain(str(note)))
    if run.figures:
        evaluation_figures.table(run.figures)
    evaluation_figures.risk(run.extra.get("risk_coverage", ()))
    evaluation_figures.causes(run.extra.get("causes", {}))
    evaluation_figures.languages(run.extra.get("by_language", {}))
    with st.expander("What was measured"):
        evaluation_figures.pipeline(run)
    items = _items(run.id, user.id, run.asked)
    _questions(run, items)
    _actions(run, items, user)


@lru_cache(maxsize=4)  # a run has hundreds of kilobytes, and what was asked does not change any more
def _items(run_id: str, owner_id: str, _asked: int) -> tuple[Item, ...]:
    return tuple(state.services().evaluations.book.items(run_id, owner_id=owner_id))


def _questions(run: RunInfo, items: Sequence[Item]) -> None:
    """Every question, the worst first; as cells, which show text as it is."""
    if not items:
        return
    st.subheader("Questions", anchor=False)
    worst = sorted(items, key=lambda item: item.score)[:MOST_ROWS]
    row = _answer_row if run.kind == "answers" else _search_row
    st.dataframe(
        [row(item) for item in worst], hide_index=True, alt="The questions of this run, the worst first",
        key=f"evaluation-questions-{run.id}",
    )  # fmt: skip


def _answer_row(item: Item) -> Mapping[str, Any]:
    detail = item.detail
    cause = detail.get("cause") or {}
    reply, question = detail.get("reply", {}), detail.get("question", {})
    return {
        "Right": ("yes" if item.score else "no") if detail.get("judged", True) else "not known",
        "Question": item.question,
        "Answer": reply.get("text", "") or detail.get("error", ""),
        "Expected": " / ".join(question.get("answers", ()))
        if question.get("answerable", True)
        else "(not in the texts)",
        "Confidence": round(float(detail.get("confidence", 0.0)), 2),
        "First broken link": cause.get("cause", ""),
        "What was seen": cause.get("sentence", ""),
        "Seconds": round(float(reply.get("total", 0.0)), 1),
    }


def _search_row(item: Item) -> Mapping[str, Any]:
    detail = item.detail
    scores = detail.get("scores", {})
    return {
        "nDCG@10": round(item.score, 3),
        "Question": item.question,
        "Should be found": ", ".join(map(str, detail.get("relevant", ()))),
        "Found": ", ".join(map(str, detail.get("found", ())[:3])),
        "Place of the first right one": round(1 / scores["MRR"]) if scores.get("MRR") else None,
    }


def _actions(run: RunInfo, items: Sequence[Item], user: User) -> None:
    with st.container(horizontal=True, key="evaluation-actions"):
        st.download_button(
            "Download", data=lambda: _exported(run, items), file_name=f"{run.kind}-{run.id[:8]}.json",
            mime="application/json", key="evaluation-download", icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        if state.evaluation().deleting == run.id:
            st.button(
                "Really delete", key="evaluation-delete-confirmed", type="primary", on_click=_delete,
                args=(run.id, user),
            )  # fmt: skip
            st.button("Keep it", key="evaluation-delete-cancelled", on_click=_keep)
        else:
            st.button(
                "Delete", key="evaluation-delete", icon=":material/delete:", on_click=_ask_to_delete, args=(run.id,),
                disabled=run.state == "running",
            )  # fmt: skip


def _exported(run: RunInfo, items: Sequence[Item]) -> str:
    body = asdict(run) | {"items": [asdict(item) for item in items]}
    return json.dumps(body, ensure_ascii=False, indent=1, default=str)


def _ask_to_delete(run_id: str) -> None:
    state.evaluation().deleting = run_id


def _keep() -> None:
    state.evaluation().deleting = None


@attempt
def _delete(run_id: str, user: User) -> None:
    state.evaluation().deleting = None
    state.services().evaluations.book.delete(run_id, owner_id=user.id)
