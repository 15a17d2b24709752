"""Scores of the ledger: those of the backtest, once, in the dollars of the day it was said."""

import dataclasses
import types

import numpy as np
import pytest
from stored import MADE_AT, answer_of, day, entry_of, forecast_of, made, model_of, opened, tamper

from belief import models
from belief.backtest_parts import COVERED, SCORES, Chain, rows_of
from belief.events import NO_EVENTS
from belief.fitted_model import Reached
from belief.forecast import NORMAL_SCORES
from belief.ledger import append, breaks, entries, forecast_entry
from belief.ledger_scores import changed_scores, score_due, unscored
from belief.models import fit, forecasts
from belief.prices import Split
from belief.sessions import session_after
from belief.sources import load_prices
from belief.store import load_prices as load_stored
from belief.store import save_prices

LATER = "2023-06-01T00:00:00+00:00"


def put(store, prices, *said):
    with store.write() as connection:
        save_prices(connection, prices)
        return append(connection, prices.symbol, said)


def scored(store, prices, at=LATER):
    """Score what is due; the numbers of the entries that were scored, and of those without."""
    with store.write() as connection:
        now, closeless = score_due(connection, prices.symbol, prices, at)
    return [each.number for each in now], [each.number for each in closeless]


def scores_of(store, symbol="XYZ"):
    with store.read() as connection:
        return [each.score for each in entries(connection, symbol=symbol)]


def wrong(store, prices, symbol="XYZ"):
    with store.read() as connection:
        return list(changed_scores(connection, symbol, prices))


# the same figures as the backtest's


def put_in_place(monkeypatch):
    """A model whose forecasts move with the prices it knows."""

    def fit_one(model, observations, start):
        return Reached({"sd": np.array([observations.log_return[-20:].std()])}, 0.0, 1, True)

    def forecast_quantiles(fitted, horizons, outlook, generator):
        sd = fitted.parameters["sd"][0] * np.sqrt(horizons)[:, None]
        return 0.001 + sd * np.sinh(NORMAL_SCORES / 2.0)

    module = types.SimpleNamespace(
        fit=fit_one,
        carry=lambda fitted, observations: dict(fitted.parameters),
        forecast_quantiles=forecast_quantiles,
    )
    monkeypatch.setitem(models.KINDS, "moving", (module, module))
    monkeypatch.setattr(models, "MODELS", tuple(models.KINDS))
    return "moving"


def test_scores_are_those_of_the_backtest_across_splits(tmp_path, monkeypatch):
    model, horizons = put_in_place(monkeypatch), (1, 3, 10)
    days = made(130).session
    prices = made(130, splits=(Split(days[105], 4.0), Split(days[112], 1.5)))
    origins = prices.session[100:120]
    walked = rows_of(Chain(model, prices, origins, horizons, 1, tmp_path / "parts"), 0)
    with opened(tmp_path) as store:
        for origin in origins:
            known = prices.until(origin)
            fitted = fit(model, known)
            targets = [session_after(origin, horizon) for horizon in horizons]
            said = forecasts(fitted, known, targets)
            put(
                store,
                prices,
                *(forecast_entry(fitted, known, each, made_at=MADE_AT, live=True) for each in said),
            )
        scored(store, prices)
        found = [each for each in scores_of(store) if each is not None]
    assert len(found) == walked.num_rows == 20 + 20 + 20
    for name in ("close", "log_return", *SCORES):
        mine = [each[name] for each in found]
        np.testing.assert_allclose(mine, walked.column(name).to_numpy(), rtol=1e-9, atol=1e-9)
    for name in COVERED:
        assert [each[name] for each in found] == walked.column(name).to_pylist()
    assert len({each["covered_50"] for each in found}) == 2


# splits


