"""The forecast tool's result: what it says, how long it is, how good such forecasts were."""

import dataclasses
import json

import numpy as np
import pytest
from called import EIGHT, run

from belief.models import MAX_HORIZON, fit
from belief.prices import COLUMNS as PRICE_COLUMNS
from belief.sessions import session_after
from belief.sources import load_prices
from belief.track_record import COLUMNS, Scored, bundled_scores, track_record
from belief_tools.forecast_tool import ForecastTool, summary
from belief_tools.receipt import events_in_words, receipt

# The result


def test_the_result_says_what_was_known_on_as_of(tool):
    result = run(tool, target_date="2024-03-28")
    assert (result.symbol, result.currency, result.as_of) == ("NVDA", "USD", "2024-03-01")
    assert result.last_close == 822.79
    assert result.source == "bundled snapshot"
    assert result.age_in_days is None
    assert result.notes == [
        "prices before any later split",
        "memories count alike: no walk has weighed them yet",
    ]


def test_scheduled_events_before_the_target_are_named_as_they_were_known(tool):
    assert run(tool).scheduled_events == []
    (may,) = run(tool, target_date="2024-06-14").scheduled_events
    assert may["announced"] is False
    # announced for 2024-05-22 after the close, which nobody knew in March
    assert "2024-05-16" <= may["session"] <= "2024-05-31"
    assert 0.9 < may["probability"] < 1.0
    prices = load_prices("NVDA").until(np.datetime64("2024-05-10"))
    later = ForecastTool(prices, fit("few_state_static", prices), None)
    known = run(later, target_date="2024-06-14").scheduled_events
    assert known == [{"session": "2024-05-23", "announced": True, "probability": 1.0}]


def test_an_event_that_is_not_announced_is_never_shown_as_one(tool):
    result = run(tool, target_date="2024-10-31")
    assert [event["announced"] for event in result.scheduled_events] == [False]
    assert result.later_events == 1
    told = events_in_words(result.scheduled_events, result.later_events)
    assert told.startswith("about 2024-05-") and told.endswith(
        "(over 99 % by the target), and 1 more"
    )


def test_the_likeliest_session_of_an_event_does_not_depend_on_the_target(tool):
    (near,) = run(tool, target_date="2024-05-21").scheduled_events
    (far,) = run(tool, target_date="2024-06-28").scheduled_events
    assert near["session"] == far["session"] > "2024-05-21"
    assert near["probability"] < far["probability"]


def test_the_end_of_march_means_its_last_session(tool):
    result = run(tool, target_date="2024-03-31")
    assert (result.target, result.horizon) == ("2024-03-28", 19)
    exactly = run(tool, target_date="2024-03-28")
    moved = "2024-03-31 is no session; 2024-03-28 is the last one before it"
    assert result.notes == [moved, *exactly.notes]
    assert dataclasses.replace(result, notes=exactly.notes) == exactly


def test_a_hole_in_the_prices_is_told(tool, prices):
    kept = np.ones(prices.session.size, dtype=bool)
    kept[-12:-5] = kept[-30] = False  # the longer one is told
    columns = {name: getattr(prices, name)[kept] for name in ("session", *PRICE_COLUMNS)}
    holed = dataclasses.replace(prices, **columns)
    (told,) = [note for note in run(dataclasses.replace(tool, prices=holed)).notes if "7 " in note]
    first, last = prices.session[-12], prices.session[-6]
    assert told == (
        f"no prices of the 7 sessions from {first} to {last}: the move across them counts as that "
        f"of one session"
    )


def test_the_summary_comes_first_and_says_it_all(tool):
    result = run(tool)
    assert next(iter(json.loads(result.to_json()))) == "summary"
    low, high = result.interval_90
    assert result.summary == (
        f"On 2024-03-28 Nvidia is expected at ${result.median:,.0f}; 90 % chance between "
        f"${low:,.0f} and ${high:,.0f}; last close $822.79"
    )
    assert result.summary == summary("Nvidia", tool.forecast(np.datetime64("2024-03-28")))


def test_the_result_is_under_a_thousand_bytes_without_levels(tool, prices):
    farthest = str(session_after(prices.as_of, MAX_HORIZON))
    for day in ("2024-03-04", "2024-03-28", "2024-06-28", "2024-08-30", "2025-02-28", farthest):
        assert len(run(tool, target_date=day).to_json().encode()) < 1000


