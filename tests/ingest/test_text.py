from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders import draft
from ingest.loaders.text import MarkdownLoader, TextLoader


def load(tmp_path: Path, content: bytes, loader: TextLoader | MarkdownLoader | None = None) -> Document:
    path = tmp_path / "stored"
    path.write_bytes(content)
    return (loader or TextLoader()).load(path, "note.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_unicode_is_read_in_every_form(tmp_path: Path, encoding: str) -> None:
    text = "Die Größe beträgt 12 €.\nUnd mehr davon, damit es genug ist."
    document = load(tmp_path, text.encode(encoding))
    assert (document.text, document.warnings) == (text, ())


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (
            "Der Käufer prüft die Ware. Mängel müssen schriftlich angezeigt werden, sonst gilt sie als genehmigt.",
            "cp1252",
        ),
        ("Покупатель обязан проверить товар и сообщить о недостатках в письменной форме.", "cp1251"),
        ("日本語の文章です。漢字とひらがなとカタカナが混ざっています。", "shift_jis"),
    ],
)
def test_older_encodings_are_guessed_and_the_guess_is_told(tmp_path: Path, text: str, encoding: str) -> None:
    document = load(tmp_path, text.encode(encoding))
    assert document.text == text
    assert "does not say how its letters are coded" in document.warnings[0]


def test_a_few_broken_bytes_do_not_turn_utf8_into_something_else(tmp_path: Path) -> None:
    content = "Größe über alles, für jeden. ".encode() * 20 + b"\xff\xfe broken"
    document = load(tmp_path, content)
    assert document.text.startswith("Größe über")
    assert document.warnings == ("2 places could not be read as utf-8 and show as \ufffd.",)


@pytest.mark.parametrize("content", [b"  \n\t\n", "\u200b\u00a0\u2060".encode()])
def test_blanks_alone_are_no_text(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(NoText, match=r"note.txt holds no text"):
        load(tmp_path, content)


def test_more_text_than_can_be_indexed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft, "MOST_CHARACTERS", 10)
    with pytest.raises(BadUpload, match="more than 10 characters"):
        load(tmp_path, b"eleven char")


MARKDOWN = """---
title: "The Warranty"
tags: x
---
# Warranty [link](http://x) `code`

Setext *one*
============

```
# not a heading
```

| Part | Months |
|------|-------:|
| Motor | 24 |

- item

  ### Inside a list
"""


def test_markdown_stays_as_written_and_its_structure_is_found(tmp_path: Path) -> None:
    document = load(tmp_path, MARKDOWN.encode(), MarkdownLoader())
    assert document.text == MARKDOWN
    assert [(h.level, h.title) for h in document.headings] == [
        (1, "Warranty link code"),
        (1, "Setext one"),
        (3, "Inside a list"),
    ]
    starts = [document.text[h.start :].split("\n")[0] for h in document.headings]
    assert starts == ["# Warranty [link](http://x) `code`", "Setext *one*", "  ### Inside a list"]
    (table,) = document.tables
    assert document.text[table.start : table.end].strip().endswith("| Motor | 24 |")
    assert table.header == "| Part | Months |"
    assert document.title == "The Warranty"


def test_markdown_that_exhausts_parsers_is_read(tmp_path: Path) -> None:
    hostile = "[" * 30_000 + "\n\n" + ">" * 5_000 + "\n\n" + "*_" * 20_000 + "\n\n# end\n"
    document = load(tmp_path, hostile.encode(), MarkdownLoader())
    assert [h.title for h in document.headings] == ["end"]


@pytest.mark.parametrize(
    ("stated", "tops", "title"),
    [
        ("A real title", [], "A real title"),
        ("Microsoft Word - draft.doc", ["Only one"], "Only one"),
        ("0001045810-22-000166", ["One", "Two"], "note"),
        ("", ["7"], "note"),
    ],
)
def test_the_title_is_the_first_that_says_something(stated: str, tops: list[str], title: str) -> None:
    headings = [draft.Heading(1, text, 0) for text in tops]
    assert draft.choose_title(stated, headings, "note.txt") == title
