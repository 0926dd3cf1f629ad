from __future__ import annotations

from pathlib import Path

import pytest

from ingest.loaders.textkinds import CODE
from ingest.split import split
from tests.ingest.made import headings, read, words

PYTHON = '''"""A boiler."""

import os


# Heats water.
# Slowly.
class Boiler:
    def heat(self, to: int) -> None:
        """Def is a word here."""
        if self.on:
            return

    @property
    async def level(self) -> int:
        return 3


def main() -> None:
    class_name = 1
'''


def test_classes_and_functions_are_headings_with_their_comments(tmp_path: Path) -> None:
    document = read(tmp_path, PYTHON, "boiler.py")
    assert document.media_type == CODE
    assert document.text == PYTHON
    assert headings(document) == [
        (1, "class Boiler"),
        (2, "def heat"),
        (2, "async def level"),
        (1, "def main"),
    ]
    places = [document.text[heading.start :].split("\n")[0] for heading in document.headings]
    assert places == ["# Heats water.", "    def heat(self, to: int) -> None:", "    @property", "def main() -> None:"]
    assert document.metadata["programming_language"] == "py"


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("a.js", "export const heat = async (x) => {\n};\nfunction stop() {}\nclass A {}\nif (x) { y(); }\n", ["heat", "stop", "A"]),
        ("a.go", "package main\nfunc (b *Boiler) Heat(x int) error {\n}\nfunc Stop() {}\ntype Pump struct {}\n", ["main", "Heat", "Stop", "Pump"]),
        ("a.rs", "pub(crate) fn heat(x: u8) -> u8 {\n}\nimpl Pump {\n}\npub struct Pump;\n", ["heat", "Pump", "Pump"]),
        ("a.c", "static int heat(int x)\n{\n  return foo(x);\n}\nint stop(void) {\n  while (x) {\n  }\n}\n", ["heat", "stop"]),
        ("A.java", "public final class A {\n    private static int heat(int x) {\n        return go(x);\n    }\n}\n", ["A", "heat"]),
        ("a.sql", "create table if not exists pumps (\n id int\n);\nselect 1;\n", ["pumps"]),
        ("a.sh", "#!/bin/sh\nheat() {\n  echo 1\n}\nheat\n", ["heat"]),
        ("Makefile", "CC := gcc\nall: app\n\tcc app.c\n", ["all"]),
        ("a.toml", "[tool.ruff]\nline = 1\n[[bin]]\n", ["[tool.ruff]", "[[bin]]"]),
        ("a.yaml", "name: x\nservices:\n  web:\n    image: y\n", ["services"]),
        ("a.css", ".menu a:hover {\n  color: red;\n}\n", [".menu a:hover"]),
        ("a.rb", "module A\n  def heat!(x)\n  end\nend\n", ["A", "heat"]),
    ],
)  # fmt: skip
def test_definitions_of_many_languages_are_found(tmp_path: Path, name: str, code: str, expected: list[str]) -> None:
    found = [title for _, title in headings(read(tmp_path, code, name))]
    assert len(found) == len(expected), found
    assert all(word in title for word, title in zip(expected, found, strict=True)), found


def test_a_function_that_fits_stays_in_one_chunk(tmp_path: Path) -> None:
    functions = [f"def step_{n}(x):\n" + "".join(f"    x = x + {n} * {m}\n" for m in range(12)) for n in range(20)]
    document = read(tmp_path, "\n\n".join(functions), "steps.py")
    chunks = split(document, count_tokens=words)
    whole = [n for n, function in enumerate(functions) if any(function.strip() in chunk.text for chunk in chunks)]
    assert len(whole) == 20


def test_lines_without_end_are_read_in_time_that_grows_with_them(tmp_path: Path) -> None:
    text = "\n".join(["a " * 199, "(" * 390, "int " * 99, "x" * 399, "\t" * 390] * 2_000)
    document = read(tmp_path, text, "bait.c")
    assert document.headings == ()
