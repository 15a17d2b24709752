"""The models by name: fit one, ask it for its belief, ask it for forecasts."""

import hashlib
from collections.abc import Sequence

import numpy as np

from belief import few_state, few_state_fit
from belief.drift import posterior_drift
from belief.errors import UsageError
from belief.fitted_model import FittedModel, fingerprint
from belief.forecast import Forecast, normal_mixture_quantiles
from belief.observations import observe
from belief.posterior import Belief
from belief.prices import Prices
from belief.sessions import horizon_of, last_session_on_or_before, session_after

MODELS = ("few_state", "few_state_static")
MAX_HORIZON = 504
# Chosen on sessions before 2013 by benchmarks/choose_few_state.py, then frozen.
DRIFT_HALF_LIFE = 125.0


def fit(model: str, prices: Prices) -> FittedModel:
    """Fit a model to prices; the same prices and code give the same bytes.

    Args:
        model: one of `MODELS`.
        prices: cut at the as-of session.

    Returns:
        `FittedModel`, trained through the last session of the prices.

    Raises:
        UsageError: there is no such model.
        FitError: the prices are too few or do not vary.
    """
    name = fit_fingerprint(model, prices)
    observations = observe(prices)
    returns = observations.log_return
    static_fit = few_state_fit.fit_static(returns)
    chosen = static_fit
    if model == "few_state":
        chosen = few_state_fit.fit_weighted_memory(returns, static_fit)
    return FittedModel(
        model=model,
        symbol=prices.symbol,
        parameters=few_state_fit.model_parameters(chosen, static_fit, returns),
        log_likelihood=chosen.log_likelihood,
        n_iter=len(chosen.objective),
        converged=chosen.converged,
        trained_from=observations.session[0],
        trained_through=observations.session[-1],
        n_sessions=len(observations),
        fingerprint=name,
    )


def fit_fingerprint(model: str, prices: Prices) -> str:
    """Name the fit of a model to prices before it is made.

    Raises:
        UsageError: there is no such model.
    """
    if model not in MODELS:
        raise UsageError(f"there is no model {model!r}; choose one of {', '.join(MODELS)}")
    return fingerprint(model, prices.symbol, prices.fingerprint())


def belief(fitted: FittedModel) -> Belief:
    """Read the belief a fitted model holds at the last session it was fitted to."""
    return few_state.hold_belief(fitted)


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
        fitted: trained through the last session of the prices.
        prices: cut at the as-of session.
        targets: sessions after as_of, increasing, up to `MAX_HORIZON` sessions ahead.

    Returns:
        One `Forecast` per target, in dollars of as_of.

    Raises:
        ValueError: the model was trained through another session than the prices end with, or the
            targets are not increasing sessions after it.
    """
    if fitted.trained_through != prices.as_of:
        raise ValueError(
            f"the model knows {fitted.trained_through}, the prices end on {prices.as_of}"
        )
    horizons = [horizon_of(prices.as_of, target) for target in targets]
    if not horizons or horizons[0] < 1 or (np.diff(horizons) < 1).any():
        raise ValueError(
            f"targets {[str(target) for target in targets]} must be increasing sessions "
            f"after {prices.as_of}"
        )
    scales = few_state.simulate_scales(fitted, horizons, _generator(fitted))
    drift = posterior_drift(observe(prices).log_return, half_life=DRIFT_HALF_LIFE)
    return [
        Forecast(
            symbol=prices.symbol,
            model=fitted.model,
            origin=prices.as_of,
            target=target,
            horizon=horizon,
            last_close=prices.last_close,
            log_return_quantile=normal_mixture_quantiles(
                horizon * drift.mean, scale, common_sd=horizon * drift.sd
            ),
        )
        for target, horizon, scale in zip(targets, horizons, scales, strict=True)
    ]


def _generator(fitted: FittedModel) -> np.random.Generator:
    """Seed the random numbers from what is forecast, never from the clock.

    The numbers that were fitted stay out: where they differ in their last digit, on another machine
    or after one more session's correction, the forecast differs as little.
    """
    text = f"{fitted.symbol} {fitted.trained_through} {fitted.model}"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    return np.random.default_rng(seed)
