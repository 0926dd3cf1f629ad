"""Intervals, confidence and what can be answered, against values that are known without a computer."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation import abstention
from core.evaluation.figures import NOTHING, difference, mean_of, percentile_of, ratio_of, statistic_of


def test_the_interval_of_a_mean_is_about_that_of_the_textbook() -> None:
    figure = mean_of([1.0] * 70 + [0.0] * 30, seed=1)
    half = 1.96 * np.sqrt(0.7 * 0.3 / 100)
    assert figure.value == pytest.approx(0.7)
    assert figure.low == pytest.approx(0.7 - half, abs=0.02)
    assert figure.high == pytest.approx(0.7 + half, abs=0.02)
    assert figure.n == 100


def test_what_is_always_the_same_has_no_width() -> None:
    figure = mean_of([0.5] * 20, seed=1)
    assert (figure.value, figure.low, figure.high) == (0.5, 0.5, 0.5)


def test_three_of_three_is_not_certainty() -> None:
    every, none = mean_of([True] * 3, seed=1), mean_of([False] * 3, seed=1)
    assert (every.value, every.high) == (none.high + every.low, 1.0) == (1.0, 1.0)
    assert every.low == pytest.approx(0.4385, abs=1e-3)  # Wilson's interval of 3 in 3


def test_the_same_seed_gives_the_same_interval_and_nothing_gives_none() -> None:
    values = [float(n % 3) for n in range(40)]
    assert mean_of(values, seed=4) == mean_of(values, seed=4)
    assert mean_of([], seed=4) == NOTHING


def test_a_paired_difference_sees_what_two_intervals_would_not() -> None:
    before = [float(n % 2) for n in range(200)]
    after = [1.0 if n % 10 == 0 else value for n, value in enumerate(before)]
    figure = difference(after, before, seed=2)
    assert figure.value == pytest.approx(0.1)
    assert figure.low > 0
    assert mean_of(after, seed=2).low < mean_of(before, seed=2).high
    with pytest.raises(ValueError, match="zip"):
        difference([1.0], [1.0, 2.0], seed=2)


def test_citations_are_drawn_by_question() -> None:
    figure = ratio_of([1.0, 0.0, 2.0], [2.0, 0.0, 2.0], seed=1)
    assert figure.value == pytest.approx(3 / 4)
    assert figure.n == 2, "a question without citations says nothing"


def test_percentiles_lie_between_neighbours() -> None:
    assert percentile_of([1.0, 2.0, 3.0, 4.0], 50, seed=1).value == pytest.approx(2.5)


def test_a_statistic_that_is_no_number_is_nothing() -> None:
    assert statistic_of(np.ones((3, 2)), lambda rows: float("nan"), seed=1) == NOTHING


def test_auroc_is_the_chance_of_the_right_order() -> None:
    scores = np.array([0.9, 0.8, 0.4, 0.4, 0.1])
    positive = np.array([True, False, True, False, False])
    # pairs: 0.9 beats all three; 0.4 loses to 0.8, ties with 0.4, beats 0.1
    assert abstention.auroc(scores, positive) == pytest.approx((3 + 1.5) / 6)
    assert np.isnan(abstention.auroc(scores, np.ones(5, dtype=bool)))


def test_the_most_confident_share_counts_equals_in_part() -> None:
    confidence, right = np.array([0.9, 0.5, 0.5, 0.1]), np.array([1.0, 1.0, 0.0, 0.0])
    assert abstention.right_among(confidence, right, 0.5) == pytest.approx((1 + 0.5) / 2)
    assert abstention.right_among(confidence, right, 1.0) == pytest.approx(0.5)


def test_the_risk_grows_with_coverage_when_confidence_is_good() -> None:
    points = abstention.curve([0.9, 0.8, 0.7, 0.6], [True, True, True, False], steps=4)
    assert [share for share, _ in points] == [0.25, 0.5, 0.75, 1.0]
    assert [round(risk, 3) for _, risk in points] == [0, 0, 0, 0.25]
    assert abstention.curve([], []) == []


def test_balanced_accuracy_gives_both_kinds_the_same_weight() -> None:
    answerable = np.array([True] * 8 + [False] * 2)
    answered = np.array([True] * 8 + [True, False])
    assert abstention.balanced_accuracy(answered, answerable) == pytest.approx(0.75)
    threshold, accuracy = abstention.best_threshold(np.array([0.9] * 8 + [0.5, 0.2]), answerable)
    assert (threshold, accuracy) == (0.9, 1.0)
