from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import BadUpload
from ingest.loaders.textkinds import JSON, TEXT
from tests.ingest.made import headings, read


def test_values_are_lines_with_the_paths_of_their_keys(tmp_path: Path) -> None:
    value = {"name": "pump", "engine": {"power": {"kW": 1.50}, "tested": True, "maker": None}, "tags": ["a", "b"]}
    document = read(tmp_path, json.dumps(value), "pump.json")
    assert headings(document) == [(1, "engine")]
    assert document.text == "name: pump\ntags: a, b\n\nengine\n\nengine.power.kW: 1.5\nengine.tested: true"


def test_a_list_of_alike_objects_is_a_table(tmp_path: Path) -> None:
    value = {"cities": [{"name": "Rome", "size": 10}, {"name": "Oslo", "size": 20, "note": "cold"}]}
    document = read(tmp_path, json.dumps(value), "c.json")
    (table,) = document.tables
    assert table.header == "| name | size | note |"
    assert document.text.endswith("| Oslo | 20 | cold |")


def test_lines_of_json_are_a_table_and_broken_ones_are_told(tmp_path: Path) -> None:
    lines = '{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n'
    document = read(tmp_path, lines, "x.ndjson")
    assert document.text == "| a | b |\n| 1 | x |\n| 2 | y |"
    document = read(tmp_path, lines + "oops\n", "x.ndjson")
    assert "oops" in document.text
    assert document.warnings == ("1 line is no JSON and stand as text.",)


def test_objects_that_hold_others_are_records_apart(tmp_path: Path) -> None:
    value = [{"id": 1, "at": {"x": 2}}, {"id": 2, "at": {"x": 3}}]
    assert read(tmp_path, json.dumps(value), "r.json").text == "id: 1\nat.x: 2\n\nid: 2\nat.x: 3"


def test_long_texts_keep_their_lines(tmp_path: Path) -> None:
    document = read(tmp_path, json.dumps({"story": "Once\nupon"}), "s.json")
    assert document.text == "story:\nOnce\nupon"


@pytest.mark.parametrize("literal", ["9" * 50_000, "1e999999", "NaN", "-Infinity", "0.1000"])
def test_numbers_stay_as_they_are_written(tmp_path: Path, literal: str) -> None:
    assert literal in read(tmp_path, f'{{"n": {literal}}}', "n.json").text


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 300 + "1" + "}" * 300])
def test_what_is_nested_beyond_reason_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadUpload, match="deep.json is nested deeper"):
        read(tmp_path, text, "deep.json")


def test_cut_off_json_is_read_as_text_and_said_so(tmp_path: Path) -> None:
    document = read(tmp_path, '{"a": 1, "b": ', "cut.json")
    assert document.media_type == JSON
    assert "not complete JSON" in document.warnings[0]


def test_a_text_that_begins_like_json_is_a_text(tmp_path: Path) -> None:
    document = read(tmp_path, '{"note": and so on it went', "story.txt")
    assert (document.media_type, document.warnings) == (TEXT, ())
