"""What a history of Yahoo's becomes, and that fetches stay apart and stay silent."""

import dataclasses
import datetime
import logging
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import stamina
from asked_yahoo import SPLIT, YEAR_END, day, error_of, new_york, nvidia_of_2024
from yahoo_server import YahooServer

from belief import yahoo
from belief.errors import BeliefError, SourceUnavailable, UnknownSymbol, UsageError
from belief.prices import COLUMNS, Split
from belief.yahoo import fetch, fetch_events


@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=99, cap=True):
        yield


@pytest.fixture(scope="module")
def traded():
    return nvidia_of_2024()


@pytest.fixture
def server(traded, monkeypatch):
    with YahooServer(traded, today="2024-12-31") as running:
        monkeypatch.setenv("BELIEF_YAHOO_URL", running.url)
        yield running


# What a history becomes


def test_a_history_comes_in_the_basis_of_its_last_day(server, traded):
    bars = fetch("nvda", first=None, now=YEAR_END)
    assert np.array_equal(bars.session, traded.session)
    factor = np.where(traded.session < SPLIT, 10.0, 1.0)
    for name in COLUMNS[:-1]:
        wanted = getattr(traded, name) / factor
        np.testing.assert_allclose(getattr(bars, name), wanted, rtol=1e-7)
        assert getattr(bars, name).dtype == np.float64
    assert np.array_equal(bars.volume, traded.volume * factor)
    assert bars.splits == (Split(SPLIT, 10.0),)
    assert bars.splits_known


def test_a_history_says_where_when_and_in_what_currency(server):
    bars = fetch(" nvda ", first=None, now=new_york("2024-12-31T20:00"))
    assert (bars.symbol, bars.name, bars.currency) == ("NVDA", "Nvidia", "USD")
    assert bars.source == "Yahoo Finance"
    assert bars.retrieved_at == "2025-01-01"  # UTC


def test_before_a_split_nothing_is_adjusted_for_it(server, traded):
    server.today = "2024-06-07"
    bars = fetch("NVDA", first=None, now=new_york("2024-06-07T18:00"))
    assert bars.splits == ()
    rows = traded.session <= day("2024-06-07")
    np.testing.assert_allclose(bars.close, traded.close[rows], rtol=1e-7)


def test_only_the_days_wanted_are_asked_for(server):
    bars = fetch("NVDA", first=day("2024-12-24"), now=YEAR_END)
    days = ["2024-12-24", "2024-12-26", "2024-12-27", "2024-12-30", "2024-12-31"]
    assert [str(session) for session in bars.session] == days
    [request] = server.chart_requests
    start = datetime.datetime.fromtimestamp(int(request.query["period1"]), yahoo.EXCHANGE_TIME)
    assert start.isoformat() == "2024-12-24T00:00:00-05:00"


def test_a_first_day_without_a_session_stands_for_the_next_one(server):
    bars = fetch("NVDA", first=day("2024-12-25"), now=YEAR_END)
    assert bars.session[0] == day("2024-12-26")


def test_splits_before_the_first_row_are_not_told(server):
    assert fetch("NVDA", first=day("2024-06-11"), now=YEAR_END).splits == ()
    assert fetch("NVDA", first=SPLIT, now=YEAR_END).splits == (Split(SPLIT, 10.0),)


def test_a_full_history_starts_where_the_calendar_does(server):
    fetch("NVDA", first=None, now=YEAR_END)
    fetch("NVDA", first=day("1962-01-02"), now=YEAR_END)
    first = {request.query["period1"] for request in server.chart_requests}
    assert first == {str(int(new_york("1990-01-01").timestamp()))}


def test_yahoo_is_asked_for_daily_rows_with_splits_and_without_hours_outside_trading(server):
    fetch("NVDA", first=None, now=YEAR_END)
    [request] = server.chart_requests
    assert request.query["interval"] == "1d"
    assert request.query["includePrePost"] == "false"
    assert "splits" in request.query["events"].split(",")


def test_a_day_is_that_of_the_exchange_where_utc_has_another(server, traded):
    server.timezone, server.opens = (
        "Australia/Sydney",
        datetime.time(10),
    )  # 23:00 UTC the day before
    bars = fetch("NVDA", first=None, now=YEAR_END)
    assert np.array_equal(bars.session, traded.session)


def test_the_last_row_comes_once_though_yahoo_repeats_it(server, traded):
    server.repeated = True
    bars = fetch("NVDA", first=None, now=YEAR_END)
    assert np.array_equal(bars.session, traded.session)
    assert bars.volume[-1] == traded.volume[-1] + 100  # the later of the two


def test_a_currency_is_told_as_it_comes(server):
    server.currency = "GBp"
    assert fetch("NVDA", first=None, now=YEAR_END).currency == "GBp"
    server.currency = None
    assert fetch("NVDA", first=None, now=YEAR_END).currency == ""


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("Acme\n\x1b[31m Holdings " + "x" * 200, ("Acme [31m Holdings " + "x" * 200)[:80]),
        ("Acme, Inc.", "Acme"),
        ("Acme Holding Co., Ltd.", "Acme Holding"),
        ("Incorporated Acme", "Incorporated Acme"),
        (None, "ACME"),
    ],
)
def test_a_name_is_one_line_without_a_legal_form_and_falls_back_on_the_symbol(server, told, name):
    server.symbol, server.name = "ACME", told
    assert fetch("ACME", first=None, now=YEAR_END).name == name


