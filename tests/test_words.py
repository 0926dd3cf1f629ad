"""The words of a text that mean something: in any script, by the forms of its language, with their weights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.words import pieces, telling, terms, weighted

# Letters, marks, digits and signs at the borders of what plain texts have, and of what normalising turns into them.
SIGNS = "abcXYZs'’S 12 _-.,İıIßäØ²¼№ªµ½⁄ʰ\u0301→★❶Ⅷ\u00adﬁ東かกе"


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("বাংলা ভাষা", "bn", 2),
        ("தமிழ்நாடு அரசு", "ta", 2),
        ("తెలుగు భాష", "te", 2),
        ("हिन्दी भाषा", "hi", 2),
        ("ಕನ್ನಡ ಭಾಷೆ", "kn", 2),
        ("മലയാളം ഭാഷ", "ml", 2),
        ("ગુજરાતી ભાષા", "gu", 2),
    ],
)
def test_vowel_signs_do_not_cut_words_in_any_script(text: str, language: str, words: int) -> None:
    assert len(weighted(text, language)) == words


@given(st.text(SIGNS, max_size=60) | st.text(max_size=60), st.sampled_from(["en", "de", "tr", ""]))
def test_terms_of_plain_texts_are_those_of_their_pieces(text: str, language: str) -> None:
    assert terms(text, language) == [term for piece in pieces(text, language) for term in piece.terms]


def test_numbers_weigh_most_and_names_more_than_words() -> None:
    assert weighted("The core of Orsa is 4.72 m, worth 12,000 or 7 more", "en") == {
        "core": 1.0, "orsa": 2.0, "4.72": 3.0, "m": 1.0, "worth": 1.0, "12000": 3.0, "7": 3.0, "more": 1.0,
    }  # fmt: skip


def test_a_number_is_not_held_by_its_digits() -> None:
    assert not weighted("3.5 kg", "en").keys() & weighted("5.3 l", "en").keys()
    assert weighted("1974年", "zh").keys() >= {"1974"}


def test_words_are_compared_in_the_forms_of_their_language() -> None:
    assert weighted("Häuser", "de") == weighted("haus", "de")
    assert weighted("Rasen", "de").keys() != weighted("Rase", "en").keys()
    assert weighted("peaked", "en") == weighted("peaks", "en")


def test_function_words_are_left_out_and_acronyms_that_look_like_them_are_not() -> None:
    assert [piece.text for piece in telling("the policy of IT and WHO", "en")] == ["policy", "it", "who"]
    assert [piece.text for piece in telling("WHO IS IT FOR", "en")] == []
    assert [piece.text for piece in telling("Why did they die in the war", "en")] == ["die", "war"]


def test_pieces_know_where_and_how_they_are_written() -> None:
    text = "Die IBM-Straße in İzmir, 東京"
    for language in ("de", "tr"):
        for piece in pieces(text, language):
            assert text[piece.start : piece.start + len(piece.written)] == piece.written
