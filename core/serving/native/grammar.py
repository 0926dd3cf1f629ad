"""From a JSON schema to a grammar of llama.cpp (GBNF), within limits: schemas come from outside."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from llama_cpp.llama_grammar import json_schema_to_gbnf

from core.errors import BadQuestion

MAX_SCHEMA = 32_768  # characters
MAX_DEPTH = 24
MAX_REPEATS = 256  # of an item or a character: a grammar writes each of them out
MAX_GRAMMAR = 262_144  # characters
_REPEATS = ("minItems", "maxItems", "minLength", "maxLength")


@lru_cache(maxsize=32)
def grammar_of(schema: str) -> str:
    """The grammar whose sentences are the JSON texts of this schema. Raises BadQuestion, saying why."""
    if len(schema) > MAX_SCHEMA:
        raise _refused(f"it has more than {MAX_SCHEMA:,} characters")
    try:
        _check(json.loads(schema), 0)
        grammar: str = json_schema_to_gbnf(schema)
    except (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise _refused(str(error)[:200] or type(error).__name__) from error
    if len(grammar) > MAX_GRAMMAR:
        raise _refused("it makes too large a grammar")
    return grammar


def _check(node: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _refused(f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(node, dict):
        for name in _REPEATS:
            if isinstance(node.get(name), int) and node[name] > MAX_REPEATS:
                raise _refused(f"{name} is over {MAX_REPEATS}")
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _check(part, depth + 1)


def _refused(why: str) -> BadQuestion:
    return BadQuestion(f"response_format: this JSON schema cannot be followed: {why}.")
