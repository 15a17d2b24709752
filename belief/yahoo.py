"""The Yahoo door: the daily rows of a symbol as Yahoo Finance tells them, before any check.

yfinance speaks to Yahoo; here its answers become `Bars`, its errors ours, and what it would keep
or print is kept from it. Nothing is stored: each fetch asks anew, and fetches of one process take
turns, because yfinance has one state for all of them.

The environment variable BELIEF_YAHOO_URL, such as http://127.0.0.1:8080, sends every request to
that address instead of to Yahoo's hosts, path and query unchanged: a proxy or a mirror.
"""

import contextlib
import datetime
import functools
import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import numpy as np
import numpy.typing as npt

from belief.bars import Bars
from belief.errors import BeliefError, SourceUnavailable, UnknownSymbol, UsageError
from belief.events import NO_EVENTS, Events, reaction_session
from belief.paths import cache_dir
from belief.prices import COLUMNS, Split
from belief.sessions import EXCHANGE_TIME, FIRST_DAY, last_closed_session
from belief.sources import NAMES

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Flags = npt.NDArray[np.bool_]

SOURCE: Final = "Yahoo Finance"
ADDRESS: Final = "BELIEF_YAHOO_URL"
USUAL_CLOSE: Final = datetime.time(16)

TRIES: Final = 4
REQUEST_SECONDS: Final = 15.0  # for one request
PRICES_SECONDS: Final = 45.0  # for all requests for prices; one last wait may come on top
EVENTS_SECONDS: Final = 15.0  # for all requests for events, which are tried once
FIRST_WAIT: Final = 2.0  # seconds before the second try; it doubles, plus up to a second of jitter
LONGEST_WAIT: Final = 16.0
MOST_EVENTS: Final = 100  # rows that Yahoo gives at once: 25 years

_SYMBOL: Final = re.compile(r"[A-Z0-9.^=_-]{1,20}", re.ASCII)
_ISIN: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]", re.ASCII)
_CLASS_SHARE: Final = re.compile(r"([A-Z]{1,5})\.([ABC])", re.ASCII)
_LEGAL_FORM: Final = re.compile(
    r"(,? (Inc|Incorporated|Corp|Corporation|Company|Co|Ltd|Limited|plc|N\.V|S\.A)\.?)+$", re.I
)
_WITHOUT_ROWS: Final = (200, 400, 422)  # HTTP statuses of an answer that says so in JSON
_BEGINNING: Final = re.compile(r"[a-z]{1,10}://[a-z0-9.-]{1,60}", re.I)
_DAY: Final = np.timedelta64(1, "D")
_CHART: Final = "/v8/finance/chart/"
_LONGEST_NAME: Final = 80

_turn = threading.RLock()  # reentrant: a fetch of prices holds it and fetches events, too
_silent = logging.NullHandler()


class _Passing(SourceUnavailable):
    """A trouble of the source that may be gone at the next try."""


class _ServerError(OSError):
    """The source answered with HTTP status 500 or more; yfinance takes this for the network."""


def fetch(symbol: str, *, first: np.datetime64 | None, now: datetime.datetime) -> Bars:
    """Fetch the daily rows of a symbol that are final at a moment.

    Prices and volumes come in Yahoo's basis, adjusted for every split Yahoo knows of, listed or
    not. A row is final 20 minutes after the close of its session, half-days included; later rows
    are left out, and so are rows without any price at the end. A row without prices in the middle
    stays, as not a number. The splits stay even where their row is left out, since Yahoo has
    adjusted the other rows for them.

    Class shares of New York may be written with a dot or with a dash: BRK.B is asked for as BRK-B.
    That goes for the classes A to C; other dots, as in VOD.L, are Yahoo's own.

    Args:
        symbol: the exchange's symbol, in any case.
        first: the first day wanted, or None for all rows from 1990 on, where the calendar begins.
        now: the moment, with its time zone; nothing here reads a clock for it.

    Returns:
        The rows, the currency and name in Yahoo's words, and the events of `fetch_events`.

    Raises:
        UsageError: the symbol has characters that no symbol has, `now` has no time zone, or
            BELIEF_YAHOO_URL is not an address.
        UnknownSymbol: Yahoo does not know the symbol.
        SourceUnavailable: Yahoo cannot be reached, refuses, or makes no sense, after up to 4 tries
            and at most a minute.
    """
    with (
        _turn
    ):  # to the end: the calendar, too, is loaded under filters of warnings for all threads
        return _fetch(symbol, first, now)


