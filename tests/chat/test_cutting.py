from __future__ import annotations

import random
import re

import pytest

from core.chat.context import block
from core.chat.cutting import cut, parts, shown
from core.types import Passage
from tests.chat.cited import cite
from tests.conftest import SHARED

TEXTS = SHARED / "evaldata" / "docs" / "debian" / "txt"
WAR = (
    "The town was founded in 1120. Its market was famous for salt. The bridge over the river was built by Anna Holm in "
    "1688. It is 90 metres long. Today 4,000 people live there. They work in the paper mill."
)


def passage(text: str, start: int = 1000, rank: int = 1) -> Passage:
    return Passage(rank, f"d{rank}", "Town", text, start, start + len(text), None, "", rank, 1.0)


def count(texts: list[str]) -> list[int]:
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def test_the_sentence_that_answers_is_kept_and_the_rest_is_not() -> None:
    [found] = cut([passage(WAR)], "Who built the bridge over the river?", tokens=30, count=count)
    assert shown(found) == "… The bridge over the river was built by Anna Holm in 1688."
    assert found.text == WAR


def test_a_sentence_that_leans_on_the_one_before_brings_it_along() -> None:
    [found] = cut([passage(WAR)], "How long is it in metres?", tokens=40, count=count)
    assert "The bridge over the river was built by Anna Holm in 1688. It is 90 metres long." in shown(found)


def test_the_title_is_not_shown_twice() -> None:
    [found] = cut([passage(f"# Town\n\n{WAR}")], "When was the town founded?", tokens=25, count=count)
    assert shown(found) == "… The town was founded in 1120."


def test_a_heading_is_shown_with_what_stands_under_it_and_never_alone() -> None:
    text = (
        "A town.\n\n## The bridge\n\nIt was built by Anna Holm in 1688.\n\n## The market\n\nIt is famous for its salt."
    )
    [found] = cut([passage(text)], "Who built the bridge?", tokens=26, count=count)
    assert shown(found) == "… ## The bridge\n\nIt was built by Anna Holm in 1688."
    others = [
        passage("# Rivers\n\nThere are two of them in all of the land.", rank=2),
        passage("# Salt\n\nIt is dear.", rank=3),
    ]
    for one in cut([passage(WAR), *others], "rivers salt bridge", tokens=60, count=count):
        assert not shown(one).strip("… ").startswith("#") or "\n\n" in shown(one)


def test_what_fits_is_not_cut() -> None:
    whole = [passage(WAR), passage("A short one.", rank=2)]
    assert cut(whole, "bridge", tokens=500, count=count) == whole
    assert cut(whole, "bridge", tokens=0, count=count) == whole
    assert cut([], "bridge", tokens=10, count=count) == []


def test_a_question_without_words_still_gets_the_first_sentences() -> None:
    assert cut([passage(WAR)], "???", tokens=30, count=count)[0].kept


def test_citations_of_a_cut_passage_open_its_words_in_the_document() -> None:
    document = "x" * 1000 + WAR
    kept = cut([passage(WAR)], "Who built the bridge over the river?", tokens=30, count=count)
    _, citations = cite("Anna Holm built the bridge [1].", kept, "Who built the bridge?")
    assert [document[c.start : c.end] for c in citations] == [c.quote for c in citations]
    assert citations[0].quote == "The bridge over the river was built by Anna Holm in 1688."


def test_words_that_the_model_was_not_shown_are_not_cited() -> None:
    [kept] = cut([passage(WAR)], "Who built the bridge over the river?", tokens=20, count=count)
    assert "4,000" not in shown(kept)
    assert cite("Today 4,000 people live there.", [kept], "How many?")[1] == ()


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        (
            "价格在1973年很低。危机始于十月。1974年价格接近12美元。后来价格下降了。城市很大。",
            "1974年的价格是多少？",
            "12美元",
        ),
        (
            "東京は日本の首都です。人口は約1400万人です。大阪は西日本の都市です。京都には寺が多いです。",
            "東京の人口は？",
            "1400万人",
        ),
    ],
)
def test_languages_without_spaces_are_cut_at_their_sentences(text: str, question: str, answer: str) -> None:
    characters = lambda texts: [len(text) for text in texts]  # noqa: E731
    [kept] = cut([passage(text)], question, tokens=48, count=characters)
    assert answer in shown(kept)
    assert 0 < len(shown(kept)) < len(text)


def test_a_text_without_sentences_is_cut_too() -> None:
    text = " ".join(f"word{n}" for n in range(3000)) + " the key is 4711 " + " ".join(f"word{n}" for n in range(3000))
    [kept] = cut([passage(text)], "What is the key?", tokens=120, count=count)
    assert "4711" in shown(kept)
    assert count([shown(kept)])[0] < 200
    unbroken = "a" * 20_000
    assert len(shown(cut([passage(unbroken)], "a?", tokens=50, count=lambda texts: [len(t) for t in texts])[0])) < 1000


def test_hostile_texts_do_not_break() -> None:
    for text in ("", " \n ", ". . . .", "|a|b|\n|c|d|", "\u202e\u200b", "[1] [2] (x)", "?" * 5000, "\n" * 5000):
        for kept in cut([passage(text), passage(WAR, rank=2)], "bridge river?", tokens=20, count=count):
            assert block(1, kept)


@pytest.mark.parametrize(
    "name", ["policy.txt", "debian-faq.en.txt", "debian-reference.ja.txt", "debian-reference.zh-cn.txt"]
)
def test_offsets_stay_exact_over_real_texts(name: str) -> None:
    if not TEXTS.exists():
        pytest.skip("../shared/evaldata is not beside the repository")
    document = (TEXTS / name).read_text(encoding="utf-8")[:200_000]
    chance = random.Random(name)
    for _ in range(40):
        starts = [chance.randrange(len(document) - 900) for _ in range(4)]
        found = [passage(document[start : start + 900], start, n) for n, start in enumerate(starts, 1)]
        question = " ".join(chance.sample(found[0].text.split() or ["x"], k=min(4, len(found[0].text.split()) or 1)))
        for kept in cut(found, question, tokens=chance.choice([20, 60, 150]), count=count):
            assert kept.kept == tuple(sorted(kept.kept))
            assert all(kept.start <= start < end <= kept.end for start, end in kept.kept)
            assert all(first[1] <= second[0] for first, second in zip(kept.kept, kept.kept[1:], strict=False))
            for start, end in parts(kept):
                assert document[kept.start + start : kept.start + end] == kept.text[start:end]
                assert kept.text[start:end] in shown(kept)
