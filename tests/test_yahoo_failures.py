"""Yahoo in trouble, and addresses and symbols that are none."""

import time

import pytest
import stamina
from asked_yahoo import YEAR_END, day, error_of, new_york, nvidia_of_2024
from yahoo_server import CRUMB, EARNINGS, YahooServer

from belief import yahoo
from belief.errors import SourceUnavailable, UnknownSymbol, UsageError
from belief.yahoo import fetch


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


# Faults


@pytest.mark.parametrize("fault", ["429", "500", "503", "cut", "down"])
def test_what_passes_is_tried_again(server, fault):
    server.fail(fault, fault)
    assert len(fetch("NVDA", first=day("2024-12-24"), now=YEAR_END)) == 5
    assert len(server.chart_requests) == 3


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("429", "limits the rate of requests"),
        ("500", "fails with HTTP status 500"),
        ("503", "fails with HTTP status 503"),
        ("cut", "broke the connection off"),
        ("down", "says that it is down"),
    ],
)
def test_what_does_not_pass_is_given_up_after_four_tries(server, fault, text):
    server.fail_always(fault)
    source = f"Yahoo Finance at {server.url.removeprefix('http://')}"
    said = error_of(SourceUnavailable)
    assert said == f"{source} {text} (4 tries); try again in some minutes"
    assert len(server.chart_requests) == 4


@pytest.mark.parametrize(
    ("fault", "text", "requests"),
    [
        ("401", "refuses NVDA with HTTP status 401", 2),
        ("403", "refuses NVDA with HTTP status 403", 2),
        ("404 page", "refuses NVDA with HTTP status 404", 2),
        ("empty", "has no prices of NVDA for the days asked for", 1),
        ("null", "has no prices of NVDA for the days asked for", 1),
        ("list", "has no prices of NVDA for the days asked for", 1),
        ("html", "sent something about NVDA that makes no sense", 1),
        ("truncated", "sent something about NVDA that makes no sense", 1),
        ("broken gzip", "sent something about NVDA that makes no sense", 1),
    ],
)
def test_what_makes_no_sense_is_not_tried_again(server, fault, text, requests):
    server.fail_always(fault)
    assert text in error_of(SourceUnavailable)
    assert len(server.chart_requests) == requests  # yfinance itself asks twice after a refusal


def test_a_symbol_that_yahoo_does_not_know_is_not_tried_again(server):
    with pytest.raises(UnknownSymbol, match="does not know the symbol NVDQ; check its spelling"):
        fetch("nvdq", first=None, now=YEAR_END)
    assert len(server.chart_requests) == 2
    server.fail_always("unknown")
    assert "NVDA" in error_of(UnknownSymbol)


def test_days_after_the_last_one_are_no_unknown_symbol(server):
    now = new_york("2025-06-02T12:00")
    text = error_of(SourceUnavailable, first=day("2025-05-01"), now=now)
    assert text.endswith("has no prices of NVDA for the days asked for")


def test_a_stalled_reply_ends_with_the_time_for_a_request(server, monkeypatch):
    monkeypatch.setattr(yahoo, "REQUEST_SECONDS", 0.2)
    server.fail("stall")
    assert len(fetch("NVDA", first=day("2024-12-24"), now=YEAR_END)) == 5
    server.fail_always("stall")
    assert "did not answer in time (4 tries)" in error_of(SourceUnavailable)


def test_all_tries_together_have_an_end(server, monkeypatch):
    monkeypatch.setattr(yahoo, "PRICES_SECONDS", 0.4)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.fail_always("stall")
    begun = time.monotonic()
    with stamina.set_testing(False):
        assert "did not answer in time (1 try)" in error_of(SourceUnavailable)
    assert time.monotonic() - begun < 2.0
    assert len(server.chart_requests) == 1


def test_the_waits_between_tries_grow_and_are_not_alike(server, monkeypatch):
    waits = []
    hook = stamina.instrumentation.RetryHookFactory(lambda: lambda it: waits.append(it.wait_for))
    stamina.instrumentation.set_on_retry_hooks([hook])
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.fail_always("429")
    try:
        with stamina.set_testing(False):
            error_of(SourceUnavailable)
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)
    assert [2 <= waits[0] <= 3, 4 <= waits[1] <= 5, 8 <= waits[2] <= 9] == [True] * 3
    assert len({wait % 1 for wait in waits}) == 3


