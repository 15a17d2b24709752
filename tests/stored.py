"""Small prices, models and forecasts for the tests of the store and the ledger."""

import dataclasses
import sqlite3
from contextlib import closing

import numpy as np

from belief.events import NO_EVENTS, Events
from belief.fitted_model import FittedModel
from belief.forecast import NORMAL_SCORES, Forecast
from belief.ledger import Entry, forecast_entry
from belief.prices import COLUMNS, Prices, Split
from belief.sessions import session_after, sessions_between
from belief.store import Publication, open_store, publish, published, save_prices
from belief.store import load_prices as load_stored

MADE_AT = "2023-01-02T10:00:00+00:00"


def day(text):
    return np.datetime64(text, "D")


def made(n=60, *, symbol="XYZ", first="2023-01-03", seed=0, splits=(), events=NO_EVENTS):
    """Prices as traded of a random walk."""
    session = sessions_between(day(first), day(first) + 2 * n + 14)[:n]
    steps = np.random.default_rng(seed).normal(0.0005, 0.01, (n, 2))
    close = 50.0 * np.exp(np.cumsum(steps[:, 0]))
    for split in splits:
        close[session >= split.session] /= split.ratio
    opened = close * np.exp(steps[:, 1] / 10.0)
    return Prices(
        symbol=symbol,
        name=symbol.title(),
        currency="USD",
        session=session,
        open=opened,
        high=np.maximum(opened, close) * 1.001,
        low=np.minimum(opened, close) / 1.001,
        close=close,
        volume=np.arange(n) * 1e3,
        splits=tuple(splits),
        source="made up",
        splits_known=True,
        retrieved_at="2023-06-01",
        events=events,
    )


def model_of(prices, *, number=0.0):
    """A model that was never fitted, and is whole."""
    return FittedModel(
        model="belief",
        symbol=prices.symbol,
        parameters={"theta": np.array([[number, 1.0 / 3.0], [np.pi, -1e-300]])},
        log_likelihood=1.0 / 7.0,
        n_iter=3,
        converged=True,
        trained_from=prices.session[1],
        trained_through=prices.as_of,
        known_through=prices.as_of,
        n_sessions=prices.session.size - 1,
        fingerprint="f" * 64,
    )


def publication_of(prices, *, number=0.0):
    fitted = model_of(prices, number=number)
    return Publication(fitted, prices.as_of, prices.fingerprint(), "c" * 64, MADE_AT)


def forecast_of(prices, horizon, *, sd=0.02, model="belief"):
    """What a model would say at the last session, with quantiles of no round number."""
    return Forecast(
        symbol=prices.symbol,
        model=model,
        origin=prices.as_of,
        target=session_after(prices.as_of, horizon),
        horizon=horizon,
        last_close=prices.last_close,
        log_return_quantile=sd * np.sqrt(horizon) * np.sinh(NORMAL_SCORES / 2.0) / np.sqrt(3.0),
    )


def entry_of(prices, horizon, *, number=0.0, sd=0.02):
    fitted, forecast = model_of(prices, number=number), forecast_of(prices, horizon, sd=sd)
    return forecast_entry(fitted, prices, forecast, made_at=MADE_AT, live=True)


def answer_of(prices, horizon, prediction, *, name="abcdef012345"):
    """An answer of a language model, with figures of its own or without."""
    return Entry(
        kind="answer",
        name=name,
        made_at=MADE_AT,
        live=True,
        model="small talker",
        origin=prices.as_of,
        target=session_after(prices.as_of, horizon),
        horizon=horizon,
        body={
            "question": "Wohin?\ud83d",
            "prediction": prediction,
            "last_close": prices.last_close,
        },
    )


def opened(folder):
    return open_store(str(folder / "belief.db"))


def tamper(folder, *statements):
    """Change the file behind the program's back."""
    with closing(sqlite3.connect(folder / "belief.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def one_line(error):
    text = str(error.value)
    assert "\n" not in text and "Traceback" not in text
    return text


def keep(store, prices):
    with store.write() as connection:
        save_prices(connection, prices)


def kept(store, symbol="XYZ"):
    with store.read() as connection:
        return load_stored(connection, symbol)


def assert_same(found, wanted):
    for field in dataclasses.fields(wanted):
        was, now = getattr(wanted, field.name), getattr(found, field.name)
        if field.name in COLUMNS or field.name == "session":
            assert (was.dtype, was.tobytes()) == (now.dtype, now.tobytes()), field.name
        elif field.name == "events":
            assert was.as_text() == now.as_text()
        else:
            assert was == now, field.name
    assert found.fingerprint() == wanted.fingerprint()


def eventful():
    """Prices with two splits, and events of which one is still to come."""
    plain = made(80)
    splits = (Split(plain.session[20], 1.5), Split(plain.session[50], 1 / 3))
    ahead = np.array([plain.session[10], plain.session[70], day("2023-11-21")])
    return made(80, splits=splits, events=Events(ahead))


def put_in_service(store, *publications):
    with store.write() as connection:
        for each in publications:
            publish(connection, each)


def serving(store, as_of=None):
    with store.read() as connection:
        return published(connection, "XYZ", as_of)
