"""Search by words: in any script, by quoted phrases and identifiers, in bounded time, in what the scope may see."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.retrieval import keyword as keyword_module
from core.retrieval.keyword import KeywordIndex
from core.retrieval.query import LONGEST_QUERY, MOST_UNITS, flat, understand
from core.services import Services
from core.storage.tables import UserRow
from core.types import Scope
from core.words import terms
from tests.statements import statements

Add = Callable[..., str]
ME = Scope("local")


@pytest.fixture
def keyword(live: Services) -> KeywordIndex:
    return KeywordIndex(live.db)


def found(live: Services, keyword: KeywordIndex, query: str, scope: Scope = ME) -> list[str]:
    ids = [id for id, _ in keyword.search(query, scope, 10)]
    chunks = live.chunks.load(ids, scope)
    return [chunks[id].text for id in ids]


# --- words of all scripts ---


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("华沙是波兰的首都和最大城市。", "最大城市是哪里"),
        ("東京タワーは1958年に完成した。", "タワーの完成"),
        ("กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย", "เมืองหลวง"),
        ("서울은 대한민국의 수도이다.", "대한민국 수도"),
        ("नई दिल्ली भारत की राजधानी है।", "राजधानी"),
        ("عاصمة مصر هي القاهرة", "قاهرة"),
        ("Die Häuser stehen am Fluss.", "Haus am Fluß"),
        ("Ο ποταμός Έβρος", "εβρος"),
        ("Москва стоит на реке.", "река"),
        ("Hà Nội là thủ đô của Việt Nam", "thu do"),
    ],
)
def test_a_word_inside_a_sentence_is_found_in_any_script(
    live: Services, add_text: Add, keyword: KeywordIndex, text: str, query: str
) -> None:
    add_text(f"{text}\n\nThe manual is printed in Lund.")
    assert found(live, keyword, query) == [text]


def test_words_that_share_no_pair_of_signs_are_not_found(live: Services, add_text: Add, keyword: KeywordIndex) -> None:
    add_text("华沙是波兰的首都。")
    assert found(live, keyword, "城市") == []


def test_vowel_signs_do_not_cut_words(live: Services) -> None:
    assert terms("हिन्दी", "hi") == terms("हिन्दी!", "hi")
    assert len(terms("हिन्दी भाषा", "hi")) == 2


def test_the_possessive_is_no_word() -> None:
    assert terms("Apple's sales, the boys’ rooms", "en") == terms("Apple sales, the boy rooms", "en")


# --- quotes and identifiers ---


def test_a_phrase_in_quotes_comes_before_its_scattered_words(
    live: Services, add_text: Add, keyword: KeywordIndex
) -> None:
    add_text(
        "The hill over which the king went, the king of the hill, hill and king.\n\nThey sang of the king over the hill."
    )
    assert found(live, keyword, 'the "king over the hill"')[0] == "They sang of the king over the hill."


def test_a_chinese_phrase_in_quotes_is_found_as_a_phrase(live: Services, add_text: Add, keyword: KeywordIndex) -> None:
    add_text("北京的大学很多,大学在北京。\n\n他在北京大学读书。")
    assert found(live, keyword, "“北京大学”")[0] == "他在北京大学读书。"


def test_an_identifier_is_found_among_its_likes(live: Services, add_text: Add, keyword: KeywordIndex) -> None:
    others = [f"Valve AB-{n} closes at {n} bar; see 1203 and AB." for n in range(1190, 1203)]
    add_text("\n\n".join([*others, "Valve AB-1203 is made of steel and brass and was tested twice last year."]))
    assert found(live, keyword, "What is AB-1203 made of?")[0].startswith("Valve AB-1203 is made")


# --- what must not happen ---


@pytest.mark.parametrize("query", ["a1-" * 33_000, '"' * 100_000, "x" * 100_000, "( OR NEAR " * 10_000, "北" * 33_000])
def test_a_hostile_query_of_a_hundred_kilobytes_is_answered(
    live: Services, add_text: Add, keyword: KeywordIndex, query: str
) -> None:
    add_text("The dam is high.")
    keyword.search(query, ME, 5)
    understood = understand(query, ("en", "zh"))
    assert len(understood.text) <= LONGEST_QUERY
    assert len(understood.units) <= MOST_UNITS


@pytest.mark.parametrize("query", ["", "   ", "?! …", '""', "\x00"])
def test_an_empty_query_finds_nothing(live: Services, add_text: Add, keyword: KeywordIndex, query: str) -> None:
    add_text("The dam is high.")
    assert keyword.search(query, ME, 5) == []


@pytest.mark.parametrize("query", ["words:dam", "NEAR(dam high)", "dam AND NOT high", "^dam", "d*", "{words} : dam"])
def test_syntax_of_the_index_is_only_words(live: Services, add_text: Add, keyword: KeywordIndex, query: str) -> None:
    add_text("The dam is high.")
    assert found(live, keyword, query) in ([], ["The dam is high."])


def test_frequent_words_are_left_to_the_second_stage_where_rare_ones_tell(
    live: Services, add_text: Add, keyword: KeywordIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.retrieval.keyword.RANKED", 3)
    add_text("\n\n".join([*(f"The dam number {n} holds water." for n in range(9)), "The dam of Lund holds milk."]))
    assert found(live, keyword, "dam holds milk") == ["The dam of Lund holds milk."] or (
        found(live, keyword, "dam holds milk")[0] == "The dam of Lund holds milk."
    )


def test_the_words_of_a_narrow_scope_are_all_looked_for(
    live: Services, add_text: Add, keyword: KeywordIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.retrieval.keyword.RANKED", 3)
    add_text("\n\n".join(f"The dam holds milk {n}." for n in range(9)), name="a.md")
    only = add_text("A dam of stone.", name="b.md", collection="Stones")
    home = live.documents.collection("Stones", owner_id="local")
    for scope in (Scope("local", document_ids=(only,)), Scope("local", collection_id=home)):
        assert found(live, keyword, "dam with milk", scope) == ["A dam of stone."]


@pytest.mark.parametrize(
    ("query", "plain"),
    [
        ("AB\u20111203", "AB-1203"),
        ("AB\u20101203", "AB-1203"),
        ("war\u00adranty", "warranty"),
        ("\u200bwarranty\ufeff", "warranty"),
        ("“zero\u200bwidth sign”", "“zerowidth sign”"),
    ],
)
def test_what_nobody_sees_in_a_query_changes_nothing(query: str, plain: str) -> None:
    assert understand(query) == understand(plain)


def test_an_identifier_stands_in_a_text_with_any_hyphen(live: Services, add_text: Add) -> None:
    add_text("Pump AB\u20111203 has two valves and AB-1203 is its name.")
    asked = understand("AB\u20111203")
    assert asked.identifiers[0].text in flat("Pump AB\u20111203 has two valves.")


def test_a_word_is_one_unit_in_a_library_with_turkish_documents() -> None:
    units = understand("What does IBM do in IZMIR", ("en", "tr")).units
    assert [unit.text for unit in units] == ["ibm", "izmir"]


def test_acronyms_that_look_like_function_words_are_looked_for() -> None:
    def units(query: str) -> list[str]:
        return [unit.text for unit in understand(query).units]

    assert units("IT policy") == ["it", "policy"]
    assert units("WHO guidelines") == ["who", "guidelines"]
    assert units("LA office") == ["la", "office"]
    assert units("it policy") == ["policy"]
    assert units("WHAT IS THE POLICY") == ["policy"]


@pytest.fixture
def ranked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was matched, as expressions of FTS5, while RANKED is 5."""
    seen: list[str] = []
    plain = keyword_module._matching

    def noting(match: str) -> object:
        seen.append(match)
        return plain(match)

    monkeypatch.setattr(keyword_module, "_matching", noting)
    monkeypatch.setattr(keyword_module, "RANKED", 5)
    return seen


