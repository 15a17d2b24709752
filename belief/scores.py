"""Scores of forecasts, from the quantiles of the log return and what came out. Pure functions.

Everywhere below `quantiles` is (n, Q): one `Forecast.log_return_quantile` a row, at
`NORMAL_SCORES`; `outcome` is (n,): the natural-log return from origin to target that came true.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .forecast import NORMAL, NORMAL_SCORES

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

LEVELS = (0.5, 0.8, 0.9, 0.95)  # of the central intervals that are reported
STEP = float(NORMAL_SCORES[1] - NORMAL_SCORES[0])
CRPS_LEVELS = 1000  # probabilities the CRPS is averaged over
BLOCK = 2000  # forecasts at a time in the CRPS; more only fills memory


class MeanDifference(NamedTuple):
    """Mean of score differences and whether it can be told from 0.

    Attributes:
        mean: sum_t d_t / n, in the unit of the score.
        t_value: mean / standard_error, standard normal for large n when the forecasters are
            equally good; NaN when the differences are all the same.
        standard_error: HAC, see `standard_error`.
        n: number of differences.
    """

    mean: float
    t_value: float
    standard_error: float
    n: int


class Coverage(NamedTuple):
    """Share of outcomes inside an interval.

    Attributes:
        share: hits / n, to be compared with the level of the interval.
        standard_error: HAC, see `standard_error`.
        n: number of outcomes.
    """

    share: float
    standard_error: float
    n: int


def log_score(quantiles: Array, outcome: Array) -> Array:
    """Log density of the log return at the outcome; larger is better.

    With z(x) the normal score of a log return x, the density is ``phi(z(x)) z'(x)``. z runs
    smoothly through the quantiles and on straight beyond the last ones, where the tail is normal;
    the density integrates to 1 and is positive everywhere.

    Args:
        quantiles: (n, Q) natural-log returns at `NORMAL_SCORES`, rows strictly increasing.
        outcome: (n,) natural-log returns.

    Returns:
        (n,) nats, finite.

    Raises:
        ValueError: shapes disagree, a value is not finite, or a row does not increase (a certain
            forecast has no density).

    Source:
        Gneiting and Raftery (2007), doi:10.1198/016214506000001437.

    Example:
        >>> log_score(np.array([0.02 * NORMAL_SCORES]), np.array([0.02])).round(4).tolist()
        [2.4931]
    """
    score, slope = _normal_score(quantiles, outcome)
    return np.asarray(np.log(slope) - 0.5 * score**2 - 0.5 * math.log(2.0 * math.pi))


def pit(quantiles: Array, outcome: Array) -> Array:
    """Probability integral transform ``F(y)``: uniform when the forecasts are calibrated.

    Args:
        quantiles: (n, Q) natural-log returns at `NORMAL_SCORES`, rows strictly increasing.
        outcome: (n,) natural-log returns.

    Returns:
        (n,) probabilities the forecasts gave to a return at or below the outcome.

    Raises:
        ValueError: shapes disagree, a value is not finite, or a row does not increase.

    Source:
        Diebold, Gunther and Tay (1998), doi:10.2307/2527342.

    Example:
        >>> pit(np.array([0.02 * NORMAL_SCORES]), np.array([0.02])).round(4).tolist()
        [0.8413]
    """
    from scipy.special import ndtr

    return np.asarray(ndtr(_normal_score(quantiles, outcome)[0]))


def pit_distance(pit: Array) -> float:
    """Kolmogorov-Smirnov distance ``sup_u |F_n(u) - u|`` of PIT values to the uniform.

    Args:
        pit: (n,) probabilities, at least one.

    Returns:
        Between 0 (as if uniform) and 1.

    Raises:
        ValueError: there are no values, or one does not lie in [0, 1].

    Source:
        Massey (1951), doi:10.1080/01621459.1951.10500769.

    Example:
        >>> pit_distance(np.array([0.25, 0.5, 0.75]))
        0.25
    """
    from scipy.stats import kstest

    _check_sample("pit", pit)
    if not ((pit >= 0.0) & (pit <= 1.0)).all():
        worst = float(pit[np.abs(pit - 0.5).argmax()])
        raise ValueError(f"pit contains {worst}; probabilities lie in [0, 1]")
    return float(kstest(pit, "uniform").statistic)


def crps(quantiles: Array, outcome: Array) -> Array:
    """Continuous ranked probability score of the log return; smaller is better, 0 is perfect.

    ``CRPS = 2 int_0^1 (1{y < q_a} - a) (q_a - y) da``, twice the mean pinball loss over
    `CRPS_LEVELS` equally spaced probabilities.

    Args:
        quantiles: (n, Q) natural-log returns at `NORMAL_SCORES`; rows may be constant.
        outcome: (n,) natural-log returns.

    Returns:
        (n,) in log return.

    Raises:
        ValueError: shapes disagree, a value is not finite, or a row decreases.

    Source:
        Laio and Tamea (2007), doi:10.5194/hess-11-1267-2007.

    Example:
        >>> crps(np.array([0.02 * NORMAL_SCORES]), np.array([0.02])).round(4).tolist()
        [0.012]
    """
    from scoringrules import crps_quantile

    _check_forecasts(quantiles, outcome)
    probability = (np.arange(CRPS_LEVELS) + 0.5) / CRPS_LEVELS
    result = np.empty(len(outcome))
    for start in range(0, len(outcome), BLOCK):
        rows = slice(start, start + BLOCK)
        result[rows] = crps_quantile(outcome[rows], _at(quantiles[rows], probability), probability)
    return result


def absolute_error(quantiles: Array, outcome: Array, last_close: Array) -> Array:
    """Distance of the closing price from the median of its forecast; smaller is better.

    Args:
        quantiles: (n, Q) natural-log returns at `NORMAL_SCORES`; rows may be constant.
        outcome: (n,) natural-log returns.
        last_close: (n,) closes at the origins, dollars of the origin.

    Returns:
        (n,) ``|C exp(median) - C exp(y)|``, dollars of the origin.

    Raises:
        ValueError: shapes disagree, a value is not finite, a row decreases, or a close is not
            positive.

    Source:
        Gneiting (2011), doi:10.1198/jasa.2011.r10138: the median is the forecast this rewards.

    Example:
        >>> outcome, last_close = np.log([1.05]), np.array([200.0])
        >>> absolute_error(np.array([0.02 * NORMAL_SCORES]), outcome, last_close).round(4).tolist()
        [10.0]
    """
    _check_forecasts(quantiles, outcome)
    _check_closes(last_close, outcome)
    median = _at(quantiles, np.array([0.5]))[:, 0]
    return np.asarray(np.abs(last_close * np.exp(median) - last_close * np.exp(outcome)))


def interval_score(
    quantiles: Array, outcome: Array, last_close: Array, *, level: float = 0.9
) -> Array:
    """Width of the central price interval plus a penalty for a close outside; smaller is better.

    ``(u - l) + 2/a (l - y) 1{y < l} + 2/a (y - u) 1{y > u}`` with ``a = 1 - level``.

    Args:
        quantiles: (n, Q) natural-log returns at `NORMAL_SCORES`; rows may be constant.
        outcome: (n,) natural-log returns.
        last_close: (n,) closes at the origins, dollars of the origin.
        level: probability of the interval, strictly between 0 and 1.

    Returns:
        (n,) dollars of the origin.

    Raises:
        ValueError: shapes disagree, a value is not finite, a row decreases, a close is not
            positive, or the level is out of range.

    Source:
        Gneiting and Raftery (2007), equation 43, doi:10.1198/016214506000001437.

    Example:
        >>> outcome, last_close = np.log([1.05]), np.array([200.0])
        >>> interval_score(
        ...     np.array([0.02 * NORMAL_SCORES]), outcome, last_close, level=0.9
        ... ).round(2).tolist()
        [79.38]
    """
    from scoringrules import interval_score as winkler_score

    _check_forecasts(quantiles, outcome)
    _check_closes(last_close, outcome)
    ends = last_close[:, None] * np.exp(_central_interval(quantiles, level))
    score = winkler_score(last_close * np.exp(outcome), ends[:, 0], ends[:, 1], 1.0 - level)
    return np.asarray(score).reshape(len(outcome))  # it makes a single score a scalar


def covered(quantiles: Array, outcome: Array, *, level: float) -> npt.NDArray[np.bool_]:
    """Whether the central interval of this probability contains the outcome, its ends included.

    Args:
        quantiles: (n, Q) natural-log returns at `NORMAL_SCORES`; rows may be constant.
        outcome: (n,) natural-log returns.
        level: probability of the interval, strictly between 0 and 1; `LEVELS` are reported.

    Returns:
        (n,) hits.

    Raises:
        ValueError: shapes disagree, a value is not finite, a row decreases, or the level is out
            of range.

    Source:
        Christoffersen (1998), doi:10.2307/2527341.

    Example:
        >>> quantiles, outcome = np.tile(0.02 * NORMAL_SCORES, (2, 1)), np.array([0.03, -0.04])
        >>> covered(quantiles, outcome, level=0.9).tolist()
        [True, False]
    """
    _check_forecasts(quantiles, outcome)
    ends = _central_interval(quantiles, level)
    return np.asarray((ends[:, 0] <= outcome) & (outcome <= ends[:, 1]))


def coverage(hit: npt.NDArray[np.bool_], lag: int) -> Coverage:
    """Share of hits with its HAC standard error.

    Args:
        hit: (n,) of `covered`, in the order of the origins.
        lag: of `hac_lag`, in rows.

    Returns:
        `Coverage`; the standard error is NaN when all are hits or all are misses.

    Raises:
        ValueError: there are not more than max(lag, 1) hits and misses, or the lag is negative.

    Source:
        Newey and West (1987), doi:10.2307/1913610.

    Example:
        >>> inside = coverage(np.array([True, True, False, True]), lag=0)
        >>> inside.share, round(inside.standard_error, 3), inside.n
        (0.75, 0.217, 4)
    """
    share = hit.astype(np.float64)
    error = standard_error(share, lag)
    return Coverage(float(share.mean()), error, len(share))


def mean_difference(gain: Array, lag: int) -> MeanDifference:
    """Diebold-Mariano test: is the mean of the score differences other than 0?

    ``t = mean(d) / standard_error(d)``. It leans on n / lag being large: with few
    `non_overlapping` windows a t-value beyond 2 comes up by chance far more often than 5 %.

    Args:
        gain: (n,) score of one forecaster less that of the other, in the order of the origins.
        lag: of `hac_lag`, in rows.

    Returns:
        `MeanDifference`; its t-value and standard error are NaN when all differences are the
        same, for instance all 0: they say nothing of what chance does.

    Raises:
        ValueError: there are not more than max(lag, 1) differences, one is not finite, or the
            lag is negative.

    Source:
        Diebold and Mariano (1995), doi:10.1080/07350015.1995.10524599.

    Example:
        >>> test = mean_difference(np.array([1.0, 3.0, 2.0, 2.0]), lag=0)
        >>> test.mean, round(test.t_value, 3), round(test.standard_error, 3), test.n
        (2.0, 5.657, 0.354, 4)
    """
    error = standard_error(gain, lag)
    mean = float(gain.mean())
    return MeanDifference(mean, mean / error, error, len(gain))


def standard_error(values: Array, lag: int) -> float:
    """Standard error of a mean of dependent values (HAC, Bartlett weights).

    ``se^2 = (g_0 + 2 sum_{j=1..lag} (1 - j / (lag + 1)) g_j) / n`` with
    ``g_j = sum_t (x_t - mean)(x_{t-j} - mean) / n``, no small-sample correction.

    Args:
        values: (n,) in the order of time.
        lag: of `hac_lag`, in rows.

    Returns:
        In the unit of the values; NaN when they are all the same.

    Raises:
        ValueError: there are not more than max(lag, 1) values, one is not finite, or the lag is
            negative.

    Source:
        Newey and West (1987), doi:10.2307/1913610.

    Example:
        >>> round(standard_error(np.array([1.0, 2.0, 3.0, 4.0]), lag=1), 4)
        0.625
    """
    _check_sample("values", values)
    n = len(values)
    if lag < 0 or n <= max(lag, 1):
        raise ValueError(
            f"{n} values with lag {lag}; it takes a lag >= 0 and more than max(lag, 1)"
        )
    if (values == values[0]).all():
        return math.nan
    from_mean = values - values.mean()
    total = float(from_mean @ from_mean)
    for j in range(1, lag + 1):
        total += 2.0 * (1.0 - j / (lag + 1)) * float(from_mean[j:] @ from_mean[:-j])
    return math.sqrt(total) / n


def hac_lag(n: int, *, horizon: int, step: int = 1) -> int:
    """Lag for `standard_error`: 1.5 times the overlap of the windows, or more.

    ``max(ceil(1.5 (ceil(horizon / step) - 1)), floor(4 (n / 100)^(2/9)))``. Windows that overlap
    make scores dependent over horizon / step - 1 rows; Bartlett weights cut at just that lag
    count too little of it. The second term, Newey and West's rule of thumb, is for dependence
    that is in the scores themselves and decides at horizon 1.

    Args:
        n: number of forecasts, at least 1.
        horizon: sessions from origin to target, at least 1.
        step: sessions from one origin to the next, at least 1.

    Returns:
        Rows. It can reach n: then there are too few forecasts for a standard error.

    Raises:
        ValueError: an argument is below 1.

    Source:
        Newey and West (1994), doi:10.2307/2297912, for the second term.

    Example:
        >>> [hac_lag(2500, horizon=horizon) for horizon in (1, 5, 21, 63)]
        [8, 8, 30, 93]
    """
    for name, value in (("n", n), ("horizon", horizon), ("step", step)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    overlap = math.ceil(horizon / step) - 1
    return max(math.ceil(1.5 * overlap), int(4.0 * math.pow(n / 100.0, 2.0 / 9.0)))


def non_overlapping(origin: Days, target: Days) -> int:
    """Largest number of windows ``(origin, target]`` of which no two share a session.

    Args:
        origin: (n,) last sessions known, in any order.
        target: (n,) sessions forecast, each after its origin.

    Returns:
        Between 1 and n, 0 of none: what n is worth when windows overlap.

    Raises:
        ValueError: shapes disagree, or a target is not after its origin.

    Source:
        Interval scheduling: the window that ends first is always among a largest choice.

    Example:
        >>> origin = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]")
        >>> non_overlapping(origin, origin + 5)
        2
    """
    if origin.shape != target.shape or origin.ndim != 1:
        raise ValueError(
            f"origin has shape {origin.shape}, target {target.shape}; both must be (n,)"
        )
    if not (target > origin).all():
        row = int(np.flatnonzero(~(target > origin))[0])
        raise ValueError(f"target {target[row]} is not after origin {origin[row]}")
    count, last = 0, None
    for row in np.argsort(target, kind="stable"):
        if last is None or origin[row] >= last:
            count, last = count + 1, target[row]
    return count


def _normal_score(quantiles: Array, outcome: Array) -> tuple[Array, Array]:
    """Normal score of each outcome and its derivative in the log return, both (n,).

    Between two quantiles the score is a cubic (Hermite) whose slope at a quantile is the score
    gained over the two cells around it by their width. That is a harmonic mean of the slopes of
    the cells, at most twice either, so that the cubic rises everywhere.

    Source:
        Fritsch and Butland (1984), doi:10.1137/0905021.
    """
    _check_forecasts(quantiles, outcome)
    width = np.diff(quantiles, axis=1)
    if not (width > 0.0).all():
        tied = int(np.flatnonzero((width <= 0.0).any(axis=1))[0])
        raise ValueError(f"quantiles of row {tied} are not strictly increasing: it has no density")
    cell = np.clip((quantiles < outcome[:, None]).sum(axis=1) - 1, 0, width.shape[1] - 1)
    row = np.arange(len(outcome))
    here = width[row, cell]
    before = width[row, np.maximum(cell - 1, 0)]
    after = width[row, np.minimum(cell + 1, width.shape[1] - 1)]
    fraction = (outcome - quantiles[row, cell]) / here
    rise, slope = _cubic(fraction, 2.0 * here / (before + here), 2.0 * here / (here + after))
    return NORMAL_SCORES[cell] + STEP * rise, STEP * slope / here


def _cubic(fraction: Array, first: Array, last: Array) -> tuple[Array, Array]:
    """Cubic from 0 to 1 over [0, 1] with these end slopes, straight outside: value and slope."""
    inside = np.clip(fraction, 0.0, 1.0)
    square, cube = 3.0 - 2.0 * first - last, first + last - 2.0
    value = inside * (first + inside * (square + inside * cube))
    slope = first + inside * (2.0 * square + inside * 3.0 * cube)
    return value + slope * (fraction - inside), slope


def _at(quantiles: Array, probability: Array) -> Array:
    """Quantiles at K probabilities, (n, K), as `Forecast.quantile` has them; exact if constant."""
    score = np.array([NORMAL.inv_cdf(chance) for chance in probability.tolist()])
    cell = np.clip(np.searchsorted(NORMAL_SCORES, score) - 1, 0, len(NORMAL_SCORES) - 2)
    start = quantiles[:, cell]
    return np.asarray(
        start + (score - NORMAL_SCORES[cell]) / STEP * (quantiles[:, cell + 1] - start)
    )


def _central_interval(quantiles: Array, level: float) -> Array:
    """Ends of the central interval of this probability, (n, 2), in log return."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}; it must lie strictly between 0 and 1")
    tail = (1.0 - level) / 2.0
    return _at(quantiles, np.array([tail, 1.0 - tail]))


