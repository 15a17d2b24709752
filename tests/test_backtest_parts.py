"""The parts of a walk forward: nothing is lost, and nothing depends on who walks."""

import dataclasses

import numpy as np
import pytest
from walked import PLAN, day, stand_in, unbroken_walk

from belief import backtest, backtest_parts
from belief.backtest import walk_forward
from belief.backtest_parts import PART_LENGTH
from belief.errors import BeliefError, FitError
from belief.fitted_model import Reached
from belief.sessions import session_after
from belief.sources import load_prices


@pytest.fixture(scope="module")
def nvda():
    return load_prices("NVDA")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where parts are kept; each test has its own, for the stand-ins share names."""
    monkeypatch.setattr(backtest, "cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "backtests"


@pytest.fixture(scope="module")
def unbroken():
    return unbroken_walk()


def entries(folder):
    return sorted(folder.rglob("*.part"))


def test_an_interrupted_walk_goes_on_where_it_was_and_ends_the_same(nvda, folder, unbroken):
    def interrupt(done, total):
        assert total == 2 * 63
        if done >= 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walk_forward(nvda, PLAN, progress=interrupt)
    before = {path: path.stat().st_mtime_ns for path in entries(folder)}
    assert len(before) == 2
    told = []
    table = walk_forward(nvda, PLAN, progress=lambda done, total: told.append(done))
    assert table.equals(unbroken, check_metadata=True)
    assert told == [42, 63, 84, 105, 126]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_damaged_part_is_walked_again_and_the_others_are_not(nvda, folder, unbroken):
    walk_forward(nvda, PLAN)
    paths = entries(folder)
    assert len(paths) == 6
    content = bytearray(paths[1].read_bytes())
    content[len(content) // 2] ^= 1
    paths[1].write_bytes(content)
    paths[2].write_bytes(paths[0].read_bytes())  # whole, but another part
    paths[3].write_bytes(b"")
    paths[5].unlink()
    spoilt = {1, 2, 3, 5}
    whole = {path: path.stat().st_mtime_ns for n, path in enumerate(paths) if n not in spoilt}
    assert walk_forward(nvda, PLAN).equals(unbroken, check_metadata=True)
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    assert entries(folder) == paths


def test_two_processes_walk_to_the_same_table(nvda, unbroken):
    told = []
    table = walk_forward(
        nvda,
        dataclasses.replace(PLAN, n_jobs=2),
        progress=lambda done, total: told.append((done, total)),
    )
    assert table.equals(unbroken, check_metadata=True)
    assert told[0] == (0, 126) and told[-1] == (126, 126)
    assert told == sorted(set(told))


def test_one_more_model_leaves_the_others_as_they_were(monkeypatch, nvda, folder):
    plan = dataclasses.replace(PLAN, models=("chain",))
    alone = walk_forward(nvda, plan)
    model = stand_in(monkeypatch)
    told = []
    both = walk_forward(
        nvda,
        dataclasses.replace(plan, models=(model, "chain")),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[0] == (63, 126)
    assert both.slice(both.num_rows - alone.num_rows).equals(alone)
    assert both.column("model").to_pylist()[0] == model


def test_prices_after_the_last_target_are_no_reason_to_walk_again(monkeypatch, nvda, folder):
    model = stand_in(monkeypatch)
    plan = dataclasses.replace(PLAN, models=(model,))
    table = walk_forward(nvda, plan)
    end = session_after(day("2024-04-02"), 5)
    told = []
    again = walk_forward(nvda.until(end), plan, progress=lambda done, total: told.append(done))
    assert told == [63] and again.equals(table)
    walk_forward(nvda.until(end - 1), plan, progress=lambda done, total: told.append(done))
    assert told[1] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"first": day("2024-01-03")},
        {"last": day("2024-04-01")},
        {"horizons": (1, 6)},
        {"refit_every": 41},
    ],
)
def test_another_plan_is_another_walk(monkeypatch, nvda, folder, change):
    plan = dataclasses.replace(PLAN, models=(stand_in(monkeypatch),))
    walk_forward(nvda, plan)
    told = []
    walk_forward(
        nvda,
        dataclasses.replace(plan, **change),
        progress=lambda done, total: told.append(done),
    )
    assert told[0] == 0


def test_a_part_that_cannot_be_kept_says_where(monkeypatch, nvda, folder):
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be", encoding="utf-8")
    plan = dataclasses.replace(PLAN, models=(stand_in(monkeypatch),))
    with pytest.raises(BeliefError, match=r"cannot keep a finished part in .*BELIEF_CACHE_DIR"):
        walk_forward(nvda, plan)


def test_a_fit_that_fails_names_the_model_and_the_day(monkeypatch, nvda):
    def fit(model, observations, start):
        if len(observations) > 6300:
            raise FitError("these prices do not move")
        return Reached({"x": np.zeros(1)}, 0.0, 1, True)

    model = stand_in(monkeypatch, fit=fit)
    with pytest.raises(FitError, match=r"stand_in at 2024-\d\d-\d\d: these prices do not move"):
        walk_forward(nvda, dataclasses.replace(PLAN, models=(model,), refit_every=1))


def test_a_part_holds_some_work_but_not_much():
    assert PART_LENGTH == 21 and backtest_parts.INTERVAL_LEVEL == 0.9
