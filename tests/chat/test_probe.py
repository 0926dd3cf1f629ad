from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.chat.calibrate import judged
from core.chat.citations import check
from core.chat.confidence import Calibration, Judged, Signal, fit, load, save
from core.chat.judging import Judge
from core.chat.logistic import logistic
from core.chat.probe import ASKED, SAID, Probe, fit_probe
from core.errors import SettingsError
from core.types import InnerState

WIDTH = 64


def states(count: int, seed: int = 1) -> tuple[list[InnerState], np.ndarray]:
    """States that differ, in a few of their numbers and amid noise, by whether there is an answer."""
    chance = np.random.default_rng(seed)
    truth = (chance.random(count) < 0.5).astype(float)
    values = chance.normal(0, 3, (count, WIDTH)) + 5
    values[:, :4] += 2.5 * truth[:, None]
    said = chance.normal(0, 3, (count, WIDTH)).astype("<f2")
    return [
        InnerState("small", row.astype("<f2").tobytes(), s.tobytes()) for row, s in zip(values, said, strict=True)
    ], truth


def rows(count: int = 600) -> list[Judged]:
    found, truth = states(count)
    return [
        Judged({"noise": float(place % 7)}, bool(there), bool(there), state, f"subject {place % 12}")
        for place, (state, there) in enumerate(zip(found, truth, strict=True))
    ]


def test_a_probe_reads_what_it_has_not_seen() -> None:
    seen, truth = states(600)
    probe, aside = fit_probe(seen, ASKED, truth, [str(place % 9) for place in range(600)])
    assert aside[truth == 1].mean() > 1 + aside[truth == 0].mean()
    new, there = states(200, seed=2)
    read = np.array([probe.read(state) for state in new])
    assert ((read > 0) == (there == 1)).mean() > 0.75


