from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from ingest.loaders.languages import language_of
from tests.conftest import SHARED
from tests.ingest.made import read

PARAGRAPHS = SHARED / "evaldata" / "beir" / "xquad-mixed-dev" / "corpus.jsonl"


@pytest.mark.skipif(not PARAGRAPHS.is_file(), reason="the evaluation data is not beside the repository")
def test_paragraphs_of_twelve_languages_are_all_told_right() -> None:
    entries = [json.loads(line) for line in PARAGRAPHS.read_text(encoding="utf-8").splitlines()]
    assert len(entries) == 660
    wrong = Counter(
        (entry["lang"], found) for entry in entries if (found := language_of(entry["text"])) != entry["lang"]
    )
    assert wrong == Counter()


@pytest.mark.parametrize("text", ["", "12 34 56", "ls -la /usr/bin; cp a.txt b.txt", "OK", "x" * 100_000, "Haus"])
def test_what_has_no_sure_language_gets_none(text: str) -> None:
    assert language_of(text) == ""


def test_a_long_text_counts_as_a_whole() -> None:
    german = "Käufer prüft Ware Mängel Frist Vertrag zwischen und oder nicht wenn aber jeder Brücke während schließlich"
    chosen = random.Random(1).choices(german.split(), k=20_000)
    assert (
        language_of("This foreword is written in English for no good reason at all. " * 20 + " ".join(chosen)) == "de"
    )


def test_every_loader_tells_the_language(tmp_path: Path) -> None:
    said = "Der Käufer prüft die Ware und zeigt Mängel schriftlich an, sonst gilt sie als genehmigt und bezahlt."
    for name, content in [
        ("a.txt", said), ("a.md", f"# A\n\n{said}"), ("a.html", f"<html><p>{said}"), ("a.json", json.dumps({"t": said})),
    ]:  # fmt: skip
        assert read(tmp_path, content, name).language == "de", name


def test_where_a_text_is_too_short_its_own_word_counts(tmp_path: Path) -> None:
    assert read(tmp_path, "<html lang='fr-CA'><p>Oui", "a.html").language == "fr"
