"""`belief refit` in full: what it says, its exit codes, and where its prices come from."""

import csv
import json
import socket
from unittest import mock

import numpy as np
import pytest
import stamina
from daily import assert_one_line_error, belief, evening, short_history, stale_repeat
from evenings import FIRST, LAST, SECOND, first_refit, refit_on, without_refit
from yahoo_server import YahooServer

from belief import refit as refitting_module
from belief import sources, yahoo
from belief.refit import refitting
from belief.refit_gate import Check
from belief.store import open_store
from belief_tools import watch


@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


@pytest.fixture(scope="module")
def history():
    return short_history(LAST)


@pytest.fixture(scope="module")
def server(history):
    with YahooServer(history, today=FIRST) as running:
        yield running


@pytest.fixture
def empty(server, history, tmp_path, monkeypatch):
    return without_refit(tmp_path / "belief.db", server, history, monkeypatch)


@pytest.fixture(scope="module")
def refitted_once():
    return first_refit()


@pytest.fixture
def where(refitted_once, empty):
    """A computer on which the first evening's refit has published."""
    empty.write_bytes(refitted_once[0])
    return empty


def write_csv(prices, path):
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Date", "Open", "High", "Low", "Close", "Volume"])
        columns = ("session", "open", "high", "low", "close", "volume")
        rows.writerows(zip(*(getattr(prices, name) for name in columns), strict=True))
    return path


def test_the_first_refit_says_what_it_published_and_believes(refitted_once):
    finished = refitted_once[1]
    assert finished.code == 0, finished
    lines = finished.out.splitlines()
    assert lines[0] == "NVDA: published a model of the sessions through 2024-06-05"
    assert any(line.startswith("  passed convergence: ") for line in lines)
    assert lines[-1].startswith("  the first belief: volatility ")
    assert "fitting 300 sessions through 2024-06-05" in finished.err


def test_a_new_session_says_what_changed_and_by_what(where, server):
    finished = refit_on(server, SECOND)
    assert finished.code == 0, finished
    assert "NVDA: published a model of the sessions through 2024-06-06" in finished.out
    assert "by 1 new session -> " in finished.out and " by the fit" in finished.out
    assert "regimes: " in finished.out
    assert "last session: return -1.2%" in finished.out
    for check in ("convergence", "likelihood", "jump", "coverage"):
        assert f"  passed {check}: " in finished.out


def test_nothing_new_is_exit_code_7(where, server):
    finished = refit_on(server, FIRST)
    assert finished.code == 7
    assert finished.out == (
        "NVDA: nothing new; the model in service knows the sessions through 2024-06-05\n"
    )
    assert finished.err == ""


def test_a_refused_row_is_exit_code_8_and_says_why(where, server, history):
    server.prices = stale_repeat(history, SECOND)
    finished = refit_on(server, SECOND)
    assert finished.code == 8
    first, second, *_ = finished.out.splitlines()
    assert first == (
        "NVDA: refused the prices: the last good prices, through 2024-06-05, and the last good "
        "model stay in service"
    )
    assert second.startswith("  refused: stale repeat at 2024-06-06: all prices are those of ")
    assert belief("now", "--json", at=evening(SECOND)).code == 0


def test_a_refused_first_load_serves_nothing(empty, server, history):
    server.prices = stale_repeat(history, FIRST)
    finished = refit_on(server, FIRST)
    assert finished.code == 8
    assert finished.out.splitlines()[0] == "NVDA: refused the prices: nothing is in service"


def test_a_refused_model_names_the_check_that_failed(where, server, monkeypatch):
    failed = Check("coverage", False, "90% intervals held 7 of the last 250 closes")
    monkeypatch.setattr(refitting_module, "check_model", lambda *_, **__: (failed,))
    finished = refit_on(server, SECOND)
    assert finished.code == 8
    assert finished.out.startswith("NVDA: refused the model: the last good prices, through 2024-06")
    assert "  FAILED coverage: 90% intervals held 7 of the last 250 closes\n" in finished.out


def test_a_refit_as_json(where, server):
    finished = refit_on(server, SECOND, "--json")
    told = json.loads(finished.out)
    assert (told["symbol"], told["status"], told["as_of"]) == ("NVDA", "published", SECOND)
    assert [check["name"] for check in told["checks"]] == [
        "convergence",
        "likelihood",
        "jump",
        "coverage",
    ]
    assert all(check["passed"] is True for check in told["checks"])
    assert told["change"]["n_sessions"] == 1
    assert sum(told["change"]["regimes"].values()) == pytest.approx(1.0)
    assert told["reasons"] == told["findings"] == []


def test_a_refusal_as_json(where, server, history):
    server.prices = stale_repeat(history, SECOND)
    finished = refit_on(server, SECOND, "--json")
    told = json.loads(finished.out)
    assert (finished.code, told["status"], told["change"]) == (8, "refused", None)
    assert [found["outcome"] for found in told["findings"]] == ["refused"]
    assert told["findings"][0]["session"] == SECOND