@pytest.mark.parametrize(
    ("origin", "target", "split", "ratio"),
    [
        ("2021-07-15", "2021-07-22", "2021-07-20", 4.0),
        ("2024-06-05", "2024-06-12", "2024-06-10", 10.0),
    ],
)
def test_a_split_of_nvidia_on_the_way_changes_no_score(tmp_path, origin, target, split, ratio):
    nvda = load_prices("NVDA")
    assert Split(day(split), ratio) in nvda.splits
    known, later = nvda.until(day(origin)), nvda.until(day(target))
    own = {"price": 1.0, "low": 1.0, "high": 2.0, "prob_up": 0.5}
    with opened(tmp_path) as store:
        put(store, known, entry_of(known, 5), answer_of(known, 5, own))
        put(store, later)
        assert scored(store, later) == ([1, 2], [])
        forecast, answer = scores_of(store, "NVDA")
        assert wrong(store, nvda, "NVDA") == []
    as_a_chart_has_it = np.log(later.quoted_close()[-1] / later.quoted_close()[-6])
    assert abs(as_a_chart_has_it) < 0.2
    for score in (forecast, answer):
        assert score["log_return"] == pytest.approx(as_a_chart_has_it, abs=1e-12)
        assert score["close"] == pytest.approx(later.last_close * ratio, rel=1e-12)
    assert answer["absolute_error"] == pytest.approx(later.last_close * ratio - 1.0, rel=1e-12)
    sd = 0.02 * np.sqrt(5) / np.sqrt(3.0)
    z = 2.0 * np.arcsinh(as_a_chart_has_it / sd)
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * 2.0 / sd / np.cosh(z / 2.0)
    assert forecast["log_score"] == pytest.approx(np.log(density), abs=1e-4)


def test_a_split_behind_the_target_changes_no_score(tmp_path):
    days = made(90).session
    short = made(90).until(days[70])
    whole = made(90, splits=(Split(days[75], 3.0), Split(days[80], 1 / 7)))
    known = short.until(days[60])
    own = {"price": 50.0, "low": 49.0, "high": 51.0, "prob_up": 0.5}
    said = (entry_of(known, 10), answer_of(known, 10, own))
    found = []
    for folder, prices in (("early", short), ("late", whole)):
        (tmp_path / folder).mkdir()
        with opened(tmp_path / folder) as store:
            put(store, prices, *said)
            assert scored(store, prices) == ([1, 2], [])
            found.append(scores_of(store))
    for early, late in zip(*found, strict=True):
        assert early.pop("scored_at") == late.pop("scored_at")
        figures = [name for name, value in early.items() if value is not None]
        assert figures == [name for name, value in late.items() if value is not None]
        mine, its = ([score[name] for name in figures] for score in (early, late))
        np.testing.assert_allclose(mine, its, rtol=1e-12, atol=1e-12)


# when


def test_nothing_is_scored_before_its_target_is_in_the_prices(tmp_path):
    whole = made(70)
    known = whole.until(whole.session[59])
    own = {"price": 50.0, "low": 49.0, "high": 51.0, "prob_up": 0.5}
    with opened(tmp_path) as store:
        said = (*(entry_of(known, horizon) for horizon in (1, 2, 5)), answer_of(known, 2, own))
        put(store, known, *said)
        assert scored(store, known) == ([], [])
        assert scored(store, whole.until(whole.session[60])) == ([1], [])
        assert [score is not None for score in scores_of(store)] == [True, False, False, False]
        assert scored(store, whole.until(whole.session[63])) == ([2, 4], [])
        assert scored(store, whole.until(whole.session[64])) == ([3], [])
        assert scored(store, whole) == ([], [])


def test_a_score_is_given_once_and_stays(tmp_path):
    whole = made(70)
    known = whole.until(whole.session[59])
    with opened(tmp_path) as store:
        put(store, whole, entry_of(known, 1))
        assert scored(store, whole) == ([1], [])
        first = scores_of(store)
        assert first[0]["scored_at"] == LATER
        assert scored(store, whole, at="2024-01-01T00:00:00+00:00") == ([], [])
        assert scores_of(store) == first


def test_scores_do_not_depend_on_later_rows(tmp_path):
    whole, found = made(120), []
    known = whole.until(whole.session[59])
    for last in (69, 119):
        (tmp_path / str(last)).mkdir()
        with opened(tmp_path / str(last)) as store:
            prices = whole.until(whole.session[last])
            put(store, prices, *(entry_of(known, horizon) for horizon in range(1, 11)))
            assert scored(store, prices) == (list(range(1, 11)), [])
            found.append(scores_of(store))
    assert found[0] == found[1]


def without(prices, place):
    """The prices without one session."""
    rows = np.delete(np.arange(prices.session.size), place)
    columns = ("session", "open", "high", "low", "close", "volume")
    kept = {name: getattr(prices, name)[rows] for name in columns}
    return dataclasses.replace(prices, **kept, events=NO_EVENTS)


def test_a_target_without_a_close_is_told_and_waits(tmp_path):
    whole = made(70)
    known = whole.until(whole.session[59])
    with opened(tmp_path) as store:
        put(store, whole, *(entry_of(known, horizon) for horizon in (1, 2, 3)))
        holed = without(whole, 61)
        assert scored(store, holed) == ([1, 3], [2])
        assert scored(store, holed) == ([], [2])
        assert [score is None for score in scores_of(store)] == [False, True, False]
        assert scored(store, whole) == ([2], [])


