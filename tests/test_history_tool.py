import dataclasses
import itertools
import json
import math
import statistics

import numpy as np
import pytest

from belief.errors import UsageError
from belief.prices import COLUMNS, Split
from belief.sessions import session_after
from belief.sources import load_prices, read_csv
from belief_tools import history_tool
from belief_tools.forecast_tool import ForecastTool, money
from belief_tools.history_tool import DEFINITION, PARAMETERS, HistoryResult, if_split

CALL = {"symbol": "NVDA", "first_date": None, "last_date": None}
YEAR = {"first_date": "2023-01-01", "last_date": "2023-12-31"}


def run(tool: ForecastTool, **changes) -> HistoryResult:
    return history_tool.run(tool, {**CALL, **changes})


def refusal(tool: ForecastTool, **changes) -> str:
    with pytest.raises(UsageError) as caught:
        run(tool, **changes)
    return str(caught.value)


# The definition


def test_the_schema_is_strict_and_flat():
    function = DEFINITION["function"]
    assert (DEFINITION["type"], function["name"]) == ("function", "price_history")
    assert function["strict"] is True and function["parameters"] is PARAMETERS
    assert PARAMETERS["additionalProperties"] is False
    assert PARAMETERS["required"] == list(PARAMETERS["properties"]) == list(CALL)
    assert json.loads(json.dumps(DEFINITION)) == DEFINITION
    for entry in PARAMETERS["properties"].values():
        assert entry["description"] and set(entry) <= {"type", "anyOf", "description"}


# What is answered


def test_the_closes_of_a_year_are_summed_up(tool):
    year = run(tool, **YEAR)
    assert (year.first_date, year.last_date, year.sessions) == ("2023-01-03", "2023-12-29", 250)
    assert (year.first_close, year.final_close) == (143.15, 495.22)
    assert year.change == pytest.approx(495.22 / 143.15 - 1, abs=5e-5)
    assert year.close_before == 146.14  # of 2022-12-30
    assert year.change_from_before == pytest.approx(495.22 / 146.14 - 1, abs=5e-5)
    assert year.highest == {"close": 504.09, "session": "2023-11-20"}
    assert year.lowest == {"close": 142.65, "session": "2023-01-05"}
    assert (year.symbol, year.currency, year.as_of) == ("NVDA", "USD", "2024-03-01")
    assert (year.last_close, year.source) == (822.79, "bundled snapshot")


def test_the_summary_answers_highest_change_and_splits(tool):
    assert run(tool, **YEAR).summary == (
        "From 2023-01-03 to 2023-12-29 (250 sessions) Nvidia went from $143.15 to $495.22, up "
        "246 %, or up 239 % from the close before, $146.14. The highest close was $504.09 on "
        "2023-11-20, the lowest $142.65 on 2023-01-05, the mean $365.69; volatility was 47 % a "
        "year. It did not split in that time; the last one known was 4-for-1 on "
        "2021-07-20."
    )


def test_mean_and_volatility_are_those_of_the_closes(tool, prices):
    rows = [i for i, day in enumerate(prices.session) if "2023-01" <= str(day) < "2024"]
    closes = [float(prices.close[i]) for i in rows]  # no split since
    moves = [math.log(b / a) for a, b in itertools.pairwise(closes)]
    year = run(tool, **YEAR)
    assert year.mean_close == pytest.approx(statistics.fmean(closes), abs=5.01e-3)
    assert year.volatility == pytest.approx(statistics.stdev(moves) * math.sqrt(252), abs=5.01e-5)


def test_nulls_mean_the_last_21_sessions(tool, prices):
    usual = run(tool)
    assert (usual.sessions, usual.last_date) == (21, "2024-03-01")
    assert usual.first_date == str(prices.session[-21])
    assert history_tool.run(tool, {"symbol": "NVDA"}) == usual


