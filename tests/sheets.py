"""Backtests that are made up, so that what a tear sheet must say of them is known."""

import json

import numpy as np
import pyarrow as pa

from belief.backtest import ABOUT
from belief.backtest_parts import schema
from belief.sessions import sessions_between

NAMES = ("calm", "normal", "turbulent", "crisis")
SESSION = sessions_between(np.datetime64("2022-10-03"), np.datetime64("2024-12-31"))


def made_up(gains, *, n=160, horizons=(1, 5), believers=("belief",), symbol="NVDA", seed=0):
    """A backtest of models whose log scores differ from those of the last by these gains.

    Args:
        gains: model -> mean gain in nats, each with noise of its own.
        n: number of origins.
        horizons: sessions.
        believers: models with states.
        symbol: whose prices these are said to be.
        seed: of the noise.
    """
    draw = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.02, SESSION.size)))
    base = draw.normal(2.0, 0.5, (len(horizons), n))
    rows = [
        row
        for model, gain in gains.items()
        for place in range(n)
        for number, horizon in enumerate(horizons)
        for row in [_row(draw, model, place, horizon, close)]
        if not row.update(log_score=base[number, place] + gain + draw.normal(0.0, 0.05))
        and not row.update(_held(place) if model in believers else {})
    ]
    about = {
        "symbol": symbol,
        "currency": "USD",
        "source": "made up",
        "from": str(SESSION[0]),
        "to": str(SESSION[n - 1]),
        "horizons": horizons,
        "models": list(gains),
        "refit_every": 21,
    }
    return pa.Table.from_pylist(rows, schema=schema().with_metadata({ABOUT: json.dumps(about)}))


def _row(draw, model, place, horizon, close):
    pit = draw.uniform()
    start, end = close[place], close[place + horizon]
    return {
        "model": model,
        "origin": SESSION[place].item(),
        "target": SESSION[place + horizon].item(),
        "horizon": horizon,
        "last_close": start,
        "close": end,
        "log_return": np.log(end / start),
        "q05": 0.9 * start,
        "q95": 1.1 * start,
        "crps": 0.01,
        "pit": pit,
        "absolute_error": abs(end - start),
        "interval_score": 1.0,
        **{f"covered_{level}": abs(pit - 0.5) < level / 200 for level in (50, 80, 90, 95)},
    }


def _held(place):
    """States that move through the regimes, and a matrix that moves with them."""
    regime = (place // 20) % len(NAMES)
    probability = np.full(len(NAMES), 0.05)
    probability[regime] = 0.85
    moving, still = (np.full((4, 4), (1 - stay) / 3) for stay in (0.7 + 0.001 * place, 0.8))
    np.fill_diagonal(moving, 0.7 + 0.001 * place)
    np.fill_diagonal(still, 0.8)
    return {
        "regime_names": list(NAMES),
        "regime_probability": probability,
        "transition_matrix": moving.ravel(),
        "static_transition_matrix": still.ravel(),
    }
