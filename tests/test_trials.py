"""A trial knows its origin and no more; what came is in dollars of the origin."""

import json
import math

import numpy as np
import pytest
from replayed import HORIZON, ORIGINS, Played, Spoken, as_told, history, plays, with_garbage_after

from belief.errors import UsageError
from belief.models import fit, forecasts
from belief.sessions import session_after
from belief_tools.arms import ARMS, Facts, ask
from belief_tools.evaluate import MASKED, PLAIN, Plan, evaluate
from belief_tools.tape import Tape
from belief_tools.trials import RECENT, UNAIDED, origins_between, trials

SPLIT = np.datetime64("2021-07-20")  # 4:1
DAY = np.datetime64


@pytest.fixture(scope="module")
def prices():
    return history()


@pytest.fixture(scope="module")
def asked(prices):
    """The trials of two origins before the split, 5 and 21 sessions ahead."""
    return list(trials(prices, ORIGINS, (5, HORIZON)))


def close_at(prices, day):
    return float(prices.close[np.searchsorted(prices.session, day)])


# What came


def test_the_outcome_is_in_dollars_of_the_origin_across_a_split(prices, asked):
    for together in asked:
        for trial in together:
            split = 4.0 if trial.target >= SPLIT else 1.0
            assert math.isclose(trial.actual, split * close_at(prices, trial.target), rel_tol=1e-12)
    # 2021-07-09, the week after the first origin; 2021-08-02, four times $197.50 as traded
    [[week, month], _] = asked
    assert (str(week.target), str(month.target)) == ("2021-07-09", "2021-08-02")
    assert math.isclose(week.actual, 802.03, abs_tol=0.02)
    assert math.isclose(month.actual, 4 * 197.50, abs_tol=0.2)


def test_the_outcome_of_june_2024_is_in_dollars_before_the_split_ten_for_one():
    prices = history("2022-06-01", "2024-07-31")
    [[trial]] = trials(prices, [DAY("2024-06-07")], [5])
    assert math.isclose(trial.actual, 10.0 * close_at(prices, trial.target), rel_tol=1e-12)
    assert 1_200.0 < trial.actual < 1_400.0 and 120.0 < close_at(prices, trial.target) < 140.0
    assert math.isclose(trial.origin.recent_closes[-1], close_at(prices, DAY("2024-06-07")))


def test_an_origin_after_the_split_is_in_dollars_after_it(prices):
    [[trial]] = trials(prices, [SPLIT], [5])
    closes = trial.origin.recent_closes
    assert math.isclose(trial.actual, close_at(prices, trial.target), rel_tol=1e-12)
    assert math.isclose(closes[-1], close_at(prices, SPLIT), rel_tol=1e-12)
    assert math.isclose(closes[-2], close_at(prices, SPLIT - 1) / 4.0, rel_tol=1e-12)


def test_trials_come_by_origin_in_the_order_of_the_horizons(asked):
    assert [t.origin.session for together in asked for t in together] == [
        *(ORIGINS[0],) * 2,
        *(ORIGINS[1],) * 2,
    ]
    assert [t.horizon for together in asked for t in together] == [5, HORIZON, 5, HORIZON]
    for together in asked:
        assert all(t.target == session_after(t.origin.session, t.horizon) for t in together)


@pytest.mark.parametrize("horizon", [0, -1, 505])
def test_a_horizon_that_cannot_be_is_an_error(prices, horizon):
    with pytest.raises(UsageError, match=f"^horizon {horizon} is not from 1 to 504 sessions$"):
        next(trials(prices, ORIGINS, [5, horizon]))


# What was known


def test_an_origin_knows_nothing_later(asked):
    for [trial, _], day in zip(asked, ORIGINS, strict=True):
        origin = trial.origin
        assert origin.session == origin.known.as_of == day
        assert not origin.known.splits or origin.known.splits[-1].session <= day
        assert origin.tool.fitted.known_through == day
        assert len(origin.recent_closes) == RECENT
        assert (origin.tool.today, origin.tool.live, origin.tool.ledger) == (None, False, None)


