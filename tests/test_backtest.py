"""The walk forward: nothing from later, nothing off by a session."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from walked import PLAN, columns, day, made, stand_in, walk

from belief import backtest, models
from belief.backtest import Plan, usual_models, walk_forward
from belief.backtest_parts import COVERED, QUANTILES
from belief.backtest_summary import usual_reference
from belief.errors import UsageError
from belief.fitted_model import Reached
from belief.forecast import NORMAL_SCORES, Forecast
from belief.prices import COLUMNS, Split
from belief.sessions import session_after
from belief.sources import load_prices


@pytest.fixture(scope="module")
def nvda():
    return load_prices("NVDA")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where parts are kept; each test has its own, for the stand-ins share names."""
    monkeypatch.setattr(backtest, "cache_dir", lambda: tmp_path / "cache")


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
