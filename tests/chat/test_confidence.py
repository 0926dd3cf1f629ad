from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from core import settings
from core.chat.calibrate import judged
from core.chat.citations import check
from core.chat.confidence import CALIBRATION, OWN, Calibration, Judged, auroc, fit, load, save
from core.chat.judging import NOTHING_FOUND, Judge, abstention
from core.chat.probe import ASKED, SAID
from core.chat.signals import signals
from core.cli import main
from core.errors import SettingsError
from core.types import Passage

BRIDGE = Passage(
    1, "d1", "Town", "The bridge was built by Anna Holm in 1688. Ignore this [7].", 100, 160, None, "", 1, 1.0, 0.6, 9.0
)


def rows(count: int = 400) -> list[Judged]:
    """Questions whose answer is there are found better, mostly."""
    chance, made = random.Random(3), []
    for number in range(count):
        there = number % 2 == 0
        overlap = min(1.0, max(0.0, chance.gauss(0.75 if there else 0.45, 0.2)))
        found = {"asked_in_quote": overlap, "noise": chance.random(), "always": 1.0}
        made.append(Judged(found, there, there and chance.random() < 0.8))
    return made


def test_what_is_better_found_is_surer() -> None:
    made = fit(rows(), name="made up")
    assert made.auroc > 0.8
    sure = [made.confidence({"asked_in_quote": overlap, "noise": 0.5, "always": 1.0}) for overlap in (0.2, 0.6, 0.95)]
    assert sure == sorted(sure)
    assert 0 < sure[0] < 0.5 < sure[2] < 1


def test_the_chosen_point_lets_nearly_all_right_answers_through() -> None:
    found = rows()
    made = fit(found, name="made up")
    right = [row for row in found if row.right]
    assert sum(made.confidence(row.signals) >= made.point for row in right) / len(right) >= 0.96
    risks = [point.risk for point in made.curve]
    assert risks[0] < risks[-1]


def test_a_calibration_survives_being_stored(tmp_path: Path) -> None:
    made = fit(rows(), name="made up")
    save(made, tmp_path / "deep" / "calibration.json")
    assert load(tmp_path / "deep" / "calibration.json") == made


def test_the_shipped_calibration_knows_the_signals_of_this_version() -> None:
    shipped = Judge.shipped().calibration
    assert shipped is not None
    assert 0 < shipped.point < 1
    assert set(shipped.signals) == {*signals("q", [], check("a", [], "q"), []), "inner_asked", "inner_said"}
    assert [probe.part for probe in shipped.probes] == [ASKED, SAID]
    assert {probe.model for probe in shipped.probes} == {settings.Settings.model_fields["chat_model"].default}
    assert {len(probe.weights) for probe in shipped.probes} == {1536}


OLD = '{"signals": {"inner": {"mean": 0, "scale": 1, "weight": 1}}, "probe": {}, "bias": 0, "point": 0.2, "fitted_on": "x",'
OLD += ' "questions": 1, "auroc": 0.5}'


@pytest.mark.parametrize(
    "text", [OLD, "", "{}", "[]", "7", '{"signals": {"a": 1}}', '{"signals": {"a": {"mean": "x"}}}', "\x00"]
)
def test_a_broken_file_is_named_and_not_followed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match="is no calibration"):
        load(path)


def test_too_few_questions_are_refused() -> None:
    with pytest.raises(SettingsError, match="the least to fit on"):
        fit(rows(30), name="few")


def test_the_command_fits_what_a_run_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = [
        {"signals": dict(row.signals), "question": {"answerable": row.answerable}, "right": row.right} for row in rows()
    ]
    (tmp_path / "run.json").write_text(json.dumps({"items": items}))
    out = tmp_path / "out.json"
    assert main(["calibrate", str(tmp_path / "run.json"), "--out", str(out), "--name", "mine"]) == 0
    assert "AUROC 0.8" in capsys.readouterr().out
    assert load(out).fitted_on == "mine"
    (tmp_path / "run.json").write_text('{"items": [{"signals": 1}]}')
    assert main(["calibrate", str(tmp_path / "run.json"), "--out", str(out)]) == 1


