"""The models by name: fit one, ask it for its belief, ask it for forecasts."""

import dataclasses
import hashlib
import operator
from collections.abc import Iterable, Sequence
from itertools import pairwise
from types import ModuleType

import numpy as np
import numpy.typing as npt

from belief import baselines, chain, few_state, few_state_fit, grid_belief, volatility_grid_fit
from belief.drift import posterior_drift
from belief.errors import UsageError
from belief.fitted_model import FittedModel, fingerprint
from belief.forecast import Forecast, Outlook
from belief.observations import Observations, observe
from belief.posterior import Belief
from belief.prices import Prices
from belief.sessions import horizon_of, last_session_on_or_before, session_after
from belief.view import View

Array = npt.NDArray[np.float64]

# The modules that fit a model and that say what it means once it is fitted.
KINDS: dict[str, tuple[ModuleType, ModuleType]] = {
    **dict.fromkeys(volatility_grid_fit.HALF_LIVES, (volatility_grid_fit, grid_belief)),
    **dict.fromkeys(
        ("few_state", "few_state_memory", "few_state_static"), (few_state_fit, few_state)
    ),
    "chain": (chain, chain),
    **dict.fromkeys(baselines.NAMES, (baselines, baselines)),
}
MODELS = tuple(KINDS)
# Those that have hidden or observed states, and so a belief about them.
BELIEVERS = tuple(name for name, (_, meaning) in KINDS.items() if hasattr(meaning, "hold_belief"))
# The highest log score of them before 2013 (benchmarks/choose_grid.py, choose_few_state.py).
DEFAULT_MODEL = "belief"
MAX_HORIZON = 504
# Chosen on sessions before 2013 by benchmarks/choose_few_state.py, then frozen.
DRIFT_HALF_LIFE = 125.0


def fit(model: str, prices: Prices, *, start: FittedModel | None = None) -> FittedModel:
    """Fit a model to prices; the same prices and code give the same bytes.

    Args:
        model: one of `MODELS`.
        prices: cut at the as-of session.
        start: a fit of the same model to the beginning of these prices, to start from; only a
            backtest may pass one, for the fit then depends on it.

    Returns:
        `FittedModel`, trained through the last session of the prices.

    Raises:
        UsageError: there is no such model.
        FitError: the prices are too few or do not vary.
    """
    name = fit_fingerprint(model, prices)
    observations = observe(prices)
    fitter, _ = KINDS[model]
    reached = fitter.fit(model, observations, start)
    return FittedModel(
        model=model,
        symbol=prices.symbol,
        parameters=reached.parameters,
        log_likelihood=reached.log_likelihood,
        n_iter=reached.n_iter,
        converged=reached.converged,
        trained_from=observations.session[0],
        trained_through=observations.session[-1],
        known_through=observations.session[-1],
        n_sessions=len(observations),
        fingerprint=name,
    )


def carry(fitted: FittedModel, prices: Prices) -> FittedModel:
    """Move a fit on to later sessions: its state has seen them, its estimates have not.

    Args:
        fitted: known through a session of these prices.
        prices: cut at the as-of session; they begin where those of the fit began.

    Returns:
        The fit, known through the last session of the prices.

    Raises:
        ValueError: model and prices do not belong together.
    """
    _check_symbol(fitted, prices)
    if (fitted.trained_from, fitted.known_through) == (prices.session[1], prices.as_of):
        return fitted
    observations = observe(prices)
    if fitted.trained_from != observations.session[0] or fitted.known_through > prices.as_of:
        raise ValueError(
            f"the model knows {fitted.trained_from} to {fitted.known_through}, "
            f"the prices {observations.session[0]} to {prices.as_of}"
        )
    parameters = _meaning(fitted).carry(fitted, observations)
    return dataclasses.replace(fitted, parameters=parameters, known_through=prices.as_of)


def fit_fingerprint(model: str, prices: Prices) -> str:
    """Name the fit of a model to prices before it is made.

    Raises:
        UsageError: there is no such model.
    """
    if model not in MODELS:
        raise UsageError(f"there is no model {model!r}; choose one of {', '.join(MODELS)}")
    return fingerprint(model, prices.symbol, prices.fingerprint())


def belief(fitted: FittedModel) -> Belief:
    """Read the belief a fitted model holds at the last session it knows.

    Raises:
        UsageError: it is one of the models without states.
    """
    if fitted.model not in BELIEVERS:
        raise UsageError(
            f"model {fitted.model} has no states to hold a belief about; "
            f"choose one of {', '.join(BELIEVERS)}"
        )
    held: Belief = _meaning(fitted).hold_belief(fitted)
    return held


def states_over_time(fitted: FittedModel, prices: Prices) -> Array:
    """Weigh the states at every session a model was fitted to by the returns up to it.

    The parameters were estimated from all of these returns: row t is how today's model reads the
    sessions up to t, not what was believed on that day.

    Args:
        fitted: known through the last session of the prices.
        prices: cut at the as-of session.

    Returns:
        (N, R) probabilities of the regimes; N sessions, from the second one of the prices.

    Raises:
        ValueError: model and prices do not belong together.
    """
    observations = _observed(fitted, prices)
    states: Array = _meaning(fitted).states_over_time(fitted, observations)
    return states


def transmat_over_time(
    fitted: FittedModel, prices: Prices, *, n_blocks: int | None = None
) -> Array:
    """Transition probabilities between the regimes in the past, as the model reads it today.

    Args:
        fitted: known through the last session of the prices.
        prices: cut at the as-of session.
        n_blocks: how many of the last blocks are wanted, or None for all.

    Returns:
        (B, R, R), one matrix per block of 21 sessions aligned to the end; B is 1 for one matrix for
        all time. Rows sum to 1.

    Raises:
        ValueError: model and prices do not belong together.
    """
    observations = _observed(fitted, prices)
    matrices: Array = _meaning(fitted).transmat_over_time(fitted, observations, n_blocks)
    return matrices