def test_one_null_is_filled_in_beside_the_other(tool, prices):
    since = run(tool, first_date="2024-01-01")
    assert (since.first_date, since.last_date) == ("2024-01-02", "2024-03-01")
    until = run(tool, last_date="2023-12-31")
    assert (until.last_date, until.sessions) == ("2023-12-29", 21)
    early = run(tool, last_date=str(prices.session[4]))
    assert (early.first_date, early.sessions) == (str(prices.session[0]), 5)


def test_one_session_is_told_with_its_move(tool):
    day = run(tool, first_date="2024-02-22", last_date="2024-02-22")
    assert day.summary.startswith("Nvidia closed at $785.38 on 2024-02-22, up 16 % from the close ")
    assert (day.sessions, day.change, day.volatility) == (1, 0.0, None)
    assert day.change_from_before == pytest.approx(785.38 / 674.72 - 1, abs=5e-5)


def test_the_first_session_of_all_has_no_close_before(tool, prices):
    first = str(prices.session[0])
    day = run(tool, first_date=first, last_date=first)
    assert (day.close_before, day.change_from_before) == (None, None)
    assert day.summary.startswith(
        "Nvidia closed at $0.410 on 1999-01-22 (in dollars of 2024-03-01)"
    )


def test_closes_before_a_split_are_in_dollars_of_as_of(tool):
    week = run(tool, first_date="2021-07-19", last_date="2021-07-20")
    assert week.first_close == 187.8  # 751.19 as traded, 4-for-1 the next day
    assert week.splits == [{"session": "2021-07-20", "ratio": 4.0}]
    assert week.last_split == week.splits[0]
    assert "down 0.9 %, or up 2.5 % from the close before, $181.61 (in " in week.summary
    assert week.summary.endswith("It split 4-for-1 on 2021-07-20.")
    assert week.volatility is None  # one return has no spread


def test_a_split_at_the_first_session_of_a_period_counts_as_in_it(tool):
    assert len(run(tool, first_date="2021-07-20", last_date="2021-07-30").splits) == 1
    assert run(tool, first_date="2021-07-21", last_date="2021-07-30").splits == []
    assert run(tool, first_date="2021-07-01", last_date="2021-07-19").splits == []


def test_several_splits_are_listed_in_order(tool):
    whole = run(tool, first_date="1999-01-22")
    assert [each["ratio"] for each in whole.splits] == [2.0, 2.0, 2.0, 1.5, 4.0]
    assert whole.summary.endswith(
        "2-for-1 on 2006-04-07, 3-for-2 on 2007-09-11 and 4-for-1 on 2021-07-20."
    )


def test_of_very_many_splits_the_latest_are_named(tool, prices):
    rows = range(1000, 1008)
    columns = {name: getattr(prices, name).copy() for name in COLUMNS}
    for name in ("open", "high", "low", "close"):
        for row in rows:
            columns[name][:row] *= 1.2
    splits = tuple(Split(prices.session[row], 1.2) for row in rows)
    changed = dataclasses.replace(
        prices, splits=tuple(sorted([*prices.splits, *splits])), **columns
    )
    result = run(ForecastTool(changed, tool.fitted, None), first_date="1999-01-22")
    assert len(result.splits) == 13
    assert "It split 7 times, then 6-for-5 on " in result.summary
    assert len(json.loads(result.to_json())["splits"]) == 6


def test_a_jump_declared_real_is_no_split(tool, prices):
    declared = (*prices.splits, Split(prices.session[-2], 1.0))
    marked = ForecastTool(dataclasses.replace(prices, splits=declared), tool.fitted, None)
    assert run(marked) == run(tool)


def test_prices_without_splits_do_not_claim_that_there_were_none(tmp_path, tool, prices):
    path = tmp_path / "xyz.csv"
    rows = [
        f"{prices.session[i]},{prices.open[i]},{prices.high[i]},{prices.low[i]},{prices.close[i]}"
        for i in range(-300, 0)
    ]
    path.write_text("\n".join(["Date,Open,High,Low,Close", *rows]))
    other = ForecastTool(read_csv(path, symbol="XYZ"), tool.fitted, None)
    result = run(other, symbol="XYZ")
    assert result.summary.endswith("Whether it split is not known.")
    assert "lists no splits" in result.notes[0]
    assert "Nvidia" not in result.to_json()


