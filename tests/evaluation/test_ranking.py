"""Measures of rankings against values computed by hand, and against ir-measures where it is installed."""

from __future__ import annotations

import math
import random

import pytest

from core.evaluation import ranking


def test_the_measures_of_a_small_ranking_are_those_computed_by_hand() -> None:
    found = ["a", "b", "c", "d"]
    relevant = {"b": 2.0, "d": 1.0, "z": 1.0}
    scores = ranking.scores(found, relevant)
    assert scores["recall@1"] == 0
    assert scores["recall@3"] == pytest.approx(1 / 3)
    assert scores["recall@5"] == scores["recall@100"] == pytest.approx(2 / 3)
    assert scores["MRR"] == 0.5
    gained = 2 / math.log2(3) + 1 / math.log2(5)
    best = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert scores["nDCG@10"] == pytest.approx(gained / best)


def test_a_ranking_without_anything_right_scores_nothing() -> None:
    assert set(ranking.scores(["a", "b"], {"c": 1.0}).values()) == {0.0}
    assert set(ranking.scores([], {"c": 1.0}).values()) == {0.0}


def test_the_perfect_order_scores_one() -> None:
    scores = ranking.scores(["x", "y"], {"x": 3.0, "y": 1.0})
    assert scores["nDCG@10"] == scores["MRR"] == scores["recall@3"] == 1.0


def test_what_stands_after_the_cut_does_not_count() -> None:
    found = [f"wrong {n}" for n in range(10)] + ["right"]
    scores = ranking.scores(found, {"right": 1.0})
    assert scores["nDCG@10"] == scores["recall@10"] == 0
    assert scores["recall@100"] == 1
    assert scores["MRR"] == pytest.approx(1 / 11)


def test_the_measures_are_those_of_ir_measures() -> None:
    ir_measures = pytest.importorskip("ir_measures")
    draw = random.Random(3)
    names = {
        "recall@1": "R@1",
        "recall@3": "R@3",
        "recall@10": "R@10",
        "recall@100": "R@100",
        "MRR": "RR",
        "nDCG@10": "nDCG@10",
    }
    for _ in range(30):
        ids = [f"d{n}" for n in range(150)]
        draw.shuffle(ids)
        found = ids[: draw.randint(1, 120)]
        relevant = {id: draw.choice([1, 2, 3]) for id in draw.sample(sorted(ids), draw.randint(1, 12))}
        run = {"q": {id: float(len(found) - place) for place, id in enumerate(found)}}
        theirs = ir_measures.calc_aggregate(
            [ir_measures.parse_measure(m) for m in names.values()], {"q": relevant}, run
        )
        ours = ranking.scores(found, {id: float(gain) for id, gain in relevant.items()})
        for name, measure in names.items():
            assert ours[name] == pytest.approx(theirs[ir_measures.parse_measure(measure)]), name
