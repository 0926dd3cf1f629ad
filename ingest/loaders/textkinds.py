"""What kind of text a text is, from its beginning; its name decides only where the content does not tell."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

HTML = "text/html"
MARKDOWN = "text/markdown"
TEXT = "text/plain"
CSV = "text/csv"
JSON = "application/json"
NOTEBOOK = "application/x-ipynb+json"
XML = "application/xml"
SVG = "image/svg+xml"
MAIL = "message/rfc822"
MSG = "application/vnd.ms-outlook"  # no text, but it becomes the same
WEB_ARCHIVE = "multipart/related"
SRT = "application/x-subrip"
VTT = "text/vtt"
RST = "text/x-rst"
LATEX = "text/x-tex"
ORG = "text/org"
CODE = "text/x-source"
CORPUS = "text/x-conllu"

_BY_NAME = {
    ".md": MARKDOWN, ".markdown": MARKDOWN, ".mdx": MARKDOWN, ".qmd": MARKDOWN, ".rmd": MARKDOWN,
    ".csv": CSV, ".tsv": CSV, ".tab": CSV, ".json": JSON, ".jsonl": JSON, ".ndjson": JSON, ".geojson": JSON,
    ".ipynb": NOTEBOOK, ".rst": RST, ".rest": RST, ".org": ORG, ".tex": LATEX, ".ltx": LATEX, ".latex": LATEX,
    ".srt": SRT, ".vtt": VTT, ".xml": XML, ".xsl": XML, ".xslt": XML, ".xsd": XML, ".rss": XML, ".atom": XML,
    ".dbk": XML, ".docbook": XML, ".dita": XML, ".tei": XML, ".opml": XML, ".kml": XML, ".gpx": XML, ".wsdl": XML,
}  # fmt: skip
_SOURCES = frozenset(
    (
        "py", "pyi", "pyx", "js", "mjs", "cjs", "jsx", "ts", "tsx", "java", "kt", "kts", "scala", "groovy", "c", "h",
        "cc", "cpp", "cxx", "hh", "hpp", "hxx", "m", "mm", "cs", "go", "rs", "swift", "rb", "php", "pl", "pm", "lua",
        "r", "jl", "sh", "bash", "zsh", "fish", "ps1", "bat", "cmd", "sql", "hs", "ml", "mli", "fs", "fsx", "ex",
        "exs", "erl", "hrl", "clj", "cljs", "cljc", "lisp", "el", "scm", "rkt", "vb", "vbs", "pas", "f", "f90", "f95",
        "for", "adb", "ads", "d", "nim", "zig", "dart", "v", "vhd", "vhdl", "sv", "asm", "s", "proto", "thrift",
        "graphql", "gql", "tf", "hcl", "cmake", "mk", "mak", "gradle", "css", "scss", "sass", "less", "vue", "svelte",
        "toml", "yaml", "yml", "ini", "cfg", "conf", "properties", "nix", "awk", "sed", "tcl", "sty", "cls", "cu",
        "sol", "coffee", "diff", "patch",
    )
)  # fmt: skip
_SOURCE_NAMES = frozenset(("makefile", "gnumakefile", "dockerfile", "containerfile", "cmakelists.txt", "jenkinsfile"))
HEAD = 64 << 10
MOST_BEFORE_ROOT = 50
_ENDS = {b"<?": b"?>", b"<!--": b"-->", b"<!doctype": b">"}
_HTML_NAMES = (".html", ".htm", ".xhtml")
_MAIL_NAMES = (".eml", ".mht", ".mhtml", ".mbox", ".p7s", ".p7m")

_MARKUP = re.compile(
    rb"<(!doctype html|html|head|body|title|h[1-6]|p|div|table|article|section|span|ul|ol|pre)[\s>/]", re.I
)
_HTML_ROOT = re.compile(rb"<(!doctype html|html)[\s>]", re.I)
_MAIL = re.compile(rb"(received|from|return-path|mime-version|message-id|date|delivered-to|x-[\w-]+): ", re.I)
_MIME = re.compile(rb"(?:mime-version|content-type):[^\n]*\n(?:[^\n]+\n){0,20}?(?:mime-version|content-type):", re.I)
_RELATED = re.compile(rb"^content-type:\s*multipart/related", re.I | re.M)
_SAVED_PAGE = re.compile(rb"^(snapshot-content-location:|from:\s*(<saved by|\"?saved by))", re.I | re.M)
_CUE = re.compile(rb"(?:\d{1,7}\s{1,4})?\d{1,3}:\d\d:\d\d[,.]\d{1,3}[ \t]*-->")
_STRING = rb"\"(?:[^\"\\\n]|\\.){0,200}\""
_JSON = re.compile(
    rb"\{\s{0,200}(?:" + _STRING + rb"\s{0,20}:|\}\s*$)"
    rb"|\[[\s\[]{0,200}(?:\{\s{0,200}\"|" + _STRING + rb"\s{0,20}[,\]]|-?\d[\d.eE+-]{0,30}\s{0,20},|\]\s*$)"
)
_CORPUS = re.compile(rb"(?:#[^\n]*\n)*1(?:-\d+)?\t(?:[^\t\n]+\t){8}[^\t\n]+\r?\n")
_LATEX = re.compile(rb"^[ \t]*\\(documentclass|begin\{document\})", re.M)
_ORG = re.compile(rb"^#\+(title|author|begin_src|begin_quote|options|startup|include):?", re.I | re.M)
_RST = re.compile(rb"^(\.\. [\w-]+::|\.\. _[^\n]{1,80}:|:[\w-]+:`)", re.M)
_UNDERLINE = re.compile(rb"^[^\s][^\n]{1,100}\n([=~^*+#\"'-])\1{2,100}[ \t]*$", re.M)
_MARKDOWN_SIGNS = re.compile(rb"^(#{1,6} \S|```|\[[^\]\n]{1,80}\]\([^)\n]{1,200}\)|\| ?:?--)", re.M)


def text_type(head: bytes, name: str) -> str:
    """The media type of a text whose first bytes are `head`."""
    file_name = PurePosixPath(name.lower())
    start = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return (
        _markup(start, file_name.suffix)
        or _mail(start, file_name.suffix)
        or _data(start)
        or _named(start, file_name)
        or _unnamed(start, file_name.suffix)
    )


def _markup(start: bytes, ending: str) -> str:
    """HTML, SVG and XML begin with a tag, which may stand behind a declaration and comments."""
    if not start.startswith(b"<"):
        return HTML if ending in _HTML_NAMES and _MARKUP.search(start) else ""
    if _HTML_ROOT.match(start):
        return HTML
    root = _root(start)
    tag = root.lower()
    if tag == b"html" or tag == b"svg" or tag.endswith(b":svg"):
        return HTML if tag == b"html" else SVG
    if start.startswith(b"<?xml") or _BY_NAME.get(ending) == XML:
        return XML
    if ending in _BY_NAME or ending[1:] in _SOURCES:
        return ""  # Markdown and templates may begin with a tag
    if _HTML_ROOT.search(start[:4096]) or _MARKUP.match(start):
        return HTML
    if root and (b"xmlns" in start[:4096] or start.rstrip().endswith(b"</" + root + b">")):
        return XML
    return HTML if ending in _HTML_NAMES and _MARKUP.search(start) else ""


def _root(start: bytes) -> bytes:
    """The name of the first element, behind declarations and comments."""
    place = 0
    for _ in range(MOST_BEFORE_ROOT):
        place += len(start[place : place + HEAD]) - len(start[place : place + HEAD].lstrip())
        opening = next((opening for opening in _ENDS if start[place : place + len(opening)].lower() == opening), b"")
        if not opening:
            break
        end = start.find(_ENDS[opening], place)
        inner = start.find(b"[", place, end) if opening == b"<!doctype" and end >= 0 else -1
        if inner >= 0:
            end = start.find(b">", start.find(b"]", inner))
        if end < 0:
            return b""
        place = end + len(_ENDS[opening])
    found = re.compile(rb"<([A-Za-z_][\w:.-]{0,80})").match(start, place)
    return found[1] if found else b""


def _mail(start: bytes, ending: str) -> str:
    if not (
        _is_mail(start) or _MIME.match(start) or (ending in _MAIL_NAMES and re.match(rb"(from |[\w-]+:)", start, re.I))
    ):
        return ""
    header = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0]
    saved = ending in (".mht", ".mhtml") or _SAVED_PAGE.search(header)
    return WEB_ARCHIVE if saved and (_RELATED.search(header) or ending in (".mht", ".mhtml")) else MAIL


def _is_mail(start: bytes) -> bool:
    """At least three header lines in a row that only mails have."""
    fields = re.split(rb"\r?\n(?![ \t])", start[:8192])[:30]
    if fields and fields[0].startswith(b"From "):
        fields = fields[1:]
    header = fields[: next((n for n, line in enumerate(fields) if not re.match(rb"[\w-]+:", line)), len(fields))]
    return len(header) > 2 and sum(bool(_MAIL.match(line)) for line in header) > 2


def _data(start: bytes) -> str:
    """Kinds that say what they are in their first line."""
    if re.match(rb"WEBVTT(?:[ \t\r\n]|$)", start):
        return VTT
    if _CUE.match(start):
        return SRT
    if _CORPUS.match(start):
        return CORPUS
    if not _JSON.match(start):
        return ""
    if b'"cells"' in start and (b'"cell_type"' in start or b'"nbformat"' in start):
        return NOTEBOOK
    return JSON


def _named(start: bytes, file_name: PurePosixPath) -> str:
    if file_name.name in _SOURCE_NAMES or file_name.suffix[1:] in _SOURCES:
        return LATEX if _LATEX.search(start[:8192]) and file_name.suffix in (".cls", ".sty") else CODE
    return _BY_NAME.get(file_name.suffix, "")


def _unnamed(start: bytes, ending: str) -> str:
    """What the signs in a text without a telling name say; one that is called .txt is no Markdown by chance."""
    from ingest.loaders.decode import decode
    from ingest.loaders.tables import looks_separated

    if start.startswith(b"#!") and b"\n" in start[:200]:
        return CODE
    if _LATEX.search(start):
        return LATEX
    if len(_ORG.findall(start)) > 1:
        return ORG
    if ending == "" and len(_MARKDOWN_SIGNS.findall(start)) > 2:
        return MARKDOWN
    if len(_RST.findall(start)) > 1 and _UNDERLINE.search(start):
        return RST
    return CSV if looks_separated(decode(start).text) else TEXT
