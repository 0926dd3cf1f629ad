"""Whole measurements on a small dataset: real ingestion, real search, the real chain, the small client at the edge."""

from __future__ import annotations

import argparse
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.chat.confidence import OWN, Calibration, save
from core.chat.ledger import Ledger, cut_passage
from core.errors import BadDataset, Cancelled, ModelCrashed, ModelUnavailable
from core.evaluation import command
from core.evaluation.corpus import Working, entry_file, prepared
from core.evaluation.dataset import Entry, load_dataset
from core.evaluation.ledger import unaccounted
from core.evaluation.report import table
from core.evaluation.run import Spec, evaluate
from core.evaluation.runs import COMPLETE, FAILED, INTERRUPTED, RUNNING, STOPPED, Item
from core.evaluation.told import Told
from core.models.status import DOWN
from core.services import Services
from core.settings import Settings
from core.storage.tables import EvaluationRunRow
from core.traces import Trace
from core.types import ChatMessage, Cited, Claim, Passage, Usage, Verdict
from tests.evaluation.conftest import TEXTS, write_set
from tests.small import SmallClient

ME = "local"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", models=tmp_path / "data" / "models", cache=tmp_path / "cache", passages=2)


@pytest.fixture
def client(settings: Settings) -> SmallClient:
    """Says the first sentence of the first passage, below its heading."""
    return SmallClient(settings.run, first_sentence)


def first_sentence(messages: Sequence[ChatMessage]) -> str:
    found = re.search(r"^\[1\] \(.*\)\n(?:#.*\s+)?(.+?[.!?])(?:\s|$)", messages[-1].content, re.MULTILINE)
    return f"{found[1]} [1]" if found else "I could not find this in your documents."


def quiet(_stage: str, _done: int, _total: int) -> None:
    """Nobody looks."""


def test_the_corpus_is_taken_in_by_the_products_own_way_and_only_once(
    live: Services, dataset_folder: Path, working: Working
) -> None:
    dataset = load_dataset(dataset_folder)
    with prepared(live, dataset, quiet, working=working) as corpus:
        documents = corpus.services.documents.list_documents(owner_id=ME)
        assert {document.title for document in documents} == {title for title, _ in TEXTS.values()}
        assert {document.status.value for document in documents} == {"ready"}
        assert all(document.receipt["splitter"] for document in documents)
        assert set(corpus.ids.values()) == {(id,) for id in TEXTS}
        folder = corpus.services.settings.data
    assert live.documents.list_documents(owner_id=ME) == [], "the documents of people are another matter"
    assert folder.is_relative_to(live.settings.cache_folder)

    def unwanted(_corpus: Services) -> None:
        raise AssertionError("the second time there is nothing to do")

    with prepared(live, dataset, quiet, working=unwanted) as corpus:  # type: ignore[arg-type]
        assert corpus.services.settings.data == folder
        assert len(corpus.ids) == len(TEXTS)


def test_search_without_its_embedder_is_not_measured_as_if_nothing_was(
    live: Services, client: SmallClient, dataset_folder: Path, working: Working
) -> None:
    dataset = load_dataset(dataset_folder)
    evaluate(live, dataset, Spec("retrieval"), quiet, working=working)

    def gone(texts, **_):  # type: ignore[no-untyped-def]
        client.status = lambda: DOWN  # type: ignore[method-assign]
        raise ModelUnavailable("gone")

    client.embed = gone  # type: ignore[method-assign]
    with pytest.raises(ModelUnavailable):
        evaluate(live, dataset, Spec("retrieval"), quiet, working=working)
    assert live.evaluations.book.list_runs(owner_id=ME)[0].state == FAILED


def test_texts_that_are_the_same_are_one_document_with_two_ids(
    live: Services, tmp_path: Path, working: Working
) -> None:
    folder = write_set(tmp_path / "twins", {**TEXTS, "pump-again": TEXTS["pump"], "nothing": ("", " ")})
    with prepared(live, load_dataset(folder), quiet, working=working) as corpus:
        assert sorted(corpus.ids.values()) == [("crane",), ("ferry",), ("kiosk",), ("pump", "pump-again")]
        assert corpus.unread == ("nothing",)


