import dataclasses
import json

import numpy as np
import pytest

from belief import sources
from belief.errors import UsageError
from belief.models import MAX_HORIZON, fit
from belief.prices import COLUMNS as PRICE_COLUMNS
from belief.prices import Split
from belief.sessions import session_after
from belief.sources import load_prices
from belief.track_record import COLUMNS, Scored, bundled_scores
from belief_tools import forecast_tool, record_tool
from belief_tools.forecast_tool import ForecastTool
from belief_tools.record_tool import DEFINITION, PARAMETERS, RecordResult

AS_OF = np.datetime64("2024-03-01")


def run(tool: ForecastTool, horizon=None, **changes) -> RecordResult:
    return record_tool.run(tool, {"symbol": "NVDA", "horizon": horizon, **changes})


def refusal(tool: ForecastTool, **changes) -> str:
    with pytest.raises(UsageError) as caught:
        run(tool, **changes)
    return str(caught.value)


def at(tool: ForecastTool, day: str) -> ForecastTool:
    return dataclasses.replace(tool, prices=load_prices("NVDA").until(np.datetime64(day)))


def unbundled(tool: ForecastTool, ledger: Scored | None) -> ForecastTool:
    """The same prices under a name that nothing is bundled for."""
    prices = dataclasses.replace(tool.prices, symbol="XYZ", name="Xyz")
    return ForecastTool(prices, tool.fitted, None, ledger)


def given_out(horizon: int, n: int) -> Scored:
    """Forecasts on the n days before as_of; the last 90 % interval failed."""
    target = AS_OF - np.arange(n)[::-1]
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


def together(*parts: Scored) -> Scored:
    return Scored(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in COLUMNS})


def test_the_schema_is_strict_and_flat():
    function = DEFINITION["function"]
    assert (DEFINITION["type"], function["name"]) == ("function", "track_record")
    assert function["strict"] is True and function["parameters"] is PARAMETERS
    assert PARAMETERS["additionalProperties"] is False
    assert PARAMETERS["required"] == list(PARAMETERS["properties"]) == ["symbol", "horizon"]
    assert json.loads(json.dumps(DEFINITION)) == DEFINITION


# One horizon


def test_the_shares_are_those_of_the_outcomes_known(tool):
    scores = bundled_scores("NVDA")
    known = (scores.target <= AS_OF) & (scores.horizon == 21) & (scores.model == "belief")
    result = run(tool, 21)
    (record,) = result.records
    assert record["origins"] == known.sum()
    assert record["coverage_90"] == pytest.approx(scores.covered_90[known].mean(), abs=5.01e-4)
    assert record["coverage_50"] == pytest.approx(scores.covered_50[known].mean(), abs=5.01e-4)
    assert (result.symbol, result.as_of, result.source) == (
        "NVDA",
        "2024-03-01",
        "bundled snapshot",
    )


def test_the_summary_of_one_horizon_says_it_all(tool):
    result = run(tool, 21)
    (record,) = result.records
    assert record == tool.track_record(21).to_dict()
    assert result.summary == (
        f"Of {record['origins']:,} forecasts 21 sessions ahead from 2013-01-02 to 2024-03-01, "
        f"{100 * record['coverage_90']:.1f} % of the closes fell in the 90 % interval and "
        f"{100 * record['coverage_50']:.1f} % in the 50 % interval; {record['verdict']} "
        f"(backtest, {record['windows']} windows without overlap)."
    )
    assert 0.8 < record["coverage_90"] < 1.0 and record["origins"] > 2000


def test_a_horizon_that_was_not_scored_is_answered_by_the_nearest_and_says_so(tool):
    result = run(tool, 30)
    assert [record["horizon"] for record in result.records] == [21]
    assert result.summary.endswith(
        " No record 30 sessions ahead has enough outcomes: 21 is the nearest that has."
    )
    assert "nearest" not in run(tool, 21).summary


def test_without_any_outcome_it_says_so(tool):
    early = run(at(tool, "2003-01-02"), 21)
    assert early.summary == "No outcome of such forecasts is known by 2003-01-02."
    assert early.records == []
    assert run(at(tool, "2003-01-02")).summary == early.summary
    assert run(unbundled(tool, None), symbol="XYZ").records == []


def test_a_model_that_is_not_shipped_has_no_record_and_is_named(prices):
    other = ForecastTool(prices, fit("random_walk", prices), None)
    assert run(other, 5).summary == (
        "No track record is kept of forecasts by the model random_walk."
    )


def test_a_ledger_of_one_forecast_is_told_as_such(tool):
    result = run(unbundled(tool, given_out(1, 1)), 21, symbol="XYZ")
    assert result.summary == (
        "Of 1 forecast 1 session ahead from 2024-02-29 to 2024-03-01, 0.0 % of the closes fell in "
        "the 90 % interval and 100.0 % in the 50 % interval; too few to judge (ledger, 1 window "
        "without overlap). No record 21 sessions ahead has any outcome: 1 is the nearest that has."
    )


# The table


def test_without_a_horizon_there_is_a_table(tool):
    result = run(tool)
    assert [record["horizon"] for record in result.records] == [1, 5, 21, 63, 126]
    assert record_tool.run(tool, {"symbol": "NVDA"}) == result
    shares = [f"{100 * record['coverage_90']:.1f} %" for record in result.records]
    assert result.summary.startswith(
        f"Of forecasts from 2013-01-02 to 2024-03-01 (backtest) the 90 % interval held {shares[0]} "
        f"of the closes 1 session ahead, {shares[1]} at 5, {shares[2]} at 21, {shares[3]} at 63 "
        f"and {shares[4]} at 126. Skill: better than a random walk and GARCH-t at 1 and 5; "
    )
    assert result.summary.endswith(" Too few outcomes are known 252 sessions ahead.")


