"""The page Evaluation: beginning, following and stopping a measurement, looking at runs, comparing two."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.chat.confidence import OWN, Calibration, Point, Signal, save
from core.chat.probe import Probe
from core.errors import BadDataset
from core.evaluation.uploads import dataset_of
from core.services import Services
from tests.pages.conftest import ME, Open, fine, said
from tests.small import SmallClient

PAGE = "evaluation.py"
QUESTIONS = [
    {"_id": "1", "text": "How long does the warranty last?", "answers": ["24 months"]},
    {"_id": "2", "text": "How much does the battery weigh?", "answers": ["3 kg"]},
    {"_id": "3", "text": "Who owns a zeppelin?", "answerable": False},
]
JSONL = "\n".join(map(json.dumps, QUESTIONS)).encode()


@pytest.fixture(autouse=True)
def _documents(add_text: Callable[..., str]) -> None:
    add_text("The warranty lasts 24 months.", name="warranty.md")
    add_text("The battery weighs 3 kg.", name="battery.md", collection="Parts")


def begin(at: AppTest, *, kind: str | None = None, content: bytes = JSONL) -> AppTest:
    """Fill in the form and press the button."""
    at.segmented_control(key="evaluation-view").set_value("Measure").run()
    if kind:
        at.segmented_control(key="evaluation-kind").set_value(kind).run()
    at.file_uploader(key="evaluation-file").upload("own questions.jsonl", content).run()
    return at.button(key="evaluation-start").click().run()


def ended(live: Services) -> None:
    running = live.evaluations.live
    assert running is not None
    end = time.monotonic() + 30
    while running.active and time.monotonic() < end:
        time.sleep(0.05)
    assert not running.active


def test_an_empty_page_says_what_it_is_for_and_offers_to_begin(visit: Open, live: Services) -> None:
    at = fine(visit(PAGE))
    assert at.button(key="evaluation-start")
    at.segmented_control(key="evaluation-view").set_value("Runs").run()
    assert "Nothing was measured yet" in said(at)


def test_how_sure_an_answer_has_to_be_is_shown(visit: Open, live: Services) -> None:
    folder = live.settings.calibrations
    curve = (Point(0.9, 0.25, 0.1), Point(0.4, 0.75, 0.2), Point(0.1, 1.0, 0.5))
    probe = Probe("a-model", "asked", (1.0,), 0.0)
    save(
        Calibration({probe.signal: Signal(0, 1, 1)}, 0.0, 0.4, "my <questions>", 120, 0.81, curve, (probe,)),
        folder / OWN,
    )
    at = fine(visit(PAGE))
    at.segmented_control(key="evaluation-view").set_value("Confidence").run()
    assert [metric.value for metric in at.metric] == ["0.40", "0.81", "120"]
    assert "75% of those questions are answered and 20% of these answers are wrong" in said(at)
    assert "Only for answers of a-model" in said(at)


def test_own_questions_are_measured_over_own_documents(visit: Open, live: Services) -> None:
    fine(begin(visit(PAGE)))
    ended(live)
    assert live.evaluations.live is not None
    assert live.evaluations.live.error == ""
    at = fine(visit(PAGE))
    assert "own questions is measured" in said(at)
    (run,) = live.evaluations.book.list_runs(owner_id=ME)
    assert (run.kind, run.asked, run.dataset) == ("answers", 3, "own questions")
    assert run.figures["right"].value == 1.0
    assert "Risk and coverage" in [heading.value for heading in at.subheader]
    assert "of the 70%" in said(at), "the chart is told in words"
    assert live.conversations.list_conversations(owner_id=ME) == []


def test_one_collection_can_be_asked_alone(visit: Open, live: Services) -> None:
    at = visit(PAGE)
    at.selectbox(key="evaluation-home").set_value("Parts").run()
    fine(begin(at, kind="retrieval"))
    ended(live)
    (run,) = live.evaluations.book.list_runs(owner_id=ME)
    assert run.kind == "retrieval"
    assert [item.score for item in live.evaluations.book.items(run.id, owner_id=ME)] == [0.0, 1.0]


def test_what_goes_on_is_shown_on_a_new_page_and_can_be_stopped(
    visit: Open, live: Services, client: SmallClient
) -> None:
    client.hold_after = 1
    client.gate.clear()
    begin(visit(PAGE))
    at = fine(visit(PAGE))
    at.segmented_control(key="evaluation-view").set_value("Measure").run()
    assert at.button(key="evaluation-start").disabled
    at.button(key="evaluation-stop").click().run()
    client.gate.set()
    ended(live)
    assert live.evaluations.live is not None
    assert "Stopped" in live.evaluations.live.error
    assert "Stopped" in said(fine(visit(PAGE)))


def test_a_second_measurement_waits_for_the_first(visit: Open, live: Services) -> None:
    gate = threading.Event()
    live.evaluations.start("the first", lambda _: gate.wait(20) and None)
    at = visit(PAGE)
    assert at.button(key="evaluation-start").disabled
    gate.set()
    ended(live)


def test_a_file_that_is_no_dataset_gives_one_sentence(visit: Open, live: Services) -> None:
    at = begin(visit(PAGE), content=b"{broken")
    assert [error.value for error in at.error] != []
    assert "line 1 is not JSON" in said(at).replace("\\", "")
    assert live.evaluations.book.list_runs(owner_id=ME) == []
    at.segmented_control(key="evaluation-source").set_value("A folder on this machine").run()
    at.text_input(key="evaluation-path").set_value("/nowhere/at/all").run()
    at.button(key="evaluation-start").click().run()
    assert "is no folder" in said(at)


def test_two_runs_are_compared_with_the_largest_loss_first(visit: Open, live: Services, client: SmallClient) -> None:
    begin(visit(PAGE))
    ended(live)
    at = fine(visit(PAGE))
    at.segmented_control(key="evaluation-view").set_value("Compare").run()
    assert "only one run" in said(at)
    client.reply = lambda messages: "Nobody knows."
    begin(visit(PAGE))
    ended(live)
    at = fine(visit(PAGE))
    at.segmented_control(key="evaluation-view").set_value("Compare").run()
    assert "0.667 worse in right" in said(fine(at))
    table = at.dataframe[0].value
    assert list(table["Change"]) == [-1, -1, 0]


def test_a_run_is_deleted_only_after_a_question(visit: Open, live: Services) -> None:
    begin(visit(PAGE), kind="retrieval")
    ended(live)
    at = fine(visit(PAGE))
    at.button(key="evaluation-delete").click().run()
    assert len(live.evaluations.book.list_runs(owner_id=ME)) == 1
    at.button(key="evaluation-delete-confirmed").click().run()
    assert live.evaluations.book.list_runs(owner_id=ME) == []
    fine(at)


def test_a_zip_is_read_wherever_its_parts_lie() -> None:
    dataset = dataset_of(
        "set.zip",
        zipped({"deep/er/queries.jsonl": JSONL, "../../qrels.tsv": b"1\twarranty.md\t1\n", "x.exe": b"MZ"}),
        own=True,
    )
    assert (dataset.name, len(dataset.questions)) == ("set", 3)
    assert dataset.relevant == {"1": {"warranty.md": 1.0}}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04 broken", "cannot be unpacked"),
        (lambda: zipped({"other.txt": b"x"}), "holds no queries.jsonl"),
        (lambda: zipped({f"{n}.txt": b"" for n in range(1_100)}), "more than 1,000 files"),
    ],
)
def test_a_zip_that_is_none_gives_one_sentence(content: bytes | Callable[[], bytes], sentence: str) -> None:
    with pytest.raises(BadDataset, match=sentence):
        dataset_of("set.zip", content if isinstance(content, bytes) else content(), own=True)


def test_a_zip_bomb_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.evaluation import uploads

    monkeypatch.setattr(uploads, "MOST_BYTES", 1 << 20)
    with pytest.raises(BadDataset, match="unpacked"):
        dataset_of("bomb.zip", zipped({"queries.jsonl": b"0" * (8 << 20)}), own=True)


def zipped(parts: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as package:
        for name, body in parts.items():
            package.writestr(name, body)
    return whole.getvalue()


def test_the_folder_of_a_dataset_brings_its_own_texts(
    visit: Open, live: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.evaluation.conftest import write_set

    folder = write_set(tmp_path / "harbour")
    at = visit(PAGE)
    at.segmented_control(key="evaluation-source").set_value("A folder on this machine").run()
    at.text_input(key="evaluation-path").set_value(str(folder)).run()
    at.selectbox(key="evaluation-home").set_value("The texts in the dataset").run()
    begun: list[tuple[str, int, bool]] = []
    from pages.ui import evaluation_form

    monkeypatch.setattr(
        evaluation_form,
        "begin",
        lambda _, dataset, spec: begun.append((dataset.name, len(dataset.entries), spec.own is None)),
    )
    at.button(key="evaluation-start").click().run()
    assert begun == [("harbour", 4, True)]
