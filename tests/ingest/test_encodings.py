from __future__ import annotations

from pathlib import Path

import pytest

from ingest.loaders.decode import decode, looks_like_text
from tests.ingest.made import read

TEXTS = {
    "de": "Der Käufer prüft die Ware über Größe und Maß. Mängel müssen schriftlich angezeigt werden, sonst gilt sie.",
    "es": "El año pasado la compañía pagó más de lo que debía según el contrato que firmó el señor Núñez en España.",
    "tr": "Alıcı, malı gözden geçirmek ve bulduğu ayıpları satıcıya yazılı olarak bildirmek zorundadır, işte böyle.",
    "pl": "Kupujący jest obowiązany zbadać rzecz i niezwłocznie zawiadomić sprzedawcę o dostrzeżonych wadach tej rzeczy.",
    "ru": "Покупатель обязан проверить товар и сообщить продавцу о недостатках в письменной форме без промедления.",
    "el": "Ο αγοραστής οφείλει να εξετάσει το πράγμα και να γνωστοποιήσει στον πωλητή τα ελαττώματα που βρήκε.",
    "ja": "買主は商品を受け取ったら、すぐに調べなければなりません。欠点があれば、売主に知らせてください。\nそれだけです。",
    "zh": "买方收到货物后应当及时检验，发现货物有问题的，应当在合理的时间内通知卖方。\n这是我们的规定。",
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        *[(language, wide) for language in TEXTS for wide in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")],
        ("de", "iso8859-1"), ("de", "cp850"), ("es", "cp1252"), ("es", "iso8859-15"), ("tr", "iso8859-9"),
        ("pl", "cp1250"), ("pl", "iso8859-2"), ("ru", "cp1251"), ("ru", "koi8-r"), ("ru", "cp866"),
        ("ru", "iso8859-5"), ("el", "iso8859-7"), ("ja", "shift_jis"), ("ja", "euc_jp"), ("ja", "iso2022_jp"),
        ("zh", "gb18030"), ("zh", "gb2312"),
    ],
)  # fmt: skip
def test_text_in_an_encoding_that_it_does_not_state_is_read(language: str, encoding: str) -> None:
    data = TEXTS[language].encode(encoding)
    assert decode(data).text == TEXTS[language]
    assert looks_like_text(data)


def test_traditional_chinese_is_read() -> None:
    text = "買方收到貨物後應當及時檢驗，發現貨物有問題的，應當在合理的時間內通知賣方。\n這是我們的規定，請大家遵守。"
    assert decode(text.encode("big5")).text == text


@pytest.mark.parametrize(
    "data",
    [bytes(range(256)) * 8, bytes(4096), b"\x01\x02\x03\x00" * 500, b"\x00\x00\x00\x01abc\x00" * 200],
)
def test_binary_data_is_no_text_in_wide_letters(data: bytes) -> None:
    assert not looks_like_text(data)


def test_a_table_in_utf_16_is_a_table(tmp_path: Path) -> None:
    assert (
        read(tmp_path, "Größe;Preis\n1;2\n3;4\n".encode("utf-16-le"), "t.csv").tables[0].header == "| Größe | Preis |"
    )