def test_the_age_of_the_prices_is_told(tool, prices):
    later = ForecastTool(prices, tool.fitted, np.datetime64("2024-03-11"))
    assert run(later) == dataclasses.replace(run(tool), age_in_days=10)


# How it is shown


def test_the_summary_comes_first_and_all_stays_under_a_kilobyte(tool):
    full = load_prices("NVDA")
    for shown in (tool, ForecastTool(full, tool.fitted, np.datetime64("2025-03-01"))):
        for first in (None, "1999-01-22", "2021-01-01", "2024-03-01"):
            text = run(shown, first_date=first).to_json()
            assert next(iter(json.loads(text))) == "summary"
            assert len(text.encode()) < 1000


def test_what_is_shown_is_the_result_in_fewer_words(tool):
    result = run(tool, first_date="2006-01-01", last_date="2008-01-01")
    shown, fields = json.loads(result.to_json()), result.to_dict()
    assert shown.pop("splits") == {each["session"]: each["ratio"] for each in fields.pop("splits")}
    assert shown.items() <= fields.items()
    assert set(fields) - set(shown) == {"last_split", "age_in_days"}
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


# Arguments


@pytest.mark.parametrize("symbol", ["nvda", " Nvidia "])
def test_the_symbol_may_be_written_as_people_write_it(tool, symbol):
    assert run(tool, symbol=symbol).symbol == "NVDA"


@pytest.mark.parametrize("symbol", ["AMD", "", None, 7])
def test_another_symbol_is_refused_with_the_one_that_is_known(tool, symbol):
    told = refusal(tool, symbol=symbol)
    assert repr(symbol) in told and told.endswith("NVDA")


def test_an_unknown_argument_is_refused_with_the_known_ones(tool):
    told = refusal(tool, target_date="2024-01-01")
    assert told == (
        "unknown argument 'target_date'; price_history takes symbol, first_date, last_date"
    )


@pytest.mark.parametrize("name", ["first_date", "last_date"])
@pytest.mark.parametrize("value", [20240301, True, ["2024-03-01"], "2024-03-01" * 10])
def test_a_date_that_is_no_text_is_refused_by_name(tool, name, value):
    told = refusal(tool, **{name: value})
    assert told.startswith(f"{name} is ") and told.endswith("give a day as YYYY-MM-DD, or null")
    assert len(told) < 200


@pytest.mark.parametrize("value", ["yesterday", "2024-02-30", "01.02.2024", ""])
def test_a_text_that_is_no_day_is_refused_with_the_form_wanted(tool, value):
    assert "YYYY-MM-DD" in refusal(tool, first_date=value)


@pytest.mark.parametrize("name", ["first_date", "last_date"])
@pytest.mark.parametrize("day", ["2024-03-02", "2024-03-04", "9999-12-31"])
def test_a_day_after_as_of_is_refused_with_the_valid_range(tool, name, day):
    assert refusal(tool, **{name: day}) == (
        f"{name} {day} is after the last known session 2024-03-01; "
        f"give a day from 1999-01-22 to 2024-03-01, or null"
    )


@pytest.mark.parametrize("name", ["first_date", "last_date"])
@pytest.mark.parametrize("day", ["1999-01-21", "0001-01-01"])
def test_a_day_before_the_first_session_is_refused_with_the_valid_range(tool, name, day):
    assert refusal(tool, **{name: day}) == (
        f"{name} {day} is before the first session 1999-01-22; "
        f"give a day from 1999-01-22 to 2024-03-01, or null"
    )


def test_reversed_days_are_refused(tool):
    assert refusal(tool, first_date="2024-02-02", last_date="2024-02-01") == (
        "first_date 2024-02-02 is after last_date 2024-02-01; give the earlier day first, both "
        "from 1999-01-22 to 2024-03-01"
    )


