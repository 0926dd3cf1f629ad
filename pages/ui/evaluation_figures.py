"""Figures of runs as tables and charts; every chart says in words what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.evaluation.figures import Figure
from core.evaluation.runs import RunInfo
from pages.ui.figures import moment
from pages.ui.markdown import plain

STATES = {
    "running": "goes on", "complete": "", "stopped": "stopped", "failed": "failed", "interrupted": "interrupted",
}  # fmt: skip
KINDS = {"answers": "Answers", "retrieval": "Search"}
MAIN = {"answers": "right", "retrieval": "nDCG@10"}
CHOSEN = 0.7  # the coverage that is named in words


def label(run: RunInfo) -> str:
    """A run in a list."""
    stage = f", {STATES[run.state]}" if STATES.get(run.state) else ""
    main = run.figures.get(MAIN[run.kind])
    value = f" · {MAIN[run.kind]} {main.value:.3f}" if main and main.n else ""
    return f"{KINDS[run.kind]} · {run.dataset} · {run.asked:,} questions{stage}{value} · {moment(run.created_at)}"


def value(name: str, figure: Figure) -> str:
    """A figure with its interval."""
    if not figure.n:
        return "–"
    digits = 0 if "tokens" in name or name.startswith("truncations") else 3
    middle = f"{figure.value:,.{digits}f}"
    return middle if figure.low == figure.high else f"{middle} ({figure.low:,.{digits}f} – {figure.high:,.{digits}f})"


def table(figures: Mapping[str, Figure]) -> None:
    """All figures of a run."""
    rows = [
        {"Figure": plain(name), "Value (95 % interval)": value(name, figure), "Questions": f"{figure.n:,}"}
        for name, figure in figures.items()
        if figure.n
    ]
    st.table(rows, border="horizontal", alt="The figures of this run with their intervals")


def languages(by_language: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """The figures by language, where the questions name one."""
    if not by_language:
        return
    rows = [
        {"Language": plain(language)} | {plain(name): f"{figure['value']:.3f}" for name, figure in figures.items()}
        for language, figures in by_language.items()
    ]
    st.subheader("By language", anchor=False)
    st.table(rows, border="horizontal", alt="The figures by language")


def risk(curve: Sequence[Sequence[float]]) -> None:
    """Which share of the answers is wrong when only the most confident are given."""
    if not curve:
        return
    st.subheader("Risk and coverage", anchor=False)
    chosen = min(curve, key=lambda point: abs(point[0] - CHOSEN))
    words = (
        f"Of all answers {curve[-1][1]:.0%} are wrong; of the {chosen[0]:.0%} that the product is most confident of, "
        f"{chosen[1]:.0%}."
    )
    risk_chart([(point[0], point[1]) for point in curve], words)


def risk_chart(curve: Sequence[tuple[float, float]], words: str) -> None:
    """Coverage and the share that is wrong in it, with what it says in words."""
    st.line_chart(
        {"Answered": [covered for covered, _ in curve], "Wrong": [wrong for _, wrong in curve]},
        x="Answered", y="Wrong", x_label="share of the questions that is answered, most confident first",
        y_label="share of these that is wrong", height=260, alt=words,
    )  # fmt: skip
    st.caption(plain(words))


def causes(counts: Mapping[str, int]) -> None:
    """Which link broke first, how often."""
    if not counts:
        return
    st.subheader("Why answers were wrong", anchor=False)
    rows = [{"First broken link": plain(cause), "Questions": f"{count:,}"} for cause, count in counts.items()]
    st.table(rows, border="horizontal", width="content", alt="How often each link between file and answer broke")


def pipeline(run: RunInfo) -> None:
    """What was measured."""
    kept = run.pipeline
    prompts = ", ".join(f"{name} v{version}" for name, version in dict(kept.get("prompts", {})).items())
    facts = {
        "Model": plain(str(kept.get("model", ""))),
        "Service": plain(str(kept.get("endpoint", ""))),
        "Embedder": plain(" ".join(str(kept.get(name, "")) for name in ("embedder", "embedder_form")).strip()),
        "Prompts": plain(prompts),
        "Passages": str(kept.get("passages", "")),
        "Seed": str(run.seed),
        "Pipeline": run.pipeline_hash[:12],
        "Dataset": f"{plain(run.dataset)} ({run.dataset_sha256[:12]})",
    }
    st.table(
        {name: fact for name, fact in facts.items() if fact}, border="horizontal", width="content",
        alt="What was measured",
    )  # fmt: skip
