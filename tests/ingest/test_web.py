from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import NoText
from core.types import Document
from ingest.loaders.web import WebLoader


def load(tmp_path: Path, page: str | bytes) -> Document:
    path = tmp_path / "stored"
    path.write_bytes(page.encode() if isinstance(page, str) else page)
    return WebLoader().load(path, "page.html")


PAGE = """<!DOCTYPE html><html lang="en"><head><title>The  Warranty</title><style>p {}</style></head><body>
<h1>Warranty<a class="headerlink">¶</a></h1>
<p>It lasts <b>two</b> years,<br>or <i>24</i>   months.</p>
<ul><li>Wear<li><p>Tear</p></ul>
<h2>Parts</h2>
<table><tr><th>Part<th>Months<tr><td>Motor<td>24</table>
<pre>  x = 1
  y = 2</pre>
<p>Last &amp; least.</body></html>"""


def test_a_page_keeps_its_structure(tmp_path: Path) -> None:
    document = load(tmp_path, PAGE)
    assert document.text == (
        "Warranty\n\nIt lasts two years,\nor 24 months.\n- Wear\n- Tear\n\nParts\n\n| Part | Months |\n| Motor | 24 |\n\n"
        "  x = 1\n  y = 2\n\nLast & least."
    )
    assert [(h.level, h.title) for h in document.headings] == [(1, "Warranty"), (2, "Parts")]
    assert [document.text[h.start :][:5] for h in document.headings] == ["Warra", "Parts"]
    assert [document.text[t.start : t.end] for t in document.tables] == ["| Part | Months |\n| Motor | 24 |"]
    assert (document.title, document.metadata["language"]) == ("The Warranty", "en")


@pytest.mark.parametrize(
    "hidden",
    [
        "<!-- X -->",
        "<script>X</script>",
        "<style>X</style>",
        "<template><p>X</p></template>",
        "<noscript>X</noscript>",
        "<div hidden><p>X</p></div>",
        '<div style="color:red; display : none"><div>X</div></div>',
        '<span style="visibility:hidden">X</span>',
        '<span style="font-size:0">X</span>',
        '<img alt="X" title="X">',
        '<iframe srcdoc="X">X</iframe>',
    ],
)
def test_what_a_reader_does_not_see_is_not_indexed(tmp_path: Path, hidden: str) -> None:
    assert load(tmp_path, f"<p>before {hidden} after</p>").text.split() == ["before", "after"]


def test_visible_text_beside_hidden_text_is_kept(tmp_path: Path) -> None:
    page = '<p style="font-size:0.8em">small</p><p style="opacity:0.5">pale</p><svg><text>label</text></svg>'
    assert load(tmp_path, page).text == "small\n\npale\n\nlabel"


def test_hiding_is_reported(tmp_path: Path) -> None:
    assert load(tmp_path, "<p>a<i hidden>b</i></p>").warnings == (
        "Parts that the page hides from its readers were left out.",
    )


def test_a_table_that_arranges_the_page_is_read_as_text(tmp_path: Path) -> None:
    page = "<table><tr><td><h1>Title</h1><p>Left</p></td><td><table><tr><td>a<td>b</table></td></tr></table>"
    document = load(tmp_path, page)
    assert document.text == "Title\n\nLeft\n\n| a | b |"
    assert [h.title for h in document.headings] == ["Title"]


def test_nothing_is_lost_in_tables_that_are_never_closed(tmp_path: Path) -> None:
    assert load(tmp_path, "<table><tr><td>a<td>b<table><tr><td>c<td>d").text == "a\n\nb\n\n| c | d |"


def test_depth_does_not_matter(tmp_path: Path) -> None:
    assert load(tmp_path, "<div>" * 50_000 + "deep" + "</div>" * 50_000 + "<p>after</p>").text == "deep\n\nafter"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ('<meta charset="iso-8859-1"><p>caf\xe9 \x80</p>'.encode("latin-1"), "café €"),
        ('<?xml version="1.0" encoding="shift_jis"?><html><p>日本</p></html>'.encode("shift_jis"), "日本"),
        ("\ufeff<p>größe</p>".encode("utf-16"), "größe"),
        (b'<meta charset="utf-7"><p>+ADw-script+AD4-</p>', "+ADw-script+AD4-"),
        ('<meta charset="zlib"><p>caf\xe9 au lait</p>'.encode("latin-1"), "café au lait"),
    ],
)
def test_the_stated_encoding_is_used_when_it_is_a_sane_one(tmp_path: Path, page: bytes, text: str) -> None:
    assert load(tmp_path, page).text == text


@pytest.mark.parametrize("page", ["<html><script>x</script></html>", "<p> </p>", "<!-- x -->"])
def test_a_page_without_text_is_refused(tmp_path: Path, page: str) -> None:
    with pytest.raises(NoText, match=r"page.html holds no text"):
        load(tmp_path, page)


def test_author_dates_and_address_of_a_page_are_kept(tmp_path: Path) -> None:
    page = """<html><head><meta name="author" content="Ann"><meta property="article:published_time" content="2024-03-05T12:00">
    <meta name="date" content="soon"><link rel="canonical" href="https://example.org/a"></head><p>text"""
    about = load(tmp_path, page).metadata
    assert {key: about[key] for key in ("author", "created", "source")} == {
        "author": "Ann", "created": "2024-03-05", "source": "https://example.org/a",
    }  # fmt: skip