def test_the_model_is_shown_the_fields_without_what_is_of_no_use_to_it(tool):
    result = run(tool)
    shown, fields = json.loads(result.to_json()), result.to_dict()
    assert set(fields) - set(shown) == {"forecast_id", "model", "prob_above", "scheduled_events"}
    assert shown.pop("regimes") == {r["name"]: r["probability"] for r in fields.pop("regimes")}
    record, kept = fields.pop("track_record"), shown.pop("track_record")
    assert set(record) - set(kept) == {"first", "last", "coverage_50"}
    assert kept.items() <= record.items() and shown.items() <= fields.items()
    assert json.loads(run(tool, price_levels=EIGHT).to_json())["prob_above"]


def test_eight_levels_add_less_than_half_as_much_again(tool):
    bare, full = run(tool), run(tool, price_levels=EIGHT)
    assert len(full.to_json().encode()) < 1.5 * len(bare.to_json().encode())


def test_the_result_is_plain_json_without_nan(tool):
    result = run(tool, price_levels=EIGHT)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
    json.dumps(json.loads(result.to_json()), allow_nan=False)


def test_the_same_call_gives_the_same_bytes(tool, prices):
    again = ForecastTool(prices, tool.fitted, None)
    assert run(tool, price_levels=EIGHT).to_json() == run(again, price_levels=EIGHT).to_json()


def test_other_calls_in_between_change_nothing(tool):
    before = run(tool).to_json()
    run(tool, target_date="2024-06-28")
    assert run(tool).to_json() == before


@pytest.mark.parametrize("day", ["2024-03-04", "2024-03-28", "2024-12-31", "2026-02-27"])
def test_the_intervals_lie_in_each_other_around_the_median(tool, day):
    result = run(tool, target_date=day)
    (lower, upper), (low, high) = result.interval_50, result.interval_90
    assert 0.0 < low < lower < result.median < upper < high


def test_the_farther_target_has_the_wider_interval(tool):
    widths = []
    for day in ("2024-03-04", "2024-03-28", "2024-12-31", "2026-02-27"):
        low, high = run(tool, target_date=day).interval_90
        widths.append(high / low)
    assert widths == sorted(set(widths))


def test_the_probability_of_exceeding_a_level_falls_in_the_level(tool):
    result = run(tool, price_levels=EIGHT)
    assert [entry["level"] for entry in result.prob_above] == EIGHT
    chances = [entry["probability"] for entry in result.prob_above]
    assert chances == sorted(set(chances), reverse=True)
    assert all(0.0 <= chance <= 1.0 for chance in chances)


def test_levels_are_answered_in_the_order_asked(tool):
    levels = [1000, 700, 850]
    result = run(tool, price_levels=levels)
    assert [entry["level"] for entry in result.prob_above] == levels


def test_the_probabilities_agree_with_the_median_the_interval_and_the_last_close(tool):
    bare = run(tool)
    low, high = bare.interval_90
    levels = [bare.last_close, bare.median, low, high]
    chances = [e["probability"] for e in run(tool, price_levels=levels).prob_above]
    assert chances[0] == bare.prob_up
    assert np.allclose(chances[1:], [0.5, 0.95, 0.05], rtol=0, atol=2e-3)


def test_the_beliefs_probabilities_sum_to_one(tool):
    result = run(tool)
    assert sum(r["probability"] for r in result.regimes) == pytest.approx(1.0, abs=2e-4)
    assert np.allclose(np.sum(result.transition_matrix, axis=1), 1.0, rtol=0, atol=2e-3)
    assert len(result.transition_matrix) == len(result.regimes)
    assert [r["name"] for r in result.regimes][:2] == ["calm", "normal"]


def test_the_forecast_id_changes_with_the_target_but_not_with_the_levels(tool):
    first = run(tool).forecast_id
    assert run(tool, price_levels=EIGHT).forecast_id == first
    assert run(tool, target_date="2024-03-27").forecast_id != first
    assert len(first) == 12


