"""A loopback server that speaks Yahoo's chart interface as yfinance 1.7 asks it.

    with YahooServer(prices, today="2024-06-07") as server:
        monkeypatch.setenv("BELIEF_YAHOO_URL", server.url)
        fetch("NVDA", first=None, now=...)
        server.today = "2024-06-10"  # one session and one split later
        server.fail("429", "429")  # the next two requests for a chart; then it is well again

The history is given as traded. Charts show it as Yahoo would on `today`: no row after it, adjusted
for the splits listed by then, in single precision.
"""

import datetime
import functools
import gzip
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

import numpy as np

from belief.prices import COLUMNS, Prices, Split
from belief.sessions import is_session

CHART = "/v8/finance/chart/"
CRUMB = "/v1/test/getcrumb"
EARNINGS = "/calendar/earnings"
OPENS = datetime.time(9, 30)
_LONGEST_STALL = 5.0  # seconds after which even a stalled answer ends, so that no test hangs


@dataclass(frozen=True)
class Request:
    """What the client sent."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case


@dataclass(frozen=True)
class Answer:
    """What the server sends, and where it goes wrong on the way."""

    content: bytes
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    ending: str = "whole"  # "cut": closes halfway; "stall": halfway, it says no more


class YahooServer:
    """One symbol at Yahoo; each attribute may be set at any time and holds from then on.

    Attributes:
        today: the last day there is, a session or not.
        running: the session of today is still open: its row is partial.
        repeated: the last row comes twice, the second time at the moment of the last trade.
        empty_days: days whose row has no values; one after the last row is added.
        unlisted: sessions of true splits that are not listed, though prices are adjusted.
        unscaled: sessions of true splits that prices are not adjusted for, though listed.
        rescaled: splits that never were, not listed, though prices are adjusted for them.
        currency, name, timezone: what the chart says of the symbol; None is null.
        opens: local time of a row.
        announcements: rows of the page of earnings dates, such as "May 22, 2024 at 4 PM EDT".
        earnings_status: HTTP status of that page.
        crumb: what is handed out as one.
        requests: all so far.
        most_at_once: how many of them were open at the same time; one whose answer is being sent is
            not, because the client may have read it and asked again before the sender knows.
    """

    def __init__(self, prices: Prices, *, today: str | np.datetime64) -> None:
        self.prices = prices
        self.symbol = prices.symbol.replace(".", "-")
        self.today: str | np.datetime64 = today
        self.running = False
        self.repeated = False
        self.empty_days: set[str] = set()
        self.unlisted: set[str] = set()
        self.unscaled: set[str] = set()
        self.rescaled: list[Split] = []
        self.currency: str | None = prices.currency
        self.name: str | None = prices.name
        self.timezone = "America/New_York"
        self.opens = OPENS
        self.announcements: list[str] = []
        self.earnings_status = 200
        self.crumb = "crumb.of/this-server"
        self.requests: list[Request] = []
        self._faults: list[str] = []
        self._always: str | None = None
        self.most_at_once = 0
        self._open = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def chart_requests(self) -> list[Request]:
        return [request for request in self.requests if request.path.startswith(CHART)]

    def fail(self, *faults: str) -> None:
        """Answer the next requests for a chart with these faults, one each; "" is none.

        Within one try yfinance asks once more after a status from 400 to 499 other than 429.
        """
        _check_faults(faults)
        with self._lock:
            self._faults.extend(faults)

    def fail_always(self, fault: str | None) -> None:
        """Answer every request for a chart with this fault from now on; None ends it."""
        _check_faults([fault] if fault else [])
        self._always = fault

    def _next_fault(self) -> str:
        with self._lock:
            return self._always or (self._faults.pop(0) if self._faults else "")

    def _begin(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)

    def _end(self) -> None:
        with self._lock:
            self._open -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._respond()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._respond()

            def _respond(self) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                query = dict(parse_qsl(parts.query))
                request = Request(self.command, parts.path or "/", query, headers)
                server._begin(request)
                try:
                    answer = server.answer(request)
                finally:
                    server._end()
                try:
                    self._send(answer)
                except OSError:  # the client has hung up, as it may
                    self.close_connection = True

            def _send(self, answer: Answer) -> None:
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.content)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                whole = answer.ending == "whole"
                sent = len(answer.content) if whole else len(answer.content) // 2
                self.wfile.write(answer.content[:sent])
                self.close_connection = not whole
                if answer.ending == "stall":
                    server._stopping.wait(_LONGEST_STALL)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def answer(self, request: Request) -> Answer:
        """Find the answer to a request."""
        if request.path.startswith(CHART):
            symbol = unquote(request.path.removeprefix(CHART))
            fault = self._next_fault()
            if fault:
                return FAULTS[fault](self._chart(request.query))
            return self._chart(request.query) if symbol == self.symbol else _unknown_symbol()
        if request.path == CRUMB:
            return Answer(self.crumb.encode(), kind="text/plain")
        if request.path == EARNINGS:
            page = _earnings_page(self.symbol, self.announcements)
            if self.earnings_status != 200:
                page = b"Too Many Requests"
            return Answer(page, self.earnings_status, "text/html")
        if request.path == "/":  # what yfinance takes a cookie from; Yahoo says 404, too
            cookie = {"Set-Cookie": "A3=d=abc; Max-Age=31557600; Path=/"}
            return Answer(b"not found", 404, "text/html", cookie)
        return Answer(b'{"finance": {"result": null, "error": {"code": "Not Found"}}}', 404)

    # A chart

    def _chart(self, query: Mapping[str, str]) -> Answer:
        start = self._start(query)
        rows = self._rows(float(query.get("period2", "inf")), start)
        if not rows["timestamp"]:
            text = f"Data doesn't exist for startDate = {start:.0f}"
            return _chart_error("Bad Request", text, status=400)
        quote = {column: rows[column] for column in COLUMNS}
        adjusted = [close and 0.99 * close for close in rows["close"]]  # as if some were paid
        result: dict[str, Any] = {
            "meta": self._meta(rows),
            "timestamp": rows["timestamp"],
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": adjusted}]},
        }
        splits = self._listed(rows["timestamp"])
        if splits:
            result["events"] = {"splits": splits}
        return Answer(json.dumps({"chart": {"result": [result], "error": None}}).encode())

    def _start(self, query: Mapping[str, str]) -> float:
        if "period1" in query:
            return float(query["period1"])
        assert query["range"] == "1d", "yfinance asks for no other range"
        return float(self._stamps()[self._shown() - 1])

    def _shown(self) -> int:
        return int(np.searchsorted(self.prices.session, self._day(), "right"))

    def _day(self) -> np.datetime64:
        return np.datetime64(str(self.today), "D")

    def _stamps(self) -> np.ndarray:
        return _timestamps(self.prices, self.timezone, self.opens)

    def _rows(self, end: float, start: float) -> dict[str, list[Any]]:
        shown, stamps = self._shown(), self._stamps()
        first = int(np.searchsorted(stamps[:shown], start))
        last = int(np.searchsorted(stamps[:shown], end))
        part = slice(first, max(first, last))
        factor = self._factor()[part]
        columns = {name: getattr(self.prices, name)[part] / factor for name in COLUMNS[:-1]}
        columns["volume"] = np.rint(self.prices.volume[part] * factor)
        rows = {name: _as_sent(values) for name, values in columns.items()}
        rows["timestamp"] = stamps[part].tolist()
        if rows["timestamp"] and last == shown:
            self._bend_last_row(rows)
        self._empty_rows(rows, end)
        return rows

    def _factor(self) -> np.ndarray:
        """What each session's prices are divided by, as Yahoo would do it today."""
        factor = np.ones(self.prices.session.size)
        for session, ratio in [*self.prices.splits, *self.rescaled]:
            if session <= self._day() and str(session) not in self.unscaled:
                factor[self.prices.session < session] *= ratio
        return factor

    def _bend_last_row(self, rows: dict[str, list[Any]]) -> None:
        """Make the last row partial, and repeat it, as Yahoo does while the market is open."""
        moment = rows["timestamp"][-1] + 3 * 3600
        running = self.running and is_session(self._day())
        if running:
            opened, low = rows["open"][-1], rows["low"][-1]
            rows["close"][-1] = _as_sent(np.array([(opened + low) / 2]))[0]
            rows["high"][-1] = opened
            rows["volume"][-1] = rows["volume"][-1] // 3
        if self.repeated:
            for name in COLUMNS:
                rows[name].append(rows[name][-1])
            rows["volume"][-1] += 100
            rows["timestamp"].append(moment)
        elif running:
            rows["timestamp"][-1] = moment

    def _empty_rows(self, rows: dict[str, list[Any]], end: float) -> None:
        if not self.empty_days:
            return
        emptied = np.array(sorted(self.empty_days), dtype="datetime64[D]")
        stamps = _moments(emptied, self.timezone, self.opens).tolist()
        for stamp in stamps:
            if stamp in rows["timestamp"]:
                for name in COLUMNS:
                    rows[name][rows["timestamp"].index(stamp)] = None
            elif rows["timestamp"] and rows["timestamp"][-1] < stamp < end:
                rows["timestamp"].append(stamp)
                for name in COLUMNS:
                    rows[name].append(None)

    def _listed(self, stamps: Sequence[int]) -> dict[str, Any]:
        listed = {}
        for session, ratio in self.prices.splits:
            moment = int(_moments(np.array([session]), self.timezone, self.opens)[0])
            shown = stamps[0] <= moment and session <= self._day()
            if shown and str(session) not in self.unlisted and ratio != 1.0:
                top, bottom = Fraction(ratio).limit_denominator(1000).as_integer_ratio()
                text = f"{top}:{bottom}"
                listed[str(moment)] = {
                    "date": moment,
                    "numerator": top,
                    "denominator": bottom,
                    "splitRatio": text,
                }
        return listed

    def _meta(self, rows: Mapping[str, list[Any]]) -> dict[str, Any]:
        zone = ZoneInfo(self.timezone)
        offset = datetime.datetime.fromtimestamp(rows["timestamp"][-1], zone).utcoffset()
        assert offset is not None
        return {
            "currency": self.currency,
            "symbol": self.symbol,
            "exchangeName": "NMS",
            "instrumentType": "EQUITY",
            "regularMarketTime": rows["timestamp"][-1] + (0 if self.running else 6 * 3600 + 1800),
            "gmtoffset": int(offset.total_seconds()),
            "exchangeTimezoneName": self.timezone,
            "regularMarketPrice": rows["close"][-1],
            "longName": self.name,
            "shortName": self.name,
            "priceHint": 2,
            "dataGranularity": "1d",
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "3mo", "1y", "5y", "10y", "ytd", "max"],
        }


