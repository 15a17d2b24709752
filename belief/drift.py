"""The drift of the log price: never zero, never the raw sample mean.

prior          mu ~ Normal(PRIOR_MEAN, PRIOR_SD^2), per session
evidence       an exponentially weighted mean of the log returns with its standard error
posterior      the two weighed by their precisions
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

PRIOR_MEAN = 0.0002
PRIOR_SD = 0.0004


class Drift(NamedTuple):
    """Posterior of the daily log drift.

    Attributes:
        mean: natural-log return per session.
        sd: its posterior standard deviation, per session.
    """

    mean: float
    sd: float


def posterior_drift(log_return: Array, *, half_life: float) -> Drift:
    """Combine the prior with an exponentially weighted mean by their standard errors.

    Args:
        log_return: (N,) natural-log returns, oldest first.
        half_life: sessions after which a return counts half.

    Returns:
        `Drift`, per session.

    Example:
        >>> posterior_drift(np.zeros(500), half_life=250.0)
        Drift(mean=0.0, sd=0.0)
    """
    age = np.arange(len(log_return) - 1, -1, -1)
    weight = 0.5 ** (age / half_life)
    weight /= weight.sum()
    mean = float((weight * log_return).sum())
    error_variance = float((weight * (log_return - mean) ** 2).sum() * (weight**2).sum())
    trust = PRIOR_SD**2 / (PRIOR_SD**2 + error_variance)
    return Drift(
        mean=trust * mean + (1.0 - trust) * PRIOR_MEAN,
        sd=float(np.sqrt(trust * error_variance)),
    )