def _fetch(symbol: str, first: np.datetime64 | None, now: datetime.datetime) -> Bars:
    upper, local = _checked(symbol), _exchange_time(now)
    start = FIRST_DAY if first is None else max(first.astype("datetime64[D]"), FIRST_DAY)
    frame, meta = _history(upper, start, np.datetime64(local.date(), "D") + _DAY)
    try:
        session = np.array(list(frame.index.date), dtype="datetime64[D]")
        columns = {name: _as_quoted(frame[name.title()].to_numpy(np.float64)) for name in COLUMNS}
        splits = _splits(session, frame["Stock Splits"].to_numpy(np.float64))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SourceUnavailable(_without_sense(upper)) from error
    priced = ~np.all([np.isnan(columns[name]) for name in COLUMNS[:-1]], axis=0)
    kept = _count_final(session, priced, now)
    if not kept:
        raise SourceUnavailable(f"{_source()} has no prices of {upper} from {start} on")
    return Bars(
        symbol=upper,
        name=NAMES.get(upper) or _name(meta) or upper,
        currency=_text(meta.get("currency")),
        session=session[:kept],
        **{name: values[:kept].copy() for name, values in columns.items()},
        splits=splits,
        source=SOURCE,
        splits_known=True,
        retrieved_at=now.astimezone(datetime.UTC).date().isoformat(),
        events=fetch_events(upper, now=now),
    )


def fetch_events(symbol: str, *, now: datetime.datetime) -> Events:
    """Fetch the sessions that react to earnings, as far as Yahoo tells and they are public.

    Yahoo's page of earnings dates is read: unlike its other lists it reaches back and has the hour.
    An announcement before 16:00 in New York moves that day's session, one from 16:00 on, or at
    midnight, which stands for an unknown hour, the session after it.

    Args:
        symbol: the exchange's symbol, in any case; see `fetch`.
        now: the moment, with its time zone; later sessions that are not public yet are left out,
            because Yahoo guesses them.

    Returns:
        The events, none when Yahoo has none, cannot be reached or makes no sense: whatever goes
        wrong there does not stop the prices.

    Raises:
        UsageError: as for `fetch`.
    """
    upper, local = _checked(symbol), _exchange_time(now)
    with _turn:
        return _fetch_events(upper, np.datetime64(local.date(), "D"))


def _fetch_events(upper: str, today: np.datetime64) -> Events:
    with _session(EVENTS_SECONDS) as session:
        try:
            announced = _announced(_yahoo_symbol(upper), session)
        except Exception:  # it is cut out of a web page, which can fail in any way
            return NO_EVENTS
    with contextlib.suppress(BeliefError):  # a day outside the calendar
        reacting = {_reaction(moment) for moment in announced}
        events = Events(np.array(sorted(reacting), dtype="datetime64[D]"))
        return events.until(today)
    return NO_EVENTS


def _checked(symbol: str) -> str:
    upper = symbol.strip().upper()
    if not _SYMBOL.fullmatch(upper):
        raise UsageError(
            f"{ascii(symbol)[:40]} is not a symbol: 1 to 20 of A-Z 0-9 . - ^ = _ are valid, "
            f"e.g. NVDA"
        )
    if _ISIN.fullmatch(upper):  # yfinance would search for what it stands for
        raise UsageError(f"{upper} is an ISIN; write the exchange's symbol, e.g. NVDA")
    return upper


def _yahoo_symbol(upper: str) -> str:
    """Write a symbol as Yahoo does.

    Example:
        >>> _yahoo_symbol("BRK.B"), _yahoo_symbol("VOD.L")
        ('BRK-B', 'VOD.L')
    """
    match = _CLASS_SHARE.fullmatch(upper)
    return f"{match[1]}-{match[2]}" if match else upper


def _exchange_time(now: datetime.datetime) -> datetime.datetime:
    if now.tzinfo is None:
        raise UsageError(f"the moment {now.isoformat()} has no time zone; give one, such as UTC")
    return now.astimezone(EXCHANGE_TIME)


# From a frame to rows


def _splits(session: Days, ratio: Array) -> tuple[Split, ...]:
    return tuple(Split(session[row], float(ratio[row])) for row in np.flatnonzero(ratio > 0))


def _count_final(session: Days, priced: Flags, now: datetime.datetime) -> int:
    """Count the rows up to the last one that is final and has a price."""
    rows = np.flatnonzero((session <= last_closed_session(now)) & priced)
    return int(rows[-1]) + 1 if rows.size else 0


def _as_quoted(values: Array) -> Array:
    """Undo single precision, in which Yahoo keeps prices: 86.40200043 is 86.402.

    Numbers too large for it, such as volumes, are whole and stay as they are.
    """
    short = np.array([float(str(value)) for value in values.astype(np.float32)])
    return np.where(np.abs(values) < 2.0**20, short, values)