def test_each_verdict_of_the_table_stands_by_its_horizons(tool):
    result = run(tool)
    skill = result.summary.partition("Skill: ")[2].partition(". Too few")[0]
    told = {}
    for part in skill.split("; "):
        verdict, _, horizons = part.rpartition(" at ")
        told |= {int(h): verdict for h in horizons.replace(" and ", ", ").split(", ")}
    assert told == {record["horizon"]: record["verdict"] for record in result.records}


def test_a_horizon_is_in_the_table_once(tool):
    result = run(at(tool, "2013-06-03"))
    assert [record["horizon"] for record in result.records] == [1, 5]
    assert result.summary.endswith("Too few outcomes are known 21, 63, 126 and 252 sessions ahead.")


def test_ledger_and_backtest_stand_side_by_side(tool):
    result = run(dataclasses.replace(tool, ledger=given_out(1, 30)))
    assert [record["source"] for record in result.records] == ["ledger"] + 4 * ["backtest"]
    assert "(ledger at 1; backtest at 5, 21, 63 and 126)" in result.summary


# How it is shown


def test_the_summary_comes_first_and_all_stays_under_a_kilobyte(tool):
    for day in ("2003-01-02", "2013-06-03", "2016-06-03", "2020-03-16", "2025-02-14"):
        for horizon in (None, 1, 21, 30, MAX_HORIZON):
            text = run(at(tool, day), horizon).to_json()
            assert next(iter(json.loads(text))) == "summary"
            assert len(text.encode()) < 1000


def test_a_full_table_stays_under_a_kilobyte(tool):
    ledger = together(*[given_out(horizon, 30) for horizon in (126, 252)])
    result = run(dataclasses.replace(tool, ledger=ledger))
    assert [record["horizon"] for record in result.records] == [1, 5, 21, 63, 126, 252]
    assert "Too few outcomes" not in result.summary
    assert len(result.to_json().encode()) < 1000


def test_what_is_shown_is_the_result_in_fewer_words(tool):
    one, table = run(tool, 21), run(tool)
    (record,) = one.records
    shown = json.loads(one.to_json())
    assert shown.pop("records") == {"21": {n: v for n, v in record.items() if n != "horizon"}}
    assert shown.items() <= one.to_dict().items()
    rows = json.loads(table.to_json())["records"]
    assert list(rows) == [str(record["horizon"]) for record in table.records]
    for row, record in zip(rows.values(), table.records, strict=True):
        assert row.items() <= record.items()
        assert set(row) == {"origins", "windows", "coverage_50", "coverage_90"}
    assert json.loads(json.dumps(table.to_dict(), allow_nan=False)) == table.to_dict()


# Arguments


def test_the_symbol_may_be_written_as_people_write_it(tool):
    assert run(tool, symbol=" nvidia") == run(tool)


@pytest.mark.parametrize("symbol", ["AMD", "", None, 7])
def test_another_symbol_is_refused_with_the_one_that_is_known(tool, symbol):
    told = refusal(tool, symbol=symbol)
    assert repr(symbol) in told and told.endswith("NVDA")


def test_an_unknown_argument_is_refused_with_the_known_ones(tool):
    told = refusal(tool, target_date="2024-03-28")
    assert told == "unknown argument 'target_date'; track_record takes symbol, horizon"


@pytest.mark.parametrize("horizon", [0, -1, MAX_HORIZON + 1, 21.0, "21", True, [21], 10**400])
def test_what_is_no_horizon_is_refused_with_the_valid_range(tool, horizon):
    told = refusal(tool, horizon=horizon)
    assert told.startswith("horizon is ")
    assert told.endswith(
        f"; give a whole number of sessions from 1 to {MAX_HORIZON}, or null for a table"
    )
    assert len(told) < 200


def test_the_shortest_and_the_longest_horizon_are_taken(tool):
    assert run(tool, 1).records[0]["horizon"] == 1
    assert run(tool, MAX_HORIZON).records[0]["horizon"] == 126


# Nothing from later


def test_garbage_after_as_of_changes_nothing(tool, monkeypatch):
    clean = [run(tool, horizon).to_json() for horizon in (None, 21)]
    scores, full = bundled_scores("NVDA"), load_prices("NVDA")
    later = scores.target > AS_OF
    blind = dataclasses.replace(
        scores,
        covered_90=np.where(later, False, scores.covered_90),
        covered_50=np.where(later, True, scores.covered_50),
        log_score=np.where(later, -99.0, scores.log_score),
    )
    garbage = {
        name: np.where(full.session > AS_OF, 1000.0, getattr(full, name)) for name in PRICE_COLUMNS
    }
    splits = (*tool.prices.splits, Split(session_after(AS_OF, 2), 1.1))
    dirty = dataclasses.replace(full, splits=splits, **garbage)
    monkeypatch.setattr(forecast_tool, "bundled_scores", lambda symbol: blind)
    monkeypatch.setattr(sources, "load_prices", lambda symbol: dirty)
    cut = dataclasses.replace(tool, prices=dirty.until(AS_OF))
    assert [run(cut, horizon).to_json() for horizon in (None, 21)] == clean
    seen = run(dataclasses.replace(tool, prices=full), 21).records[0]
    assert seen["coverage_90"] < json.loads(clean[1])["records"]["21"]["coverage_90"] - 0.01
