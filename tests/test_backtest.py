"""The walk forward: nothing from later, nothing lost, nothing off by a session."""

import dataclasses
import types
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from belief import backtest, backtest_parts, models
from belief.backtest import Plan, about, usual_models, walk_forward
from belief.backtest_parts import COVERED, PART_LENGTH, QUANTILES
from belief.backtest_plots import figures
from belief.backtest_summary import Row, summarise, usual_reference
from belief.errors import BeliefError, FitError, UsageError
from belief.fitted_model import Reached
from belief.forecast import NORMAL_SCORES, Forecast
from belief.prices import COLUMNS, Prices, Split
from belief.sessions import session_after, sessions_between
from belief.sources import load_prices


def day(text):
    return np.datetime64(text, "D")


@pytest.fixture(scope="module")
def nvda():
    return load_prices("NVDA")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where parts are kept; each test has its own, for the stand-ins share names."""
    monkeypatch.setattr(backtest, "cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "backtests"


def stand_in(monkeypatch, name="stand_in", *, sd=0.03, **functions):
    """Put a model in place that always forecasts the same, but for the functions given."""
    usual = {
        "fit": lambda model, observations, start: Reached({"x": np.zeros(1)}, 0.0, 1, True),
        "carry": lambda fitted, observations: dict(fitted.parameters),
        "forecast_quantiles": lambda fitted, horizons, outlook, generator: np.array(
            [sd * np.sqrt(horizon) * NORMAL_SCORES for horizon in horizons]
        ),
    }
    module = types.SimpleNamespace(**usual | functions)
    monkeypatch.setitem(models.KINDS, name, (module, module))
    monkeypatch.setattr(models, "MODELS", tuple(models.KINDS))
    return name


def walk(n_sessions, *, seed=0):
    """Sessions and a random walk of the log price."""
    session = sessions_between(day("2015-01-02"), day("2020-12-31"))[:n_sessions]
    steps = np.random.default_rng(seed).normal(0.0005, 0.02, n_sessions)
    return session, np.log(50.0) + np.cumsum(steps)


def made(session, log_price, splits=()):
    """Prices as traded whose split-adjusted log closes are these."""
    close = np.exp(log_price)
    for split in splits:
        close[session < split.session] *= split.ratio
    return Prices(
        symbol="XYZ",
        name="Xyz",
        currency="USD",
        session=session,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.zeros(len(session)),
        splits=tuple(splits),
        source="made up",
        splits_known=True,
        retrieved_at=None,
    )


def columns(table, *names):
    return [table.column(name).to_numpy() for name in names]


# nothing is off by a session


def clairvoyant(session, log_price, shift):
    """Forecasts that know the return from their own last session to each target, or one beside."""
    place = {each: number for number, each in enumerate(session)}

    def forecast_quantiles(fitted, horizons, outlook, generator):
        origin = place[fitted.known_through]
        ends = [min(origin + horizon + shift, len(session) - 1) for horizon in horizons]
        return np.array([log_price[end] - log_price[origin] + 1e-9 * NORMAL_SCORES for end in ends])

    return forecast_quantiles


@pytest.mark.parametrize("shift", [0, -1, 1])
def test_who_knows_the_future_errs_by_nothing_and_who_is_off_by_one_session_errs(
    monkeypatch, shift
):
    session, log_price = walk(400)
    split = Split(session[330], 4.0)
    stand_in(
        monkeypatch,
        forecast_quantiles=clairvoyant(session, log_price, shift),
        carry=lambda fitted, observations: dict(fitted.parameters),
    )
    plan = Plan(first=session[300], horizons=(1, 5, 21), models=("stand_in",), refit_every=13)
    table = walk_forward(made(session, log_price, [split]), plan)
    error, last_close, horizon = columns(table, "absolute_error", "last_close", "horizon")
    assert {1, 5, 21} == set(horizon)
    if shift == 0:
        np.testing.assert_allclose(error / last_close, 0.0, atol=1e-12)
    else:
        inside = table.column("target").to_numpy() < session[-1]  # there is nothing beyond the last
        assert np.median(error[inside] / last_close[inside]) > 0.01
        assert (error[inside] / last_close[inside]).min() > 1e-6


def test_rows_name_origin_target_and_horizon_in_sessions_and_closes_as_they_were(monkeypatch, nvda):
    model = stand_in(monkeypatch)
    plan = Plan(first=day("2024-06-05"), last=day("2024-06-10"), horizons=(1, 3), models=(model,))
    rows = walk_forward(nvda, plan).to_pylist()
    told = [(str(row["origin"]), row["horizon"], str(row["target"])) for row in rows]
    assert told == [
        ("2024-06-05", 1, "2024-06-06"),
        ("2024-06-05", 3, "2024-06-10"),
        ("2024-06-06", 1, "2024-06-07"),
        ("2024-06-06", 3, "2024-06-11"),
        ("2024-06-07", 1, "2024-06-10"),
        ("2024-06-07", 3, "2024-06-12"),
        ("2024-06-10", 1, "2024-06-11"),
        ("2024-06-10", 3, "2024-06-13"),
    ]
    # ten new shares for one on 2024-06-10
    across = rows[4]
    assert across["last_close"] == 1208.88
    assert across["close"] == pytest.approx(1217.90, rel=1e-12)
    assert across["log_return"] == pytest.approx(np.log(1217.90 / 1208.88), rel=1e-9)
    after = rows[6]
    assert (after["last_close"], after["close"]) == (121.79, 120.91)


def test_a_row_holds_the_quantiles_and_the_scores_of_its_forecast(monkeypatch, nvda):
    model = stand_in(monkeypatch, sd=0.02)
    plan = Plan(first=day("2023-05-24"), last=day("2023-05-24"), horizons=(1, 5), models=(model,))
    first, _ = walk_forward(nvda, plan).to_pylist()
    (row,) = np.array([0.02 * NORMAL_SCORES])
    forecast = Forecast("NVDA", model, day("2023-05-24"), day("2023-05-25"), 1, 305.38, row)
    for name, probability in QUANTILES.items():
        assert first[name] == pytest.approx(forecast.quantile(probability), rel=1e-12)
        assert float(f"0.{name[1:]}") == probability
    score = np.log(379.80 / 305.38) / 0.02  # the day after the results of May 2023
    assert first["log_score"] == pytest.approx(
        -0.5 * score**2 - np.log(0.02 * np.sqrt(2 * np.pi)), rel=1e-6
    )
    assert first["pit"] == pytest.approx(1.0, abs=1e-9)
    assert first["absolute_error"] == pytest.approx(379.80 - 305.38, rel=1e-12)
    low, high = forecast.interval(0.9)
    assert first["interval_score"] == pytest.approx(high - low + 20 * (379.80 - high), rel=1e-9)
    assert [first[name] for name in COVERED] == [False] * 4


def test_coverage_agrees_with_the_quantiles_of_the_row(monkeypatch, nvda):
    model = stand_in(monkeypatch)
    plan = Plan(first=day("2020-01-02"), last=day("2020-06-30"), horizons=(1, 21), models=(model,))
    table = walk_forward(nvda, plan)
    ends = {50: ("q25", "q75"), 80: ("q10", "q90"), 90: ("q05", "q95"), 95: ("q025", "q975")}
    for level, names in ends.items():
        low, high, close, hit = columns(table, *names, "close", f"covered_{level}")
        np.testing.assert_array_equal(hit, (low <= close) & (close <= high))
        assert 0 < hit.sum() < len(hit)


# nothing from later


def with_garbage_after(prices, cut):
    """Prices that pass every check but have nothing to do with the market after the cut."""
    later = prices.session > cut
    garbage = {name: np.where(later, 1000.0, getattr(prices, name)) for name in COLUMNS}
    past = tuple(split for split in prices.splits if split.session <= cut)
    following = Split(session_after(cut, 2), 1.1)
    return dataclasses.replace(prices, splits=(*past, following), **garbage)


def test_prices_after_an_origin_change_no_byte_of_its_forecasts(nvda):
    cut = day("2024-04-11")
    plan = Plan(
        first=day("2024-04-01"),
        last=day("2024-04-22"),
        horizons=(1, 5),
        models=("chain", "few_state_static"),
        refit_every=6,
    )
    clean, blind = walk_forward(nvda, plan), walk_forward(with_garbage_after(nvda, cut), plan)
    for name in QUANTILES:
        origin, before, after = (
            clean.column("origin").to_numpy(),
            *(table.column(name).to_numpy() for table in (clean, blind)),
        )
        assert before[origin <= cut].tobytes() == after[origin <= cut].tobytes()
        assert not np.isclose(before[origin > cut], after[origin > cut]).any()
    target, before, after = (
        clean.column("target").to_numpy(),
        *(table.column("close").to_numpy() for table in (clean, blind)),
    )
    assert (before != after)[target > cut].all()  # the garbage was there to be seen


def test_a_model_is_fitted_every_so_many_origins_and_sees_every_session_once(monkeypatch):
    session, log_price = walk(380)
    fits, carries = [], []

    def fit(model, observations, start):
        if start is not None:
            assert start.known_through == observations.session[-1]  # carried on to the refit
        fits.append((observations.session[-1], start is not None))
        seen = start.parameters["seen"] if start else np.zeros(1)
        return Reached({"seen": seen.copy()}, 0.0, 1, True)

    def carry(fitted, observations):
        carries.append((fitted.known_through, observations.session[-1]))
        return {"seen": fitted.parameters["seen"] + 1.0}

    model = stand_in(monkeypatch, fit=fit, carry=carry)
    plan = Plan(first=session[300], horizons=(1,), models=(model,), refit_every=9)
    walk_forward(made(session, log_price), plan)
    assert [origin for origin, _ in fits] == list(session[300::9])
    assert [started for _, started in fits] == [False] + [True] * 8
    assert carries == list(pairwise(session[300:]))


def test_what_a_model_carries_along_reaches_its_last_forecast(monkeypatch):
    session, log_price = walk(380)
    seen = []
    model = stand_in(
        monkeypatch,
        fit=lambda model, observations, start: Reached(
            {"seen": start.parameters["seen"].copy() if start else np.zeros(1)}, 0.0, 1, True
        ),
        carry=lambda fitted, observations: {"seen": fitted.parameters["seen"] + 1.0},
        forecast_quantiles=lambda fitted, horizons, outlook, generator: (
            seen.append(float(fitted.parameters["seen"][0])) or np.array([0.1 * NORMAL_SCORES])
        ),
    )
    plan = Plan(first=session[300], horizons=(1,), models=(model,), refit_every=9)
    walk_forward(made(session, log_price), plan)
    assert seen == [float(number) for number in range(79)]  # the last session has no target


def test_a_target_the_prices_do_not_have_gives_no_row(monkeypatch):
    session, log_price = walk(360)
    model = stand_in(monkeypatch)
    kept = np.arange(360) != 320
    plan = Plan(first=session[300], horizons=(1, 5), models=(model,))
    whole = walk_forward(made(session, log_price), plan)
    holed = walk_forward(made(session[kept], log_price[kept]), plan)
    told = {tuple(row.values()) for row in whole.select(["origin", "target"]).to_pylist()}
    without = {tuple(row.values()) for row in holed.select(["origin", "target"]).to_pylist()}
    gone = session[320].item()
    assert without == {(origin, target) for origin, target in told if gone not in (origin, target)}
    assert len(told) == 59 + 55


# nothing is lost, and nothing depends on who walks


PLAN = Plan(
    first=day("2024-01-02"),
    last=day("2024-04-02"),
    horizons=(1, 5),
    models=("chain", "few_state_static"),
    refit_every=40,
)


@pytest.fixture(scope="module")
def unbroken(nvda, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        apart = tmp_path_factory.mktemp("unbroken")
        patch.setattr(backtest, "cache_dir", lambda: apart)
        return walk_forward(nvda, PLAN)


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


# what can be asked for


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"models": ("chain", "oracle")}, "no model 'oracle'; choose of .*chain"),
        ({"models": ("chain", "chain")}, "named twice"),
        ({"horizons": ()}, "at least one"),
        ({"horizons": (0, 1)}, "horizon of 0 sessions is not one of 1 to 504"),
        ({"horizons": (1, 505)}, "horizon of 505"),
        ({"horizons": (5, 1)}, "5, 1 must increase"),
        ({"horizons": (5, 5)}, "5, 5 must increase"),
        ({"refit_every": 0}, "refit-every is 0"),
        ({"n_jobs": 0}, "jobs is 0"),
        ({"last": day("2023-12-29")}, "2024-01-02 is after the last, 2023-12-29"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(UsageError, match=words):
        dataclasses.replace(PLAN, **change)


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2025-03-03", None, "origin 2025-03-03 is after the last session; .* to 2025-02-14"),
        ("2024-01-02", "2030-01-02", "origin 2030-01-02 is after the last session"),
        ("2024-03-29", "2024-03-31", "no session from 2024-03-29 to 2024-03-31"),
        ("1999-06-01", None, r"only 89 returns are known.*250 are needed; choose 2000-01-\d\d"),
        ("2025-02-14", None, "no target 1 sessions after 2025-02-14 or later has come"),
    ],
)
def test_origins_that_cannot_be_are_refused(nvda, first, last, words):
    plan = Plan(
        first=day(first), last=None if last is None else day(last), horizons=(1,), models=("chain",)
    )
    with pytest.raises(UsageError, match=words):
        walk_forward(nvda, plan)


def test_too_few_prices_are_refused():
    session, log_price = walk(200)
    plan = Plan(first=session[150], horizons=(1,), models=("chain",))
    with pytest.raises(UsageError, match=r"only 150 returns .*these prices are too few"):
        walk_forward(made(session, log_price), plan)


def test_the_usual_models_and_the_usual_reference_are_those_there_are(monkeypatch):
    assert set(usual_models()) <= set(models.MODELS)
    monkeypatch.setattr(models, "MODELS", ("random_walk", "chain", "belief"))
    assert usual_models() == ("belief", "random_walk") == Plan().models
    monkeypatch.setattr(models, "MODELS", ("chain",))
    assert usual_models() == ("chain",)
    assert usual_reference(["chain", "random_walk", "garch_t", "belief"]) == "garch_t"
    assert usual_reference(["random_walk", "chain"]) == "random_walk"
    assert usual_reference(["few_state", "chain"]) == "chain"


def test_a_table_says_what_it_is_of_even_from_a_file(tmp_path, unbroken):
    from pyarrow import parquet

    parquet.write_table(unbroken, tmp_path / "table.parquet")
    said = about(parquet.read_table(tmp_path / "table.parquet"))
    assert (said["symbol"], said["from"], said["to"]) == ("NVDA", "2024-01-02", "2024-04-02")
    assert said["models"] == ["chain", "few_state_static"] and said["refit_every"] == 40
    with pytest.raises(ValueError, match="does not say what it is of"):
        about(unbroken.replace_schema_metadata(None))


# summing up


def newey_west(values, lag):
    """Standard error of a mean, written out."""
    n, mean = len(values), values.mean()
    total = 0.0
    for s in range(n):
        for t in range(max(0, s - lag), min(n, s + lag + 1)):
            total += (1 - abs(s - t) / (lag + 1)) * (values[s] - mean) * (values[t] - mean)
    return np.sqrt(total) / n


def test_the_summary_is_what_numpy_makes_of_the_rows(unbroken):
    rows = summarise(unbroken, "chain")
    assert [(row.model, row.horizon) for row in rows] == [
        ("chain", 1),
        ("few_state_static", 1),
        ("chain", 5),
        ("few_state_static", 5),
    ]
    found = rows[3]
    mine, base = (
        unbroken.filter(
            (pa.compute.field("model") == model) & (pa.compute.field("horizon") == 5)
        ).to_pydict()
        for model in ("few_state_static", "chain")
    )
    mine, base = ({k: np.array(v) for k, v in each.items()} for each in (mine, base))
    lag = 6  # 1.5 times the four sessions by which neighbours overlap
    gain = mine["log_score"] - base["log_score"]
    assert (found.n, found.n_windows, found.n_compared, found.reference) == (63, 13, 63, "chain")
    assert found.log_score == pytest.approx(mine["log_score"].mean(), rel=1e-12)
    assert found.gain == pytest.approx(gain.mean(), rel=1e-9)
    assert found.t_value == pytest.approx(gain.mean() / newey_west(gain, lag), rel=1e-9)
    less = base["crps"] - mine["crps"]
    assert found.crps_t_value == pytest.approx(less.mean() / newey_west(less, lag), rel=1e-9)
    for score in ("crps", "absolute_error", "interval_score"):
        assert getattr(found, score) == pytest.approx(mine[score].mean(), rel=1e-12)
        ratio = mine[score].mean() / base[score].mean()
        assert getattr(found, f"{score}_ratio") == pytest.approx(ratio, rel=1e-12)
    for level in (50, 80, 90, 95):
        hit = mine[f"covered_{level}"].astype(float)
        assert getattr(found, f"coverage_{level}") == pytest.approx(hit.mean(), rel=1e-12)
        error = getattr(found, f"coverage_{level}_se")
        assert error == pytest.approx(newey_west(hit, lag), rel=1e-9)
    pit = np.sort(mine["pit"])
    steps = np.arange(64) / 63
    distance = max((steps[1:] - pit).max(), (pit - steps[:-1]).max())
    assert found.pit_distance == pytest.approx(distance, rel=1e-12)


def test_the_reference_is_not_compared_with_itself(unbroken):
    own = summarise(unbroken, "chain")[0]
    assert own.model == own.reference == "chain"
    assert (own.gain, own.t_value, own.crps_ratio, own.crps_t_value) == (None,) * 4
    assert (own.absolute_error_ratio, own.interval_score_ratio) == (None, None)


def test_models_are_compared_on_the_origins_both_have(unbroken):
    field = pa.compute.field
    late = np.datetime64("2024-03-01").item()
    cut = unbroken.filter((field("model") == "chain") | (field("origin") >= late))
    whole, part = summarise(unbroken, "chain"), summarise(cut, "chain")
    only_late = summarise(unbroken.filter(field("origin") >= late), "chain")
    assert part[0] == whole[0]
    assert part[1] == only_late[1]
    turned = summarise(cut, "few_state_static")[0]
    assert (turned.n, turned.n_compared) == (63, only_late[1].n)
    assert turned.gain == pytest.approx(-only_late[1].gain, rel=1e-12)
    assert turned.log_score == whole[0].log_score


def test_too_few_origins_have_means_but_no_t_values(unbroken):
    few = unbroken.filter(pa.compute.field("origin") <= np.datetime64("2024-01-05").item())
    for row in summarise(few, "chain"):
        assert np.isfinite(row.log_score)
        if row.horizon == 5:
            assert (row.n, row.n_windows, row.t_value, row.coverage_50_se) == (4, 1, None, None)
    assert set(Row._fields) >= {"model", "horizon", "log_score", "crps", "gain", "t_value", "n"}


def test_a_reference_that_is_not_there_is_named(unbroken):
    for draw in (summarise, figures):
        with pytest.raises(UsageError, match="'garch_t' is not one of the models chain, few_state"):
            draw(unbroken, "garch_t")


def test_the_pictures_show_every_model_at_the_shortest_and_the_longest_horizon(unbroken):
    drawn = figures(unbroken, "chain")
    assert list(drawn) == ["log_score_gain", "pit", "reliability", "coverage_by_year"]
    for name, figure in drawn.items():
        assert len(figure.axes) == (4 if name == "coverage_by_year" else 2)
        for axes in figure.axes:
            labels = [text.get_text() for text in axes.get_legend().get_texts()]
            assert any("chain" in label for label in labels) and "few_state_static" in labels
            assert axes.get_xlabel() and axes.get_ylabel()
            title = axes.get_title(loc="left")
            assert title.startswith(("NVDA, 1 session ahead:", "NVDA, 5 sessions ahead:"))
    (line,) = (
        line
        for line in drawn["log_score_gain"].axes[1].lines
        if line.get_label() == "few_state_static"
    )
    row = summarise(unbroken, "chain")[3]
    assert line.get_ydata()[-1] == pytest.approx(row.gain * row.n, rel=1e-9)


def test_coverage_by_year_is_that_of_the_year(unbroken):
    axes = figures(unbroken, "chain")["coverage_by_year"].axes[1]
    (line,) = (line for line in axes.lines if line.get_label() == "chain")
    assert list(line.get_xdata()) == [2024]
    assert line.get_ydata()[0] == pytest.approx(100 * summarise(unbroken)[0].coverage_90, rel=1e-12)


def test_a_part_holds_some_work_but_not_much():
    assert PART_LENGTH == 21 and backtest_parts.INTERVAL_LEVEL == 0.9
