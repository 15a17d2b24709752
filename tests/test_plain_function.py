"""forecast_price as a plain function: what frameworks read of it, and what it answers."""

import inspect
import json
import re
import types
import typing

import pytest
from daily import evening, short_history

import belief_tools
from belief_tools import clock, forecast_price, plain_function
from belief_tools.forecast_tool import DEFINITION, NAME, PARAMETERS, ForecastTool


@pytest.fixture
def served(monkeypatch):
    """A short history in place of what this computer has."""
    from belief.library import fit

    prices = short_history("2024-06-28")
    asked = []

    def serve_short(given):
        asked.append(given)
        return ForecastTool(prices, fit(prices), None)

    monkeypatch.setattr(plain_function, "serve", serve_short)
    monkeypatch.setattr(clock, "now", lambda: evening("2024-06-28"))
    return asked


def test_the_package_offers_it_and_nothing_else():
    assert belief_tools.__all__ == ["forecast_price"]
    with pytest.raises(AttributeError, match="module 'belief_tools' has no attribute 'forecast'"):
        belief_tools.forecast  # noqa: B018


def test_its_signature_is_the_schema():
    parameters = inspect.signature(forecast_price).parameters
    assert (forecast_price.__name__, list(parameters)) == (NAME, PARAMETERS["required"])
    hints = typing.get_type_hints(forecast_price)
    for name, schema in PARAMETERS["properties"].items():
        assert schema_of(hints[name]) == {k: v for k, v in schema.items() if k != "description"}
    # null is what the schema says for none
    defaults = {name: each.default for name, each in parameters.items()}
    assert defaults["price_levels"] is None
    assert {defaults["symbol"], defaults["target_date"]} == {inspect.Parameter.empty}


def schema_of(hint):
    if isinstance(hint, types.UnionType):
        return {"anyOf": [schema_of(each) for each in typing.get_args(hint)]}
    if typing.get_origin(hint) is list:
        return {"type": "array", "items": schema_of(typing.get_args(hint)[0])}
    return {"type": {str: "string", float: "number", types.NoneType: "null"}[hint]}


def test_its_docstring_describes_the_arguments_as_the_schema_does():
    lines = re.split(r"\n\n(?:Args|Returns):\n", inspect.getdoc(forecast_price))
    said = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", lines[1], re.MULTILINE))
    said = {name: " ".join(text.split()) for name, text in said.items()}
    assert said == {name: each["description"] for name, each in PARAMETERS["properties"].items()}
    head, rest = DEFINITION["function"]["description"].split(", ", 1)
    assert lines[0].startswith(f"{head}.")
    assert rest.split(". ")[1] in lines[0]


def test_it_answers_what_a_language_model_is_shown_of_the_tool(served):
    answer = forecast_price("NVDA", "2024-07-31", [130.0])
    [asked] = served
    assert (asked.symbol, asked.as_of, asked.stale_ok) == ("NVDA", None, False)
    tool = plain_function.serve(asked)
    arguments = {"symbol": "NVDA", "target_date": "2024-07-31", "price_levels": [130.0]}
    assert answer == json.loads(tool.run(tool.check(arguments)).to_json())
    assert next(iter(answer)) == "summary"
    assert answer["target"] == "2024-07-31"
    assert [each["level"] for each in answer["prob_above"]] == [130.0]
    low, high = answer["interval_90"]
    assert low < answer["median"] < high
    assert len(json.dumps(answer)) < 1400


def test_without_levels_none_are_answered(served):
    assert "prob_above" not in forecast_price("NVDA", "2024-07-31")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("NVDA", "2019-01-02"), "target_date 2019-01-02 is not after the last known session"),
        (("NVDA", "2031-01-02"), "target_date 2031-01-02 is more than 504 sessions after"),
        (("NVDA", "next Friday"), "'next Friday' is not a day; write it as YYYY-MM-DD"),
        (("NVDA", None), "target_date is None; give a day as YYYY-MM-DD"),
        (("NVDA", "2024-07-31", ["high"]), "price level 'high' is not a price; give a number"),
        (("NVDA", "2024-07-31", [1.0] * 9), "9 price_levels are too many; give at most 8"),
        (("NVDA", "2024-07-31", 130.0), "price_levels is 130.0; give a list of prices or null"),
        (("AMD", "2024-07-31"), "symbol is 'AMD'; this tool knows only NVDA"),
        ((None, "2024-07-31"), "symbol is None; give a ticker symbol, for example NVDA"),
    ],
)
def test_a_call_that_cannot_be_answered_gets_a_line_to_act_on(served, arguments, words):
    answer = forecast_price(*arguments)
    assert list(answer) == ["error"]
    assert words in answer["error"] and "\n" not in answer["error"]


def test_a_symbol_without_prices_is_an_error_to_read():
    answer = forecast_price("ZZZZ", "2024-07-31")
    assert list(answer) == ["error"]
    assert "no prices for 'ZZZZ'" in answer["error"] and "belief refit ZZZZ" in answer["error"]
    assert "is not a symbol" in forecast_price("N V", "2024-07-31")["error"]


def test_a_bug_is_no_answer(served, monkeypatch):
    def broken(given):
        raise RuntimeError("a bug")

    monkeypatch.setattr(plain_function, "serve", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        forecast_price("NVDA", "2024-07-31")
