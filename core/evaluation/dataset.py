"""Questions with known answers and the texts they are about: a folder in BEIR's layout, with answers."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from core.errors import BadDataset

MOST_LINES = 2_000_000
LONGEST_LINE = 8 << 20  # characters
LONGEST_QUESTION = 4_000
NO = frozenset(("false", "no", "0", "none", ""))


@dataclass(frozen=True, slots=True)
class Entry:
    """One text of the corpus."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question; `answers` are the ways to say the right one, none when only the passages are known."""

    id: str
    text: str
    answers: tuple[str, ...] = ()
    answerable: bool = True
    language: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is measured with. `relevant` holds, by question, the ids of the texts that answer it and how well they do.

    `by_document`: judged is the document that a text is a part of; ids are cut at '#'. `files` stand in the place of
    `entries` where the corpus is real files, named like the ids.
    """

    name: str
    questions: tuple[Question, ...]
    relevant: Mapping[str, Mapping[str, float]]
    entries: tuple[Entry, ...] = ()
    files: tuple[Path, ...] = ()
    by_document: bool = False
    sha256: str = ""
    notes: tuple[str, ...] = field(default=())

    def unit(self, id: str) -> str:
        """What a text's id counts as when places are compared."""
        return document_of(id) if self.by_document else id


def document_of(id: str) -> str:
    """The document that a part belongs to: '2022 Q3 AAPL#p0' is of '2022 Q3 AAPL'."""
    return id.split("#", 1)[0]


def load_dataset(folder: Path, documents: Path | None = None, *, own: bool = False) -> Dataset:
    """Read queries.jsonl, corpus.jsonl, and where they are there qrels.tsv and meta.json.

    `documents` is a folder of files that is used instead of corpus.jsonl; with `own` there is to be no corpus, because
    somebody's own documents are asked. Raises BadDataset with file and line.
    """
    if not folder.is_dir():
        raise BadDataset(f"{folder} is no folder. Name one that holds queries.jsonl, qrels.tsv and corpus.jsonl.")
    meta = _meta(folder / "meta.json")
    by_document = str(meta.get("level", "")).lower().startswith("document")
    questions = read_questions(folder / "queries.jsonl")
    relevant = _qrels(folder, by_document)
    entries: tuple[Entry, ...] = ()
    files: tuple[Path, ...] = ()
    if documents is not None:
        files = _files(documents)
    elif not own:
        entries = _entries(folder / "corpus.jsonl")
    known = {_unit(entry.id, by_document) for entry in entries} or {path.stem for path in files}
    judged = {id for ids in relevant.values() for id in ids}
    missing = set() if own else judged - known - {path.name for path in files}
    notes = [f"{len(missing)} judged texts are not in the corpus, for example {min(missing)}."] if missing else []
    digest = hashlib.sha256()
    for name in ("queries.jsonl", "qrels.tsv", "corpus.jsonl"):
        if (folder / name).is_file():
            digest.update(f"\n{name}\n".encode() + (folder / name).read_bytes())
    return Dataset(
        str(meta.get("name") or folder.resolve().name), questions, relevant, entries, files, by_document,
        digest.hexdigest(), tuple(notes),
    )  # fmt: skip


def read_questions(path: Path) -> tuple[Question, ...]:
    """The lines of a queries.jsonl. Raises BadDataset."""
    found: dict[str, Question] = {}
    for number, line in _objects(path):
        text = " ".join(str(line.get("text") or line.get("question") or "").split())
        if not text:
            raise BadDataset(f"{path.name}, line {number}: the question has no text. Give it a field `text`.")
        id = str(line.get("_id", line.get("id", number)))
        if id in found:
            raise BadDataset(f"{path.name}, line {number}: there are two questions with the id {id}.")
        language = str(line.get("lang") or line.get("language") or "")
        found[id] = Question(id, text[:LONGEST_QUESTION], _answers(line), _truth(line.get("answerable")), language)
    if not found:
        raise BadDataset(f"{path.name} holds no question.")
    return tuple(found.values())


