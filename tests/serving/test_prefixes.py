"""What was read before is not read again: the tree of states, and its files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.models.catalog import find, installed_path
from core.serving.native.__main__ import identity_of
from core.serving.native.batch import Batch
from core.serving.native.llama import Context, Model
from core.serving.native.prefixes import SHORTEST, Prefixes
from core.serving.native.state_files import StateFiles
from core.serving.options import LoadOptions
from tests.serving.conftest import CHAT

pytestmark = pytest.mark.model
SYSTEM = list(range(100, 140))
ONE, TWO = [*SYSTEM, *range(300, 360)], [*SYSTEM, *range(500, 560)]
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def model(store: Path) -> Model:
    return Model(installed_path(find(CHAT), store))


@pytest.fixture
def context(model: Model) -> Iterator[Context]:
    made = Context(model, cells=1024, sequences=2, threads=2)
    yield made
    made.close()


def read(context: Context, tokens: list[int], sequence: int = 0, start: int = 0) -> np.ndarray:
    """Read tokens and return the logits behind them."""
    batch = Batch()
    last = batch.add(tokens[start:], sequence=sequence, position=start, logits=1)
    context.decode(batch)
    return context.logits(last).copy()


def filled(context: Context, prefixes: Prefixes, tokens: list[int], system: int = 0) -> None:
    read(context, tokens)
    prefixes.remember(0, tokens, system=system)
    context.forget(0, 0)


def test_restored_state_is_exactly_the_one_that_was_read(context: Context) -> None:
    prefixes = Prefixes(context, budget=64 * MEGABYTE)
    more = [*ONE, 7, 8, 9]
    fresh = read(context, ONE)
    after = read(context, more, start=len(ONE))
    prefixes.remember(0, ONE, system=len(SYSTEM))
    context.clear()
    assert prefixes.restore(1, ONE, system=len(SYSTEM), known=0) == len(ONE)
    again = read(context, more, sequence=1, start=len(ONE))
    assert np.abs(again - after).max() < 1e-3 * np.abs(fresh).max()


def test_two_prompts_share_what_they_have_in_common(context: Context) -> None:
    prefixes = Prefixes(context, budget=64 * MEGABYTE)
    filled(context, prefixes, ONE, system=len(SYSTEM))
    before = prefixes.bytes
    assert prefixes.restore(0, TWO, system=len(SYSTEM), known=0) == len(SYSTEM)
    read(context, TWO, start=len(SYSTEM))
    prefixes.remember(0, TWO, system=len(SYSTEM))
    assert prefixes.bytes - before < before  # the system prompt is not kept twice
    context.clear()
    for tokens in (ONE, TWO):
        assert prefixes.restore(1, tokens, system=len(SYSTEM), known=0) == len(tokens)


def test_prompt_may_branch_off_in_the_middle_of_what_is_known(context: Context) -> None:
    prefixes = Prefixes(context, budget=64 * MEGABYTE)
    filled(context, prefixes, ONE)
    branch = [*ONE[:70], *range(700, 730)]
    assert prefixes.restore(0, branch, system=0, known=0) == 70
    fresh = read(context, branch, start=70)
    prefixes.remember(0, branch, system=0)
    context.clear()
    assert prefixes.restore(1, [*branch, 5], system=0, known=0) == len(branch)
    context.clear()
    assert np.abs(read(context, branch) - fresh).max() < 1.0


def test_nothing_is_restored_unless_it_is_more_than_what_is_there(context: Context) -> None:
    prefixes = Prefixes(context, budget=64 * MEGABYTE)
    filled(context, prefixes, ONE)
    assert prefixes.restore(0, ONE, system=0, known=len(ONE)) == 0
    assert prefixes.restore(0, ONE[: SHORTEST - 1], system=0, known=0) == 0
    assert prefixes.restore(0, list(range(900, 960)), system=0, known=0) == 0


def test_budget_is_kept_by_forgetting_what_was_used_longest_ago(context: Context) -> None:
    sample = Prefixes(context, budget=64 * MEGABYTE)
    filled(context, sample, ONE)
    prefixes = Prefixes(context, budget=int(sample.bytes * 2.5))
    prompts = [[*range(start, start + 100)] for start in (1000, 2000, 3000)]
    filled(context, prefixes, prompts[0])
    filled(context, prefixes, prompts[1])
    assert prefixes.restore(0, prompts[0], system=0, known=0)  # so the second is the oldest
    context.forget(0, 0)
    filled(context, prefixes, prompts[2])
    assert prefixes.bytes <= sample.bytes * 2.5
    found = [prefixes.restore(1, tokens, system=0, known=0) for tokens in prompts]
    assert found == [100, 0, 100]


def test_system_prompt_outlives_the_process(context: Context, tmp_path: Path) -> None:
    first = Prefixes(context, budget=64 * MEGABYTE, files=StateFiles(tmp_path, "this model"))
    filled(context, first, ONE, system=len(SYSTEM))
    later = Prefixes(context, budget=64 * MEGABYTE, files=StateFiles(tmp_path, "this model"))
    assert later.restore(1, TWO, system=len(SYSTEM), known=0) == len(SYSTEM)
    other = Prefixes(context, budget=64 * MEGABYTE, files=StateFiles(tmp_path, "another model"))
    assert other.restore(1, TWO, system=len(SYSTEM), known=0) == 0


def test_second_system_prompt_is_found_beside_the_first(context: Context, tmp_path: Path) -> None:
    """Both begin with the same token, as all prompts of a model do."""
    second = [*SYSTEM[:20], *range(800, 830), *range(300, 330)]
    first = Prefixes(context, budget=64 * MEGABYTE, files=StateFiles(tmp_path, "m"))
    filled(context, first, ONE, system=len(SYSTEM))
    filled(context, first, second, system=50)
    later = Prefixes(context, budget=64 * MEGABYTE, files=StateFiles(tmp_path, "m"))
    assert later.restore(1, TWO, system=len(SYSTEM), known=0) == len(SYSTEM)
    context.clear()
    assert later.restore(1, second, system=50, known=0) == 50


@pytest.mark.parametrize("place", [0, 10, 50, 5000, -1])
def test_damaged_file_is_not_used(context: Context, tmp_path: Path, place: int) -> None:
    files = StateFiles(tmp_path, "m")
    prefixes = Prefixes(context, budget=64 * MEGABYTE, files=files)
    filled(context, prefixes, ONE, system=len(SYSTEM))
    path = next(tmp_path.glob("*.state"))
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)
    assert files.read(SYSTEM) is None
    assert not path.exists()


def test_file_that_was_never_finished_is_removed_at_the_next_start(tmp_path: Path) -> None:
    left, new = (tmp_path / f"{name}.state.12345.tmp" for name in ("left", "new"))
    for draft in (left, new):
        draft.write_bytes(b"half")
    os.utime(left, (1, 1))
    StateFiles(tmp_path, "m")
    assert list(tmp_path.iterdir()) == [new]


def test_only_the_newest_files_are_kept(tmp_path: Path) -> None:
    files = StateFiles(tmp_path, "m")
    for number in range(20):
        files.write([number, *range(20)], np.zeros(10, np.uint8))
    assert len(list(tmp_path.glob("*.state"))) == 16


def test_states_of_an_adapter_are_not_taken_for_those_of_another_in_its_place(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter.gguf"
    adapter.write_bytes(b"one")
    message = {"identity": "model", "options": LoadOptions(lora=((str(adapter), 1.0),)).plain()}
    found = [identity_of(message), identity_of(message)]
    adapter.write_bytes(b"another")
    found.append(identity_of(message))
    adapter.write_bytes(b"of size")
    os.utime(adapter, ns=(1, 1))
    found.append(identity_of(message))
    assert found[0] == found[1]
    assert len(set(found)) == 3