def _as_sent(values: np.ndarray) -> list[Any]:
    """Write numbers as Yahoo does: prices come in single precision, whole shares stay whole."""
    if np.all(values == np.rint(values)):
        return [int(value) for value in values]
    sent: list[Any] = values.astype(np.float32).astype(np.float64).tolist()
    return sent


@functools.lru_cache(maxsize=8)
def _timestamps(prices: Prices, timezone: str, opens: datetime.time) -> np.ndarray:
    return _moments(prices.session, timezone, opens)


def _moments(days: np.ndarray, timezone: str, opens: datetime.time) -> np.ndarray:
    zone = ZoneInfo(timezone)
    moments = [datetime.datetime.combine(day, opens, zone).timestamp() for day in days.tolist()]
    return np.array(moments, dtype=np.int64)


def _earnings_page(symbol: str, announcements: Sequence[str]) -> bytes:
    if not announcements:
        return b"<html><body><p>We couldn't find any results</p></body></html>"
    names = ("Symbol", "Company", "Earnings Date", "EPS Estimate", "Reported EPS", "Surprise (%)")
    head = "".join(f"<th>{name}</th>" for name in names)
    cells = "<td>{0}</td><td>Company</td><td>{1}</td><td>1.5</td><td>-</td><td>-</td>"
    rows = "".join(f"<tr>{cells.format(symbol, when)}</tr>" for when in announcements)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<html><body>{table}</body></html>".encode()


