"""Belief: what the model holds to be true at the close of one session. A plain value."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Regimes are relative to the symbol's own history, quietest first.
REGIME_NAMES = {
    2: ("calm", "turbulent"),
    3: ("calm", "normal", "turbulent"),
    4: ("calm", "normal", "turbulent", "crisis"),
    5: ("very calm", "calm", "normal", "turbulent", "crisis"),
}


@dataclass(frozen=True)
class Regime:
    """A named group of states, as people see it.

    Attributes:
        name: relative to the symbol's own history.
        probability: that the market is in it at as_of.
        before: the same before the last session was seen.
        volatility: annualised standard deviation of log returns inside it (0.45 is 45 %); of a bin
            of the observed chain, of the session after one in it.
        remaining_sessions: expected sessions until it is left, if the market is in it.
        effective_moves: how many moves out of it the estimate of its row rests on.
        from_prior: these are too few, and its row is that of the static fit.
    """

    name: str
    probability: float
    before: float
    volatility: float
    remaining_sessions: float
    effective_moves: float
    from_prior: bool


@dataclass(frozen=True)
class LastSession:
    """What the last session did to the belief, and why.

    Attributes:
        log_return: natural-log return of the session.
        return_tail: probability, the evening before, of a move at least as large, up or down.
        range_tail: probability, given that move, of a range at least as large; None where the
            session has no range.
        event: whether it reacted to a scheduled event.
        volatility_before: annualised volatility of the belief before the session was seen.
        volatility_after_return: the same once its return is known.
        volatility_after: the same once its range is known too.
    """

    log_return: float
    return_tail: float
    range_tail: float | None
    event: bool
    volatility_before: float
    volatility_after_return: float
    volatility_after: float


def regimes_in_force(
    names: Sequence[str], parameters: Mapping[str, Array], volatility: Array
) -> tuple[Regime, ...]:
    """Describe the states of a fit as regimes.

    Args:
        names: (R,) quietest first.
        parameters: of a `FittedModel`: filtered, predicted, effective_moves and from_prior (R,)
            each, and transmat (B, R, R), of which the last is in force.
        volatility: (R,) annualised.
    """
    rows = zip(
        names,
        parameters["filtered"].tolist(),
        parameters["predicted"].tolist(),
        volatility.tolist(),
        (1.0 / (1.0 - np.diag(parameters["transmat"][-1]))).tolist(),
        parameters["effective_moves"].tolist(),
        (parameters["from_prior"] > 0.0).tolist(),
        strict=True,
    )
    return tuple(Regime(*row) for row in rows)


class StatesAhead(NamedTuple):
    """What is believed of the next session's volatility: a distribution over K states.

    Attributes:
        volatility: (K,) annualised standard deviation of log returns in each, increasing; of the
            observed chain, of the session after one in the bin.
        probability: (K,) predicted; sums to 1.
        regime: (K,) place of the regime that each is part of.
    """

    volatility: Array
    probability: Array
    regime: npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Belief:
    """The filtered distribution over the states at as_of, and what it adds up to.

    Attributes:
        symbol: whose price.
        model: name of the model that holds the belief.
        as_of: the last session that is known.
        regimes: quietest first; their probabilities sum to 1.
        transition_matrix: (R, R) probabilities of moving from regime to regime in one session that
            are in force now; rows sum to 1.
        static_transition_matrix: (R, R) the same from a fit in which all sessions count alike.
        year_ago_transition_matrix: (R, R) the same from a fit as of 252 sessions before; None where
            there was none.
        volatility: annualised standard deviation of the next session's log return.
        volatility_interval_90: annualised volatilities of the regimes that bracket 90 % of belief.
        n_sessions: observations the model was fitted to.
        ahead: the distribution over the next session's states that `volatility` sums up.
        last_session: what the last session changed; None for models that do not say.

    Example:
        >>> from belief import belief_of, fit, load_prices
        >>> held = belief_of(fit(load_prices("NVDA").until("2000-03-31")))
        >>> held.regime.name, round(held.regime.probability, 1), round(held.volatility, 1)
        ('crisis', 0.8, 1.6)
        >>> held.transition_matrix.sum(axis=1).round(6).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    symbol: str
    model: str
    as_of: np.datetime64
    regimes: tuple[Regime, ...]
    transition_matrix: Array
    static_transition_matrix: Array
    volatility: float
    volatility_interval_90: tuple[float, float]
    n_sessions: int
    ahead: StatesAhead
    year_ago_transition_matrix: Array | None = None
    last_session: LastSession | None = None

    @property
    def regime(self) -> Regime:
        """The regime with the highest probability."""
        return max(self.regimes, key=lambda regime: regime.probability)

    @property
    def entropy(self) -> float:
        """How undecided the belief is, nats: 0 is certain, log(R) is no idea."""
        return sum(-r.probability * math.log(r.probability) for r in self.regimes if r.probability)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; dates as ISO text."""
        return {
            "symbol": self.symbol,
            "model": self.model,
            "as_of": str(self.as_of),
            "regimes": [vars(regime) for regime in self.regimes],
            "transition_matrix": self.transition_matrix.tolist(),
            "static_transition_matrix": self.static_transition_matrix.tolist(),
            "year_ago_transition_matrix": None
            if self.year_ago_transition_matrix is None
            else self.year_ago_transition_matrix.tolist(),
            "volatility": self.volatility,
            "volatility_interval_90": list(self.volatility_interval_90),
            "entropy": self.entropy,
            "n_sessions": self.n_sessions,
            "last_session": self.last_session and vars(self.last_session),
        }
