from __future__ import annotations

from dataclasses import replace

import pytest

from core.chat.citations import abstains, check, nearest, sentences, unmarked
from core.chat.judging import Judge
from core.types import Passage, Verdict
from tests.chat.cited import cite


def passage(text: str, number: int = 1, start: int = 100) -> Passage:
    return Passage(number, f"d{number}", f"T{number}", text, start, start + len(text), 2, "H", number, 1.0)


OIL = passage("The crisis began in October 1973. By March 1974 the price of oil was nearly $12. It ended later.", 1)
BOWL = passage("The Denver Broncos defeated the Carolina Panthers 24–10. The game was played in Santa Clara.", 2)


def cited(answer: str, question: str = "q") -> tuple[str, list[tuple[int, str]]]:
    text, citations = cite(answer, [OIL, BOWL], question)
    return text, [(c.number, c.quote) for c in citations]


def test_a_marker_opens_the_sentence_that_holds_the_claim() -> None:
    text, found = cited("The price was nearly $12 in March 1974 [1].")
    assert text == "The price was nearly $12 in March 1974 [1]."
    assert found == [(1, "By March 1974 the price of oil was nearly $12.")]


def test_offsets_point_into_the_document() -> None:
    _, citations = cite("It began in October 1973 [1].", [OIL], "q")
    document = "x" * 100 + OIL.text
    assert document[citations[0].start : citations[0].end] == citations[0].quote == "The crisis began in October 1973."


def test_a_forgotten_marker_is_added() -> None:
    text, found = cited("The Denver Broncos defeated the Carolina Panthers.")
    assert text == "The Denver Broncos defeated the Carolina Panthers [2]."
    assert found[0][0] == 2


def test_a_marker_that_points_nowhere_is_removed() -> None:
    assert cited("The crisis began in October 1973 [7].")[0] == "The crisis began in October 1973 [1]."
    assert cited("Something nobody wrote about whales [9].") == ("Something nobody wrote about whales.", [])


def test_a_marker_of_the_wrong_passage_is_replaced() -> None:
    assert cited("The Denver Broncos defeated the Carolina Panthers 24–10 [1].")[1][0][0] == 2


def test_a_short_answer_is_placed_with_the_help_of_the_question() -> None:
    text, citations = cite(
        "1974", [passage("In 1974 she was born. The price peaked in 1974 at $12.")], "When did the price peak?"
    )
    assert text == "1974 [1]"
    assert citations[0].quote == "The price peaked in 1974 at $12."


def test_an_abstention_is_not_cited() -> None:
    assert cited("I could not find this in your documents [1].")[1] == []
    assert abstains("The passages do not mention the height.")
    assert not abstains("The crisis began in October 1973.")


@pytest.mark.parametrize("marker", ["[1, 2]", "[1][2]", "[1; 2]", "【1】【2】", "[passages 1, 2]"])
def test_all_ways_of_writing_markers_are_understood(marker: str) -> None:
    _, found = cited(f"The crisis began in October 1973 and the Broncos defeated the Panthers {marker}.")
    assert [number for number, _ in found] == [1, 2]


def test_several_sentences_have_their_own_citations() -> None:
    text, found = cited("The crisis began in October 1973. The game was played in Santa Clara.")
    assert text == "The crisis began in October 1973 [1]. The game was played in Santa Clara [2]."
    assert len(found) == 2


def test_chinese_is_placed_too() -> None:
    _, citations = cite("价格接近12美元。", [passage("危机始于1973年。1974年价格接近12美元。")], "价格多少？")
    assert citations[0].quote == "1974年价格接近12美元。"


def test_sentences_are_not_cut_at_abbreviations_and_numbers() -> None:
    text = "Dr. Solheim led it. The core is 4.72 m long. See J. R. Smith."
    assert [text[a:b] for a, b in sentences(text)] == [
        "Dr. Solheim led it.",
        "The core is 4.72 m long.",
        "See J. R. Smith.",
    ]


def test_lists_keep_their_lines() -> None:
    text, _ = cited("- The crisis began in October 1973\n- The game was played in Santa Clara\n")
    assert text == "- The crisis began in October 1973 [1]\n- The game was played in Santa Clara [2]\n"


def test_numbered_lists_keep_their_numbers() -> None:
    text, _ = cited("1. The crisis began in October 1973\n2. The game was played in Santa Clara.")
    assert text == "1. The crisis began in October 1973 [1]\n2. The game was played in Santa Clara [2]."