def sample(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """At most `limit` questions, the same ones for the same seed: half of them unanswerable where there are such."""
    if limit is None or limit >= len(questions):
        return list(questions)
    kinds = [[q for q in questions if q.answerable], [q for q in questions if not q.answerable]]
    for kind in kinds:
        random.Random(seed).shuffle(kind)
    mixed = [q for pair in zip_longest(*kinds) for q in pair if q is not None]
    chosen = {question.id for question in mixed[:limit]}
    return [question for question in questions if question.id in chosen]


def _answers(line: Mapping[str, Any]) -> tuple[str, ...]:
    given = line.get("answers", line.get("answer"))
    if isinstance(given, Mapping):  # SQuAD's own way: {"text": [...], "answer_start": [...]}
        given = given.get("text")
    several = given if isinstance(given, list) else [given]
    texts = [str(item.get("text", "") if isinstance(item, Mapping) else item) for item in several if item is not None]
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _truth(value: object) -> bool:
    return True if value is None else str(value).strip().lower() not in NO


def _entries(path: Path) -> tuple[Entry, ...]:
    if not path.is_file():
        raise BadDataset(f"There is no {path.name} in {path.parent}. Add it, or name a folder with --documents.")
    found: dict[str, Entry] = {}
    for number, line in _objects(path):
        id = str(line.get("_id", line.get("id", "")))
        if not id:
            raise BadDataset(f"{path.name}, line {number}: the text has no `_id`.")
        found[id] = Entry(id, " ".join(str(line.get("title") or "").split()), str(line.get("text") or ""))
    if not found:
        raise BadDataset(f"{path.name} holds no text.")
    return tuple(found.values())


def _files(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise BadDataset(f"{folder} is no folder with documents.")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    if not files:
        raise BadDataset(f"{folder} holds no files.")
    return tuple(files)


def _qrels(folder: Path, by_document: bool) -> dict[str, dict[str, float]]:
    places = [folder / "qrels.tsv", folder / "qrels" / "test.tsv", folder / "qrels" / "dev.tsv"]
    path = next((place for place in places if place.is_file()), None)
    found: dict[str, dict[str, float]] = {}
    for number, text in _lines(path) if path else ():
        cells = text.split("\t") if "\t" in text else text.split()
        if len(cells) == 4:  # TREC's own layout has a column in between that nobody uses
            cells = [cells[0], cells[2], cells[3]]
        score = _number(cells[2]) if len(cells) == 3 else None
        if score is None:
            if number == 1:
                continue  # the header
            raise BadDataset(f"qrels.tsv, line {number}: a question's id, a text's id and a score are expected.")
        if score > 0:
            ids = found.setdefault(cells[0].strip(), {})
            id = _unit(cells[1].strip(), by_document)
            ids[id] = max(score, ids.get(id, 0.0))
    return found


def _unit(id: str, by_document: bool) -> str:
    return document_of(id) if by_document else id


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _meta(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        body = json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadDataset(f"{path.name} is not JSON. Correct it, or remove it: it is not needed.") from error
    return body if isinstance(body, dict) else {}


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in _lines(path):
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadDataset(f"{path.name}, line {number} is not JSON: every line must be one object.") from error
        if not isinstance(body, dict):
            raise BadDataset(f"{path.name}, line {number} is no object: every line must be one, like {{…}}.")
        yield number, body


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank, without what ends them. Raises BadDataset."""
    if not path.is_file():
        raise BadDataset(f"There is no {path.name} in {path.parent}.")
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), 1):
                if number > MOST_LINES or (len(line) == LONGEST_LINE and not line.endswith("\n")):
                    raise BadDataset(f"{path.name}, line {number}: there are too many lines, or this one is too long.")
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise BadDataset(f"{path.name} is not UTF-8. Save it in that encoding.") from error