# Faults: each turns the answer there would have been into another


def _chart_error(code: str, description: str, *, status: int) -> Answer:
    error = {"code": code, "description": description}
    return Answer(json.dumps({"chart": {"result": None, "error": error}}).encode(), status)


def _unknown_symbol() -> Answer:
    return _chart_error("Not Found", "No data found, symbol may be delisted", status=404)


def _page(status: int, text: str) -> Answer:
    return Answer(f"<html><body><h1>{text}</h1></body></html>".encode(), status, "text/html")


FAULTS: Mapping[str, Callable[[Answer], Answer]] = {
    "401": lambda _: _chart_error("Unauthorized", "Invalid Crumb", status=401),
    "403": lambda _: _page(403, "Forbidden"),
    "404 page": lambda _: _page(404, "Not Found"),
    "429": lambda _: Answer(b"Too Many Requests\r\n", 429, "text/plain"),
    "500": lambda _: _chart_error("internal-error", "Something broke", status=500),
    "503": lambda _: _page(503, "Service Unavailable"),
    "unknown": lambda _: _unknown_symbol(),
    "empty": lambda _: Answer(b'{"chart": {"result": [], "error": null}}'),
    "null": lambda _: Answer(b"null"),
    "list": lambda _: Answer(b"[1, 2]"),
    "html": lambda _: _page(200, "Please enable JavaScript"),
    "down": lambda _: _page(200, "Will be right back"),
    "truncated": lambda whole: Answer(whole.content[: len(whole.content) // 2]),
    "cut": lambda whole: Answer(whole.content, ending="cut"),
    "stall": lambda whole: Answer(whole.content, ending="stall"),
    "broken gzip": lambda whole: Answer(
        gzip.compress(whole.content)[:-40], headers={"Content-Encoding": "gzip"}
    ),
}


def _check_faults(faults: Sequence[str]) -> None:
    unknown = set(faults) - {"", *FAULTS}
    if unknown:
        raise ValueError(f"no such fault: {', '.join(sorted(unknown))}; there are {list(FAULTS)}")