def test_a_rare_word_that_few_chunks_hold_is_enough(
    live: Services, add_text: Add, keyword: KeywordIndex, ranked: list[str]
) -> None:
    add_text("\n\n".join([*(f"The dam number {n} holds water." for n in range(30)), "The dam of Lund."]))
    assert found(live, keyword, "dam water Lund") == ["The dam of Lund."]
    assert ranked == ['"lund"']


def test_a_frequent_identifier_is_not_ranked_beside_a_rare_word(
    live: Services, add_text: Add, keyword: KeywordIndex, ranked: list[str]
) -> None:
    add_text("\n\n".join([*(f"Form 10-K of 2023, page {n}." for n in range(30)), "Form 10-K of Lund."]))
    assert found(live, keyword, "Lund 10-K of 2023") == ["Form 10-K of Lund."]
    assert ranked == ['"lund"']


def test_a_phrase_that_stands_everywhere_is_ranked_in_a_bounded_number_of_chunks(
    live: Services, add_text: Add, keyword: KeywordIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyword_module, "MOST_RANKED", 7)
    add_text("\n\n".join(f"The dam number {n} holds water." for n in range(30)))
    with live.db.read() as session:
        assert len(keyword_module._best(session, '"hold water"', ME, 20, most=7)) == 7
    assert len(keyword.search('"holds water"', ME, 10)) == 10


def test_what_a_scope_leaves_out_is_made_up_for_by_its_own_chunks(
    live: Services, add_text: Add, keyword: KeywordIndex, ranked: list[str]
) -> None:
    with live.db.write() as session:
        session.add(UserRow(id="other", name="Other", role="user"))
    add_text("\n\n".join(f"The dam of Lund holds milk {n}." for n in range(4)), name="a.md", owner_id="other")
    add_text("\n\n".join(f"The dam holds water {n}." for n in range(9)), name="b.md")
    assert found(live, keyword, "dam of Lund")[0].startswith("The dam holds water")


def test_terms_are_counted_in_one_statement(live: Services, add_text: Add, keyword: KeywordIndex) -> None:
    add_text("The dam of Lund holds milk.\n\nThe dam is high.")
    with statements(live) as seen, live.db.read() as session:
        counted = keyword.counts.frequencies(session, ["dam", "lund", 'no"such', "dam"])
        assert counted == {"dam": 2, "lund": 1, 'no"such': 0}
        assert keyword.counts.frequencies(session, ["dam", "lund"]) == {"dam": 2, "lund": 1}
    assert len([statement for statement in seen if "chunk_words_terms" in statement]) == 1