@pytest.mark.parametrize("model", UNAIDED)
def test_what_forecasts_without_words_is_fitted_to_what_was_known(model, prices, asked):
    [[_, trial], _] = asked
    found = trial.origin.forecast(model, trial.target)
    known = prices.until(ORIGINS[0])
    [expected] = forecasts(fit(model, known), known, [trial.target])
    assert found.model == model
    np.testing.assert_array_equal(found.log_return_quantile, expected.log_return_quantile)


def test_the_regime_is_the_likeliest(asked):
    [[trial, _], _] = asked
    result = trial.origin.tool.run(trial.origin.tool.check(
        {"symbol": "NVDA", "target_date": str(trial.target), "price_levels": None}
    ))  # fmt: skip
    likeliest = max(result.regimes, key=lambda regime: regime["probability"])
    assert trial.origin.regime == likeliest["name"]


@pytest.mark.parametrize("calls_tools", [True, False])
def test_what_came_after_the_origin_changes_no_request(prices, tmp_path, calls_tools):
    def requests(known, name):
        spoken = Spoken(plays(as_told))
        spoken.calls_tools = calls_tools
        plan = Plan(known, np.array(ORIGINS[:1]), (5, HORIZON), (Played("m", spoken),))
        tape = Tape(tmp_path / name)
        rows = evaluate(plan, tape, {}, lambda *_: None)
        assert len(rows) == 2 * len(ARMS) * len((PLAIN, MASKED)) + 2 * len(UNAIDED)
        return rows, json.dumps(spoken.requests)

    rows, shown = requests(prices, "true")
    others, same = requests(with_garbage_after(prices, ORIGINS[0]), "garbage")
    assert shown == same and shown.count("What will") >= 20
    for row, other in zip(rows, others, strict=True):
        assert {**row, "actual": 0, "seconds": 0} == {**other, "actual": 0, "seconds": 0}
        assert row["actual"] != other["actual"]


def test_prompts_tell_what_the_origin_knew_and_not_the_outcome(asked):
    [[_, trial], _] = asked
    origin = trial.origin
    band = origin.forecast("random_walk", trial.target).interval(0.9)
    facts = Facts(origin.tool, trial.target, tuple(origin.recent_closes), band)
    for arm in ARMS:
        spoken = Spoken(plays(as_told))
        ask(arm, facts, spoken)
        shown = json.dumps(spoken.requests)
        assert str(trial.target) in shown
        for written in (f"{trial.actual:.2f}", f"{trial.actual / 4:.2f}", f"{trial.actual:,.0f}"):
            assert written not in shown


# Which days are asked from


def test_origins_are_evenly_spaced_and_all_their_targets_known(prices):
    found = origins_between(prices, DAY("2021-01-01"), DAY("2021-12-31"), 21, 10)
    places = np.searchsorted(prices.session, found)
    assert found.size == 10 and found[0] == DAY("2021-01-04")
    assert np.ptp(np.diff(places)) <= 1
    assert session_after(found[-1], 21) == prices.as_of


def test_there_are_no_more_origins_than_sessions(prices):
    found = origins_between(prices, DAY("2021-07-01"), DAY("2021-07-09"), 5, 1_000)
    first, last = np.searchsorted(prices.session, [DAY("2021-07-01"), DAY("2021-07-09")])
    np.testing.assert_array_equal(found, prices.session[first : last + 1])


def test_one_origin_is_the_first(prices):
    found = origins_between(prices, DAY("2021-07-03"), DAY("2021-07-30"), 5, 1)
    assert found.tolist() == [DAY("2021-07-06").astype(object)]  # after Independence Day


@pytest.mark.parametrize(
    ("first", "last", "horizon"),
    [
        ("2021-10-20", "2021-10-29", 21),  # no target is known yet
        ("2022-01-01", "2022-12-31", 5),
        ("2021-07-03", "2021-07-05", 5),  # a holiday and its weekend
        ("2021-07-30", "2021-07-01", 5),
    ],
)
def test_days_without_a_session_to_ask_from_are_an_error(prices, first, last, horizon):
    with pytest.raises(UsageError) as error:
        origins_between(prices, DAY(first), DAY(last), horizon, 3)
    said = str(error.value)
    assert f"from {first} to {last}" in said and f"{horizon} sessions later" in said
    assert "the prices go from 2019-12-02 to 2021-10-29" in said
