"""What a measurement says: figures with intervals as a table for people or as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from core.evaluation.figures import Figure


@dataclass(frozen=True, slots=True)
class Report:
    """One run: what was measured, how, and what came out. `state` is complete, stopped or failed."""

    kind: str
    dataset: str
    dataset_sha256: str
    questions: int
    seed: int
    pipeline: Mapping[str, Any]
    figures: Mapping[str, Figure]
    by_language: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    state: str = "complete"
    items: tuple[dict[str, Any], ...] = ()
    run_id: str = ""

    def as_dict(self, *, items: bool) -> dict[str, Any]:
        body = asdict(self)
        if not items:
            del body["items"]
        return body


def table(report: Report) -> str:
    """The report for a terminal."""
    stopped = "" if report.state == "complete" else f" ({report.state})"
    lines = [f"{report.kind} on {report.dataset}: {report.questions:,} questions, seed {report.seed}{stopped}", ""]
    lines += rows(report.figures)
    if report.by_language:
        lines += ["", *_languages(report.by_language)]
    if causes := report.extra.get("causes"):
        lines += ["", *_causes(causes, report.items)]
    lines += ["", *report.notes] if report.notes else []
    return "\n".join(lines)


def rows(figures: Mapping[str, Figure]) -> list[str]:
    """One line for each figure."""
    width = max((len(name) for name in figures), default=0)
    head = f"{'':{width}}  {'value':>8}  {'95 % interval':>19}  {'n':>6}"
    return [head, *(f"{name:{width}}  {_row(name, figure)}" for name, figure in figures.items())]


def shown(name: str, value: float) -> str:
    """A value with the digits that mean something: times and tokens are not shares."""
    if "tokens" in name or name.startswith("truncations"):
        return f"{value:,.0f}"
    return f"{value:.3f}"


def _row(name: str, figure: Figure) -> str:
    if not figure.n:
        return f"{'–':>8}  {'':>19}  {0:>6}"
    interval = f"{shown(name, figure.low)} – {shown(name, figure.high)}"
    return f"{shown(name, figure.value):>8}  {interval:>19}  {figure.n:>6,}"


def _languages(by_language: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    names = list(next(iter(by_language.values())))
    lines = ["By language  " + "  ".join(f"{name:>10}" for name in names) + f"  {'n':>6}"]
    for language, figures in by_language.items():
        cells: Sequence[str] = [f"{shown(name, figures[name].value):>10}" for name in names]
        lines.append(f"{language:11}  " + "  ".join(cells) + f"  {max(f.n for f in figures.values()):>6,}")
    return lines


def _causes(causes: Mapping[str, int], items: Sequence[Mapping[str, Any]]) -> list[str]:
    """How often each link broke, and what was seen for each question."""
    width = max(len(cause) for cause in causes)
    lines = ["Why answers were wrong", *(f"{cause:{width}}  {count:>4}" for cause, count in causes.items()), ""]
    for item in items:
        if item["cause"]:
            lines.append(f"{item['cause']['cause']:{width}}  {item['question']['text']}")
            lines.append(f"{'':{width}}  {item['cause']['sentence']}")
    return lines