def test_a_bundled_symbol_keeps_the_name_it_has_here(server):
    server.name = "NVIDIA Corporation"
    assert fetch("NVDA", first=None, now=YEAR_END).name == "Nvidia"


# Rows that are not final, or are empty


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2024-12-30T16:19:59", "2024-12-27"),
        ("2024-12-30T16:20:00", "2024-12-30"),
        ("2024-11-29T13:19:59", "2024-11-27"),  # closes at 13:00; the 28th is Thanksgiving
        ("2024-11-29T13:20:00", "2024-11-29"),
        ("2024-12-29T12:00:00", "2024-12-27"),  # a Sunday
        ("2024-12-30T00:00:00", "2024-12-27"),
    ],
)
def test_a_row_is_final_20_minutes_after_the_close(server, now, last):
    server.running = True
    server.today = now[:10]
    bars = fetch("NVDA", first=day("2024-11-25"), now=new_york(now))
    assert str(bars.session[-1]) == last


def test_the_moment_may_be_in_any_time_zone(server):
    tokyo = datetime.timezone(datetime.timedelta(hours=9))
    early = new_york("2024-12-31T16:19").astimezone(tokyo)  # 2025 there
    assert fetch("NVDA", first=day("2024-12-01"), now=early).session[-1] == day("2024-12-30")
    late = new_york("2024-12-31T16:21").astimezone(tokyo)
    assert fetch("NVDA", first=day("2024-12-01"), now=late).session[-1] == day("2024-12-31")


def test_a_moment_without_a_time_zone_is_refused(server):
    with pytest.raises(UsageError, match="2024-12-31T20:00:00 has no time zone"):
        fetch("NVDA", first=None, now=datetime.datetime(2024, 12, 31, 20))
    assert server.requests == []


def test_a_split_of_the_running_session_stays_because_prices_are_adjusted_for_it(server, traded):
    server.today, server.running = "2024-06-10", True
    bars = fetch("NVDA", first=None, now=new_york("2024-06-10T12:00"))
    assert bars.session[-1] == day("2024-06-07")
    assert bars.splits == (Split(SPLIT, 10.0),)
    assert bars.close[-1] == pytest.approx(120.888, rel=1e-6)


def test_rows_without_prices_stay_in_the_middle_and_go_at_the_end(server, traded):
    server.today = "2024-12-26"
    server.empty_days = {"2024-12-19", "2024-12-26", "2024-12-27"}
    bars = fetch("NVDA", first=day("2024-12-16"), now=YEAR_END)
    assert bars.session[-1] == day("2024-12-24")
    empty = np.isnan(bars.close)
    assert [str(session) for session in bars.session[empty]] == ["2024-12-19"]
    assert np.isnan(bars.open[empty]) and bars.volume[empty] == 0


def test_nothing_but_the_running_session_is_no_prices(server):
    server.today, server.running = "2024-12-30", True
    now = new_york("2024-12-30T12:00")
    text = error_of(SourceUnavailable, first=day("2024-12-30"), now=now)
    assert text.endswith("has no prices of NVDA from 2024-12-30 on")


# What the audit must find is handed over as it is


def test_an_adjustment_for_a_split_that_is_not_listed_is_handed_over(server, traded):
    server.unlisted = {str(SPLIT)}
    bars = fetch("NVDA", first=None, now=YEAR_END)
    assert bars.splits == ()
    assert bars.close[0] == pytest.approx(traded.close[0] / 10, rel=1e-7)


def test_a_listed_split_that_prices_are_not_adjusted_for_is_handed_over(server, traded):
    server.unscaled = {str(SPLIT)}
    bars = fetch("NVDA", first=None, now=YEAR_END)
    assert bars.splits == (Split(SPLIT, 10.0),)
    assert bars.close[0] == pytest.approx(traded.close[0], rel=1e-7)


def test_an_adjustment_for_a_split_that_never_was_is_handed_over(server, traded):
    server.rescaled = [Split(day("2024-09-03"), 2.0)]
    bars = fetch("NVDA", first=None, now=YEAR_END)
    row = int(np.searchsorted(traded.session, day("2024-09-03")))
    assert bars.close[row - 1] == pytest.approx(traded.close[row - 1] / 2, rel=1e-7)
    assert bars.close[row] == pytest.approx(traded.close[row], rel=1e-7)
    assert bars.splits == (Split(SPLIT, 10.0),)


# Events


