"""What the market looked like at a close, and how alike two such moments were.

Row t of `market_conditions` is known at the close of session t and rests on returns alone:

    log volatility    half-life 21 sessions
    log of short to long volatility    half-lives 5 and 126 sessions
    drawdown    log price over its highest close in 252 sessions

`similarity` weighs past moments for `transitions.weighted_memory`.
"""

from itertools import accumulate

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEVEL_HALF_LIFE = 21.0
SHORT_HALF_LIFE, LONG_HALF_LIFE = 5.0, 126.0
DRAWDOWN_SESSIONS = 252
# Prices that have not moved yet have variance 0: it counts as this, so that its log is finite.
SMALLEST_VARIANCE = float(np.finfo(np.float64).tiny)
# All conditions are logarithms; spreads below this are rounding.
SMALLEST_SPREAD = 1e-9
# Quartiles of a normal distribution lie this many standard deviations apart.
NORMAL_QUARTILES_APART = 1.3489795003921634


def market_conditions(log_return: Array) -> Array:
    """Describe the market at each close by the returns up to it.

    A volatility is the square root of the weighted mean of squared returns, the mean of a session
    left in, weights halving with age and adding up to 1 however short the history.

    Args:
        log_return: (N,) natural-log returns of consecutive sessions, oldest first.

    Returns:
        (N, 3) natural logarithms: volatility per session; short over long volatility; close over
        its highest in the last 252 sessions, 0 at a high and negative below, the close before the
        first return counting as one. Row t uses returns 0..t only: a prefix of the returns gives a
        prefix of the rows, bit for bit. In units c times larger the first column gains log c, the
        second stays and the third is c times larger. Where nothing has moved yet, there is no
        volatility to speak of: the first column is a constant far below all others, the second 0.

    Raises:
        ValueError: a return is not a finite number, or they are not in one row.

    Example:
        >>> market_conditions(np.array([0.02, 0.02, -0.06])).round(3).tolist()
        [[-3.912, 0.0, 0.0], [-3.912, 0.0, 0.0], [-3.25, 0.047, -0.06]]
    """
    _check_returns(log_return)
    short, long = (_log_volatility(log_return, life) for life in (SHORT_HALF_LIFE, LONG_HALF_LIFE))
    level = _log_volatility(log_return, LEVEL_HALF_LIFE)
    return np.column_stack([level, short - long, _drawdown(log_return)])


def block_conditions(conditions: Array, block_length: int) -> Array:
    """Pick the conditions that stand for each block of moves: those where its last move arrives.

    Blocks are those of `hmm.block_index`: N sessions have N - 1 moves, aligned to the end, so the
    last block looks like the last session and only block 0 may be shorter.

    Args:
        conditions: (N, F) one row per session.
        block_length: moves per block.

    Returns:
        (B, F) with B = (N - 1) / block_length, rounded up.

    Raises:
        ValueError: `block_length` is below 1.

    Example:
        >>> block_conditions(np.arange(6.0)[:, None], 2).ravel().tolist()
        [1.0, 3.0, 5.0]
    """
    if block_length < 1:
        raise ValueError(f"block_length is {block_length}; it must be at least 1")
    last_session = np.arange(len(conditions) - 1, 0, -block_length)[::-1]
    return conditions[last_session]


def similarity(conditions: Array, *, bandwidth: float) -> Array:
    """Say how alike the moments in each two rows are, by a Gaussian kernel.

        similarity[b, a] = exp(-0.5 sum_f ((x[b, f] - x[a, f]) / (bandwidth * spread[f]))^2)

    with `spread` a robust standard deviation over the rows: the distance between the quartiles over
    1.349; if those are equal, the ordinary standard deviation; a condition that does not vary
    contributes nothing. Every row enters the spread: give only rows that are known.

    Args:
        conditions: (B, F) natural logarithms, one row per moment.
        bandwidth: spreads apart at which two moments count for exp(-0.5) = 0.61; infinity makes
            all alike.

    Returns:
        (B, B) between 0 and 1, symmetric, 1 on the diagonal.

    Raises:
        ValueError: `bandwidth` is not positive, or a condition is not a finite number.

    Example:
        >>> similarity(np.array([[0.0], [1.0], [4.0]]), bandwidth=1.0).round(3).tolist()
        [[1.0, 0.797, 0.026], [0.797, 1.0, 0.129], [0.026, 0.129, 1.0]]
    """
    if not bandwidth > 0:
        raise ValueError(f"bandwidth is {bandwidth}; it must be positive")
    _check_conditions(conditions)
    distance = np.zeros((len(conditions), len(conditions)))
    with np.errstate(over="ignore"):
        for column in conditions.T:
            spread = _spread(column)
            if spread > 0.0:
                standard = column / spread
                distance += ((standard[:, None] - standard) / bandwidth) ** 2
    return np.asarray(np.exp(-0.5 * distance))


def _check_returns(log_return: Array) -> None:
    if np.ndim(log_return) != 1:
        raise ValueError(f"log_return has shape {np.shape(log_return)}; it must be (N,)")
    wrong = np.flatnonzero(~np.isfinite(log_return))
    if wrong.size:
        raise ValueError(
            f"log_return[{wrong[0]}] is {log_return[wrong[0]]}; it must be a finite number"
        )


def _check_conditions(conditions: Array) -> None:
    if np.ndim(conditions) != 2:
        raise ValueError(f"conditions has shape {np.shape(conditions)}; it must be (B, F)")
    wrong = np.argwhere(~np.isfinite(conditions))
    if wrong.size:
        row, column = wrong[0].tolist()
        value = conditions[row, column]
        raise ValueError(f"conditions[{row}, {column}] is {value}; it must be a finite number")


def _log_volatility(log_return: Array, half_life: float) -> Array:
    """Half the log of the weighted mean of squared returns; weights halve every `half_life`."""
    keep = 0.5 ** (1.0 / half_life)
    squares = (log_return**2).tolist()
    total = list(accumulate(squares, lambda before, square: keep * before + square))
    weight = (1.0 - keep ** np.arange(1, len(squares) + 1)) / (1.0 - keep)
    return np.asarray(0.5 * np.log(np.maximum(total / weight, SMALLEST_VARIANCE)))


def _drawdown(log_return: Array) -> Array:
    """Log price over its highest close in a window that ends with it."""
    log_price = np.concatenate([[0.0], np.cumsum(log_return)])
    before = np.full(DRAWDOWN_SESSIONS - 1, -np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([before, log_price]), DRAWDOWN_SESSIONS
    )
    return np.asarray((log_price - windows.max(axis=1))[1:])


def _spread(column: Array) -> float:
    """Robust standard deviation; 0 if the column does not vary."""
    if not column.size:
        return 0.0
    low, high = np.quantile(column, [0.25, 0.75])
    candidates = ((high - low) / NORMAL_QUARTILES_APART, column.std())
    return next((float(spread) for spread in candidates if spread > SMALLEST_SPREAD), 0.0)