def test_a_weekend_alone_is_refused_with_the_sessions_beside_it(tool):
    assert refusal(tool, first_date="2024-02-17", last_date="2024-02-19") == (
        "no session lies from first_date 2024-02-17 to last_date 2024-02-19; "
        "the sessions beside them are 2024-02-16 and 2024-02-20"
    )


# Nothing from later


def test_garbage_after_as_of_changes_nothing(tool):
    full, cut = load_prices("NVDA"), np.datetime64("2024-03-01")
    later = full.session > cut
    garbage = {name: np.where(later, 1000.0, getattr(full, name)) for name in COLUMNS}
    known = tuple(split for split in full.splits if split.session <= cut)
    following = Split(session_after(cut, 2), 1.1)
    dirty = dataclasses.replace(full, splits=(*known, following), **garbage)
    blind = ForecastTool(dirty.until(cut), tool.fitted, None)
    for first in (None, "1999-01-22", "2021-07-19"):
        assert run(blind, first_date=first).to_json() == run(tool, first_date=first).to_json()
    seen = run(ForecastTool(dirty, tool.fitted, None), first_date="2024-01-02")
    assert seen != run(tool, first_date="2024-01-02")  # the garbage was there to be seen


# What a split would change


def forecast(tool, **changes):
    call = {"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": None, **changes}
    return tool.run(tool.check(call))


def test_a_named_split_divides_the_figures_and_leaves_the_chances(tool, prices):
    result = forecast(tool)
    median, low, high = (money(x / 10) for x in (result.median, *result.interval_90))
    assert if_split(result, 10, prices) == (
        "A 10-for-1 split changes the quote, not the value: the same forecast would read "
        f"{median}, with 90 % between {low} and {high}; every chance stays. "
        "The last split of Nvidia was 4-for-1 on 2021-07-20."
    )
    assert 70 < float(median[1:]) < 95


def test_levels_move_with_the_prices(tool):
    told = if_split(forecast(tool, price_levels=[900]), 10)
    assert told.endswith("every chance stays, at levels divided the same way.")


@pytest.mark.parametrize(
    ("ratio", "start"),
    [
        (2, "A 2-for-1 split"),
        (1.5, "A 3-for-2 split"),
        (0.1, "A 1-for-10 reverse split"),
        (1 / 3, "A 1-for-3 reverse split"),
        (8.0, "An 8-for-1 split"),
        (11, "An 11-for-1 split"),
        (21 / 20, "A 21-for-20 split"),
        (1 / 150, "A 1-for-150 reverse split"),
        (1.281, "A 1.281-for-1 split"),
    ],
)
def test_a_ratio_is_said_as_people_say_it(tool, ratio, start):
    assert if_split(forecast(tool), ratio).startswith(f"{start} changes the quote")


def test_a_reverse_split_multiplies_the_figures(tool):
    result = forecast(tool)
    assert f"would read {money(round(result.median * 10, 2))}, " in if_split(result, 0.1)


def test_an_unnamed_ratio_is_answered_without_a_figure_of_the_forecast(tool, prices):
    told = if_split(forecast(tool), None, prices)
    assert "$" not in told and "%" not in told
    assert "a 2-for-1 split, say, would halve every price" in told
    assert told.endswith("The last split of Nvidia was 4-for-1 on 2021-07-20.")


def test_a_split_after_the_forecast_is_not_its_last_one(tool):
    assert "4-for-1 on 2021-07-20" in if_split(forecast(tool), 2, load_prices("NVDA"))


@pytest.mark.parametrize("ratio", [0, -2, 1, 201, math.inf, math.nan])
def test_what_is_no_ratio_is_refused(tool, ratio):
    with pytest.raises(UsageError, match="is not the ratio of a split; give new shares") as caught:
        if_split(forecast(tool), ratio)
    assert repr(ratio) in str(caught.value)
