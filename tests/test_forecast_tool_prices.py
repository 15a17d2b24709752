"""The forecast tool on other prices: a CSV file, pennies, another company, another basis."""

import dataclasses
import math

import numpy as np
import pytest
from called import refusal, run

from belief.models import fit
from belief.prices import Split
from belief.sources import moves_as_bundled, read_csv
from belief_tools.forecast_tool import ForecastTool, cents, money


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
