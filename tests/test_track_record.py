import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from belief import track_record as module
from belief.backtest_summary import summarise
from belief.errors import BeliefError, UsageError
from belief.sessions import session_after
from belief.track_record import (
    COLUMNS,
    FEWEST_WINDOWS,
    REFERENCES,
    TOO_FEW,
    Scored,
    Skill,
    bundled_scores,
    choose,
    scores_from_parquet,
    track_record,
    write_scored,
)

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import results
import track_record as script

ROOT = Path(__file__).parent.parent
START = np.datetime64("2015-01-05", "D")
LATE = np.datetime64("2099-12-31", "D")


def rows(model, horizon, n, *, log_score=0.0, first=0, held_90=None):
    """Forecasts of one model from n days in a row; a day stands for a session."""
    origin = START + np.arange(first, first + n)
    held = np.ones(n, dtype=bool) if held_90 is None else np.array(held_90)
    return Scored(
        model=np.full(n, model),
        origin=origin,
        target=origin + horizon,
        horizon=np.full(n, horizon),
        log_score=np.broadcast_to(log_score, n).astype(float),
        crps=np.full(n, 0.01),
        pit=np.full(n, 0.5),
        covered_50=np.arange(n) % 2 == 0,
        covered_90=held,
    )


def together(*parts):
    return Scored(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    )


def drawn(seed, horizons=(1, 5), n=60):
    """All three models at some horizons, with scores from a hat."""
    generator = np.random.default_rng(seed)
    parts = [
        dataclasses.replace(
            rows(model, horizon, n),
            log_score=generator.normal(size=n),
            covered_50=generator.random(n) < 0.5,
            covered_90=generator.random(n) < 0.9,
        )
        for model in ("belief", *REFERENCES)
        for horizon in horizons
    ]
    return together(*parts)


def newey_west(gain, lag):
    """Standard error of a mean, summed term by term."""
    n, mean = len(gain), sum(gain) / len(gain)
    total = sum((g - mean) ** 2 for g in gain) / n
    for k in range(1, lag + 1):
        shared = sum((gain[t] - mean) * (gain[t - k] - mean) for t in range(k, n)) / n
        total += 2.0 * (1.0 - k / (lag + 1)) * shared
    return math.sqrt(total / n)


# What a record says


def test_a_record_counts_and_compares_as_one_would_by_hand():
    gain = [0.3, 0.1, 0.2, 0.4] * 5
    scored = together(
        rows("belief", 1, 20, log_score=2.0 + np.array(gain), held_90=[True] * 18 + [False] * 2),
        rows("garch_t", 1, 20, log_score=2.0),
        rows("random_walk", 1, 20, log_score=2.0 + 2.0 * np.array(gain)),
    )
    record = track_record(scored, 1, LATE)
    assert (record.horizon, record.source, record.origins, record.windows) == (
        1,
        "backtest",
        20,
        20,
    )
    assert (record.first, record.last) == (START, START + 20)
    assert (record.coverage_50, record.coverage_90) == (0.5, 0.9)
    half = 1.959964 * newey_west(gain, 2)  # the lag of twenty rows at one session
    assert record.skill["garch_t"] == pytest.approx((0.25 - half, 0.25, 0.25 + half), rel=1e-6)
    assert record.skill["random_walk"] == pytest.approx(
        (-0.25 - half, -0.25, half - 0.25), rel=1e-6
    )
    assert record.verdict == "worse than a random walk, better than GARCH-t"


def test_an_interval_that_includes_zero_is_no_skill():
    swings = np.random.default_rng(0).normal(size=40)
    swings += 0.05 - swings.mean()
    scored = together(
        rows("belief", 1, 40, log_score=swings),
        rows("garch_t", 1, 40),
        rows("random_walk", 1, 40),
    )
    record = track_record(scored, 1, LATE)
    low, mean, high = record.skill["garch_t"]
    assert low < 0.0 < mean < high
    assert record.verdict == "no skill over a random walk or GARCH-t"


