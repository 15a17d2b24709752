import dataclasses
import json
import math

import numpy as np
import pytest

from belief.errors import UsageError
from belief.models import MAX_HORIZON, fit
from belief.prices import Split
from belief.sessions import session_after
from belief.sources import load_prices, read_csv
from belief.track_record import COLUMNS, Scored, bundled_scores, track_record
from belief_tools.forecast_tool import (
    DEFINITION,
    MAX_LEVELS,
    NAME,
    PARAMETERS,
    ForecastResult,
    ForecastTool,
    cents,
    money,
    moves_as_bundled,
    summary,
)
from belief_tools.receipt import events_in_words, receipt

CALL = {"symbol": "NVDA", "target_date": "2024-03-31", "price_levels": None}
EIGHT = [700.5, 750, 800, 850, 900, 950, 1000, 1234.56]


def run(tool: ForecastTool, **changes) -> ForecastResult:
    return tool.run(tool.check({**CALL, **changes}))


def refusal(tool: ForecastTool, **changes) -> str:
    with pytest.raises(UsageError) as caught:
        tool.check({**CALL, **changes})
    return str(caught.value)


# The definition


def test_the_schema_is_strict():
    function = DEFINITION["function"]
    assert DEFINITION["type"] == "function" and function["name"] == NAME
    assert function["strict"] is True and function["parameters"] is PARAMETERS
    assert PARAMETERS["additionalProperties"] is False
    assert PARAMETERS["required"] == list(PARAMETERS["properties"])
    assert list(PARAMETERS["properties"]) == ["symbol", "target_date", "price_levels"]


def test_the_schema_has_only_words_that_every_strict_server_takes():
    known = {"type", "properties", "required", "additionalProperties", "description"}
    assert set(_keywords(PARAMETERS)) <= known | {"anyOf", "items"}


def _keywords(schema):
    yield from schema
    for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", [])):
        yield from _keywords(inner)
    if "items" in schema:
        yield from _keywords(schema["items"])


def test_the_definition_is_plain_json_and_every_parameter_is_described():
    assert json.loads(json.dumps(DEFINITION)) == DEFINITION
    assert all(entry["description"] for entry in PARAMETERS["properties"].values())


# Arguments


@pytest.mark.parametrize("symbol", ["NVDA", "nvda", " NVDA ", "Nvidia", "NVIDIA", "nvidia"])
def test_the_symbol_may_be_written_as_people_write_it(tool, symbol):
    assert run(tool, symbol=symbol).symbol == "NVDA"


@pytest.mark.parametrize("symbol", ["AAPL", "", "NVD", "NVDAX", "Apple", "AMD"])
def test_another_symbol_is_refused_with_the_one_that_is_known(tool, symbol):
    told = refusal(tool, symbol=symbol)
    assert repr(symbol) in told and "NVDA" in told.replace(repr(symbol), "")


@pytest.mark.parametrize("symbol", [None, 1, ["NVDA"], {"symbol": "NVDA"}, True])
def test_a_symbol_that_is_no_text_is_refused(tool, symbol):
    told = refusal(tool, symbol=symbol)
    assert repr(symbol) in told and told.endswith("NVDA")


@pytest.mark.parametrize("missing", ["symbol", "target_date"])
def test_a_missing_argument_is_named(tool, missing):
    passed = {name: value for name, value in CALL.items() if name != missing}
    with pytest.raises(UsageError, match=missing):
        tool.check(passed)


def test_leaving_out_the_levels_means_none(tool):
    passed = {"symbol": "NVDA", "target_date": "2024-03-28"}
    assert tool.check(passed).levels == ()
    assert tool.check({**passed, "price_levels": []}).levels == ()


def test_an_unknown_argument_is_refused_with_the_known_ones(tool):
    told = refusal(tool, horizon=5)
    assert told == (
        "unknown argument 'horizon'; forecast_price takes symbol, target_date, price_levels"
    )


@pytest.mark.parametrize("day", [None, 20240328, 1.5, True, ["2024-03-28"], {}])
def test_a_target_date_that_is_no_text_is_refused(tool, day):
    told = refusal(tool, target_date=day)
    assert told == f"target_date is {day!r}; give a day as YYYY-MM-DD"


@pytest.mark.parametrize(
    "day", ["", "tomorrow", "2024-02-30", "2024-13-01", "28.03.2024", "2024-3-28", "2024-03"]
)
def test_a_target_date_that_is_no_day_is_refused_with_the_form_wanted(tool, day):
    told = refusal(tool, target_date=day)
    assert repr(day) in told and "YYYY-MM-DD" in told


