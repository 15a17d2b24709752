"""Rows as a source would tell them, made from the bundled prices, and ways to spoil them."""

from dataclasses import replace

import numpy as np

from belief.audit import audit
from belief.bars import Bars
from belief.prices import COLUMNS
from belief.sessions import sessions_between
from belief.sources import load_prices

NVDA = load_prices("NVDA")


OVERLAP = 12


NEW = 4


def day(text):
    return np.datetime64(text, "D")


KNOWN = NVDA.until(day("2024-06-05"))  # the 10:1 split of 2024-06-10 is the third new row


FULL = NVDA.until(day("2024-06-11"))


SPLIT_DAY = day("2024-06-10")


def yahoo(prices, *, rows=None, **changes):
    """The last rows of prices as Yahoo tells them: adjusted for all splits of the prices."""
    factor = prices.split_factor()
    start = 0 if rows is None else prices.session.size - rows
    columns = {name: (getattr(prices, name) / factor)[start:] for name in COLUMNS[:-1]}
    fields = {
        "symbol": prices.symbol,
        "name": prices.name,
        "currency": "USD",
        "session": prices.session[start:].copy(),
        **columns,
        "volume": (prices.volume * factor)[start:],
        "splits": tuple(s for s in prices.splits if s.session >= prices.session[start]),
        "source": "Yahoo Finance",
        "splits_known": True,
        "retrieved_at": "2024-06-12",
        "events": prices.events,
    }
    return Bars(**fields | changes)


def update(**changes):
    """The rows from 12 kept ones on to the end of `FULL`."""
    return yahoo(FULL, rows=OVERLAP + NEW, **changes)


def edited(bars, edit):
    """Bars after `edit` changed a dict of their session and columns, and perhaps their order."""
    rows = {name: getattr(bars, name).copy() for name in ("session", *COLUMNS)}
    return replace(bars, **(edit(rows) or rows))


def put(row, **values):
    """An edit that puts values into a row."""

    def edit(rows):
        for name, value in values.items():
            rows[name][row] = value(rows[name][row]) if callable(value) else value

    return edit


def scaled(row, factor, *names):
    return put(row, **dict.fromkeys(names or COLUMNS[:-1], lambda value: value * factor))


def taken(rows):
    """An edit that keeps the rows of an index, in its order."""
    return lambda columns: {name: values[rows] for name, values in columns.items()}


def told(audited):
    return [(str(f.session), f.rule, f.outcome) for f in audited.findings]


def assert_same(prices, others):
    assert prices.fingerprint() == others.fingerprint()


def assert_unchanged_by_the_same_bars(bars, audited):
    again = audit(bars, audited.prices)
    assert not {f.outcome for f in again.findings} & {"repaired", "refused"}
    assert_same(again.prices, audited.prices)
    assert again.n_new == 0


NAN = dict.fromkeys(COLUMNS[:-1], np.nan)


def repeated(row):
    def edit(rows):
        for name in COLUMNS[:-1]:
            rows[name][row] = rows[name][row - 1]

    return edit


def random_bars(*, rows, daily, volume, seed=3):
    """Rows of a stock or an index that moves by `daily` a session."""
    rng = np.random.default_rng(seed)
    session = sessions_between(day("2022-01-03"), day("2025-12-31"))[:rows]
    close = 2.0 * np.exp(np.cumsum(daily * rng.standard_normal(rows).clip(-2, 2)))
    opened = close * np.exp(0.3 * daily * rng.standard_normal(rows))
    high = np.maximum(opened, close) * np.exp(daily * rng.random(rows))
    low = np.minimum(opened, close) * np.exp(-daily * rng.random(rows))
    shares = np.full(rows, 0.0) if not volume else rng.integers(1000, 9000, rows).astype(float)
    four = dict(zip(COLUMNS, (opened, high, low, close, shares), strict=True))
    rest = dict(symbol="XYZ", name="XYZ", currency="USD", splits=(), source="a test")
    return Bars(session=session, splits_known=True, retrieved_at=None, **rest, **four)