def _check_forecasts(quantiles: Array, outcome: Array) -> None:
    """Raise ValueError unless these are n rows of quantiles and n outcomes, all finite."""
    if outcome.ndim != 1 or quantiles.shape != (len(outcome), len(NORMAL_SCORES)):
        raise ValueError(
            f"quantiles have shape {quantiles.shape}, outcome {outcome.shape}; "
            f"they must be (n, {len(NORMAL_SCORES)}) and (n,)"
        )
    for name, values in (("quantiles", quantiles), ("outcome", outcome)):
        if not np.isfinite(values).all():
            place = tuple(np.argwhere(~np.isfinite(values))[0])
            raise ValueError(f"{name} of row {place[0]}: {values[place]} is not a finite number")
    falls = (np.diff(quantiles, axis=1) < 0.0).any(axis=1)
    if falls.any():
        raise ValueError(f"quantiles of row {int(np.flatnonzero(falls)[0])} decrease")


def _check_closes(last_close: Array, outcome: Array) -> None:
    """Raise ValueError unless there is a positive close for each outcome."""
    if last_close.shape != outcome.shape:
        raise ValueError(f"last_close has shape {last_close.shape}; it must be {outcome.shape}")
    good = np.isfinite(last_close) & (last_close > 0.0)
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise ValueError(f"last_close of row {row} is {last_close[row]}; it must be positive")


def _check_sample(name: str, values: Array) -> None:
    """Raise ValueError unless this is a non-empty row of finite numbers."""
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} has shape {values.shape}; it must be (n,) with n at least 1")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"{name}[{row}] is {values[row]}; it must be finite")
