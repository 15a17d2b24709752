"""What a tear sheet shows of a backtest beside its summary.

Skill with intervals, coverage by year and by regime, the states at the origins, the worst sessions.
"""

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.backtest_parts import REGIME_NAMES, STATES
from belief.backtest_summary import Columns, columns_of, paired
from belief.scores import hac_lag, non_overlapping, standard_error
from belief.track_record import Skill, skill_of

if TYPE_CHECKING:
    import pyarrow

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

N_WORST: Final = 10


class States(NamedTuple):
    """What a model with states held at each of n origins; R regimes, quietest first.

    Attributes:
        model: its name.
        names: (R,) of the regimes.
        origin: (n,) increasing.
        probability: (n, R) of the regimes, given what was known at the origin.
        transmat: (n, R, R) in force at the origin; rows sum to 1.
        static_transmat: (n, R, R) of the static fit at that time.
    """

    model: str
    names: tuple[str, ...]
    origin: Days
    probability: Array
    transmat: Array
    static_transmat: Array

    @property
    def regime(self) -> npt.NDArray[np.intp]:
        """(n,) the likeliest regime at each origin."""
        return np.asarray(np.argmax(self.probability, axis=1))


class Share(NamedTuple):
    """How many closes of a group of origins lay inside an interval.

    Attributes:
        group: what the origins have in common: a year or a regime.
        n: number of origins.
        share: of their closes inside the interval.
        standard_error: HAC, over all origins; None where there are too few or all are alike.
    """

    group: str
    n: int
    share: float
    standard_error: float | None


def skills(
    table: "pyarrow.Table", model: str, reference: str, horizons: list[int]
) -> dict[int, Skill | None]:
    """Compare the log scores of a model with a reference's, horizon by horizon.

    Args:
        table: of `belief.backtest.walk_forward`.
        model: its name.
        reference: name of the other.
        horizons: sessions.

    Returns:
        Horizon -> 95 % interval of the mean gain, nats; None where there are too few windows that
        do not overlap to judge by.
    """
    found = {}
    for horizon in horizons:
        own, base = paired(columns_of(table, model, horizon), columns_of(table, reference, horizon))
        windows = non_overlapping(own["origin"], own["target"])
        gain = own["log_score"] - base["log_score"]
        found[horizon] = skill_of(gain.astype(np.float64), windows, horizon)
    return found


def states_of(table: "pyarrow.Table") -> States | None:
    """Read what the first model with states held at its origins.

    Args:
        table: of `belief.backtest.walk_forward`.

    Returns:
        `States`, or None where no model has any, or the table is of a time before they were kept.
    """
    from pyarrow import compute

    if REGIME_NAMES not in table.column_names:
        return None
    held = table.filter(compute.is_valid(table.column(REGIME_NAMES)))
    if held.num_rows == 0:
        return None
    model = held.column("model")[0].as_py()
    held = held.filter(compute.equal(held.column("model"), model))
    _, first = np.unique(held.column("origin").to_numpy(), return_index=True)
    held = held.take(first)
    names = tuple(held.column(REGIME_NAMES)[0].as_py())
    probability, transmat, static = (_stacked(held, name) for name in STATES)
    square = (len(first), len(names), len(names))
    return States(
        model,
        names,
        held.column("origin").to_numpy(),
        probability.reshape(square[:2]),
        transmat.reshape(square),
        static.reshape(square),
    )


def coverage_by_year(columns: Columns, level: int, horizon: int) -> list[Share]:
    """Share of closes inside a central interval, by the year of the origin.

    Args:
        columns: of one model, see `columns_of`.
        level: probability of the interval in percent: 50, 80, 90 or 95.
        horizon: sessions.

    Returns:
        One for each year there is an origin in, in order.
    """
    year = columns["origin"].astype("datetime64[Y]").astype(int) + 1970
    hit = columns[f"covered_{level}"].astype(np.float64)
    return [_share(str(each), hit, year == each, horizon) for each in np.unique(year).tolist()]


def coverage_by_regime(columns: Columns, states: States, level: int, horizon: int) -> list[Share]:
    """Share of closes inside a central interval, by the likeliest regime at the origin.

    Args:
        columns: of one model, see `columns_of`.
        states: of that model or another; origins it does not have are left out.
        level: probability of the interval in percent: 50, 80, 90 or 95.
        horizon: sessions.

    Returns:
        One for each regime that was the likeliest at an origin, quietest first.
    """
    _, mine, theirs = np.intersect1d(columns["origin"], states.origin, return_indices=True)
    hit = columns[f"covered_{level}"][mine].astype(np.float64)
    regime = states.regime[theirs]
    return [
        _share(name, hit, regime == place, horizon)
        for place, name in enumerate(states.names)
        if (regime == place).any()
    ]


def worst_origins(
    table: "pyarrow.Table", model: str, horizon: int, n: int = N_WORST
) -> list[dict[str, Any]]:
    """Find the origins whose forecasts scored lowest; of windows that overlap only the lowest.

    Args:
        table: of `belief.backtest.walk_forward`.
        model: its name.
        horizon: sessions.
        n: how many, at most.

    Returns:
        Rows of the table as column -> value, lowest log score first.
    """
    from pyarrow import compute

    own = table.filter(
        compute.and_(
            compute.equal(table.column("model"), model),
            compute.equal(table.column("horizon"), horizon),
        )
    )
    origin, target = (own.column(name).to_numpy() for name in ("origin", "target"))
    chosen: list[int] = []
    for place in np.argsort(own.column("log_score").to_numpy(), kind="stable").tolist():
        if len(chosen) == n:
            break
        if all(target[place] <= origin[o] or target[o] <= origin[place] for o in chosen):
            chosen.append(place)
    rows: list[dict[str, Any]] = own.take(chosen).to_pylist()
    return rows


def _stacked(table: "pyarrow.Table", name: str) -> Array:
    """The values of a column of lists, one list after the other."""
    return np.asarray(table.column(name).combine_chunks().flatten().to_numpy(), dtype=np.float64)


def _share(group: str, hit: Array, inside: npt.NDArray[np.bool_], horizon: int) -> Share:
    """Mean of hits inside a group, with the error of a ratio of two means over all origins."""
    share, lag = float(hit[inside].mean()), hac_lag(hit.size, horizon=horizon)
    error = math.nan
    if hit.size > max(lag, 1):
        influence = inside * (hit - share) / inside.mean()
        error = standard_error(influence, lag)
    return Share(group, int(inside.sum()), share, error if math.isfinite(error) else None)