@pytest.mark.parametrize("day", ["2024-02-29", "2024-03-01", "2019-01-01", "0001-01-01"])
def test_a_target_date_that_is_known_already_is_refused(tool, day):
    told = refusal(tool, target_date=day)
    assert told == (
        f"target_date {day} is not after the last known session 2024-03-01; ask for a later date"
    )


@pytest.mark.parametrize("day", ["2024-03-02", "2024-03-03"])
def test_a_weekend_before_the_next_session_is_refused_with_that_session(tool, day):
    told = refusal(tool, target_date=day)
    assert day in told and "ask for 2024-03-04 or later" in told


def test_the_farthest_target_is_taken_and_the_session_after_is_not(tool, prices):
    farthest = session_after(prices.as_of, MAX_HORIZON)
    assert run(tool, target_date=str(farthest)).horizon == MAX_HORIZON
    beyond = str(session_after(farthest, 1))
    told = refusal(tool, target_date=beyond)
    assert beyond in told and f"ask for {farthest} or earlier" in told


def test_a_weekend_after_the_farthest_session_means_that_session(tool, prices):
    farthest = session_after(prices.as_of, MAX_HORIZON)
    checked = tool.check({**CALL, "target_date": str(farthest + 1)})
    assert checked.target == farthest


def test_a_day_beyond_the_calendar_is_refused(tool):
    assert "9999-12-31" in refusal(tool, target_date="9999-12-31")


@pytest.mark.parametrize("levels", [900, "900", {"level": 900}, True, 9.5])
def test_levels_that_are_no_list_are_refused(tool, levels):
    told = refusal(tool, price_levels=levels)
    assert told == f"price_levels is {levels!r}; give a list of prices or null"


@pytest.mark.parametrize(
    "level", [True, False, "900", None, [900], math.nan, math.inf, -math.inf, -1, 0, 0.0, 1e9]
)
def test_a_level_that_is_no_price_is_refused_by_name(tool, level):
    told = refusal(tool, price_levels=[900, level])
    assert f"price level {level!r} is not" in told and "1,000,000,000" in told


@pytest.mark.parametrize(
    "level", [10**400, "9" * 100_000, ["9" * 100_000]], ids=["number", "text", "list"]
)
def test_a_monstrous_level_is_refused_in_one_short_line(tool, level):
    told = refusal(tool, price_levels=[level])
    assert len(told) < 200 and "\n" not in told


@pytest.mark.parametrize("name", ["symbol", "target_date", "price_levels"])
def test_a_monstrous_argument_is_refused_in_one_short_line(tool, name):
    told = refusal(tool, **{name: "\n" * 100_000})
    assert len(told) < 200 and "\n" not in told


def test_a_monstrous_argument_name_is_refused_in_one_short_line(tool):
    told = refusal(tool, **{"x" * 100_000: 1})
    assert len(told) < 200 and "symbol, target_date, price_levels" in told


def test_as_many_levels_as_allowed_are_taken_and_one_more_is_not(tool):
    assert tool.check({**CALL, "price_levels": EIGHT}).levels == tuple(map(float, EIGHT))
    told = refusal(tool, price_levels=[*EIGHT, 2000])
    assert told.startswith("9 ") and f"at most {MAX_LEVELS}" in told


def test_checked_arguments_can_be_written_as_a_call_again(tool):
    checked = tool.check({**CALL, "symbol": "nvidia", "price_levels": [900]})
    again = checked.to_dict("NVDA")
    assert again == {"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": [900.0]}
    assert tool.check(again) == checked
    assert tool.check(CALL).to_dict("NVDA")["price_levels"] is None


# The result


def test_the_result_says_what_was_known_on_as_of(tool):
    result = run(tool)
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
    assert result == run(tool, target_date="2024-03-28")


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
    assert run(ForecastTool(renamed, tool.fitted, None), symbol="XYZ").track_record is None


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


# Other prices