def _name(meta: dict[str, Any]) -> str:
    """The company as people call it: without its legal form."""
    name = _text(meta.get("longName")) or _text(meta.get("shortName"))
    return _LEGAL_FORM.sub("", name)


def _text(value: object) -> str:
    """Give a text of the source on one line, nothing when it is not text."""
    if not isinstance(value, str):
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return line[:_LONGEST_NAME]


# Events


def _announced(yahoo_symbol: str, session: Any) -> list[datetime.datetime]:
    """List when earnings were or will be announced, in exchange time."""
    frame = _ticker(yahoo_symbol, session).get_earnings_dates(limit=MOST_EVENTS)
    rows = [] if frame is None else frame.index
    return [moment.astimezone(EXCHANGE_TIME) for moment in rows]


def _reaction(announced: datetime.datetime) -> np.datetime64:
    """Find the session that reacts to an announcement."""
    at = announced.time()
    after = at >= USUAL_CLOSE or at == datetime.time(0)
    day = np.datetime64(announced.date(), "D")
    return reaction_session(day, "after_close" if after else "before_open")


# Talking to Yahoo


def _history(upper: str, start: np.datetime64, end: np.datetime64) -> tuple[Any, dict[str, Any]]:
    """Fetch the frame of rows from `start` to before `end` and what Yahoo says about the symbol."""
    import stamina

    tried = 0
    with _session(PRICES_SECONDS) as session:
        try:
            for attempt in stamina.retry_context(
                on=_Passing,
                attempts=TRIES,
                timeout=PRICES_SECONDS,
                wait_initial=FIRST_WAIT,
                wait_max=LONGEST_WAIT,
                wait_jitter=1.0,
                wait_exp_base=2,
            ):
                with attempt:
                    tried = attempt.num
                    return _try_history(upper, start, end, session)
        except _Passing as error:
            tries = f"{tried} {'try' if tried == 1 else 'tries'}"
            raise SourceUnavailable(f"{error} ({tries}); try again in some minutes") from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def _try_history(
    upper: str, start: np.datetime64, end: np.datetime64, session: Any
) -> tuple[Any, dict[str, Any]]:
    session.status = None
    try:
        ticker = _ticker(_yahoo_symbol(upper), session)
        frame = ticker.history(
            period=None,
            interval="1d",
            start=start.item(),
            end=end.item(),
            prepost=False,
            actions=True,
            auto_adjust=False,
            back_adjust=False,
            repair=False,  # it guesses; what is wrong must be seen
            keepna=True,  # a day without prices must be seen, too
            rounding=False,
            timeout=REQUEST_SECONDS,
        )
        meta = ticker.get_history_metadata()
        return frame, {key: meta.get(key) for key in ("currency", "longName", "shortName")}
    except Exception as error:  # it parses what the network sends, which can fail in any way
        raise _ours(error, upper, session.status) from error


def _ours(error: Exception, upper: str, status: int | None) -> BeliefError:
    """Turn whatever yfinance raised into an error of ours, never quoting what was sent."""
    from yfinance.exceptions import (
        YFDataException,
        YFPricesMissingError,
        YFRateLimitError,
        YFTzMissingError,
    )

    missing = isinstance(error, YFPricesMissingError | YFTzMissingError)
    if isinstance(error, YFRateLimitError):
        return _Passing(f"{_source()} limits the rate of requests")
    if isinstance(error, YFDataException):
        return _Passing(f"{_source()} says that it is down")
    if isinstance(error, _ServerError):
        return _Passing(f"{_source()} fails with HTTP status {status}")
    if missing and status == 404:
        return UnknownSymbol(f"{_source()} does not know the symbol {upper}; check its spelling")
    if missing and status in _WITHOUT_ROWS:
        return SourceUnavailable(f"{_source()} has no prices of {upper} for the days asked for")
    if status is not None and status >= 400:
        return SourceUnavailable(f"{_source()} refuses {upper} with HTTP status {status}")
    if isinstance(error, OSError):
        return _of_network(error)
    return SourceUnavailable(_without_sense(upper))


def _of_network(error: OSError) -> SourceUnavailable:
    from curl_cffi.requests import exceptions

    if isinstance(error, exceptions.CertificateVerifyError):
        return SourceUnavailable(f"{_source()} shows a certificate that cannot be trusted")
    for kind, what in (
        (exceptions.SSLError, "cannot be reached: no secure connection (TLS)"),
        (exceptions.DNSError, "cannot be reached: its name cannot be resolved"),
        (exceptions.ProxyError, "cannot be reached through the proxy"),
        (exceptions.Timeout, "did not answer in time"),
        (exceptions.ConnectionError, "cannot be reached: no connection"),
    ):
        if isinstance(error, kind):
            return _Passing(f"{_source()} {what}")
    return _Passing(f"{_source()} broke the connection off")