def test_an_origin_that_the_prices_do_not_have_gives_no_score(tmp_path):
    whole = made(70)
    known = whole.until(whole.session[59])
    with opened(tmp_path) as store:
        put(store, whole, entry_of(known, 1))
        assert scored(store, without(whole, 59)) == ([], [1])


def test_a_symbol_is_scored_with_its_own_prices(tmp_path):
    one, other = made(70), made(70, symbol="ABC", seed=8)
    with opened(tmp_path) as store:
        for prices in (one, other):
            put(store, prices, entry_of(prices.until(prices.session[59]), 1))
        assert scored(store, one) == ([1], [])
        assert scores_of(store, "ABC") == [None]
        assert scored(store, other) == ([1], [])
        (mine,), (its,) = scores_of(store), scores_of(store, "ABC")
    assert mine["close"] == one.close[60]
    assert its["close"] == other.close[60]


# answers


@pytest.mark.parametrize(
    ("low", "high", "penalty"),
    [(-1.0, 2.0, 0.0), (0.5, 2.0, 20 * 0.5), (-3.0, -0.25, 20 * 0.25), (0.0, 0.0, 0.0)],
)
def test_an_answer_is_scored_by_its_own_figures(tmp_path, low, high, penalty):
    whole = made(70)
    known = whole.until(whole.session[59])
    close = whole.close[61]
    own = {"price": close + 1.5, "low": close + low, "high": close + high, "prob_up": 0.7}
    with opened(tmp_path) as store:
        put(store, whole, answer_of(known, 2, own), entry_of(known, 2))
        assert scored(store, whole) == ([1, 2], [])
        answer, forecast = scores_of(store)
        assert wrong(store, whole) == []
    rose = float(close > known.last_close)
    assert answer["close"] == close
    assert answer["log_return"] == pytest.approx(np.log(close / known.last_close), abs=1e-12)
    assert answer["absolute_error"] == pytest.approx(1.5, abs=1e-9)
    assert answer["interval_score"] == pytest.approx(high - low + penalty, abs=1e-9)
    assert answer["brier"] == pytest.approx((0.7 - rose) ** 2, abs=1e-12)
    assert answer["covered_90"] is (penalty == 0.0)
    unsaid = ("log_score", "crps", "pit", "covered_50", "covered_80", "covered_95")
    assert [answer[name] for name in unsaid] == [None] * 6
    assert forecast["close"] == answer["close"]
    assert None not in forecast.values()


@pytest.mark.parametrize("figures", [None, {}])
def test_an_answer_without_figures_of_its_own_is_no_failure(tmp_path, figures):
    whole = made(70)
    known = whole.until(whole.session[59])
    nothing = answer_of(known, 2, figures)
    aimless = dataclasses.replace(nothing, name="abc", origin=None, target=None, horizon=None)
    with opened(tmp_path) as store:
        put(store, whole, nothing, aimless)
        assert scored(store, whole) == ([], [])
        assert wrong(store, whole) == []


def test_the_chance_of_a_rise_is_marked_by_its_square(tmp_path):
    whole = made(70)
    known = whole.until(whole.session[59])
    sure = dataclasses.replace(
        forecast_of(known, 1), log_return_quantile=0.5 + 0.001 * NORMAL_SCORES
    )
    entry = forecast_entry(model_of(known), known, sure, made_at=MADE_AT, live=True)
    with opened(tmp_path) as store:
        put(store, whole, entry)
        scored(store, whole)
        (score,) = scores_of(store)
    rose = float(whole.close[60] > whole.close[59])
    assert score["brier"] == pytest.approx((1.0 - rose) ** 2, abs=1e-6)


# what shows

OWN = {"price": 50.0, "low": 40.0, "high": 60.0, "prob_up": 0.5}


@pytest.fixture
def written(tmp_path):
    """A folder with the scores of two forecasts and of an answer, and an answer without."""
    whole = made(70)
    known = whole.until(whole.session[59])
    with opened(tmp_path) as store:
        said = (entry_of(known, 1), entry_of(known, 2), answer_of(known, 1, OWN))
        put(store, whole, *said, answer_of(known, 1, None, name="feed"), entry_of(known, 30))
        assert scored(store, whole) == ([1, 2, 3], [])
    return tmp_path