def test_a_port_where_nobody_listens_is_no_connection(monkeypatch, traded):
    with YahooServer(traded, today="2024-12-31") as gone:
        monkeypatch.setenv("BELIEF_YAHOO_URL", gone.url)
    assert "cannot be reached: no connection (4 tries)" in error_of(SourceUnavailable)


def test_a_connection_that_is_not_secure_is_said(server, monkeypatch):
    monkeypatch.setenv("BELIEF_YAHOO_URL", server.url.replace("http", "https"))
    assert "cannot be reached: no secure connection (TLS)" in error_of(SourceUnavailable)


def test_a_wrong_cookie_or_crumb_does_not_stop_the_prices(server):
    server.crumb = "Too Many Requests"
    assert len(fetch("NVDA", first=day("2024-12-24"), now=YEAR_END)) == 5
    assert "crumb" not in server.chart_requests[0].query


# Addresses and symbols


@pytest.mark.parametrize(
    "value",
    ["ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://x:99999", "http://[::1", "http://x/a",
     "http://x?a=b", "http://a b", "http://x\n.y"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_by_name(monkeypatch, value):
    monkeypatch.setenv("BELIEF_YAHOO_URL", value)
    text = error_of(UsageError)
    assert text.startswith("BELIEF_YAHOO_URL ") and " is not an address; write http://" in text


def test_of_an_address_that_is_none_scheme_and_host_are_shown(monkeypatch):
    monkeypatch.setenv("BELIEF_YAHOO_URL", "http://mirror.example:80/?apikey=hunter2")
    text = error_of(UsageError)
    assert text.startswith("BELIEF_YAHOO_URL begins with http://mirror.example, but as a whole it")


@pytest.mark.parametrize(
    "value",
    ["http://me:hunter2@127.0.0.1", "http://me:hunter2%40127.0.0.1", "http://hunter2%40127.0.0.1",
     "http://hunter2@127.0.0.1", "http://x/hunter2", "http://x/?apikey=hunter2", "http://x:hunter2",
     "http://x#hunter2", "http:/me:hunter2@x", "hunter2"],
)  # fmt: skip
def test_an_address_with_a_secret_is_refused_without_showing_it(monkeypatch, value):
    monkeypatch.setenv("BELIEF_YAHOO_URL", value)
    assert "hunter2" not in error_of(UsageError)


def test_every_request_goes_to_the_address_given(server):
    fetch("NVDA", first=None, now=YEAR_END)
    assert {request.path for request in server.requests} >= {"/", CRUMB, EARNINGS}
    assert all(r.headers["host"] in server.url for r in server.requests)


@pytest.mark.parametrize(
    ("written", "asked"),
    [("brk.b", "BRK-B"), ("BRK-B", "BRK-B"), ("BF.A", "BF-A"), ("^GSPC", "^GSPC"),
     ("VOD.L", "VOD.L"), ("7203.T", "7203.T"), ("SAP.DE", "SAP.DE")],
)  # fmt: skip
def test_a_class_share_is_asked_for_as_yahoo_writes_it(server, traded, written, asked):
    server.symbol = asked
    assert fetch(written, first=day("2024-12-24"), now=YEAR_END).symbol == written.upper()


@pytest.mark.parametrize(
    "symbol", ["", "NV/DA", "NVDA?x=1", "../etc", "NVD\u0410", "A" * 21, "NV DA"]
)
def test_what_is_no_symbol_is_not_asked_for(server, symbol):
    with pytest.raises(UsageError, match="is not a symbol"):
        fetch(symbol, first=None, now=YEAR_END)
    assert server.requests == []


def test_an_isin_is_refused_by_name(server):
    with pytest.raises(UsageError, match="US67066G1040 is an ISIN; write the exchange's symbol"):
        fetch("US67066G1040", first=None, now=YEAR_END)
    assert server.requests == []
