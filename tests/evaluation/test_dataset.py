"""Folders of questions: what is understood, and what is refused with one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadDataset
from core.evaluation.dataset import Dataset, load_dataset, sample

CORPUS = [{"_id": "a", "title": "Pump", "text": "It weighs 3 kg."}, {"_id": "b", "text": "It is red."}]
QUERIES: list[dict[str, Any]] = [
    {"_id": "1", "text": "How heavy?", "answers": ["3 kg"], "answerable": True, "more": {"x": 1}},
    {"_id": "2", "text": "Which  colour?", "lang": "en"},
    {"_id": 3, "text": "Who?", "answers": "Ann", "answerable": False},
]
QRELS = "query-id\tcorpus-id\tscore\n1\ta\t1\n2\tb\t0.5\n2\ta\t0\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(
        *, queries: str | None = None, corpus: str | None = None, qrels: str | None = QRELS, meta: str | None = None
    ) -> Path:
        folder = tmp_path / "set"
        folder.mkdir(exist_ok=True)
        lines = {"queries.jsonl": queries if queries is not None else "\n".join(map(json.dumps, QUERIES))}
        lines["corpus.jsonl"] = corpus if corpus is not None else "\n".join(map(json.dumps, CORPUS))
        if qrels is not None:
            lines["qrels.tsv"] = qrels
        if meta is not None:
            lines["meta.json"] = meta
        for name, text in lines.items():
            (folder / name).write_bytes(text.encode())
        return folder

    return make


def test_what_is_missing_has_its_usual_value(write: Write) -> None:
    dataset = load_dataset(write())
    first, second, third = dataset.questions
    assert (first.answers, first.answerable, first.language) == (("3 kg",), True, "")
    assert (second.text, second.answers, second.answerable, second.language) == ("Which colour?", (), True, "en")
    assert (third.id, third.answers, third.answerable) == ("3", ("Ann",), False)
    assert dataset.relevant == {"1": {"a": 1.0}, "2": {"b": 0.5}}
    assert dataset.name == "set"
    assert not dataset.notes


def test_line_ends_blank_lines_and_marks_of_other_systems_mean_nothing(write: Write) -> None:
    plain = load_dataset(write())
    queries = "\ufeff" + "\r\n\r\n".join(map(json.dumps, QUERIES)) + "\r\n"
    odd = load_dataset(
        write(
            queries=queries,
            qrels=QRELS.replace("\n", "\r\n") + "\r\n",
            corpus="\n\n" + "\r\n".join(map(json.dumps, CORPUS)),
        )
    )
    assert odd.questions == plain.questions
    assert odd.relevant == plain.relevant
    assert [entry.id for entry in odd.entries] == ["a", "b"]


def test_qrels_of_other_layouts_are_understood(write: Write) -> None:
    folder = write(qrels="1 0 a 1\n2 0 b 2\n")
    assert load_dataset(folder).relevant == {"1": {"a": 1.0}, "2": {"b": 2.0}}
    (folder / "qrels").mkdir()
    (folder / "qrels.tsv").rename(folder / "qrels" / "test.tsv")
    assert load_dataset(folder).relevant == {"1": {"a": 1.0}, "2": {"b": 2.0}}


def test_parts_of_documents_count_as_their_document_where_the_set_says_so(write: Write) -> None:
    corpus = "\n".join(json.dumps({"_id": f"Report#p{n}", "text": f"page {n}"}) for n in range(3))
    dataset = load_dataset(
        write(corpus=corpus, qrels="1\tReport#p2\t1\n", meta='{"level": "document", "name": "filings"}')
    )
    assert (dataset.by_document, dataset.name) == (True, "filings")
    assert dataset.relevant == {"1": {"Report": 1.0}}
    assert dataset.unit("Report#p1") == "Report"


def test_judged_texts_that_are_not_there_are_told(write: Write) -> None:
    dataset = load_dataset(write(qrels="1\tghost\t1\n"))
    assert dataset.notes == ("1 judged texts are not in the corpus, for example ghost.",)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"queries": "{not json}"}, "queries.jsonl, line 1 is not JSON"),
        ({"queries": "[1]"}, "line 1 is no object"),
        ({"queries": '{"_id": "1"}'}, "line 1: the question has no text"),
        ({"queries": '{"_id": "1", "text": "a"}\n{"_id": "1", "text": "b"}'}, "line 2: there are two questions"),
        ({"queries": "\n"}, "holds no question"),
        ({"corpus": ""}, "holds no text"),
        ({"corpus": '{"text": "a"}'}, "line 1: the text has no `_id`"),
        ({"qrels": "1\ta\t1\n2\tb\n"}, "qrels.tsv, line 2"),
        ({"meta": "{"}, "meta.json is not JSON"),
        ({"queries": "[" * 100_000}, "line 1 is not JSON"),
    ],
)
def test_a_broken_set_gives_one_sentence(write: Write, parts: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadDataset, match=sentence) as caught:
        load_dataset(write(**parts))
    assert "\n" not in str(caught.value)


def test_what_is_not_there_gives_one_sentence(write: Write, tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match="is no folder"):
        load_dataset(tmp_path / "nowhere")
    folder = write()
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(BadDataset, match="--documents"):
        load_dataset(folder)
    (folder / "queries.jsonl").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(BadDataset, match="not UTF-8"):
        load_dataset(folder)


def test_real_files_stand_in_the_place_of_the_corpus(write: Write, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.pdf").write_bytes(b"%PDF-")
    dataset = load_dataset(write(qrels="1\ta\t1\n"), files)
    assert dataset.entries == ()
    assert [path.name for path in dataset.files] == ["a.pdf"]
    assert not dataset.notes


def test_a_sample_is_the_same_each_time_and_half_of_it_cannot_be_answered() -> None:
    lines = [{"_id": str(n), "text": f"q{n}", "answerable": n % 4 != 0} for n in range(80)]
    questions = Dataset("x", _questions(lines), {}).questions
    chosen = sample(questions, 20, seed=7)
    assert chosen == sample(questions, 20, seed=7)
    assert chosen != sample(questions, 20, seed=8)
    assert sum(question.answerable for question in chosen) == 10
    assert len(sample(questions, 60, seed=7)) == 60, "there are 20 of the one kind, so 40 are of the other"
    assert sample(questions, None, seed=7) == sample(questions, 500, seed=7) == list(questions)


def _questions(lines: list[dict[str, Any]]) -> Any:
    from core.evaluation.dataset import Question

    return tuple(Question(line["_id"], line["text"], answerable=line["answerable"]) for line in lines)