def test_a_csv_without_splits_says_so(tmp_path):
    days = np.datetime64("2023-03-01") + np.arange(367)
    generator = np.random.default_rng(7)
    path = tmp_path / "xyz.csv"
    rows = ["Date,Open,High,Low,Close"]
    close = 40.0
    for day in days[np.is_busday(days)]:
        if str(day) in _HOLIDAYS:
            continue
        close *= math.exp(0.01 * generator.standard_normal())
        rows.append(f"{day},{close:.4f},{close * 1.01:.4f},{close * 0.99:.4f},{close:.4f}")
    path.write_text("\n".join(rows))
    prices = read_csv(path, symbol="xyz")
    tool = ForecastTool(prices, fit("few_state_static", prices), None)
    result = run(tool, symbol="XYZ")
    assert "the CSV file lists no splits, so its prices are taken as they stand" in result.notes
    assert (result.symbol, result.source) == ("XYZ", "CSV file xyz.csv")
    assert result.summary.startswith("On 2024-03-28 XYZ is expected at $")
    assert "Nvidia" not in result.to_json()
    assert "knows only XYZ" in refusal(tool, symbol="Nvidia")


_HOLIDAYS = (
    *("2023-04-07", "2023-05-29", "2023-06-19", "2023-07-04", "2023-09-04", "2023-11-23"),
    *("2023-12-25", "2024-01-01", "2024-01-15", "2024-02-19"),
)


@pytest.fixture(scope="module")
def penny_tool(prices, tool):
    """The same returns at a price of eight cents."""
    columns = ("open", "high", "low", "close")
    scaled = {name: getattr(prices, name) / 10_000 for name in columns}
    return ForecastTool(dataclasses.replace(prices, **scaled), tool.fitted, None)


def test_a_price_below_a_dollar_keeps_its_figures(tool, penny_tool):
    usual, penny = run(tool), run(penny_tool)
    assert penny.last_close == pytest.approx(0.082279, rel=1e-3)
    assert penny.median == pytest.approx(usual.median / 10_000, rel=1e-3)
    assert penny.interval_90 == pytest.approx([x / 10_000 for x in usual.interval_90], rel=1e-3)
    assert penny.prob_up == usual.prob_up


def test_a_price_below_a_dollar_is_said_to_three_figures(penny_tool):
    result = run(penny_tool)
    assert "$0.00" not in result.summary
    low, high = result.interval_90
    for price in (result.median, low, high, result.last_close):
        shown = cents(price)
        assert shown in result.summary
        assert float(shown[1:]) == pytest.approx(price, rel=6e-3)


@pytest.mark.parametrize("decimals", [4, 6, 8])
def test_even_a_tiny_price_is_written_out(decimals):
    price = 1.2345 * 10.0**-decimals
    for shown in (money(price), cents(price)):
        assert "e" not in shown
        assert float(shown[1:]) == pytest.approx(price, rel=6e-3)


@pytest.mark.parametrize(
    ("price", "whole", "exact"),
    [
        (1044.2, "$1,044", "$1,044.20"),
        (822.79, "$823", "$822.79"),
        (100.0, "$100", "$100.00"),
        (99.994, "$99.99", "$99.99"),
        (12.345678, "$12.35", "$12.35"),
        (1.0, "$1.00", "$1.00"),
        (0.5, "$0.500", "$0.500"),
        (0.1044, "$0.104", "$0.104"),
        (0.01234, "$0.0123", "$0.0123"),
        (1_234_567.8, "$1,234,568", "$1,234,567.80"),
    ],
)
def test_money_is_written_as_people_write_it(price, whole, exact):
    assert (money(price), cents(price)) == (whole, exact)


OHLC = ("open", "high", "low", "close")


def test_a_file_of_another_company_under_a_bundled_name_has_no_bundled_record(tool):
    assert tool.track_record(21) is not None
    shuffled = np.random.default_rng(0).permutation(len(tool.prices.session))
    other = dataclasses.replace(
        tool.prices,
        **{name: getattr(tool.prices, name)[shuffled] for name in OHLC},
        splits=tuple(
            Split(session, 1.0) for session in tool.prices.session[1:]
        ),  # every jump is real
    )
    assert not moves_as_bundled(other)
    assert dataclasses.replace(tool, prices=other).track_record(21) is None


def test_the_bundled_prices_in_another_basis_keep_their_record(tool):
    prices = tool.prices
    adjusted = dataclasses.replace(
        prices,
        **{
            name: getattr(prices, name) / prices.split_factor()
            for name in ("open", "high", "low", "close")
        },
        splits=(),
    )
    assert moves_as_bundled(adjusted)
    assert not moves_as_bundled(dataclasses.replace(prices, symbol="XYZ"))