@pytest.mark.parametrize(
    ("skill", "word"),
    [
        (Skill(0.01, 0.2, 0.4), "better than"),
        (Skill(0.0, 0.2, 0.4), "no skill over"),
        (Skill(-0.4, -0.2, 0.0), "no skill over"),
        (Skill(-0.4, -0.2, -0.01), "worse than"),
    ],
)
def test_skill_is_claimed_only_where_the_interval_excludes_zero(skill, word):
    assert skill.word == word


def test_only_origins_that_both_have_are_compared():
    gain = np.where(np.arange(60) < 30, 100.0, np.sin(np.arange(60)))
    scored = together(
        rows("belief", 1, 60, log_score=gain),
        rows("garch_t", 1, 45, first=30),
        rows("random_walk", 1, 60),
    )
    record = track_record(scored, 1, LATE)
    assert record.skill["garch_t"].mean == pytest.approx(gain[30:].mean(), abs=1e-12)
    assert record.skill["random_walk"].mean == pytest.approx(gain.mean(), abs=1e-12)


def test_the_order_of_the_rows_does_not_matter():
    scored = drawn(1)
    mixed = np.random.default_rng(2).permutation(len(scored))
    shuffled = Scored(**{name: getattr(scored, name)[mixed] for name in COLUMNS})
    for horizon in (1, 5):
        assert track_record(shuffled, horizon, LATE) == track_record(scored, horizon, LATE)


def test_a_missing_reference_is_not_compared_with():
    swings = np.sin(np.arange(60)) + 2.0
    scored = together(rows("belief", 1, 60, log_score=swings), rows("random_walk", 1, 60))
    record = track_record(scored, 1, LATE)
    assert record.skill["garch_t"] is None
    assert record.verdict == "better than a random walk, not compared with GARCH-t"


def test_differences_that_are_all_the_same_claim_nothing():
    scored = together(rows("belief", 1, 60, log_score=1.0), rows("garch_t", 1, 60))
    assert track_record(scored, 1, LATE).skill["garch_t"] is None


def test_it_agrees_with_the_summary_of_the_backtest():
    scored = drawn(3, horizons=(1, 5, 21), n=600)
    table = as_table(scored)
    for reference in REFERENCES:
        for row in summarise(table, reference):
            if row.model != "belief":
                continue
            record = track_record(scored, row.horizon, LATE)
            assert (record.origins, record.windows) == (row.n, row.n_windows)
            assert record.coverage_50 == pytest.approx(row.coverage_50, abs=1e-12)
            assert record.coverage_90 == pytest.approx(row.coverage_90, abs=1e-12)
            low, mean, high = record.skill[reference]
            assert mean == pytest.approx(row.gain, rel=1e-10)
            assert mean / ((high - low) / (2 * 1.959964)) == pytest.approx(row.t_value, rel=1e-6)


def as_table(scored):
    columns = {name: getattr(scored, name) for name in COLUMNS}
    columns["model"] = columns["model"].astype(object)
    others = ("absolute_error", "interval_score")
    columns |= {name: np.ones(len(scored)) for name in others}
    columns |= {name: scored.covered_90 for name in ("covered_80", "covered_95")}
    return pyarrow.table(columns)


# What may count


def test_a_forecast_counts_from_the_day_of_its_target_on():
    scored = rows("belief", 5, 10)
    first = START + 5
    assert track_record(scored, 5, first - 1) is None
    assert track_record(scored, 5, first).origins == 1
    assert track_record(scored, 5, first + 9).origins == 10


