"""Tables, code and sections: what a chunk carries, where it may not be cut, and what stands around it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from core.retrieval.store import embedded_text
from core.types import Chunk, Document, Heading, Page, Table
from ingest.split import CONTEXT_TOKENS, HEADING_TOKENS, split
from ingest.split.structure import fences
from tests.ingest.made import words

BUDGET, READS, SECTION = 40, 120, 150


@dataclass
class Made:
    """A document in the making, as loaders make them."""

    text: str = ""
    headings: list[Heading] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def add(self, text: str) -> int:
        self.text += "\n\n" if self.text else ""
        start = len(self.text)
        self.text += text
        return start

    def heading(self, level: int, title: str) -> None:
        self.headings.append(Heading(level, title, self.add(title)))

    def table(self, rows: list[list[str]]) -> None:
        lines = [f"| {' | '.join(cells)} |" for cells in rows]
        start = self.add("\n".join(lines))
        self.tables.append(Table(start, len(self.text), lines[0]))

    def page(self) -> None:
        start = self.pages[-1].end + 2 if self.pages else 0
        if start < len(self.text):
            self.pages.append(Page(len(self.pages) + 1, start, len(self.text)))

    def document(self, media_type: str = "text/plain") -> Document:
        return Document(
            "T",
            media_type,
            self.text,
            pages=tuple(self.pages),
            headings=tuple(self.headings),
            tables=tuple(self.tables),
        )


def chunks_of(document: Document, *, budget: int = BUDGET) -> list[Chunk]:
    """The chunks, checked for what holds for all of them."""
    chunks = split(document, count_tokens=words, budget=budget, reads=READS, section_tokens=SECTION)
    text, covered = document.text, bytearray(len(document.text))
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end] == chunk.text.strip()
        assert words(chunk.text) <= budget
        assert words(chunk.heading) <= HEADING_TOKENS
        assert words(chunk.context) <= CONTEXT_TOKENS
        assert words(embedded_text(chunk.heading, chunk.context, chunk.text)) <= READS
        assert 0 <= chunk.section_start <= chunk.start < chunk.end <= chunk.section_end <= len(text)
        assert words(text[chunk.section_start : chunk.section_end]) <= SECTION
        covered[chunk.start : chunk.end] = b"\1" * len(chunk.text)
    assert not "".join(c for c, seen in zip(text, covered, strict=True) if not seen).strip()
    return chunks


def prose(count: int, name: str = "word") -> str:
    return " ".join(f"The {name} number {n} has exactly these nine words." for n in range(count))


# --- any structure ---

CELLS = st.text(alphabet="abc ,.1\tä日", max_size=12).map(lambda cell: " ".join(cell.split()))
TABLES = st.integers(2, 6).flatmap(
    lambda columns: st.lists(st.lists(CELLS, min_size=columns, max_size=columns), min_size=1, max_size=30)
)
CODE = st.lists(st.sampled_from(["def f(x):", "    return x + 1", "", "class A:", "}", "x = [1, 2, 3]"]), max_size=30)
BLOCKS = st.lists(
    st.one_of(
        st.tuples(st.just("heading"), st.integers(1, 6), st.sampled_from(["One", "A much longer heading", "日本語"])),
        st.tuples(st.just("prose"), st.integers(1, 14), st.sampled_from(["word", "日本語。", "x" * 300, "e.g. this"])),
        st.tuples(st.just("table"), TABLES),
        st.tuples(st.just("code"), CODE),
        st.tuples(st.just("page")),
    ),
    max_size=14,
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(BLOCKS, st.sampled_from([12, 40, 60]), st.sampled_from(["text/plain", "text/markdown", "text/x-source"]))
def test_no_structure_loses_text_or_makes_a_chunk_that_is_not_read_whole(
    blocks: list[tuple[object, ...]], budget: int, media_type: str
) -> None:
    made = Made()
    for kind, *values in blocks:
        if kind == "heading":
            made.heading(*values)  # type: ignore[arg-type]
        elif kind == "prose":
            made.add(prose(*values))  # type: ignore[arg-type]
        elif kind == "table":
            made.table(*values)  # type: ignore[arg-type]
        elif kind == "code":
            made.add("```\n" + "\n".join(values[0]) + "\n```")  # type: ignore[arg-type]
        else:
            made.page()
    if made.pages:
        made.page()
    document = made.document(media_type)
    for chunk in chunks_of(document, budget=budget):
        inside = [table for table in document.tables if table.start < chunk.start < table.end]
        if inside and words(inside[0].header) <= CONTEXT_TOKENS:
            body = inside[0].start + len(inside[0].header)
            assert chunk.context == inside[0].header or chunk.start < body or inside[0].header in chunk.text


# --- tables ---


def rows(count: int) -> list[list[str]]:
    return [["Part", "Warranty", "Colour"], *([f"part {n}", f"{n} months", "deep red"] for n in range(count))]


def test_every_chunk_of_a_table_begins_with_its_header_or_carries_it() -> None:
    made = Made()
    made.add("Before the table.")
    made.table(rows(40))
    made.add("After the table.")
    chunks = [chunk for chunk in chunks_of(made.document()) if "months" in chunk.text]
    assert len(chunks) > 5
    header = "| Part | Warranty | Colour |"
    assert all(chunk.context == header or header in chunk.text for chunk in chunks)
    assert sum(not chunk.context for chunk in chunks) == 1
    assert all(line.count("|") == 4 for chunk in chunks for line in chunk.text.split("\n") if "months" in line)


def test_the_header_of_a_table_is_never_a_chunk_without_rows() -> None:
    made = Made()
    made.add(prose(4))
    made.table(rows(12))
    first = next(chunk for chunk in chunks_of(made.document()) if "| Part |" in chunk.text)
    assert "0 months" in first.text


def test_the_line_below_a_header_in_markdown_stays_with_it() -> None:
    text = "| Part | Warranty |\n|---|:--:|\n" + "\n".join(f"| part {n} | {n} months |" for n in range(30))
    document = Document("T", "text/markdown", text, tables=(Table(0, len(text), "| Part | Warranty |"),))
    first = chunks_of(document)[0]
    assert "|---|:--:|\n| part 0" in first.text


def test_a_row_is_cut_between_its_cells_when_it_is_too_large_and_its_columns_are_named() -> None:
    names = [f"Column {n} of many" for n in range(40)]
    made = Made()
    made.table([names, [f"value {n}" for n in range(40)], [f"other {n}" for n in range(40)]])
    chunks = chunks_of(made.document())
    below = [chunk for chunk in chunks if re.search("value|other", chunk.text)]
    for chunk in below:
        for number in re.findall(r"(?:value|other) (\d+)", chunk.text):
            assert f"Column {number} of many" in chunk.context
    assert len(below) > 4
    assert all(re.fullmatch(r"\|?.*\|", chunk.text, re.S) for chunk in chunks)


def test_a_table_whose_header_stands_elsewhere_carries_it_in_every_chunk() -> None:
    text = "\n".join(f"| part {n} | {n} months |" for n in range(30))
    document = Document("T", "application/pdf", text, tables=(Table(0, len(text), "| Part | Warranty |"),))
    assert {chunk.context for chunk in chunks_of(document)} == {"| Part | Warranty |"}


# --- code ---


def test_a_block_of_code_that_fits_is_kept_whole() -> None:
    code = "```python\nimport this\n\n\ndef one():\n    return 1\n\n\nprint(one())\n```"
    made = Made()
    made.add(prose(4))
    made.add(code)
    made.add(prose(4))
    assert any(code in chunk.text for chunk in chunks_of(made.document("text/markdown")))


def test_source_code_is_cut_before_what_stands_at_the_margin() -> None:
    functions = [f"def name_{n}(x):\n    y = x + {n}\n\n    return y * {n}" for n in range(20)]
    text = "\n\n\n".join(functions)
    for chunk in chunks_of(Document("T", "text/x-source", text)):
        assert chunk.text.startswith("def name_")
        assert re.search(r"return y \* \d+$", chunk.text)


def test_fences_are_pairs_of_the_same_kind() -> None:
    def blocks(text: str) -> list[str]:
        return [text[start:end] for start, end in fences(text)]

    assert blocks("a\n```\nx\n```\nb\n~~~ py\n```\n~~~\n") == ["```\nx\n```\n", "~~~ py\n```\n~~~\n"]
    assert blocks("````\n```\n````") == ["````\n```\n````"]
    assert blocks("text\n```\nnever closed") == []
    assert blocks("`` ` ``\n```a```\ntext\n") == []


# --- sections ---


def test_the_section_around_a_chunk_is_what_stands_under_its_heading() -> None:
    made = Made()
    for title in ("First", "Second", "Third"):
        made.heading(1, title)
        made.add(prose(9, title.lower()))
    document = made.document()
    for chunk in chunks_of(document):
        around = document.text[chunk.section_start : chunk.section_end]
        assert around.startswith(f"{chunk.heading}\n\nThe {chunk.heading.lower()} number 0")
        assert around.endswith("number 8 has exactly these nine words.")


def test_a_section_that_is_too_large_is_given_in_parts_that_share_their_chunks() -> None:
    made = Made()
    made.heading(1, "Long")
    made.add(prose(60))
    document = made.document()
    chunks = chunks_of(document)
    places = sorted({(chunk.section_start, chunk.section_end) for chunk in chunks})
    assert 4 <= len(places) < len(chunks) / 2
    assert all(before[1] <= after[0] for before, after in pairwise(places))
    assert all(document.text[:end].endswith(".") for _, end in places)


def test_without_headings_the_section_is_the_page() -> None:
    made = Made()
    for number in range(4):
        made.add(prose(11, f"page{number}"))
        made.page()
    for chunk in chunks_of(made.document()):
        assert chunk.page is not None
        page = made.pages[chunk.page - 1]
        assert (chunk.section_start, chunk.section_end) == (page.start, page.end)
