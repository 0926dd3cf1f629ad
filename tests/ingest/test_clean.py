from __future__ import annotations

import pytest

from ingest.loaders.clean import clean, one_line


@pytest.mark.parametrize(
    ("written", "searched"),
    [
        ("e\ufb03cient \ufb01le", "efficient file"),
        ("pass\u00adword pass\u200bword pass\u200cword", "password password password"),
        ("a\r\nb\rc\u2028d\u0085e\x0cf", "a\nb\nc\nd\ne\nf"),
        ("12\u00a0000 \u20ac", "12 000 €"),
        ("well\u2011known", "well-known"),
        ("Cafe\u0301", "Café"),
        ("no\x00 \x1b[31mred\x1b[0m bell\x07", "no red bell"),
        ("access \u202ednes\u202c \u2066x\u2069", "access dnes x"),
        ("hi\U000e0049\U000e0067\U000e006e there", "hi there"),
        ("lone \ud800 surrogate \ufffe", "lone  surrogate "),
    ],
)
def test_text_is_spelled_as_people_search_for_it(written: str, searched: str) -> None:
    assert clean(written) == searched


@pytest.mark.parametrize("kept", ["می\u200cخواهم", "👩\u200d👧", "क\u094d\u200dष", "ｆｕｌｌ", "plain\ttext  "])
def test_what_belongs_to_a_script_stays(kept: str) -> None:
    assert clean(kept) == kept


def test_one_line_has_no_line_ends() -> None:
    assert one_line("  Two\n lines\t") == "Two lines"