def test_an_announcement_moves_the_session_it_can_still_move(server):
    server.announcements = [
        "November 20, 2024 at 4 PM EST",  # after the close
        "August 28, 2024 at 7 AM EDT",  # before the open
        "May 22, 2024 at 12 PM EDT",  # during the session
        "February 21, 2024 at 12 AM EST",  # the hour is not known
        "February 21, 2024 at 4 PM EST",  # the same once more
        "March 28, 2024 at 5 PM EDT",  # before Good Friday
    ]
    events = fetch("NVDA", first=None, now=YEAR_END).events
    assert [str(session) for session in events.session] == [
        "2024-02-22", "2024-04-01", "2024-05-22", "2024-08-28", "2024-11-21",
    ]  # fmt: skip


def test_events_that_are_not_public_are_left_out(server):
    server.announcements = ["November 20, 2024 at 4 PM EST", "August 28, 2024 at 4 PM EDT"]
    early = fetch_events("NVDA", now=new_york("2024-10-22T12:00"))
    assert [str(session) for session in early.session] == ["2024-08-29"]
    assert len(fetch_events("NVDA", now=new_york("2024-10-24T12:00"))) == 2


def test_announcements_outside_the_calendar_or_without_sense_are_no_events(server):
    server.announcements = ["November 20, 1984 at 4 PM EST"]
    assert len(fetch_events("NVDA", now=YEAR_END)) == 0
    server.announcements = ["some day at 4 PM EST"]
    assert len(fetch_events("NVDA", now=YEAR_END)) == 0
    server.announcements = []
    assert len(fetch_events("NVDA", now=YEAR_END)) == 0


@pytest.mark.parametrize("status", [429, 500])
def test_events_that_cannot_be_had_do_not_stop_the_prices(server, monkeypatch, status):
    server.announcements = ["November 20, 2024 at 4 PM EST"]
    monkeypatch.setattr(server, "earnings_status", status)
    bars = fetch("NVDA", first=day("2024-12-24"), now=YEAR_END)
    assert len(bars) == 5 and len(bars.events) == 0


# One process, many fetches


def test_no_fetch_sees_an_answer_of_an_earlier_one(server, traded, monkeypatch):
    past = new_york("2024-06-03T18:00")  # long ago: yfinance would keep the answer
    server.today = "2024-06-03"
    first = fetch("NVDA", first=day("2024-05-20"), now=past)
    server.rescaled = [Split(day("2024-05-29"), 2.0)]
    again = fetch("NVDA", first=day("2024-05-20"), now=past)
    assert again.close[0] == pytest.approx(first.close[0] / 2, rel=1e-6)
    doubled = {name: 2 * getattr(traded, name) for name in COLUMNS[:-1]}
    with YahooServer(dataclasses.replace(traded, **doubled), today="2024-06-03") as other:
        other.crumb = "another-crumb"
        monkeypatch.setenv("BELIEF_YAHOO_URL", other.url)
        elsewhere = fetch("NVDA", first=day("2024-05-20"), now=past)
        assert [request.query["crumb"] for request in other.chart_requests] == ["another-crumb"]
    assert elsewhere.close[0] == pytest.approx(2 * first.close[0], rel=1e-6)


def test_an_unknown_symbol_is_known_once_yahoo_knows_it(server):
    server.symbol = "NEW"
    error_of(UnknownSymbol)
    server.symbol = "NVDA"
    assert len(fetch("NVDA", first=None, now=YEAR_END)) == 252


def test_threads_take_turns(server, traded, monkeypatch):
    results = {}
    answer = server.answer

    def answer_slowly(request):
        time.sleep(0.01)  # so that requests would meet
        return answer(request)

    monkeypatch.setattr(server, "answer", answer_slowly)

    def ask(symbol, first):
        try:
            results[symbol, first] = fetch(symbol, first=first, now=YEAR_END).session[0]
        except BeliefError as error:
            results[symbol, first] = type(error)

    wanted = {("NVDA", session): session for session in traded.session[:6]}
    wanted |= {("NVDQ", session): UnknownSymbol for session in traded.session[:3]}
    threads = [threading.Thread(target=ask, args=key) for key in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == wanted
    assert server.most_at_once == 1


# Silence


def test_nothing_is_printed_logged_above_warnings_or_warned(server, capfd, caplog):
    server.fail("429", "503")
    server.announcements = ["nonsense"]
    with caplog.at_level(logging.ERROR), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fetch("NVDA", first=None, now=YEAR_END)
    assert capfd.readouterr() == ("", "")
    assert caught == []
    assert caplog.records == []


PROGRAM = """
import datetime, sys
import belief.yahoo
assert not {"yfinance", "curl_cffi", "pandas", "stamina", "exchange_calendars"} & set(sys.modules)
now = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
import stamina
stamina.set_testing(True, attempts=4)
print(len(belief.yahoo.fetch("NVDA", first=None, now=now)))
"""


def test_a_program_of_its_own_stays_silent_and_leaves_no_file(server, tmp_path, monkeypatch):
    monkeypatch.setenv("BELIEF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    server.fail("429", "503")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("252\n", "", 0)
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.parent.as_posix() for path in files] == ["cache/sessions"]


def test_a_folder_that_cannot_be_made_does_not_stop_the_prices(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")  # under which not even root can make one
    monkeypatch.setenv("BELIEF_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert len(fetch("NVDA", first=None, now=YEAR_END)) == 252