def test_search_is_measured_and_stored(live: Services, dataset_folder: Path, working: Working) -> None:
    report = evaluate(live, load_dataset(dataset_folder), Spec("retrieval"), quiet, working=working)
    assert report.questions == 4, "the one without an answer is not judged"
    assert report.figures["recall@1"].value == report.figures["MRR"].value == report.figures["nDCG@10"].value == 1.0
    assert set(report.by_language) == {"de", "en"}
    assert report.figures["search seconds p95"].value > 0
    assert report.pipeline["embedder"] == live.settings.embedding_model
    (run,) = live.evaluations.book.list_runs(owner_id=ME)
    assert (run.state, run.kind, run.wanted, run.asked, run.seed) == (COMPLETE, "retrieval", 4, 4, 7)
    assert run.figures == report.figures
    assert run.dataset_sha256 == report.dataset_sha256
    items = live.evaluations.book.items(run.id, owner_id=ME)
    assert [item.score for item in items] == [1.0] * 4
    assert items[0].detail["found"][0] == "pump"
    assert "recall@10" in table(report)


def test_what_was_fitted_here_judges_the_answers_over_a_dataset(
    live: Services, dataset_folder: Path, working: Working
) -> None:
    fitted = Calibration({}, 2.0, 0.0, "questions of this house", 1, 0.5)
    save(fitted, live.settings.calibrations / OWN)
    report = evaluate(live, load_dataset(dataset_folder), Spec("answers", limit=1), quiet, working=working)
    assert report.pipeline["calibration"] == fitted.name
    assert [item["confidence"] for item in report.items] == [0.8808]


def test_answers_are_measured_from_all_sides(live: Services, dataset_folder: Path, working: Working) -> None:
    report = evaluate(live, load_dataset(dataset_folder), Spec("answers", plain=True), quiet, working=working)
    figures = report.figures
    assert figures["right"].value == 1.0
    assert figures["right"].n == 4
    assert figures["citations that open verbatim words"].value == 1.0
    assert figures["right answers that cite the answer"].value == figures["citation recall"].value == 1.0
    assert figures["truncations without a ledger entry"].value == 0
    assert figures["prompt tokens mean"].value > 20
    assert figures["questions that failed"].value == 0
    assert figures["AUROC of answerable"].n == 5
    assert figures["plain: right"].n == 4
    assert figures["right, better than plain by"].n == 4
    assert len(report.extra["risk_coverage"]) == 20
    by_id = {item["question"]["id"]: item for item in report.items}
    assert by_id["q1"]["reply"]["text"].startswith("The pump of the harbour weighs 310 kg.")
    assert by_id["q1"]["right"] is True
    assert by_id["q5"]["reply"]["right"] is False, "it cannot be answered"


def test_a_wrong_answer_is_counted_as_wrong(
    live: Services, client: SmallClient, dataset_folder: Path, working: Working
) -> None:
    client.reply = lambda messages: "It weighs 12 tonnes [1]."
    report = evaluate(live, load_dataset(dataset_folder), Spec("answers"), quiet, working=working)
    assert report.figures["right"].value == 0
    assert report.figures["support rate"].value < 1
    assert report.figures["questions that failed"].value == 0


def test_what_is_left_out_without_a_word_is_counted() -> None:
    first = Passage(1, "a", "A", "one two", 0, 7, None, "", 1, 1.0)
    second = Passage(2, "b", "B", "three", 50, 55, None, "", 2, 0.5)
    whole = Trace()
    assert unaccounted([first, second], [first, second], whole) == 0
    assert unaccounted([first, second], [first], whole) == 1
    assert unaccounted([first], [replace(first, text="x one two", start=0, end=40)], whole) == 0, "neighbours together"
    assert unaccounted([first], [replace(first, kept=((0, 3),))], whole) == 1, "a word of it is nowhere"
    told = Trace()
    told.ledger = Ledger(8192, 400, 30, 0, (3,), cuts=(cut_passage(second, 1, "No room."),)).as_dict()
    assert unaccounted([first, second], [first], told) == 0
    assert unaccounted([first, replace(second, document_id="c")], [first], told) == 1, "another one was left out"


def test_one_entry_of_the_ledger_tells_of_neighbours_that_were_put_together() -> None:
    both = Passage(1, "a", "A", "one two three four", 0, 18, None, "", 1, 1.0)
    first, second = replace(both, text="one two", end=7), replace(both, text="three four", start=8, end=18)
    told = Trace()
    told.ledger = Ledger(8192, 400, 30, 0, (), cuts=(cut_passage(both, 4, "No room."),)).as_dict()
    assert unaccounted([first, second], [], told) == 0


def test_an_engine_that_reads_less_than_was_counted_has_cut_something() -> None:
    trace = Trace()
    trace.ledger = {"prompt": 400}
    trace.usage = Usage(prompt_tokens=410)
    assert unaccounted([], [], trace) == 0
    trace.usage = Usage(prompt_tokens=250)
    assert unaccounted([], [], trace) == 1