def _without_sense(upper: str) -> str:
    return f"{_source()} sent something about {upper} that makes no sense; try again later"


def _source() -> str:
    address = _address()
    return SOURCE if address is None else f"{SOURCE} at {address.netloc}"


def _address() -> SplitResult | None:
    """Read where requests go instead of to Yahoo, or None."""
    value = os.environ.get(ADDRESS, "").strip()
    if not value:
        return None
    with contextlib.suppress(ValueError):  # a port or an IPv6 address that is none
        parts = urlsplit(value)
        plain = parts.path in ("", "/") and not (parts.query or parts.fragment)
        usable = value.isascii() and value.isprintable() and not set(value) & set(" @%")
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            if plain and usable:
                return parts
    raise UsageError(
        f"{ADDRESS}{_beginning(value)} is not an address; write http:// or https://, a host and "
        f"perhaps a port, such as http://127.0.0.1:8080"
    )


def _beginning(value: str) -> str:
    """What may be shown of an address: its scheme and host; the rest may hold a key."""
    match = _BEGINNING.match(value)
    hidden = match is None or set(value) & set("@%")  # then what looks like a host may be a name
    return "" if match is None or hidden else f" begins with {match[0]}, but as a whole it"


@contextlib.contextmanager
def _session(seconds: float) -> Iterator[Any]:
    """Open the one session that is open at a time; `seconds` are for all its requests."""
    address = _address()
    with _turn, warnings.catch_warnings():
        _set_up_yfinance()
        with _session_type()(address, time.monotonic() + seconds) as session:
            yield session


def _set_up_yfinance() -> None:
    """Keep yfinance from hiding errors, printing, and writing files.

    Its caches of cookies and time zones on disk save two requests, but a locked, read-only or
    damaged one would fail the fetch, and so would a cookie of a kind it does not expect.
    """
    import yfinance
    from yfinance import cache

    for kind in (DeprecationWarning, FutureWarning):  # yfinance 1.7 is older than pandas 3.1
        warnings.filterwarnings("ignore", category=kind, module=r"yfinance\.")
    for name in ("yfinance", "stamina"):
        logging.getLogger(name).addHandler(_silent)  # without one, Python prints to stderr
    yfinance.config.debug.hide_exceptions = False
    yfinance.set_tz_cache_location(str(cache_dir() / "yfinance"))  # in case they are opened
    for opened in (cache.get_tz_cache(), cache.get_cookie_cache(), cache.get_isin_cache()):
        opened.dummy = True


def _ticker(yahoo_symbol: str, session: Any) -> Any:
    """Make a ticker that shares no answer, cookie or crumb with an earlier one."""
    import yfinance
    from yfinance.data import SingletonMeta, YfData

    YfData.cache_get.cache_clear()  # it keeps whole histories
    SingletonMeta._instances.pop(YfData, None)  # it would keep even "Too Many Requests" as a crumb
    ticker = yfinance.Ticker(yahoo_symbol, session=session)
    ticker._tz = EXCHANGE_TIME.key  # else it asks Yahoo, for what only cuts the first and last day
    return ticker


@functools.cache
def _session_type() -> Any:
    """Make the class of sessions here, so that importing this module does not load its base."""
    from curl_cffi.requests import Session, exceptions
    from yfinance.exceptions import YFRateLimitError

    class YahooSession(Session):  # type: ignore[type-arg]
        """A session that keeps a deadline, may be sent elsewhere, and notes how a chart went."""

        def __init__(self, address: SplitResult | None, deadline: float) -> None:
            super().__init__(impersonate="chrome")
            self.address = address
            self.deadline = deadline
            self.status: int | None = None

        def request(self, method: Any, url: Any, *args: Any, **keywords: Any) -> Any:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise exceptions.Timeout("no time is left for further requests")
            keywords["timeout"] = min(REQUEST_SECONDS, left)
            response = super().request(method, self._moved(url), *args, **keywords)
            if urlsplit(url).path.startswith(_CHART):
                self.status = response.status_code
                if self.status == 429:
                    raise YFRateLimitError  # else yfinance would ask five times more at once
                if self.status >= 500:
                    raise _ServerError(self.status)
            return response

        def _moved(self, url: str) -> str:
            if self.address is None:
                return url
            moved = urlsplit(url)._replace(scheme=self.address.scheme, netloc=self.address.netloc)
            return moved.geturl()

    return YahooSession
