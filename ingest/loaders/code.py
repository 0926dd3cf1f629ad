"""Source code: kept as it is; what defines something becomes a heading, so that functions stay whole and have names.

Found by one pattern for each family of languages, in time that grows with the text, for code that does not compile too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.types import Document, Heading
from ingest.loaders.clean import clean, one_line
from ingest.loaders.decode import decode
from ingest.loaders.draft import Draft
from ingest.loaders.textkinds import CODE

LONGEST_NAME = 100
LONGEST_LINE = 400  # characters; longer ones are data or were made by a program
MOST_HEADINGS = 20_000
INDENT = 4

_WORDS = (
    r"(?:(?:export|default|declare|public|private|protected|internal|static|final|abstract|async|override|virtual"
    r"|inline|extern|unsafe|open|data|sealed|partial|pub(?:\([a-z]+\))?|const|suspend|implicit|lazy|synchronized"
    r"|native|constexpr|explicit|friend)[ \t]+){0,6}"
)
_TYPES = (
    r"(?:class|interface|enum(?:[ \t]+class)?|struct|union|trait|record|object|protocol|extension|namespace|module"
    r"|package|impl(?:<[^>\n]*>)?|mod|type|actor)"
)
_FUNCTIONS = r"(?:def|fn|func|function\*?|fun|sub|proc|procedure|macro_rules!|macro|defp|defmodule|defmacro)"
_NAME = r"[\w$.:~<>,\[\]*& !?'-]{0,100}"
_KEYWORD = re.compile(rf"[ \t]{{0,40}}{_WORDS}(?:{_TYPES}|{_FUNCTIONS})[ \t]+({_NAME})")
_GO_METHOD = re.compile(r"func[ \t]*\([^)\n]{0,80}\)[ \t]*(\w{1,100})")
_ARROW = re.compile(
    rf"{_WORDS}(?:const|let|var)[ \t]+([\w$]{{1,100}})[ \t]*(?::[^=\n]{{0,100}})?=[ \t]*(?:async[ \t]*)?"
    r"(?:function\b|\([^)\n]{0,200}\)[^=\n]{0,60}=>|[\w$]{1,60}[ \t]*=>)"
)
_NO_CALL = r"(?!(?:if|for|while|switch|return|else|catch|do|sizeof|new|throw|delete|using|case|goto)\b)"
_C_FUNCTION = re.compile(
    rf"[ \t]{{0,8}}{_NO_CALL}[\w:<>,*&\[\]~.?@][\w:<>,*&\[\]~.?@ \t]{{0,120}}[ \t*&]([\w:~]{{1,100}})[ \t]*"
    r"\([^;{}\n]{0,300}(?:\{[^}\n]{0,200}|[,)][ \t]*(?:const|noexcept|override|throws[ \t][\w, .]+)?)$"
)
_SQL = re.compile(
    r"[ \t]{0,8}(create[ \t]+(?:or[ \t]+replace[ \t]+)?(?:(?:temp|temporary|unique|materialized)[ \t]+)?"
    r"(?:table|view|index|function|procedure|trigger|type|schema)[ \t]+(?:if[ \t]+not[ \t]+exists[ \t]+)?"
    r"[\w.\"`\[\]]{1,100})",
    re.I,
)
_TARGET = re.compile(r"([\w./$(){}%-]{1,100})[ \t]*:(?!=)")
_SECTION = re.compile(r"[ \t]{0,8}(\[{1,2}[^\[\]\n]{1,100}\]{1,2})[ \t]*(?:[#;].*)?$")
_KEY = re.compile(r"([\w.\"'/-]{1,100}):(?:[ \t]*(?:[|>&!#{\[].*)?)$")
_SHELL = re.compile(r"(?:function[ \t]+)?([\w:.-]{1,100})[ \t]*\(\)")
_RULE = re.compile(r"([.#@:\w*\[][^{};\n]{0,100})\{[ \t]*$")
_LISP = re.compile(r"\((?:def[\w*-]*)[ \t]+\(?([^\s()]{1,100})")
_HASKELL = re.compile(
    r"([a-z_][\w']{0,60}[ \t]+::[^\n]{1,100})|(?:data|newtype|class|instance|module)[ \t]+([\w' .]{1,100})"
)
_C_LIKE = frozenset(
    (
        "c", "h", "cc", "cpp", "cxx", "hh", "hpp", "hxx", "m", "mm", "cs", "java", "groovy", "d", "cu", "dart", "v",
        "sv",
    )
)  # fmt: skip
_MORE = {
    **dict.fromkeys(("js", "mjs", "cjs", "jsx", "ts", "tsx", "vue", "svelte"), _ARROW),
    **dict.fromkeys(_C_LIKE, _C_FUNCTION),
    **dict.fromkeys(("sh", "bash", "zsh", "fish"), _SHELL),
    **dict.fromkeys(("css", "scss", "sass", "less"), _RULE),
    **dict.fromkeys(("el", "lisp", "clj", "cljs", "cljc", "scm", "rkt"), _LISP),
    **dict.fromkeys(("mk", "mak", "makefile", "gnumakefile"), _TARGET),
    **dict.fromkeys(("toml", "ini", "cfg", "conf", "properties"), _SECTION),
    **dict.fromkeys(("yaml", "yml"), _KEY),
    "sql": _SQL, "go": _GO_METHOD, "hs": _HASKELL,
}  # fmt: skip
_NO_KEYWORDS = frozenset(
    (
        "toml", "ini", "cfg", "conf", "properties", "yaml", "yml", "css", "scss", "sass", "less", "mk", "mak",
        "makefile", "gnumakefile", "sql", "diff", "patch", "dockerfile",
    )
)  # fmt: skip
# Comments and decorators right above belong to what is defined.
_ABOVE = re.compile(r"[ \t]*(?:#(?!!)|//|/?\*|--(?!-)|;|@[\w.]|'''|\"\"\"|#\[)")


@dataclass(frozen=True, slots=True)
class CodeLoader:
    """Programs, scripts and settings files."""

    version: int = 1
    library: str | None = "charset-normalizer"

    def load(self, path: Path, name: str) -> Document:
        decoded = decode(path.read_bytes())
        text = clean(decoded.text)
        language = _language(name, text)
        draft = Draft(name)
        draft.write(text)
        draft.headings = _symbols(text, language)
        return draft.document(
            CODE,
            title=PurePosixPath(name).name,
            metadata={"encoding": decoded.encoding, "programming_language": language},
            warnings=decoded.warnings,
        )


def _language(name: str, text: str) -> str:
    """The ending that files of the language have, from the name or from the first line of a script."""
    file_name = PurePosixPath(name.lower())
    if file_name.name == "cmakelists.txt":
        return "cmake"
    if text.startswith("#!") and not file_name.suffix:
        called = re.split(r"[/\s]", text.split("\n", 1)[0].strip())[-1].rstrip("0123456789.")
        return {"python": "py", "perl": "pl", "ruby": "rb", "node": "js"}.get(called, called)[:20]
    return file_name.suffix[1:] or file_name.name


def _symbols(text: str, language: str) -> list[Heading]:
    patterns = [] if language in _NO_KEYWORDS else [_KEYWORD]
    if more := _MORE.get(language):
        patterns.append(more)
    found: list[Heading] = []
    start = above = 0
    attached = False  # whether `above` is where comments began that nothing separates from this line
    for line in text.split("\n"):
        title = "" if len(line) > LONGEST_LINE else _defined(line, patterns)
        if title and len(found) < MOST_HEADINGS:
            indent = len(line.expandtabs(INDENT)) - len(line.expandtabs(INDENT).lstrip())
            found.append(Heading(min(6, 1 + indent // INDENT), title, above if attached else start))
            attached = False
        elif _ABOVE.match(line):
            above, attached = (above if attached else start), True
        else:
            attached = False
        start += len(line) + 1
    return found


def _defined(line: str, patterns: list[re.Pattern[str]]) -> str:
    for pattern in patterns:
        if found := pattern.match(line):
            name = next((group for group in found.groups() if group), "")
            if name.strip():
                return _titled(line, name)
    return ""


def _titled(line: str, name: str) -> str:
    """`class Boiler`, `def heat`: the words of the line up to the end of the name."""
    words = one_line(line[: line.find(name) + len(name)]).rstrip(" {(:=,<-")
    return words[-LONGEST_NAME:] if any(c.isalnum() for c in words) else ""