def test_another_refit_that_is_running_is_exit_code_9(where, server):
    with open_store(str(where)) as store, refitting("NVDA", store):
        finished = refit_on(server, SECOND)
    assert_one_line_error(finished, 9, "NVDA is being refitted by another process")
    assert refit_on(server, SECOND).code == 0


def test_without_network_the_last_good_model_goes_on_answering(where, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv(yahoo.ADDRESS, f"http://127.0.0.1:{port}")
    assert_one_line_error(belief("refit", at=evening(SECOND)), 4, "cannot be reached", str(port))
    assert_one_line_error(belief("data", "check", at=evening(SECOND)), 4, "cannot be reached")
    shown = json.loads(belief("now", "--json", at=evening(SECOND)).out)
    assert (shown["as_of"], shown["source"]) == (FIRST, "Yahoo Finance")


def test_a_symbol_that_the_source_does_not_know_is_exit_code_4(empty, server):
    finished = belief("refit", "NOSUCH", at=evening(FIRST))
    assert_one_line_error(finished, 4, "does not know the symbol NOSUCH")


@pytest.mark.parametrize("symbol", ["../NVDA", "N V", "", "é"])
def test_what_cannot_be_a_symbol_leaves_no_trace(empty, symbol):
    for command in (("refit", symbol), ("data", "check", symbol), ("score", "--symbol", symbol)):
        assert_one_line_error(belief(*command, at=evening(FIRST)), 2, "is not a symbol")
    assert {path.name for path in empty.parent.iterdir()} <= {"belief.db"}


def test_a_file_in_place_of_the_source(empty, history, tmp_path):
    path = write_csv(history.until(np.datetime64(FIRST)), tmp_path / "prices.csv")
    finished = belief("refit", "NVDA", "--prices", str(path), at=evening("2026-01-02"))
    assert finished.code == 0, finished
    assert json.loads(belief("now", "--json", at=evening("2026-01-02")).out)["as_of"] == FIRST


def test_a_file_gives_the_symbol_its_name(empty, history, tmp_path):
    path = write_csv(history.until(np.datetime64(FIRST)), tmp_path / "xyz.csv")
    assert "XYZ: published" in belief("refit", "--prices", str(path), at=evening(FIRST)).out
    assert "audit of XYZ" in belief("data", "check", "--prices", str(path), at=evening(FIRST)).out
    shown = json.loads(belief("now", "--symbol", "XYZ", "--json", at=evening(FIRST)).out)
    assert shown["symbol"] == "XYZ"
    asked = belief("ask", "xyz in a week?", "--symbol", "XYZ", at=evening(FIRST))
    assert "track record: none" in asked.out


def test_a_file_that_is_none_is_exit_code_4(empty, tmp_path):
    (tmp_path / "bad.csv").write_text("Date,Close\n2024-01-02,none\n")
    for name in ("missing.csv", "bad.csv"):
        finished = belief("refit", "--prices", str(tmp_path / name), at=evening(FIRST))
        assert_one_line_error(finished, 4, name)


def test_the_snapshot_in_place_of_the_source(empty, history, monkeypatch):
    monkeypatch.setattr(sources, "load_prices", lambda _: history.until(np.datetime64(FIRST)))
    assert belief("refit", "nvidia", "--snapshot", at=evening("2026-01-02")).code == 0
    finished = belief("refit", "AMD", "--snapshot", at=evening(FIRST))
    assert_one_line_error(finished, 4, "no bundled snapshot of AMD")


def test_two_sources_at_once_are_refused(empty):
    finished = belief("refit", "--prices", "x.csv", "--snapshot", at=evening(FIRST))
    assert_one_line_error(finished, 2, "--prices and --snapshot")
    for source in (("--snapshot",), ("--prices", "x.csv")):
        finished = belief("refit", "--watch", *source, at=evening(FIRST))
        assert_one_line_error(finished, 2, "--watch")


def test_a_watch_refits_waits_and_ends_with_ctrl_c(where, server, monkeypatch):
    monkeypatch.setattr(watch.time, "sleep", mock.Mock(side_effect=KeyboardInterrupt))
    finished = refit_on(server, SECOND, "--watch")
    assert finished.code == 130
    assert "published a model of the sessions through 2024-06-06" in finished.out
    assert finished.err.endswith("next refit at 2024-06-07 20:20 UTC; ctrl-c stops\n")


def test_a_watch_that_found_no_new_close_asks_again_soon(where, server, monkeypatch):
    monkeypatch.setattr(watch.time, "sleep", mock.Mock(side_effect=KeyboardInterrupt))
    finished = belief("refit", "--watch", at=evening(SECOND))  # the source is a session behind
    assert "nothing new" in finished.out
    assert "next refit at 2024-06-06 21:15 UTC" in finished.err