def test_what_came_out_after_as_of_changes_nothing():
    scored, as_of = drawn(4, horizons=(1, 5, 21), n=80), START + 60
    later = scored.target > as_of
    garbage = Scored(
        model=np.where(later, "garch_t", scored.model),
        origin=np.where(later, START - 1000, scored.origin),
        target=scored.target,
        horizon=np.where(later, 2, scored.horizon),
        log_score=np.where(later, np.nan, scored.log_score),
        crps=np.where(later, np.inf, scored.crps),
        pit=np.where(later, -1.0, scored.pit),
        covered_50=np.where(later, ~scored.covered_50, scored.covered_50),
        covered_90=np.where(later, ~scored.covered_90, scored.covered_90),
    )
    assert later.any() and not later.all()
    for horizon in (1, 2, 5, 30):
        known = track_record(scored, horizon, as_of)
        assert track_record(garbage, horizon, as_of) == known
        assert choose(garbage, garbage, horizon, as_of) == choose(scored, scored, horizon, as_of)
        assert known.last <= as_of


@pytest.mark.parametrize("day", ["1999-01-22", "2012-12-31", "2013-01-02"])
def test_nothing_is_shown_before_the_first_outcome_of_the_bundled_backtest(day):
    assert track_record(bundled_scores("NVDA"), 1, np.datetime64(day)) is None


@pytest.mark.parametrize(
    ("wanted", "named"),
    [(1, 1), (2, 1), (3, 5), (5, 5), (10, 5), (11, 21), (36, 21), (37, 63), (63, 63), (504, 63)],
)
def test_the_nearest_horizon_in_ratio_is_named(wanted, named):
    scored = together(*(rows("belief", horizon, 3) for horizon in (21, 1, 63, 5)))
    assert track_record(scored, wanted, LATE).horizon == named


def test_a_nearer_horizon_with_too_few_windows_gives_way_to_one_with_enough():
    scored = together(rows("belief", 21, 600), rows("belief", 17, 1), rows("belief", 5, 400))
    assert track_record(scored, 17, LATE).horizon == 21
    assert choose(scored, rows("belief", 21, 400), 17, LATE).source == "ledger"
    early = START + 380  # at 21 sessions 18 windows have closed
    assert track_record(scored, 17, early).horizon == 5
    assert track_record(scored, 17, START + 60).horizon == 17  # nowhere enough: the nearest


@pytest.mark.parametrize(("shorter", "wanted", "longer"), [(1, 2, 4), (3, 6, 12), (7, 49, 343)])
def test_of_two_equally_near_horizons_the_shorter_is_named(shorter, wanted, longer):
    scored = together(rows("belief", longer, 3), rows("belief", shorter, 3))
    assert track_record(scored, wanted, LATE).horizon == shorter


def test_a_horizon_that_only_a_reference_has_is_not_named():
    scored = together(rows("garch_t", 5, 3), rows("belief", 1, 3))
    assert track_record(scored, 5, LATE).horizon == 1


def test_a_horizon_below_one_is_refused():
    with pytest.raises(ValueError, match="horizon is 0; it must be at least 1"):
        track_record(rows("belief", 1, 3), 0, LATE)


# Too few to judge


@pytest.mark.parametrize("horizon", [1, 5])
def test_skill_is_judged_from_twenty_windows_on_and_not_before(horizon):
    def record(windows):
        n = horizon * (windows - 1) + 1
        gain = 3.0 + np.sin(np.arange(n))
        parts = [rows(name, horizon, n) for name in REFERENCES]
        return track_record(
            together(rows("belief", horizon, n, log_score=gain), *parts), horizon, LATE
        )

    few, enough = record(FEWEST_WINDOWS - 1), record(FEWEST_WINDOWS)
    assert (few.windows, enough.windows) == (19, 20)
    assert few.verdict == TOO_FEW == "too few to judge"
    assert few.skill == {"random_walk": None, "garch_t": None}
    assert (few.to_dict()["skill_garch_t"], few.coverage_90) == (None, 1.0)
    assert enough.verdict == "better than a random walk and GARCH-t"


def test_too_few_windows_in_common_are_too_few():
    scored = together(
        rows("belief", 1, 60, log_score=np.sin(np.arange(60))), rows("garch_t", 1, 19)
    )
    assert track_record(scored, 1, LATE).skill["garch_t"] is None


