"""Walks forward over made-up prices, stand-ins for models, and one walk of two real ones."""

import functools
import tempfile
import types
from pathlib import Path

import numpy as np
import pytest

from belief import backtest, models
from belief.backtest import Plan, walk_forward
from belief.fitted_model import Reached
from belief.forecast import NORMAL_SCORES
from belief.prices import Prices
from belief.sessions import sessions_between
from belief.sources import load_prices


def day(text):
    return np.datetime64(text, "D")


def stand_in(monkeypatch, name="stand_in", *, sd=0.03, **functions):
    """Put a model in place that always forecasts the same, but for the functions given."""
    usual = {
        "fit": lambda model, observations, start: Reached({"x": np.zeros(1)}, 0.0, 1, True),
        "carry": lambda fitted, observations: dict(fitted.parameters),
        "forecast_quantiles": lambda fitted, horizons, outlook, generator: np.array(
            [sd * np.sqrt(horizon) * NORMAL_SCORES for horizon in horizons]
        ),
    }
    module = types.SimpleNamespace(**usual | functions)
    monkeypatch.setitem(models.KINDS, name, (module, module))
    monkeypatch.setattr(models, "MODELS", tuple(models.KINDS))
    return name


def walk(n_sessions, *, seed=0):
    """Sessions and a random walk of the log price."""
    session = sessions_between(day("2015-01-02"), day("2020-12-31"))[:n_sessions]
    steps = np.random.default_rng(seed).normal(0.0005, 0.02, n_sessions)
    return session, np.log(50.0) + np.cumsum(steps)


def made(session, log_price, splits=()):
    """Prices as traded whose split-adjusted log closes are these."""
    close = np.exp(log_price)
    for split in splits:
        close[session < split.session] *= split.ratio
    return Prices(
        symbol="XYZ",
        name="Xyz",
        currency="USD",
        session=session,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.zeros(len(session)),
        splits=tuple(splits),
        source="made up",
        splits_known=True,
        retrieved_at=None,
    )


def columns(table, *names):
    return [table.column(name).to_numpy() for name in names]


PLAN = Plan(
    first=day("2024-01-02"),
    last=day("2024-04-02"),
    horizons=(1, 5),
    models=("chain", "few_state_static"),
    refit_every=40,
)


@functools.cache
def unbroken_walk():
    """The table of `PLAN`, walked in one go."""
    with tempfile.TemporaryDirectory() as apart, pytest.MonkeyPatch.context() as patch:
        patch.setattr(backtest, "cache_dir", lambda: Path(apart))
        return walk_forward(load_prices("NVDA"), PLAN)