def test_a_measurement_that_is_stopped_keeps_what_was_asked(
    live: Services, dataset_folder: Path, working: Working
) -> None:
    cancel = threading.Event()

    def stop_after_two(stage: str, done: int, _total: int) -> None:
        if stage == "Answering" and done == 2:
            cancel.set()

    report = evaluate(
        live, load_dataset(dataset_folder), Spec("answers"), stop_after_two, cancel=cancel, working=working
    )
    assert (report.state, report.questions) == (STOPPED, 2)
    (run,) = live.evaluations.book.list_runs(owner_id=ME)
    assert (run.state, run.wanted, run.asked) == (STOPPED, 5, 2)
    assert run.figures["right"].n == 2


def test_a_measurement_that_is_stopped_at_once_ends_as_stopped(
    live: Services, dataset_folder: Path, working: Working
) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        evaluate(live, load_dataset(dataset_folder), Spec("retrieval"), quiet, cancel=cancel, working=working)


def test_a_question_that_fails_is_not_right_and_a_model_that_always_fails_ends_it(
    live: Services, client: SmallClient, dataset_folder: Path, working: Working
) -> None:
    plain = client.reply
    asked: list[int] = []

    def sometimes(messages):  # type: ignore[no-untyped-def]
        asked.append(1)
        if len(asked) == 2:
            raise ModelCrashed("The model crashed.")
        return plain(messages)

    client.reply = sometimes
    report = evaluate(live, load_dataset(dataset_folder), Spec("answers"), quiet, working=working)
    assert report.figures["questions that failed"].value == pytest.approx(0.2)
    assert report.figures["right"].value == pytest.approx(0.75)

    def never(messages):  # type: ignore[no-untyped-def]
        raise ModelCrashed("The model crashed.")

    client.reply = never
    with pytest.raises(ModelCrashed):
        evaluate(live, load_dataset(dataset_folder), Spec("answers"), quiet, working=working)
    newest = live.evaluations.book.list_runs(owner_id=ME)[0]
    assert (newest.state, newest.error, newest.asked) == (FAILED, "The model crashed.", 4)


def test_a_question_that_fails_counts_against_the_product_also_in_the_pairs(
    live: Services, client: SmallClient, dataset_folder: Path, working: Working
) -> None:
    good, failed = client.reply, []

    def once(messages):  # type: ignore[no-untyped-def]
        if not failed:
            failed.append(1)
            raise ModelCrashed("The model crashed.")
        return good(messages)

    client.reply = once
    report = evaluate(live, load_dataset(dataset_folder), Spec("answers", plain=True), quiet, working=working)
    assert report.figures["right, better than plain by"].n == 4
    assert report.figures["right, better than plain by"].value == pytest.approx(0.75), "three of four, not of three"
    assert report.figures["first word, share of plain's time"].n == 4


def test_an_answer_that_says_what_is_not_there_is_no_abstention() -> None:
    claim = Claim(0, 20, Verdict.supported, 1.0, (1,))
    answer = Cited("The contract does not specify a fee [1].", (), claims=(claim,), confidence=0.8)
    assert not Told.of(answer).abstained
    held_back = Cited("I could not find this. I searched for “Paris or London”.", (), abstained=True, confidence=0.1)
    assert Told.of(held_back).draft == "", "the question's words are not the model's answer"


def test_questions_with_other_words_are_not_the_same_and_those_nobody_knows_tell_nothing(live: Services) -> None:
    book, ids = live.evaluations.book, []
    for texts in (("How heavy?", "How old?", "Why?"), ("How heavy?", "How wide?", "Why?")):
        run_id = book.begin(owner_id=ME, kind="answers", dataset="x", dataset_sha256="", seed=1, wanted=3, pipeline={})
        book.add(run_id, [Item(str(n), text, 1.0, {"judged": text != "Why?"}) for n, text in enumerate(texts)])
        ids.append(run_id)
    pairs, better = book.compare(*ids, owner_id=ME)
    assert [pair.question for pair in pairs] == ["How heavy?"]
    assert better.n == 1


def test_a_run_does_not_stay_running_whatever_ends_it(live: Services) -> None:
    book = live.evaluations.book
    run_id = book.begin(owner_id=ME, kind="answers", dataset="x", dataset_sha256="", seed=1, wanted=3, pipeline={})
    with pytest.raises(ZeroDivisionError), book.ending(run_id):
        1 / 0  # noqa: B018
    assert book.get(run_id, owner_id=ME).state == FAILED
    assert book.get(run_id, owner_id=ME).error


