from __future__ import annotations

import pytest

from core.models import estimate
from core.types import ChatMessage

# Tokens as the vocabularies themselves count them (llama_cpp, vocab_only), so that no model is needed here:
# Llama 3, Llama 2, Qwen 2.5, Gemma 4, Command R, in this order. docs/measured.md has more.
COUNTED = {
    "The warranty lasts twenty-four months from the date of purchase, unless section 7 says otherwise.": (
        19,
        23,
        19,
        20,
        20,
    ),
    "Die Gewährleistung beträgt vierundzwanzig Monate ab dem Kaufdatum.": (20, 22, 20, 16, 16),
    "L'été dernier, nous avons traversé la forêt où l'on trouvait des champignons à foison.": (26, 27, 26, 22, 21),
    "Гарантия действует двадцать четыре месяца со дня покупки.": (15, 20, 19, 11, 13),
    "保修期为自购买之日起二十四个月。": (14, 21, 9, 12, 11),
    "保証期間はご購入日から二十四か月です。": (15, 24, 15, 10, 11),
    "보증 기간은 구입일로부터 이십사 개월입니다.": (15, 35, 16, 14, 14),
    "تسري فترة الضمان لمدة أربعة وعشرين شهرًا من تاريخ الشراء.": (21, 54, 19, 17, 17),
    "वारंटी खरीद की तारीख से चौबीस महीने तक रहती है।": (25, 50, 45, 14, 32),
    "| A-0017/X | 23.29 € | 4 |\n| A-0018/X | 24.66 € | 5 |": (32, 43, 40, 43, 43),
    "def fit(frame, history, *, counter):\n    return [block(n, p) for n, p in enumerate(passages, 1)]": (
        29,
        34,
        29,
        33,
        32,
    ),
    "2026-11-20T17:29:21 +49 30 901820, IBAN DE89 3704 0044 0532 0130 00": (38, 62, 61, 61, 61),
}


@pytest.mark.parametrize(("text", "counts"), COUNTED.items())
def test_the_estimate_is_on_the_safe_side(text: str, counts: tuple[int, ...]) -> None:
    assert max(counts) <= estimate.tokens(text) <= 4 * max(counts)


def test_a_chat_costs_more_than_its_texts() -> None:
    chat = [ChatMessage("system", "You are brief."), ChatMessage("user", "How high is the dam?")]
    assert estimate.prompt_tokens(chat) >= sum(estimate.tokens(message.content) for message in chat) + 20


def test_halves_of_characters_are_counted_too() -> None:
    assert estimate.tokens("") == 0
    assert estimate.tokens("\ud800") > 0