def test_windows_far_apart_claim_nothing_where_the_lag_is_longer_than_they_are_many():
    n, horizon = 25, 252
    origin = START + horizon * np.arange(n)
    parts = [
        dataclasses.replace(
            rows(model, horizon, n, log_score=np.sin(np.arange(n)) + shift),
            origin=origin,
            target=origin + horizon,
        )
        for model, shift in (("belief", 1.0), ("garch_t", 0.0))
    ]
    record = track_record(together(*parts), horizon, LATE)
    assert (record.windows, record.skill["garch_t"]) == (25, None)


# The ledger or the backtest


def test_the_ledger_speaks_once_it_has_twenty_windows():
    past = rows("belief", 5, 400)
    enough, few = rows("belief", 5, 96), rows("belief", 5, 95)
    assert choose(enough, past, 5, LATE).source == "ledger"
    assert choose(few, past, 5, LATE).source == "backtest"
    assert choose(enough, past, 5, START + 99).source == "backtest"


def test_a_ledger_of_a_farther_horizon_does_not_speak():
    ledger, past = rows("belief", 1, 100), rows("belief", 63, 100)
    assert choose(ledger, past, 60, LATE).horizon == 63
    assert choose(ledger, past, 2, LATE).source == "ledger"


def test_what_there_is_speaks_when_there_is_only_one():
    some = rows("belief", 5, 30)
    assert choose(some, None, 5, LATE).source == "ledger"
    assert choose(None, some, 5, LATE).source == "backtest"
    assert choose(some, rows("garch_t", 5, 30), 5, LATE).source == "ledger"
    assert choose(None, None, 5, LATE) is None


# Files


def test_a_record_is_plain_values():
    record = track_record(drawn(5), 1, LATE).to_dict()
    assert list(record) == [
        *("horizon", "source", "first", "last", "origins", "windows", "coverage_50"),
        *("coverage_90", "skill_random_walk", "skill_garch_t", "verdict"),
    ]
    assert type(record["horizon"]) is int and record["first"] == "2015-01-05"
    low, mean, high = record["skill_garch_t"]
    assert low < mean < high and round(mean, 3) == mean


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"pit has shape \(2,\); it must be \(3,\)"):
        dataclasses.replace(rows("belief", 1, 3), pit=np.zeros(2))


def test_scores_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        drawn(6).log_score[0] = 1.0


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """A folder that stands in for belief/data."""
    monkeypatch.setattr(module, "files", lambda _: tmp_path)
    bundled_scores.cache_clear()
    yield tmp_path
    bundled_scores.cache_clear()


def test_what_is_written_is_read_again(packed):
    scored = drawn(7)
    write_scored(scored, packed / "XYZ.track.npz")
    read = bundled_scores("XYZ")
    for name in COLUMNS:
        if name in ("log_score", "crps", "pit"):
            np.testing.assert_allclose(getattr(read, name), getattr(scored, name), rtol=1e-6)
        else:
            np.testing.assert_array_equal(getattr(read, name), getattr(scored, name))
    assert (read.origin.dtype, read.horizon.dtype.kind) == (np.dtype("datetime64[D]"), "i")


def test_the_same_scores_give_the_same_file(packed):
    first, second = packed / "A.track.npz", packed / "B.track.npz"
    write_scored(drawn(8), first)
    write_scored(drawn(8), second)
    assert first.read_bytes() == second.read_bytes()


def test_a_symbol_without_a_bundled_backtest_has_no_scores(packed):
    assert bundled_scores("XYZ") is None


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 and no more"])
def test_a_damaged_file_is_named_in_one_line(packed, content):
    (packed / "XYZ.track.npz").write_bytes(content)
    with pytest.raises(BeliefError, match="track record of XYZ is damaged") as caught:
        bundled_scores("XYZ")
    assert "\n" not in str(caught.value)