def increasing_horizons(horizons: Iterable[int]) -> tuple[int, ...]:
    """Check horizons that a caller passes.

    Args:
        horizons: sessions ahead, of any type of whole numbers.

    Returns:
        The same, as plain numbers.

    Raises:
        UsageError: there is none, one is not a whole number from 1 to `MAX_HORIZON`, or they do
            not increase.

    Example:
        >>> increasing_horizons(np.array([1, 5, 21]))
        (1, 5, 21)
    """
    try:
        ahead = tuple(operator.index(each) for each in horizons)
    except TypeError:
        raise UsageError(
            f"horizons are {_cut(horizons)}; give whole numbers of sessions, e.g. [1, 5, 21]"
        ) from None
    if not ahead:
        raise UsageError("there is no horizon; give at least one")
    for each in ahead:
        if not 1 <= each <= MAX_HORIZON:
            raise UsageError(f"a horizon of {each} sessions is not one of 1 to {MAX_HORIZON}")
    if any(later <= earlier for earlier, later in pairwise(ahead)):
        raise UsageError(f"horizons {', '.join(map(str, ahead))} must increase")
    return ahead


def _cut(value: object) -> str:
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def target_session(day: np.datetime64, as_of: np.datetime64) -> np.datetime64:
    """Find the session a target day means: the last session on or before it.

    Args:
        day: any day.
        as_of: the last session that is known.

    Returns:
        A session 1 to `MAX_HORIZON` sessions after as_of.

    Raises:
        UsageError: that session is not after as_of, or too far ahead.
    """
    if day <= as_of:
        raise UsageError(
            f"target_date {day} is not after the last known session {as_of}; ask for a later date"
        )
    latest = session_after(as_of, MAX_HORIZON)
    # far beyond the latest session the calendar itself may end
    session = last_session_on_or_before(min(day, latest + np.timedelta64(14, "D")))
    if session <= as_of:
        following = session_after(as_of, 1)
        raise UsageError(
            f"no session lies after {as_of} and up to target_date {day}; "
            f"ask for {following} or later"
        )
    if session > latest:
        raise UsageError(
            f"target_date {day} is more than {MAX_HORIZON} sessions after {as_of}; "
            f"ask for {latest} or earlier"
        )
    return session


def forecasts(
    fitted: FittedModel, prices: Prices, targets: Sequence[np.datetime64]
) -> list[Forecast]:
    """Forecast the closing price at each target; the same inputs give the same bytes.

    Args:
        fitted: known through the last session of the prices.
        prices: cut at the as-of session.
        targets: sessions after as_of, increasing, up to `MAX_HORIZON` sessions ahead.

    Returns:
        One `Forecast` per target, in dollars of as_of.

    Raises:
        ValueError: model and prices do not belong together, or the targets are not increasing
            sessions after as_of.
    """
    observations = _observed(fitted, prices)
    horizons = [horizon_of(prices.as_of, target) for target in targets]
    if not horizons or horizons[0] < 1 or (np.diff(horizons) < 1).any():
        raise ValueError(
            f"targets {[str(target) for target in targets]} must be increasing sessions "
            f"after {prices.as_of}"
        )
    outlook = Outlook(
        posterior_drift(observations.log_return, half_life=DRIFT_HALF_LIFE),
        prices.events.ahead(prices.as_of, horizons[-1]),
    )
    quantiles = _meaning(fitted).forecast_quantiles(fitted, horizons, outlook, _generator(fitted))
    return [
        Forecast(
            symbol=prices.symbol,
            model=fitted.model,
            origin=prices.as_of,
            target=target,
            horizon=horizon,
            last_close=prices.last_close,
            log_return_quantile=row,
        )
        for target, horizon, row in zip(targets, horizons, quantiles, strict=True)
    ]


def forecast_id(fitted: FittedModel, target: np.datetime64, view: View | None = None) -> str:
    """Name a forecast by all it follows from, 12 hexadecimal digits.

    Args:
        fitted: the model that makes it.
        target: the session it is about.
        view: a person's view that was taken in, if one was.
    """
    text = f"{fitted.digest()} {target}" + ("" if view is None else f" {view}")
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _meaning(fitted: FittedModel) -> ModuleType:
    return KINDS[fitted.model][1]


def _observed(fitted: FittedModel, prices: Prices) -> Observations:
    """The observations a fitted model knows."""
    _check_symbol(fitted, prices)
    observations = observe(prices)
    if (fitted.trained_from, fitted.known_through) != (observations.session[0], prices.as_of):
        raise ValueError(
            f"the model knows {fitted.trained_from} to {fitted.known_through}, the prices "
            f"{observations.session[0]} to {prices.as_of}"
        )
    return observations


def _check_symbol(fitted: FittedModel, prices: Prices) -> None:
    if fitted.symbol != prices.symbol:
        raise ValueError(f"the model is of {fitted.symbol}, the prices are of {prices.symbol}")


def _generator(fitted: FittedModel) -> np.random.Generator:
    """Seed the random numbers from what is forecast, never from the clock.

    The numbers that were fitted stay out: where they differ in their last digit, on another machine
    or after one more session's correction, the forecast differs as little.
    """
    text = f"{fitted.symbol} {fitted.known_through} {fitted.model}"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    return np.random.default_rng(seed)
