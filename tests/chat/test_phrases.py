"""What models and we ourselves say when nothing was found, in the languages that the product speaks."""

from __future__ import annotations

import pytest

from core.chat import phrases
from core.chat.phrases import (
    HELLO,
    NARROWED,
    NOTHING,
    OFFERED,
    SEARCHED,
    WELCOME,
    abstains,
    language_of,
    language_of_greeting,
)

SILENT = {
    "en": ["I could not find this.", "The passages do not mention the height.", "There is no information in the text."],
    "de": [
        "Das habe ich nicht gefunden.",
        "In den Passagen wird die Höhe nicht erwähnt.",
        "Dazu gibt es keine Angaben.",
    ],
    "es": ["No he encontrado esto.", "Los pasajes no mencionan la altura.", "No hay información sobre esto."],
    "fr": ["Je n'ai pas trouvé cela.", "Les passages ne mentionnent pas la hauteur."],
    "el": ["Δεν βρέθηκε στα έγγραφα.", "Τα αποσπάσματα δεν αναφέρουν το ύψος.", "Δεν υπάρχουν πληροφορίες για αυτό."],
    "ro": ["Nu am găsit acest lucru.", "Pasajele nu menționează înălțimea.", "Nu este specificat în text."],
    "ru": ["Я не нашёл этого.", "В тексте не указана высота.", "Нет информации об этом.", "Не удалось найти ответ."],
    "tr": ["Bunu bulamadım.", "Metinde yükseklik belirtilmemektedir.", "Bu konuda bilgi yok.", "Bundan bahsedilmiyor."],
    "vi": ["Tôi không tìm thấy điều này.", "Đoạn văn không đề cập đến chiều cao.", "Không có thông tin về điều này."],
    "ar": ["لم أجد هذا في المستندات.", "لا تذكر المقاطع الارتفاع.", "لا توجد معلومات عن ذلك."],
    "hi": ["यह जानकारी दस्तावेज़ों में नहीं मिली।", "अंशों में ऊँचाई का उल्लेख नहीं है।"],
    "th": ["ไม่พบข้อมูลในเอกสาร", "เอกสารไม่ได้กล่าวถึงความสูง", "ไม่มีข้อมูลเกี่ยวกับเรื่องนี้"],
    "zh": ["文档中没有提到高度。", "未提及。", "无法从段落中得知。"],
}
CLAIMS = [
    "The crisis began in October 1973.", "There is no indication of damage.", "There is no constant in it.",
    "Das Gerät darf nicht nass werden.", "Los clientes no pueden fumar aquí.",
    "Ne fumez pas ici.", "Ο πύργος έχει ύψος 90 μέτρα.", "Nu fumați aici.", "Здесь не курят.",
    "Süre üç ay olarak belirtilmektedir.", "Belge 12 madde içermektedir.", "Không hút thuốc ở đây.",
    "مدة الضمان 24 شهرًا.", "बाँध 90 मीटर ऊँचा है।", "ไม่ควรสูบบุหรี่", "这里不能吸烟。",
]  # fmt: skip


@pytest.mark.parametrize("sentence", [sentence for said in SILENT.values() for sentence in said])
def test_an_abstention_is_recognised_in_its_language(sentence: str) -> None:
    assert abstains(sentence)


@pytest.mark.parametrize("sentence", CLAIMS)
def test_a_statement_is_no_abstention(sentence: str) -> None:
    assert not abstains(sentence)


def test_every_language_has_all_phrases_and_recognises_its_own() -> None:
    spoken = set(NOTHING)
    assert spoken == set(HELLO) == set(WELCOME) == set(SEARCHED) == set(OFFERED) == set(NARROWED) == set(SILENT)
    assert all(abstains(text) and phrases.says_nothing_found(text + " …") for text in NOTHING.values())
    assert all(text.count("{}") == 1 for text in SEARCHED.values())


def test_we_speak_the_language_of_the_question_or_else_english() -> None:
    assert language_of("Wie hoch ist die Talsperre im Harz?") == "de"
    assert language_of("大坝有多高？") == "zh"
    assert language_of("Who built the bridge?") == "en"
    assert language_of("Hoe hoog is de stuwdam in de bergen?") == "en"
    assert language_of("???") == "en"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hi!", "en"), ("OK, thanks", "en"), ("Guten Tag", "de"), ("Danke!", "de"), ("gracias", "es"), ("merhaba", "tr"),
        ("Xin chào!", "vi"), ("你好", "zh"), ("Спасибо", "ru"), ("नमस्ते", "hi"), ("สวัสดี", "th"), ("Γεια σας", "el"),
        ("Mulțumesc", "ro"), ("مرحبا", "ar"), ("bonjour", "fr"),
    ],
)  # fmt: skip
def test_a_greeting_is_answered_in_its_language(text: str, language: str) -> None:
    assert language_of_greeting(text) == language
