"""JSON schemas come from outside: small ones must not make strings of gigabytes."""

from __future__ import annotations

import json

import pytest

from core.errors import BadQuestion
from core.serving.native.grammar import MAX_REPEATS, MAX_SCHEMA, grammar_of

BIG = 2_000_000_000
LONG = "x" * 12_000


def string(**more: object) -> dict[str, object]:
    return {"type": "string", **more}


@pytest.mark.parametrize(
    "schema",
    [
        string(pattern=f"^a{{{BIG}}}$"),
        string(pattern=f"^[ab]{{1,{BIG}}}$"),
        string(pattern=f"^a{{ ,{BIG} }}$"),
        string(pattern="^a{2_000_000_000,}$"),
        string(pattern=f"^a{{-{BIG},0}}$"),
        string(maxLength=BIG),
        string(minLength=-BIG, maxLength=0),
        {"type": "array", "items": {"type": "null"}, "minItems": BIG},
        {"type": "object", "properties": {"deep": {"anyOf": [string(pattern=f"^a{{{MAX_REPEATS + 1}}}$")]}}},
        {
            "type": "object",
            "properties": {LONG: {"anyOf": [string(pattern="^(a|b){256}$", title=str(n)) for n in range(200)]}},
        },
    ],
    ids=range(10),
)
def test_schema_that_would_make_a_huge_grammar_is_refused_before_it_is_made(schema: dict[str, object]) -> None:
    text = json.dumps(schema)
    assert len(text) <= MAX_SCHEMA
    with pytest.raises(BadQuestion, match="cannot be followed"):
        grammar_of(text)


@pytest.mark.parametrize("pattern", ["^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$", r"^\{[a-z]{1,20}\}$", "^a{3,}$", "^x*$"])
def test_usual_pattern_is_followed(pattern: str) -> None:
    assert grammar_of(json.dumps({"type": "object", "properties": {"of": string(pattern=pattern)}}))