def test_the_forecast_id_and_the_forecast_change_with_the_model(tool, prices):
    other = ForecastTool(prices, fit("few_state_static", prices), None)
    ours, theirs = run(tool), run(other)
    assert ours.forecast_id != theirs.forecast_id
    assert ours.transition_matrix != theirs.transition_matrix


def test_the_age_counts_days_on_the_clock_and_moves_nothing_else(tool, prices):
    later = ForecastTool(prices, tool.fitted, np.datetime64("2024-03-11"))
    aged = run(later)
    assert aged.age_in_days == 10
    assert dataclasses.replace(aged, age_in_days=None) == run(tool)


# The track record


def ledger(horizon, n):
    """Forecasts given out on the n days before 2024-03-01; the last interval failed."""
    target = np.datetime64("2024-03-01") - np.arange(n)[::-1]
    return Scored(
        model=np.full(n, "belief"),
        origin=target - 1,
        target=target,
        horizon=np.full(n, horizon),
        log_score=np.zeros(n),
        crps=np.zeros(n),
        pit=np.full(n, 0.5),
        covered_50=np.ones(n, dtype=bool),
        covered_90=np.arange(n) < n - 1,
    )


@pytest.mark.parametrize(("day", "horizon"), [("2024-03-04", 1), ("2024-03-28", 21)])
def test_the_result_says_how_good_such_forecasts_were(tool, prices, day, horizon):
    record = run(tool, target_date=day).track_record
    assert (record["horizon"], record["source"]) == (horizon, "backtest")
    assert record == track_record(bundled_scores("NVDA"), horizon, prices.as_of).to_dict()
    assert record["last"] <= "2024-03-01"


def test_only_the_shipped_model_and_bundled_symbols_have_a_record(tool, prices):
    other = ForecastTool(prices, fit("few_state_static", prices), None)
    assert run(other).track_record is None
    renamed = dataclasses.replace(prices, symbol="XYZ", name="XYZ")
    fitted = dataclasses.replace(tool.fitted, symbol="XYZ")
    assert run(ForecastTool(renamed, fitted, None), symbol="XYZ").track_record is None


def test_the_ledger_replaces_the_backtest_once_it_is_long_enough(tool, prices):
    def told(n):
        return run(ForecastTool(prices, tool.fitted, None, ledger(1, n)), target_date="2024-03-04")

    assert told(19).track_record["source"] == "backtest"
    record = told(20).track_record
    assert (record["source"], record["origins"], record["coverage_90"]) == ("ledger", 20, 0.95)


def test_what_came_out_after_as_of_does_not_reach_the_result(tool, prices):
    known = ledger(1, 30)
    later = dataclasses.replace(known, origin=known.origin + 30, target=known.target + 30)
    both = Scored(**{n: np.concatenate([getattr(known, n), getattr(later, n)]) for n in COLUMNS})
    first, second = (ForecastTool(prices, tool.fitted, None, each) for each in (known, both))
    assert run(first, target_date="2024-03-04") == run(second, target_date="2024-03-04")


def receipt_of(record, tool):
    return receipt(dataclasses.replace(run(tool), track_record=record), "host", None)


RECORD = {
    **{"horizon": 21, "source": "backtest", "first": "2013-01-02", "last": "2024-03-01"},
    **{"origins": 2787, "windows": 133, "coverage_50": 0.48, "coverage_90": 0.8721},
    "verdict": "better than a random walk, no skill over GARCH-t",
}


def test_the_receipt_says_how_good_such_forecasts_were_in_two_short_lines(tool):
    lines = receipt_of(RECORD, tool)
    assert lines[3:5] == (
        "track record 21 sessions ahead, 2013-01-02 to 2024-03-01: "
        "90 % intervals held 87.2 % of 2,787 closes",
        "backtest with 133 windows that do not overlap: "
        "better than a random walk, no skill over GARCH-t",
    )
    assert max(map(len, lines[3:5])) < 110


def test_the_receipt_says_where_there_is_too_little_or_nothing(tool):
    few = {**RECORD, "horizon": 1, "windows": 1, "origins": 1, "verdict": "too few to judge"}
    lines = receipt_of(few, tool)
    assert "1 session ahead" in lines[3] and lines[3].endswith("of 1 close")
    assert lines[4] == "backtest with 1 window: too few to judge"
    assert "track record: none" in receipt_of(None, tool)
