"""Guessing ahead, and knowing when it pays."""

from __future__ import annotations

import pytest

from core.serving.native.drafting import Drafting, look_up

QUOTED = [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_what_followed_the_last_tokens_before_is_guessed() -> None:
    assert look_up([*QUOTED, 99, 3, 4, 5], 3) == [6, 7, 8]
    assert look_up([*QUOTED, 99, 3, 4, 5], 100) == [6, 7, 8, 9, 99, 3, 4, 5]


def test_latest_place_counts() -> None:
    assert look_up([1, 2, 3, 10, 1, 2, 3, 20, 1, 2, 3], 1) == [20]


@pytest.mark.parametrize("tokens", [[], [1], [1, 2, 3], [1, 2, 3, 4], [5, 5, 6, 5, 5, 7]])
def test_nothing_is_guessed_without_a_precedent(tokens: list[int]) -> None:
    assert look_up(tokens, 5) == []


def test_nothing_is_guessed_when_nothing_may_be() -> None:
    assert look_up([*QUOTED, 3, 4, 5], 0) == []


def test_it_is_not_used_before_anything_was_measured() -> None:
    assert Drafting().length() == 0


def test_it_is_not_used_where_every_token_has_its_price() -> None:
    assert Drafting({1: 0.03, 2: 0.06, 4: 0.11, 8: 0.2}).length() == 0


def test_it_is_used_where_several_tokens_cost_as_much_as_one() -> None:
    assert Drafting({1: 0.03, 2: 0.031, 4: 0.033, 8: 0.04}).length() == 7


def test_it_stops_when_the_guesses_turn_out_wrong() -> None:
    drafting = Drafting({1: 0.03, 2: 0.04, 4: 0.05, 8: 0.07})
    assert drafting.length()
    for _ in range(100):
        drafting.checked(4, 0)
    assert drafting.right < 0.1
    assert drafting.length() == 0
    for _ in range(200):
        drafting.checked(4, 4)
    assert drafting.right > 0.9
    assert drafting.length()