def test_what_is_told_beside_never_saw_its_subject() -> None:
    """Each subject has an accent of its own, which says nothing about others: only cheating could make use of it."""
    chance = np.random.default_rng(5)
    subjects = [place // 20 for place in range(400)]
    values = chance.normal(0, 0.1, (400, WIDTH))
    truth = np.array([float(subject % 2) for subject in subjects])
    for place, subject in enumerate(subjects):
        values[place, subject] += 8
    made = [InnerState("small", b"", row.astype("<f2").tobytes()) for row in values]
    _, aside = fit_probe(made, SAID, truth, [str(subject) for subject in subjects])
    assert abs(aside[truth == 1].mean() - aside[truth == 0].mean()) < 1
    _, cheated = fit_probe(made, SAID, truth, [str(place) for place in range(400)])
    assert cheated[truth == 1].mean() > 1 + cheated[truth == 0].mean()


def test_what_subjects_have_of_their_own_is_not_counted() -> None:
    """In the fit those of a kind have more answers; the next subject of that kind has as many as any."""
    chance = np.random.default_rng(3)
    truth = np.concatenate([chance.random(60) < (0.75 if subject % 2 else 0.25) for subject in range(10)]).astype(float)
    values = chance.normal(0, 3, (600, WIDTH))
    values[:, :4] += 2.5 * truth[:, None]
    accents = chance.normal(0, 0.5, (10, WIDTH))
    accents[1::2, 10] += 12
    values += accents.repeat(60, axis=0)
    subjects = [str(place // 60) for place in range(600)]
    made = [InnerState("small", row.astype("<f2").tobytes(), b"") for row in values]
    probe, _ = fit_probe(made, ASKED, truth, subjects)
    accent, answer = probe.weights[10] * 12, sum(probe.weights[:4]) * 2.5
    assert abs(accent) < 0.25 * answer


def test_few_subjects_are_no_reason_to_fail() -> None:
    made, truth = states(100)
    probe, aside = fit_probe(made, ASKED, truth, ["one"] * 100)
    assert len(probe.weights) == WIDTH
    assert np.isfinite(aside).all()


def test_a_calibration_with_a_probe_is_for_its_model_alone(tmp_path: Path) -> None:
    made = fit(rows(), name="made up")
    assert [probe.part for probe in made.probes] == [ASKED, SAID]
    assert made.auroc > 0.75
    assert made.signals["inner_asked"].weight > abs(made.signals["inner_said"].weight), "there is noise in what is said"
    save(made, tmp_path / "calibration.json")
    assert load(tmp_path / "calibration.json") == made
    state = rows()[0].inner
    assert state is not None
    sure = made.confidence({"noise": 1.0}, state)
    assert sure is not None
    assert 0 < sure < 1
    for foreign in (
        None,
        replace(state, model="another"),
        InnerState("small", b"\0\0", b"\0\0"),
        InnerState("small", b"", b""),
    ):
        assert made.confidence({"noise": 1.0}, foreign) is None
    other = {**made.as_dict(), "probes": [{**probe, "form": 1} for probe in made.as_dict()["probes"]]}
    (tmp_path / "before.json").write_text(json.dumps(other), encoding="utf-8")
    with pytest.raises(SettingsError):
        load(tmp_path / "before.json")  # fitted on other numbers of the model
    broken = replace(state, said=np.full(WIDTH, np.nan, "<f2").tobytes())
    assert made.confidence({"noise": 1.0}, broken) is None


def test_an_answer_of_another_model_has_no_confidence_and_is_given() -> None:
    probe = Probe("small", ASKED, (1.0, 1.0), -9.0)
    never = Calibration({probe.signal: Signal(0, 1, 1)}, -9.0, 0.5, "never", 1, 0.5, probes=(probe,))
    judge, checked = Judge(never), check("It opens at nine.", [], "When?")
    assert judge.probes
    assert not Judge().probes
    state = InnerState("small", np.zeros(2, "<f2").tobytes(), b"")
    assert judge.judge("When?", [], checked, [], inner=state).abstained
    cited = judge.judge("When?", [], checked, [], inner=replace(state, model="another"))
    assert (cited.abstained, cited.confidence) == (False, None)


def test_without_a_state_of_every_answer_there_is_no_probe() -> None:
    found = rows(200)
    assert fit([replace(found[0], inner=None), *found[1:]], name="one without").probes == ()
    assert found[0].inner is not None
    other = replace(found[0], inner=replace(found[0].inner, model="another"))
    assert fit([other, *found[1:]], name="two models").probes == ()


def test_a_run_brings_its_states_along(tmp_path: Path) -> None:
    state = InnerState("small", np.arange(3, dtype="<f2").tobytes(), np.ones(3, "<f2").tobytes())
    item = {
        "signals": {"a": 1.0}, "answerable": True, "right": True, "passages": [{"document_title": "Town"}],
        "inner_state": {"model": "small", "asked": encoded(state.asked), "said": encoded(state.said)},
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps([item, item | {"inner_state": None, "passages": []}]))
    first, second = judged(tmp_path / "run.json")
    assert (first.inner, first.subject) == (state, "Town")
    assert (second.inner, second.subject) == (None, "")
    before = {"model": "small", "values": encoded(state.asked)}  # as runs had it when there was one probe
    for wrong in (
        "x",
        before,
        item["inner_state"] | {"said": encoded(b"123456789")},
        item["inner_state"] | {"said": "?"},
    ):
        (tmp_path / "run.json").write_text(json.dumps([item | {"inner_state": wrong}]))
        with pytest.raises(SettingsError, match="no run of questions"):
            list(judged(tmp_path / "run.json"))


def encoded(part: bytes) -> str:
    return base64.b64encode(part).decode()


def test_a_state_that_is_none_is_refused() -> None:
    assert InnerState.decoded("small", encoded(b"asedsaid")) == InnerState("small", b"ased", b"said")
    for wrong in (encoded(b"123456"), "!"):
        with pytest.raises(ValueError):
            InnerState.decoded("small", wrong)


def test_weights_are_the_same_whether_rows_or_columns_are_fewer() -> None:
    chance = np.random.default_rng(4)
    table, truth = chance.normal(size=(60, 20)), (chance.random(60) < 0.4).astype(float)
    tall = logistic(table, truth, pull=2.0)
    wide = logistic(np.hstack([table, np.zeros((60, 80))]), truth, pull=2.0)
    assert np.allclose(wide[:21], tall, atol=1e-5)
    assert np.allclose(wide[21:], 0)
