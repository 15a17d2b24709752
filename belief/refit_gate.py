"""The gate of the daily refit: what a model has to pass before it serves.

A refit can go wrong without an error: a search that did not settle, or settled far from the best, a
belief that jumps although the prices gave no reason. Then the model in service stays.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from belief.fitted_model import FittedModel
from belief.grid_belief import one_session_pit
from belief.models import belief
from belief.observations import Observations
from belief.volatility_grid import grid_of
from belief.volatility_grid_fit import HALF_LIVES, objective, problem_of

LIKELIHOOD_SLACK: Final = 0.5  # nats that a memory may be worse than the one in service
LARGEST_JUMP: Final = 0.25  # log ratio of the volatilities that two fits read off the same prices
RECENT: Final = 250  # sessions whose forecasts are looked at
LEVEL: Final = 0.9
UNLIKELY: Final = 1e-4  # a share inside the interval less likely than this is refused


class Check(NamedTuple):
    """One condition of the gate: its name, whether it was met, and the figures in words."""

    name: str
    passed: bool
    reason: str


def check_model(
    candidate: FittedModel,
    serving: FittedModel | None,
    observations: Observations,
    *,
    data_reason: str | None,
) -> tuple[Check, ...]:
    """Compare a fresh fit with the model in service, on the same prices.

    Args:
        candidate: fitted to these observations.
        serving: the model in service, carried on to the last of them; None when there is none.
        observations: of consecutive sessions.
        data_reason: why the belief may jump, such as prices that were corrected; None for nothing.

    Returns:
        Every check, met or not.
    """
    checks = [_convergence(candidate)]
    if serving is not None:
        checks.append(_likelihood(candidate, serving, observations))
        checks.append(_jump(candidate, serving, data_reason))
    return (*checks, _coverage(candidate, observations))


def _convergence(candidate: FittedModel) -> Check:
    words = f"{candidate.n_iter} evaluations of the likelihood"
    state = "settled" if candidate.converged else "did not settle"
    return Check("convergence", candidate.converged, f"the search {state} after {words}")


def _likelihood(candidate: FittedModel, serving: FittedModel, observations: Observations) -> Check:
    """Every memory's own objective at its new estimates against that at those in service."""
    grid, gains = grid_of(observations), []
    for half_life, new, old in zip(
        HALF_LIVES[candidate.model],
        candidate.parameters["theta"],
        serving.parameters["theta"],
        strict=True,
    ):
        problem = problem_of(observations, grid, half_life)
        gains.append(objective(new, problem)[0] - objective(old, problem)[0])
    worst = min(gains)
    reason = (
        f"the least gain of a memory over the model in service is {worst:+.2f} nats; at least "
        f"{-LIKELIHOOD_SLACK:+.2f} is wanted"
    )
    return Check("likelihood", bool(worst >= -LIKELIHOOD_SLACK), reason)


def _jump(candidate: FittedModel, serving: FittedModel, data_reason: str | None) -> Check:
    new, old = (belief(model).volatility for model in (candidate, serving))
    near = abs(math.log(new / old)) <= LARGEST_JUMP
    reason = (
        f"of the same prices the model in service makes a volatility of {old:.1%}, this {new:.1%}"
    )
    if not near and data_reason is not None:
        reason += f"; the data give a reason: {data_reason}"
    return Check("jump", near or data_reason is not None, reason)


def _coverage(candidate: FittedModel, observations: Observations) -> Check:
    """Whether the one-session intervals of the last sessions held about as often as they say."""
    pit = one_session_pit(candidate, observations)[-RECENT:]
    inside = int(np.count_nonzero(np.abs(pit - 0.5) <= LEVEL / 2.0))
    likely = _tail_probability(inside, len(pit))
    reason = f"{LEVEL:.0%} intervals held {inside} of the last {len(pit)} closes"
    return Check("coverage", likely >= UNLIKELY, reason)


def _tail_probability(inside: int, n: int) -> float:
    """Twice the smaller tail of the binomial distribution at `inside` of `n`."""
    from scipy.special import bdtr, bdtrc

    upper = bdtrc(inside - 1, n, LEVEL) if inside else 1.0
    return float(min(1.0, 2.0 * min(bdtr(inside, n, LEVEL), upper)))