@pytest.mark.parametrize(
    "column",
    [
        "close",
        "log_return",
        "log_score",
        "crps",
        "pit",
        "absolute_error",
        "interval_score",
        "brier",
        *COVERED,
    ],
)
@pytest.mark.parametrize("how", ["little", "nothing", "words"])
def test_a_changed_score_is_found_by_its_number_and_column(written, column, how):
    little = f"1 - {column}" if column in COVERED else f"{column} + 1e-6"
    value = {"little": little, "nothing": "NULL", "words": "'good'"}[how]
    if how == "nothing" and column in ("close", "log_return"):
        return  # the database does not take it
    if how == "words" and column in COVERED:
        return  # the database reads it as a truth value
    tamper(written, f"UPDATE scores SET {column} = {value} WHERE number = 2")
    with opened(written) as store:
        (found,) = wrong(store, made(70))
    assert (found.symbol, found.number) == ("XYZ", 2)
    assert found.reason == f"its {column} is not what the prices give"


@pytest.mark.parametrize("column", ["absolute_error", "interval_score", "brier", "covered_90"])
def test_a_changed_score_of_an_answer_is_found(written, column):
    tamper(written, f"UPDATE scores SET {column} = 1 - {column} WHERE number = 3")
    with opened(written) as store:
        (found,) = wrong(store, made(70))
    assert (found.number, found.reason) == (3, f"its {column} is not what the prices give")


def test_scores_that_nobody_touched_are_what_the_prices_give(written):
    with opened(written) as store:
        assert wrong(store, made(70)) == []
        assert wrong(store, made(120).until(made(120).session[80])) == []


COPY = (
    "INSERT INTO scores SELECT symbol, {place}, scored_at, close, log_return, log_score, crps, "
    "pit, absolute_error, interval_score, brier, covered_50, covered_80, covered_90, covered_95 "
    "FROM scores WHERE number = 1"
)


@pytest.mark.parametrize(
    ("place", "reason"), [(4, "it is scored without figures"), (5, "it is scored without a close")]
)
def test_a_score_that_nothing_gives_is_found(written, place, reason):
    tamper(written, COPY.format(place=place))
    with opened(written) as store:
        (found,) = wrong(store, made(70))
        with store.read() as connection:
            assert list(breaks(connection)) == []
    assert (found.number, found.reason) == (place, reason)


def test_scores_without_prices_are_found(written):
    with opened(written) as store:
        (found,) = wrong(store, None)
    assert (found.number, found.reason) == (1, "it is scored without prices")


def test_a_changed_price_shows_in_the_scores_that_rest_on_it(written):
    changed = "UPDATE prices SET close = close * 1.0001, high = high * 1.0002 WHERE session = "
    tamper(written, f"{changed}'{made(70).session[61]}'")
    with opened(written) as store:
        with store.read() as connection:
            prices = load_stored(connection, "XYZ")
        (found,) = wrong(store, prices)
    assert (found.number, found.reason) == (2, "its close is not what the prices give")


# other prices


def off_by(entry, factor):
    """The entry as if it had been made from other prices."""
    body = {**entry.body, "last_close": entry.body["last_close"] * factor}
    return dataclasses.replace(entry, name=f"off{factor}".replace(".", ""), body=body)


@pytest.mark.parametrize("factor", [0.1, 0.94, 1.06, 10.0, 0.0])
def test_what_rests_on_other_prices_is_told_and_not_scored(tmp_path, factor):
    whole = made(70)
    known = whole.until(whole.session[59])
    said = (entry_of(known, 1), answer_of(known, 1, OWN))
    with opened(tmp_path) as store:
        put(store, whole, *said, *(off_by(each, factor) for each in said))
        assert scored(store, whole) == ([1, 2], [3, 4])
        assert wrong(store, whole) == []
    tamper(tmp_path, COPY.format(place=3))
    with opened(tmp_path) as store:
        (found,) = wrong(store, whole)
    assert (found.number, found.reason) == (3, "it is scored without a close")


def test_a_last_close_that_was_revised_a_little_is_that_of_its_origin(tmp_path):
    whole = made(70)
    known = whole.until(whole.session[59])
    with opened(tmp_path) as store:
        put(store, whole, off_by(entry_of(known, 1), 1.04), off_by(entry_of(known, 2), 0.96))
        assert scored(store, whole) == ([1, 2], [])


def test_what_is_due_and_not_scored_is_listed(tmp_path):
    whole = made(70)
    known = whole.until(whole.session[59])
    with opened(tmp_path) as store:
        put(store, whole, entry_of(known, 1), entry_of(known, 30), off_by(entry_of(known, 2), 2.0))
        with store.read() as connection:
            assert [each.number for each in unscored(connection, "XYZ", whole)] == [1]
        scored(store, whole)
        with store.read() as connection:
            assert unscored(connection, "XYZ", whole) == []
