"""From answered questions to the figures of a run, each with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation import abstention
from core.evaluation.answers import Answered, Reply
from core.evaluation.diagnosis import Cause
from core.evaluation.figures import Figure, difference, mean_of, percentile_of, ratio_of, statistic_of

MOST_CONFIDENT = f"right among the {abstention.MOST_CONFIDENT:.0%} most confident".replace("%", " %")
Answers = Sequence[Answered]


def answer_figures(items: Answers, seed: int) -> dict[str, Figure]:
    """All figures; those that the dataset has no questions for have n 0."""
    known = _known(items)
    return {
        "right": mean_of([item.reply.right for item in known], seed),
        "overlap (F1)": mean_of([item.reply.overlap for item in known], seed),
        **_citations(items, seed),
        **_abstention(items, seed),
        **costs([item.reply for item in items if not item.error], seed),
        "truncations without a ledger entry": _count([item.unaccounted for item in items]),
        "questions that failed": mean_of([bool(item.error) for item in items], seed),
    }


def language_figures(items: Answers, seed: int) -> dict[str, dict[str, Figure]]:
    """The figures that are worth telling by language; empty where the questions name none."""
    return by_language(items, lambda item: item.question.language, lambda part: _of_language(part, seed))


def by_language(
    items: Sequence[Any], language: Callable[[Any], str], figures: Callable[[Sequence[Any]], dict[str, Figure]]
) -> dict[str, dict[str, Figure]]:
    """`figures` of the items of each language."""
    names = sorted({language(item) for item in items} - {""})
    return {name: figures([item for item in items if language(item) == name]) for name in names}


def plain_figures(items: Answers, seed: int) -> dict[str, Figure]:
    """The plain pipeline on the same questions, and how much the product is better: paired, question by question."""
    pairs = [(item.reply, item.plain) for item in _known(items) if item.plain]
    replies = [item.plain for item in items if item.plain and item.plain.total]
    timed = [(item.reply.first, item.plain.first) for item in items if item.plain]
    times = np.array([pair for pair in timed if all(pair)], dtype=np.float64)  # without those that failed
    ratio = statistic_of(times, lambda rows: float(np.median(rows[:, 0]) / np.median(rows[:, 1])), seed)
    return {
        "plain: right": mean_of([plain.right for _, plain in pairs], seed),
        **{f"plain: {name}": figure for name, figure in costs(replies, seed).items()},
        "right, better than plain by": difference(
            [own.right for own, _ in pairs], [plain.right for _, plain in pairs], seed
        ),
        "first word, share of plain's time": ratio,
    }


def costs(replies: Sequence[Reply], seed: int) -> dict[str, Figure]:
    """Tokens of the prompts, seconds to the first word and to the end."""
    tokens = [float(reply.prompt_tokens) for reply in replies]
    figures = {"prompt tokens mean": mean_of(tokens, seed), "prompt tokens p95": percentile_of(tokens, 95, seed)}
    for name, seconds in (
        ("first word", [reply.first for reply in replies]),
        ("whole answer", [reply.total for reply in replies]),
    ):
        for percent in (50, 95):
            figures[f"{name} seconds p{percent}"] = percentile_of(seconds, percent, seed)
    return figures


def risk_coverage(items: Answers) -> list[tuple[float, float]]:
    """Coverage and the share of wrong answers in it, over the answerable questions."""
    known = _known(items)
    return abstention.curve([item.confidence for item in known], [item.draft_right for item in known])


def causes(items: Answers) -> dict[str, int]:
    """How often each link broke first, in the order of the links; empty where nobody asked why."""
    found = Counter(item.cause["cause"] for item in items if item.cause)
    return {cause.value: found[cause.value] for cause in Cause if found[cause.value]}


def _known(items: Answers) -> list[Answered]:
    """Those whose right answer is known."""
    return [item for item in items if item.question.answerable and item.question.answers]


def _citations(items: Answers, seed: int) -> dict[str, Figure]:
    answered = [item for item in items if not item.abstained and not item.error]
    right = [item for item in answered if item.reply.right]
    findable = [item for item in _known(answered) if item.holding]
    every = [float(item.citations) for item in items]
    return {
        "answers with a citation": mean_of([item.citations > 0 for item in answered], seed),
        "right answers that cite the answer": mean_of([item.citing_answer > 0 for item in right], seed),
        "citation precision": ratio_of(
            [float(item.citing_answer) for item in right], [float(item.citations) for item in right], seed
        ),
        "citation recall": mean_of([item.citing_answer > 0 for item in findable], seed),
        "citations that open verbatim words": ratio_of([float(item.verbatim) for item in items], every, seed),
        "support rate": ratio_of(
            [float(item.supported) for item in items], [float(item.claims) for item in items], seed
        ),
    }


def _abstention(items: Answers, seed: int) -> dict[str, Figure]:
    ended = [item for item in items if not item.error]  # one that failed was neither answered nor held back
    rows = np.array(
        [[item.confidence, item.question.answerable, not item.abstained] for item in ended], dtype=np.float64
    ).reshape(-1, 3)
    known = np.array([[item.confidence, item.draft_right] for item in _known(items)], dtype=np.float64).reshape(-1, 2)
    return {
        "answered, of the answerable": mean_of([bool(row[2]) for row in rows[rows[:, 1] > 0]], seed),
        "abstained, of the unanswerable": mean_of([not row[2] for row in rows[rows[:, 1] == 0]], seed),
        "AUROC of answerable": statistic_of(rows, _auroc, seed),
        "balanced accuracy": statistic_of(rows, _balanced, seed),
        "balanced accuracy, best threshold on these": statistic_of(rows, _best, seed, 200),
        MOST_CONFIDENT: statistic_of(
            known, lambda part: abstention.right_among(part[:, 0], part[:, 1], abstention.MOST_CONFIDENT), seed
        ),
    }


def _auroc(rows: NDArray[np.float64]) -> float:
    return abstention.auroc(rows[:, 0], rows[:, 1] > 0)


def _balanced(rows: NDArray[np.float64]) -> float:
    return abstention.balanced_accuracy(rows[:, 2] > 0, rows[:, 1] > 0)


def _best(rows: NDArray[np.float64]) -> float:
    positive = rows[:, 1] > 0
    if positive.all() or not positive.any():
        return float("nan")
    return abstention.best_threshold(rows[:, 0], positive)[1]


def _of_language(items: Answers, seed: int) -> dict[str, Figure]:
    return {
        "right": mean_of([item.reply.right for item in _known(items)], seed),
        "cited": mean_of([item.citations > 0 for item in items if not item.abstained], seed),
    }


def _count(counts: Sequence[int]) -> Figure:
    total = float(sum(counts))
    return Figure(total, total, total, len(counts))
