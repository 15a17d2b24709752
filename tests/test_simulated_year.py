"""A small case of the simulated year: three weeks, an outage, a split and all that goes wrong."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import simulated_year

SPLIT = "2024-06-10"  # 10:1, within the outage


def test_three_weeks_with_all_that_goes_wrong_go_by_without_a_failed_check(tmp_path, capsys):
    prices = simulated_year.history_of(14, 290, "2024-06-17")
    assert str(prices.splits[-1].session) == SPLIT
    checks = simulated_year.simulate(prices, 14, lead=25, folder=tmp_path)
    printed = capsys.readouterr().out
    assert not checks.failed, printed
    for name, times in {
        "refit ends with exit code 0": 6,
        "refit ends with exit code 4": 1,
        "refit ends with exit code 7": 7,
        "refit ends with exit code 8": 1,
        "ask ends with exit code 3": 1,
        "of two refits at once one works and one says so": 1,
        "a rate limit is waited out": 1,
        "a revised row is taken and told": 1,
        "the backtest's functions score the same": 1,
        "a backtest scores belief the same one session ahead": 1,
    }.items():
        assert checks.held[name] == times, name
    assert "over a split" in printed and " 0 of the forecasts" not in printed


def test_a_check_that_fails_is_told_and_ends_the_script_with_1(monkeypatch, capsys):
    def simulate(*_):
        checks = simulated_year.Checks()
        checks.that("one", True, "as it should be")
        checks.that("other", False, "7 instead of 0")
        return checks

    monkeypatch.setattr(simulated_year, "simulate", simulate)
    monkeypatch.setattr(sys, "argv", ["simulated_year.py", "--sessions", "14", "--history", "290"])
    with pytest.raises(SystemExit) as ended:
        simulated_year.main()
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert "FAILED  other: 7 instead of 0" in printed
    assert "1 checks failed" in printed