def test_a_half_written_file_is_named_as_damaged(packed):
    path = packed / "XYZ.track.npz"
    write_scored(drawn(9), path)
    whole = path.read_bytes()
    for cut in (len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:cut])
        bundled_scores.cache_clear()
        with pytest.raises(BeliefError, match="damaged"):
            bundled_scores("XYZ")


def test_a_backtests_table_is_read_without_other_models(tmp_path):
    scored = drawn(10)
    path = tmp_path / "backtest.parquet"
    parquet.write_table(as_table(together(scored, rows("gjr_t", 1, 5))), path)
    read = scores_from_parquet(path)
    assert len(read) == len(scored) and set(read.model) == {"belief", *REFERENCES}
    for horizon in (1, 5):
        ours, theirs = track_record(read, horizon, LATE), track_record(scored, horizon, LATE)
        assert ours.to_dict() == theirs.to_dict()


def test_a_file_that_is_no_table_of_a_backtest_is_refused_in_one_line(tmp_path):
    empty, other = tmp_path / "empty.parquet", tmp_path / "other.parquet"
    empty.write_bytes(b"")
    parquet.write_table(pyarrow.table({"model": ["belief"]}), other)
    for path in (tmp_path / "none.parquet", empty, other):
        with pytest.raises(UsageError, match="is not a table that") as caught:
            scores_from_parquet(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_script_writes_what_the_kept_tables_have(packed, monkeypatch, capsys):
    near, far = drawn(11, horizons=(1, 5), n=100), drawn(12, horizons=(126,), n=2500)
    monkeypatch.setattr(results, "KEPT", packed)
    monkeypatch.setattr(script, "BUNDLED", packed / "NVDA.track.npz")
    made = {"long": lambda: parquet.write_table(as_table(far), packed / "long.parquet")}
    monkeypatch.setattr(results, "STEPS", made)
    parquet.write_table(as_table(near), packed / "nvda.parquet")
    script.main([])
    read = bundled_scores("NVDA")
    for horizon, scored in ((1, near), (5, near), (126, far)):
        theirs = track_record(scored, horizon, LATE).to_dict()
        assert track_record(read, horizon, LATE).to_dict() == theirs
    assert (
        "126 ahead, 2015-01-05 to 2022-03-14: 2,500 origins, 20 windows" in capsys.readouterr().out
    )


def test_the_script_refuses_a_table_that_it_does_not_know():
    with pytest.raises(SystemExit, match="there is no table 'short'; choose from nvda, long"):
        script.main(["short"])


# What is bundled


def test_the_bundled_scores_are_of_whole_walks_after_the_settings_were_chosen():
    scored = bundled_scores("NVDA")
    assert set(scored.model) == {"belief", *REFERENCES}
    assert scored.origin.min() == np.datetime64("2013-01-02")
    for horizon in sorted(set(scored.horizon)):
        own = scored.of("belief", horizon)
        assert len(own) > 2_500 and len(np.unique(own.origin)) == len(own)
        assert own.target[0] == session_after(own.origin[0], int(horizon))
        for reference in REFERENCES:
            np.testing.assert_array_equal(scored.of(reference, horizon).origin, own.origin)
    assert np.isfinite(scored.log_score).all() and ((scored.pit >= 0) & (scored.pit <= 1)).all()


def test_the_bundled_scores_are_those_of_the_results_page():
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    score = bundled_scores("NVDA").of("belief", 1).log_score.astype(np.float64).mean()
    record = track_record(bundled_scores("NVDA"), 1, LATE)
    shown = f"| `belief` | {score:.4f} | {record.skill['garch_t'].mean:+.4f} |"
    assert shown in page and f"{record.coverage_90:.1%}" in page


def test_reading_the_bundled_scores_needs_no_table_library():
    code = (
        "import sys, belief.track_record as t; t.bundled_scores('NVDA');"
        "print(sorted({'pandas', 'pyarrow', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