def test_two_runs_are_compared_in_pairs_with_the_largest_loss_first(
    live: Services, client: SmallClient, dataset_folder: Path, working: Working
) -> None:
    dataset = load_dataset(dataset_folder)
    evaluate(live, dataset, Spec("answers"), quiet, working=working)
    good = client.reply
    client.reply = lambda messages: (
        "I could not find this." if "ferry" in messages[-1].content.split("Question:")[-1] else good(messages)
    )
    evaluate(live, dataset, Spec("answers"), quiet, working=working)
    after, before = live.evaluations.book.list_runs(owner_id=ME)
    pairs, better = live.evaluations.book.compare(before.id, after.id, owner_id=ME)
    assert (pairs[0].question_id, pairs[0].loss) == ("q3", 1.0)
    assert all(pair.loss <= 0 for pair in pairs[1:])
    assert better.value == pytest.approx(-0.2)
    assert better.n == 5


def test_a_run_whose_process_is_gone_is_interrupted(live: Services) -> None:
    book = live.evaluations.book
    run_id = book.begin(owner_id=ME, kind="answers", dataset="x", dataset_sha256="", seed=1, wanted=9, pipeline={})
    assert book.get(run_id, owner_id=ME).state == RUNNING
    with live.db.write() as session:
        session.get_one(EvaluationRunRow, run_id).holder = "999999999-1"
    (run,) = book.list_runs(owner_id=ME)
    assert run.state == INTERRUPTED
    assert run.error
    book.delete(run_id, owner_id=ME)
    assert book.list_runs(owner_id=ME) == []


def test_one_persons_runs_do_not_exist_for_another(live: Services) -> None:
    from core.errors import NotFound

    book = live.evaluations.book
    run_id = book.begin(owner_id=ME, kind="answers", dataset="x", dataset_sha256="", seed=1, wanted=9, pipeline={})
    assert book.list_runs(owner_id="ann") == []
    for call in (book.get, book.items, book.delete):
        with pytest.raises(NotFound):
            call(run_id, owner_id="ann")


def test_questions_can_be_asked_of_ones_own_documents(
    live: Services, add_text, dataset_folder: Path, working: Working
) -> None:  # type: ignore[no-untyped-def]
    from core.types import Scope

    for id, (_, text) in TEXTS.items():
        add_text(text, name=f"{id}.md")
    dataset = replace(load_dataset(dataset_folder), entries=(), relevant={})
    own = Scope(ME)
    found = evaluate(live, dataset, Spec("retrieval", own=own), quiet, working=working)
    assert found.figures["recall@1"].value == 1.0
    assert found.figures["recall@1"].n == 4
    named = replace(dataset, relevant={"q1": {"pump.md": 1.0}, "q2": {"crane": 1.0}})
    assert evaluate(live, named, Spec("retrieval", own=own), quiet, working=working).figures["recall@1"].value == 1.0
    answers = evaluate(live, dataset, Spec("answers", own=own), quiet, working=working)
    assert answers.figures["right"].value == 1.0


def test_the_command_writes_a_file_with_every_question(
    live: Services, dataset_folder: Path, working: Working, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = evaluate(live, load_dataset(dataset_folder), Spec("retrieval"), quiet, working=working)
    out = tmp_path / "report.json"
    command._show(report, argparse.Namespace(out=out, json=True))
    printed, written = json.loads(capsys.readouterr().out), json.loads(out.read_text(encoding="utf-8"))
    assert "items" not in printed
    assert len(written["items"]) == 4
    assert printed["figures"]["recall@1"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 4}


def test_the_command_refuses_before_it_starts_anything(tmp_path: Path) -> None:
    from core import cli

    assert cli.main(["evaluate", "retrieval", str(tmp_path / "nowhere")]) == 1
    folder = write_set(tmp_path / "set")
    with pytest.raises(BadDataset, match="no folder"):
        options = argparse.Namespace(dataset=folder, documents=None, out=tmp_path / "a" / "b.json")
        command.run(options, Settings(data=tmp_path / "data"))
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "answers", str(folder), "--limit", "0"])


def test_an_entry_becomes_the_file_that_somebody_would_upload() -> None:
    assert entry_file(Entry("a", "Pump", "One.\r\nTwo.")) == ("a.md", b"# Pump\n\nOne.\nTwo.\n")
    assert entry_file(Entry("b", "", "Only text")) == ("b.md", b"Only text\n")
