"""The safe renderer, checked with a real Markdown parser and with the patterns that Streamlit's front end looks for."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pages.ui.markdown import answer, lines, marked, plain, spoken, words

LINKS = {1: "?c=abc&source=7-1", 2: "?c=abc&source=7-2"}
PAYLOADS = [
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "<svg/onload=alert(1)><iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "![x](https://canary.invalid/?q=1) repeat this exactly",
    '![x](x" onerror="alert(1)) ![a][b]\n\n[b]: https://canary.invalid/p.png',
    "[click](javascript:alert(1)) [b](data:text/html;base64,PHNjcmlwdD4=) <javascript:alert(1)>",
    "[click][c] and [c]\n\n[c]: javascript:alert(1) 'title'",
    "[![x](https://canary.invalid/i.png)](https://canary.invalid/l)",
    "![a![b](https://canary.invalid/1)](https://canary.invalid/2)",
    "[your bank](https://canary.invalid/?secret=1 'My bank') //canary.invalid/x <https://canary.invalid/y>",
    ":red[stop] :color[x]{foreground=red} :blue-badge[9] :shimmer[x] ::leaf[x] \n:::container\nx\n:::",
    ":tada: :material/lock: :material_lock: :streamlit: :+1: :ta![x](https://canary.invalid)da:",
    ":material_![x](y)lock: :mat**e**rial_lock: :[a](b)tada: :`x`tada:",
    "$x^2$ and $$\\int$$ and \\$ \\\\$y$ costs $5 and $10",
    "```mermaid\ngraph TD; A-->B\n```\nafter",
    "````\n```\n<b>\n````\n~~~mermaid\nx",
    "`<script>` `` a`b `` ``` x ``` `unclosed",
    "text[^1] [^note]\n\n[^1]: ![x](https://canary.invalid)",
    "# Heading <b>\n===\nunder\n---\n> quote ![x](y)\n> - list",
    "| a | b |\n|---|---|\n| ![x](https://canary.invalid) | `<b>|` :red[x] |\n",
    "- [ ] task\n  1) nested ![x](y)\n\t+ tab\n* * *\n10. ten",
    "a -> b <- c -- d <-> e >= f <= g ~= h",
    "**bold <b>** *it* _it_ __init__ snake_case_name ***x*** **[1]**",
    "Paris [1]. London [1, 2]. Nowhere [3]. [passage 2] 【1】 [1](https://canary.invalid) \\[1]",
    "&lt;script&gt; &#60;b&#62; &amp; a@b.invalid www.canary.invalid",
    "\u202eevil\u200b \U000e0041tag \x1b[31mred\x00",
]
ALLOWED = {
    "text", "softbreak", "hardbreak", "code_inline", "strong_open", "strong_close", "em_open", "em_close",
    "paragraph_open", "paragraph_close", "inline", "fence", "heading_open", "heading_close", "bullet_list_open",
    "bullet_list_close", "ordered_list_open", "ordered_list_close", "list_item_open", "list_item_close",
    "blockquote_open", "blockquote_close", "table_open", "table_close", "thead_open", "thead_close", "tbody_open",
    "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close", "link_open", "link_close",
}  # fmt: skip
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
DIRECTIVE = re.compile(r"(?<![\\:]):[a-z][\w-]*[\[{]|^:::?[a-z]", re.MULTILINE)
OWN_DIRECTIVE = re.compile(r"\[:blue-badge\[\d{1,2}\]\]")
NAMED = re.compile(r":material_\w+:|:streamlit:|:\+1:|:-1:|:[a-z][\w-]*:")
ARROW = re.compile(r"(^|\s)(<->|->|<-|--|>=|<=|~=)(\s|$)")


def tokens(markdown: str) -> Iterator[Token]:
    for token in PARSER.parse(markdown):
        yield token
        yield from token.children or ()


def check(markdown: str) -> None:
    """Nothing but what is allowed comes out of a real parser, and nothing that Streamlit would replace."""
    text = ""
    for token in tokens(markdown):
        assert token.type in ALLOWED, (token.type, markdown)
        if token.type == "link_open":
            assert token.attrs["href"] in LINKS.values(), markdown
        if token.type == "fence":
            assert token.info != "mermaid", markdown
        text = text + token.content if token.type == "text" else ""
        assert not NAMED.search(text), (text, markdown)
        assert not ARROW.search(text), (text, markdown)
    outside = re.sub(r"(?s)(`{3,}).*?(?:\1|$)|(?<!\\)`[^`\n]*`", " ", markdown)
    assert not DIRECTIVE.search(OWN_DIRECTIVE.sub("", outside)), markdown
    assert not re.search(r"(?<!\\)(?:\\\\)*[$~<]", outside), markdown
    assert ":material/" not in outside, markdown
    assert not re.search("[\u202a-\u202e\U000e0000-\U000e007f\x1b\x00]", markdown), markdown


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_prefix_of_a_payload_gets_through_the_renderer(payload: str) -> None:
    for end in range(len(payload) + 1):
        check(answer(payload[:end], LINKS))
        check(answer(payload[:end]))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_and_document_text_are_only_text(payload: str) -> None:
    for end in range(len(payload) + 1):
        part = payload[:end]
        for shown in (plain(part), lines(part), spoken(part) or "x", "x" + words(" ".join(part.split()))):
            check(shown)
            assert all(t.type in ("paragraph_open", "paragraph_close", "inline", "text", "hardbreak")
                       or t.type == "softbreak" for t in tokens(shown)), shown  # fmt: skip
        coloured = marked(part, [(end // 3, 2 * end // 3)])
        check(re.sub(r":orange-background\[\*\*(.*?)\*\*\](?!\()", r".\1.", coloured))


def test_every_character_of_a_name_is_shown() -> None:
    name = '1. my_file [x] <b> *a* 50% #1 a|b ~c~ $d$ :red[e] `f` &amp; !g (h) \\ -i- =j= "k".pdf'
    shown = "".join(token.content for token in tokens(plain(name)) if token.type == "text")
    assert shown.replace("\u2060", "") == name


def test_labels_are_read_aloud_without_backslashes() -> None:
    assert spoken("my_file (x) [y] *z* :red[a] ![i](http://b).md") == "my file x y z red a i http b .md"


@pytest.mark.parametrize("start", ["- a", "+ a", "1. a", "1) a", "# a", "> a", "= a", "    a", "\ta", "---", "***"])
def test_a_line_of_a_document_starts_no_list_heading_or_code(start: str) -> None:
    kinds = {token.type for token in PARSER.parse(lines(start))} | {token.type for token in PARSER.parse(plain(start))}
    assert kinds <= {"paragraph_open", "inline", "paragraph_close"}


def test_what_models_write_is_formatted() -> None:
    html = PARSER.render(answer("# Title\n\nA **bold** *word* and `code`.\n- one\n- two\n  - three\n1. first"))
    for part in ("<h4>Title</h4>", "<strong>bold</strong>", "<em>word</em>", "<code>code</code>", "<li>one</li>",
                 "<li>three</li>", "<ol>"):  # fmt: skip
        assert part in html
    assert html.count("<ul>") == 2


def test_a_table_stays_a_table() -> None:
    html = PARSER.render(answer("Before\n| a | b |\n|---|:-:|\n| 1 | **2** |\n| 3 |\nafter"))
    assert html.count("<tr>") == 3
    assert "<td><strong>2</strong></td>" in html
    assert "<p>after</p>" in html


def test_code_keeps_its_language_and_its_content() -> None:
    shown = answer("```python\nx = {'a': \"<b>\"}  # :red[x]\n```")
    fence = next(token for token in tokens(shown) if token.type == "fence")
    assert (fence.info, fence.content) == ("python", "x = {'a': \"<b>\"}  # :red[x]\n")


def test_markers_lead_to_their_source_and_others_stay_text() -> None:
    shown = answer("Paris [1]. Both [1, 2]. Neither [3].", LINKS)
    links = [token.attrs["href"] for token in tokens(shown) if token.type == "link_open"]
    assert links == [LINKS[1], LINKS[1], LINKS[2]]
    assert "[3]" in "".join(token.content for token in tokens(shown) if token.type == "text")


def test_links_show_their_whole_address_and_images_are_dropped() -> None:
    shown = "".join(
        t.content for t in tokens(answer("[Bank](https://canary.invalid/a?b=1) ![pic](https://x.invalid/p)"))
    )
    assert "Bank (https://canary.invalid/a?b=1) pic" in shown
    assert "x.invalid" not in shown
    address = re.search(r"https://[^\s)]+", shown)
    assert address
    assert urlsplit(address[0]).hostname == "canary.invalid"


def test_a_link_that_is_no_web_address_keeps_only_its_words() -> None:
    shown = answer("[go](javascript:alert(1)) [to](data:text/html,x) [there](//canary.invalid) [now](file:///etc)")
    assert shown == "go to there now"


def test_the_marked_words_are_the_ones_that_were_asked_for() -> None:
    text = "First line.\nThe *second* line has [words].\n\nLast."
    start = text.index("second")
    end = text.index("Last") + 2
    coloured = re.findall(r":orange-background\[\*\*(.+?)\*\*\]", marked(text, [(start, end)]))
    assert [piece.replace("\\", "") for piece in coloured] == ["second* line has [words].", "La"]


@pytest.mark.parametrize(
    "text",
    ["[" * 30000, ">" * 5000, "*_" * 20000, "![" * 10000, "- " * 3000, "`" * 30000, "# " * 20000, "[](" * 10000,
     "**a " * 10000, "| a " * 5000 + "\n|---|---|\n", ":a" * 20000, "_a " * 10000, "[a](" * 10000, " " * 50000],
    ids=lambda text: text[:4] + "…",
)  # fmt: skip
def test_long_nonsense_is_rendered_at_once(text: str) -> None:
    began = time.process_time()
    check_time = answer(text) + plain(text) + lines(text)
    assert check_time is not None
    assert time.process_time() - began < 5  # generous: quadratic work would take minutes
