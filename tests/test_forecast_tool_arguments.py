"""The definition of the forecast tool, and the arguments that it takes and refuses."""

import json
import math

import pytest
from called import CALL, EIGHT, refusal, run

from belief.errors import UsageError
from belief.models import MAX_HORIZON
from belief.sessions import session_after
from belief_tools.forecast_tool import DEFINITION, MAX_LEVELS, NAME, PARAMETERS

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
