"""From a JSON schema to a grammar of llama.cpp (GBNF), within limits: schemas come from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from llama_cpp.llama_grammar import json_schema_to_gbnf

from core.errors import BadQuestion

MAX_SCHEMA = 32_768  # characters
MAX_DEPTH = 24
MAX_REPEATS = 256  # of an item or a character: a grammar writes each of them out
MAX_GRAMMAR = 262_144  # characters
MAX_DRAFT = 4 << 20  # characters of all repetitions, each with the names that lead to it: looked at before any is made
_REPEATS = ("minItems", "maxItems", "minLength", "maxLength")
_QUANTIFIER = re.compile(r"\{([^{}]*)\}")


@lru_cache(maxsize=32)
def grammar_of(schema: str) -> str:
    """The grammar whose sentences are the JSON texts of this schema. Raises BadQuestion, saying why."""
    if len(schema) > MAX_SCHEMA:
        raise _refused(f"it has more than {MAX_SCHEMA:,} characters")
    try:
        if _check(json.loads(schema)) > MAX_DRAFT:
            raise _refused("it makes too large a grammar")
        grammar: str = json_schema_to_gbnf(schema)
    except (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise _refused(str(error)[:200] or type(error).__name__) from error
    if len(grammar) > MAX_GRAMMAR:
        raise _refused("it makes too large a grammar")
    return grammar


def _check(node: Any, depth: int = 0, name: int = 0) -> int:
    """About how many characters its repetitions come to at most; `name` are those of the names that lead to it."""
    if depth > MAX_DEPTH:
        raise _refused(f"it is nested more than {MAX_DEPTH} deep")
    size = 0
    if isinstance(node, dict):
        repeats = [(key, node[key]) for key in _REPEATS if isinstance(node.get(key), int)]
        repeats += [("a quantifier of pattern", times) for times in _quantifiers(node.get("pattern"))]
        for what, times in repeats:
            if not 0 <= times <= MAX_REPEATS:
                raise _refused(f"{what} is under 0 or over {MAX_REPEATS}")
            size += times * name
        return size + sum(_check(part, depth + 1, name + len(key) + 1) for key, part in node.items())
    return sum(_check(part, depth + 1, name + 1) for part in node) if isinstance(node, list) else 0


def _quantifiers(pattern: Any) -> Iterator[int]:
    """The numbers in what stands in braces; where that are none, nothing is repeated."""
    for braces in _QUANTIFIER.findall(pattern) if isinstance(pattern, str) else ():
        for part in braces.split(","):
            with suppress(ValueError):
                yield int(part.strip() or 0)


def _refused(why: str) -> BadQuestion:
    return BadQuestion(f"response_format: this JSON schema cannot be followed: {why}.")