def test_a_quotation_goes_on_over_the_line_break_of_a_page() -> None:
    text = "Run lintian on it. The lintian command runs many test scripts to check for many common packaging\nerrors. 1\n$ lintian\n"
    _, citations = cite(
        "It checks for many common packaging errors with test scripts.", [passage(text)], "What does lintian do?"
    )
    assert citations[0].quote.endswith("common packaging\nerrors.")


def test_a_row_of_a_table_is_quoted_whole() -> None:
    text = "Errors.\n| Code | Meaning |\n| E3 | Too little water. Fill it. |\n| E4 | The pump runs dry: there is air. Open the valve. |\nEnd."
    _, citations = cite("E4 means that the pump runs dry.", [passage(text)], "What is E4?")
    assert citations[0].quote == "| E4 | The pump runs dry: there is air. Open the valve. |"


def test_no_passages_means_no_citations() -> None:
    assert cite("Anything [1].", [], "q") == ("Anything.", ())


@pytest.mark.parametrize("answer", ["", "   ", "[1]", "…", "[1][1][1]", "\n\n[2]\n"])
def test_odd_answers_do_not_break(answer: str) -> None:
    cited(answer)


def test_a_marker_at_the_beginning_goes_behind_its_sentence() -> None:
    text, found = cited("[2] The game was played in Santa Clara.")
    assert text == "The game was played in Santa Clara [2]."
    assert found == [(2, "The game was played in Santa Clara.")]
    assert cited("[1] It was nearly $12 [1].")[0] == "It was nearly $12 [1]."


CONTRACT = passage("The contract runs for two years. The contract does not specify a notice period.")
NOTICE = "What notice period does the contract specify?"


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        (CONTRACT.text, NOTICE, "The contract does not specify a notice period [1]."),
        (
            "The device is not provided with a charger.",
            "Is there a charger?",
            "The device is not provided with one [1].",
        ),
        (
            "Der Vertrag läuft zwei Jahre. Eine Kündigungsfrist ist im Vertrag nicht angegeben.",
            "Welche Kündigungsfrist nennt der Vertrag?",
            "Eine Kündigungsfrist ist im Vertrag nicht angegeben [1].",
        ),
    ],
)
def test_a_negative_answer_that_a_passage_bears_is_an_answer(text: str, question: str, answer: str) -> None:
    passages = [passage(text)]
    checked = check(answer, passages, question)
    assert [claim.verdict for claim in checked.claims] == [Verdict.supported]
    assert [citation.number for citation in checked.citations] == [1]
    cited = Judge().judge(question, passages, checked, [])
    assert not cited.abstained
    assert cited.text == answer
    assert cited.signals["abstains"] == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "The passages do not specify a notice period.",
        "I could not find the notice period of the contract [1].",
        "Der Vertrag nennt keine Kündigungsfrist.",
    ],
)
def test_an_abstention_that_no_passage_bears_stays_one(answer: str) -> None:
    passages = [passage("The contract runs for two years. The notice period of the contract is three months.")]
    cited = Judge().judge(NOTICE, passages, check(answer, passages, NOTICE), [])
    assert cited.abstained
    assert cited.draft


def test_code_is_delivered_as_it_was_written() -> None:
    code = passage("The name of the program is sys.argv[0]; its first argument is sys.argv[1]. A list is [10, 20].")
    for answer in (
        "The name of the program is `sys.argv[0]`, the first argument is `sys.argv[1]` [1].",
        "The name of the program is sys.argv[0] [1].",
        "A list is `[10, 20]` [1].",
        "The first argument [1]:\n\n```python\nprint(sys.argv[1])\nrows = [[1, 2], [3]]\n```",
    ):
        assert cite(answer, [code], "How are arguments read?")[0] == answer
    assert unmarked("The first is `argv[1]` [1].") == "The first is `argv[1]`."


def test_what_stands_nearest_is_a_sentence_and_not_a_heading() -> None:
    text = "7 What to do better\nThe batteries of the barge should be charged every evening.\n8 Thanks"
    (offered,) = nearest("Who repaired the sensor?", [passage(text)])
    assert offered.quote == "The batteries of the barge should be charged every evening."


def test_what_stands_nearest_is_no_title_either() -> None:
    text = "# Aroma Duo 300: operating manual\nDescale the machine every three months, or more often with hard water."
    told = replace(passage(text), document_title="Aroma Duo 300: operating manual")
    (offered,) = nearest("Who is the manual of the Aroma Duo 300 written by?", [told])
    assert "Descale the machine" in offered.quote


def test_of_a_passage_of_a_few_words_these_stand_nearest() -> None:
    (offered,) = nearest("Who repaired the sensor?", [passage("8 Thanks")])
    assert offered.quote == "8 Thanks"