def test_what_is_fitted_here_is_in_the_data_folder_and_goes_before_what_ships(tmp_path: Path) -> None:
    items = [{"signals": dict(row.signals), "answerable": row.answerable, "right": row.right} for row in rows()]
    (tmp_path / "run.json").write_text(json.dumps(items))
    before = CALIBRATION.read_bytes() if CALIBRATION.exists() else b""
    assert main(["calibrate", str(tmp_path / "run.json"), "--name", "mine"]) == 0
    folder = settings.load().calibrations
    assert [path.name for path in folder.iterdir()] == ["own.json"]
    own = Judge.shipped(folder).of(None)
    assert own.calibration is not None
    assert own.calibration.fitted_on == "mine"
    assert own.of("a collection without one") == own
    assert (CALIBRATION.read_bytes() if CALIBRATION.exists() else b"") == before
    (folder / "own.json").write_text("{")
    assert Judge.shipped(folder).of(None).calibration == Judge.shipped().calibration, "a broken one is passed over"


def test_what_was_held_back_is_judged_by_what_the_model_wrote(tmp_path: Path) -> None:
    item = {"signals": {"a": 1.0}, "answerable": True, "right": False, "draft_right": True}
    (tmp_path / "run.json").write_text(json.dumps([item]))
    assert [row.right for row in judged(tmp_path / "run.json")] == [True]


def test_auroc_counts_ties_half() -> None:
    import numpy as np

    assert auroc(np.array([0.5, 0.5]), np.array([True, False])) == 0.5
    assert auroc(np.array([0.9, 0.1]), np.array([True, False])) == 1.0


def test_below_the_point_the_answer_says_what_was_searched_and_offers_what_is_near() -> None:
    never = Calibration({}, -5.0, 0.5, "never", 1, 0.5)
    checked = check("Anna Holm built it [1].", [BRIDGE], "Who built the bridge?")
    cited = Judge(never).judge("Who built the bridge?", [BRIDGE], checked, [-0.1])
    assert cited.abstained
    assert cited.text.startswith(NOTHING_FOUND)
    assert "“Who built the bridge?”" in cited.text
    assert "“The bridge was built by Anna Holm in 1688.” [1]" in cited.text
    assert cited.nearest == (1,)
    assert cited.draft == "Anna Holm built it [1]."
    assert ("x" * 100 + BRIDGE.text)[cited.citations[0].start : cited.citations[0].end] == cited.citations[0].quote


def test_an_answer_that_found_nothing_says_that_not_all_documents_were_asked() -> None:
    assert "Only the documents that you chose were searched." in abstention("Who?", [BRIDGE], narrowed=True).text
    assert "you chose" not in abstention("Who?", [BRIDGE]).text


def test_an_answer_that_is_sure_enough_is_given_with_its_confidence() -> None:
    checked = check("Anna Holm built it [1].", [BRIDGE], "Who built the bridge?")
    cited = Judge(Calibration({}, 2.0, 0.5, "always", 1, 0.5)).judge("Who built it?", [BRIDGE], checked, [])
    assert (cited.abstained, cited.confidence, cited.text) == (False, 0.8808, "Anna Holm built it [1].")


def test_brackets_in_quoted_documents_do_not_look_like_markers() -> None:
    evil = Passage(1, "d1", "T", "See [3] and\u202e [2] now about bridges.", 0, 40, None, "", 1, 1.0)
    assert "[3]" not in abstention("bridges?", [evil]).text


def test_signals_are_finite_whatever_comes() -> None:
    import math

    for logprobs in ([], [float("-inf")], [float("nan"), -0.5]):
        for text in ("", "x", "[1]", "I could not find this in your documents."):
            found = signals("?", [BRIDGE], check(text, [BRIDGE], "?"), logprobs)
            assert all(math.isfinite(value) for value in found.values())


def test_a_collection_has_its_own_calibration_and_a_broken_one_is_passed_over(tmp_path: Path) -> None:
    generic = Calibration({}, 2.0, 0.5, "generic", 1, 0.5)
    judge = Judge(generic, tmp_path)
    made = fit(rows(), name="mine")
    save(made, tmp_path / "c1.json")
    (tmp_path / "c2.json").write_text("{")
    assert judge.of("c1").calibration == made
    assert [judge.of(id).calibration for id in ("c2", "c3", None)] == [generic] * 3


def test_a_calibration_that_is_fitted_while_answers_are_given_counts_from_the_next_on(tmp_path: Path) -> None:
    generic = Calibration({}, 2.0, 0.5, "generic", 1, 0.5)
    judge = Judge(generic, tmp_path)
    assert judge.of(None).calibration == generic
    for name in ("first", "second, later"):
        made = fit(rows(), name=name)
        save(made, tmp_path / OWN)
        assert judge.of(None).calibration == judge.of("c1").calibration == made


def test_the_command_refuses_what_is_no_collection(tmp_path: Path) -> None:
    assert main(["calibrate", str(tmp_path / "run.json"), "--collection", "../../x"]) == 1
