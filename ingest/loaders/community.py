"""The long tail: formats for which langchain_community has a loader without network and further libraries.

Of its 180 loaders few remain after that, and most of those lose text (docs/formats.md says which and why). Kept is
CoNLL-U, the form of annotated text corpora: a line for each word in ten columns becomes readable sentences again. Its
loader is given one sentence at a time, because it joins all that it gets, and no quotation marks, which confuse it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.types import Document
from ingest.loaders.clean import clean, one_line
from ingest.loaders.decode import decode
from ingest.loaders.draft import Block, Draft
from ingest.loaders.inside import as_path
from ingest.loaders.textkinds import CORPUS

COLUMNS = 10
_TITLE = re.compile(r"# newdoc(?: id = ([^\n]+))?")
_PARAGRAPH = re.compile(r"# newpar\b")
_WORD = re.compile(r"\d+\t")  # neither the several words of one token nor words that were left out by the writer
_SEVERAL = re.compile(r"(\d+)-(\d+)\t")
_QUOTE = "\ue000"


@dataclass(frozen=True, slots=True)
class CorpusLoader:
    """Annotated corpora in CoNLL-U."""

    version: int = 1
    library: str | None = "langchain-community"

    def load(self, path: Path, name: str) -> Document:
        decoded = decode(path.read_bytes())
        draft = Draft(name)
        for sentence in re.split(r"\n[ \t]*\n", clean(decoded.text)):
            lines = sentence.split("\n")
            for line in lines:
                if (title := _TITLE.match(line)) and title[1]:
                    draft.add(Block(title[1], level=1))
            words = list(_words(lines))
            if words:
                starts = any(_PARAGRAPH.match(line) or _TITLE.match(line) for line in lines)
                draft.write(_joined(words), gap="\n\n" if starts else "\n")
        return draft.document(
            CORPUS,
            metadata={"encoding": decoded.encoding},
            warnings=[*decoded.warnings, "Of this annotated corpus the sentences were kept, not the annotations."],
        )


def _words(lines: list[str]) -> Iterator[str]:
    """The lines of what is written: of a contraction the whole, not its parts."""
    covered = 0
    for line in lines:
        if line.count("\t") != COLUMNS - 1:
            continue
        if several := _SEVERAL.match(line):
            covered = int(several[2][:9])
            yield line
        elif _WORD.match(line) and int(line.split("\t", 1)[0][:9]) > covered:
            yield line


def _joined(words: list[str]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is not developed any more is known
        from langchain_community.document_loaders.conllu import CoNLLULoader

    with as_path("\n".join(words).replace('"', _QUOTE).encode()) as copy:
        sentence = CoNLLULoader(str(copy)).load()[0].page_content
    return one_line(sentence.replace(_QUOTE, '"'))
