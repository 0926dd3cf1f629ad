"""Runs the chat template of a model file, which is a program by a stranger, within limits of time and size.

jinja2's sandbox keeps a template away from Python's insides; it does not keep it from building a string of
gigabytes or from looping for hours. Here every way in which a value can grow is weighed: operators, containers,
calls, filters (a short list of them) and what is put out. The clock is looked at on every line.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView
from contextlib import contextmanager
from datetime import datetime
from types import BuiltinMethodType, FrameType
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import loopcontrols
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

MAX_SOURCE = 1 << 18  # characters; the longest templates in use have some 30,000
MAX_WEIGHT = 1 << 20  # characters or elements of any value, the finished text included
MAX_SECONDS = 0.5  # of processor time; real templates need milliseconds

# fmt: off
_FILTERS = {
    "capitalize", "count", "default", "d", "dictsort", "first", "float", "int", "items", "last", "length", "list",
    "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "string",
    "title", "trim", "unique", "upper",
}
_STRING_METHODS = {
    "capitalize", "count", "endswith", "find", "index", "isalpha", "isdigit", "isspace", "join", "lower", "lstrip",
    "replace", "rfind", "removeprefix", "removesuffix", "rsplit", "rstrip", "split", "splitlines", "startswith",
    "strip", "title", "upper",
}
# What Python raises for a template that jinja2 could read: SyntaxError for too many loops in each other, AssertionError
# in jinja2's own compiler.
_FAULTS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, NameError, RuntimeError, StopIteration,
    SyntaxError, TypeError, ValueError,
)
# fmt: on
_DATE_FORMAT = re.compile(r"(?:%-?[A-Za-z%]|[^%]){0,64}")


class TemplateRefused(TemplateError):
    """The template itself does not want these messages, and says why."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Compiles and renders templates; raises TemplateError, and nothing else, for all that they do wrong."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols], finalize=_weighed)
        self.filters = {name: made for name, made in self.filters.items() if name in _FILTERS}
        self.filters |= {"tojson": _tojson, "weighed": _weighed, "join": _join, "replace": _replace, "safe": str}
        for name in ("lipsum", "cycler", "joiner"):
            del self.globals[name]
        self.globals |= {"raise_exception": _refuse, "strftime_now": _strftime_now}

    def compiled(self, source: str) -> Template:
        if len(source) > MAX_SOURCE:
            raise SecurityError("the template is too long")
        with _within_limits():
            return self.from_string(_Weigher().visit(self.parse(source)))

    def rendered(self, template: Template, values: Mapping[str, Any]) -> str:
        with _within_limits():
            return template.render(values)

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """What jinja2 puts every output together with: of the template, of a macro, of a block."""
        return _joined("", parts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise SecurityError(f"the operator {operator} is not allowed here")
        if operator == "*" and not (isinstance(left, int | float) and isinstance(right, int | float)):
            size, times = (left, right) if isinstance(right, int) else (right, left)
            _require(isinstance(times, int) and _weight(size) * times <= MAX_WEIGHT)
        return _weighed(super().call_binop(context, operator, left, right))

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        text, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if isinstance(text, str):
            if name not in _STRING_METHODS or not isinstance(function, BuiltinMethodType):
                raise SecurityError(f"the method {name} is not allowed here")
            if name == "join":
                return _join(args[0], text)
            if name == "replace":
                return _replace(text, *args)
        return _weighed(super().call(context, function, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> None:
        if isinstance(value, BuiltinMethodType) and value.__name__ in ("format", "format_map"):
            raise SecurityError(f"the method {value.__name__} is not allowed here")


class _Weigher(NodeTransformer):
    """Sends the constructs that the sandbox cannot intercept through `_weighed`: `a ~ b` and container literals."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        texts = [_filter(part, "string") for part in node.nodes]
        total: nodes.Expr = texts[0]
        for text in texts[1:]:
            total = nodes.Add(total, text, lineno=node.lineno)
        return total

    def visit_List(self, node: nodes.List) -> nodes.Expr:
        self.generic_visit(node)
        return _filter(node, "weighed")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:
        self.generic_visit(node)
        return _filter(node, "weighed")

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return _filter(node, "weighed") if node.ctx == "load" else node


def _filter(node: nodes.Expr, name: str) -> nodes.Filter:
    # Weighed before and after: turning a container into text costs as much as the text is long.
    inner = nodes.Filter(node, "weighed", [], [], None, None, lineno=node.lineno)
    return inner if name == "weighed" else nodes.Filter(inner, name, [], [], None, None, lineno=node.lineno)


def _weight(value: Any) -> int:
    """Characters and elements that writing the value out would take; stops counting above the limit."""
    total, rest = 0, [value]
    while rest and total <= MAX_WEIGHT:
        item = rest.pop()
        total += 1
        if isinstance(item, Namespace):
            item = item._Namespace__attrs
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, int):
            total += 0 if item.bit_length() <= 64 else MAX_WEIGHT
        elif isinstance(item, Mapping):
            total += len(item)
            rest += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | MappingView):
            total += len(item)
            rest += item  # type: ignore[arg-type]  # the views of a mapping can be iterated
    return total


def _weighed(value: Any = "") -> Any:
    _require(_weight(value) <= MAX_WEIGHT)
    return _counted(value) if isinstance(value, Iterator) else value


def _counted(values: Iterator[Any]) -> Iterator[Any]:
    for count, value in enumerate(values):
        _require(count <= MAX_WEIGHT)
        yield value


def _require(fits: bool) -> None:
    if not fits:
        raise SecurityError("the template makes values that are too large")


def _joined(glue: str, parts: Iterable[str]) -> str:
    found: list[str] = []
    weight = 0
    for part in parts:
        weight += len(part) + len(glue)
        _require(weight <= MAX_WEIGHT)
        found.append(part)
    return glue.join(found)


def _join(parts: Any, glue: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        parts = (part[attribute] for part in parts)
    return _joined(glue, (str(_weighed(part)) for part in parts))


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text = str(_weighed(value))
    _require((text.count(old) + 1) * len(new) + len(text) <= 2 * MAX_WEIGHT)
    return text.replace(old, new, count)


def _tojson(value: Any, indent: int | None = None) -> str:
    _require(indent is None or 0 <= indent <= 8)
    return json.dumps(_weighed(value), ensure_ascii=False, indent=indent)


def _strftime_now(pattern: str) -> str:
    _require(_DATE_FORMAT.fullmatch(pattern) is not None)
    return datetime.now().strftime(pattern)


def _refuse(reason: str = "") -> NoReturn:
    raise TemplateRefused(str(_weighed(reason))[:300])


@contextmanager
def _within_limits() -> Iterator[None]:
    """Ends what runs inside with a TemplateError after MAX_SECONDS; turns any error of it into one."""
    deadline, before = time.thread_time() + MAX_SECONDS, sys.gettrace()

    def watch(frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any] | None:
        if time.thread_time() > deadline:
            raise SecurityError("the template takes too long")
        return watch if frame.f_code.co_filename == "<template>" else None

    sys.settrace(watch)
    try:
        yield
    except TemplateError:
        raise
    except _FAULTS as error:
        raise TemplateError(f"{type(error).__name__}: {error}") from error
    finally:
        sys.settrace(before)
