"""What a tear sheet shows of a backtest beside its summary.

Skill with intervals, coverage by year and by regime, the states at the origins, the worst sessions.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.backtest_parts import REGIME_NAMES, STATES
from belief.backtest_summary import Columns, columns_of, paired
from belief.scores import non_overlapping
from belief.track_record import FEWEST_WINDOWS, STANDARD_ERRORS, Skill, skill_of

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
        group: what the forecasts have in common: a year, a regime or a horizon.
        n: number of origins.
        share: of their closes inside the interval.
        reach: 95 % interval of the share, see `wilson`, of as many as there are windows that do not
            overlap; None where these are too few to judge by.
    """

    group: str
    n: int
    share: float
    reach: tuple[float, float] | None


def counted(n: int, what: str) -> str:
    """A number of things in words.

    Example:
        >>> counted(1, "origin"), counted(1500, "origin")
        ('1 origin', '1,500 origins')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a probability, from the share of n trials that came out so.

    Args:
        share: between 0 and 1.
        n: number of trials, at least 1.

    Source:
        E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22
        (1927). Unlike a mean and its standard error it says something where the share is 0 or 1.

    Example:
        >>> [round(end, 3) for end in wilson(1.0, 20)], [round(end, 3) for end in wilson(0.5, 20)]
        ([0.839, 1.0], [0.299, 0.701])
    """
    z = STANDARD_ERRORS
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5 / (1 + z**2 / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


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


def coverage_by_year(columns: Columns, level: int) -> list[Share]:
    """Share of closes inside a central interval, by the year of the origin.

    Args:
        columns: of one model, see `columns_of`.
        level: probability of the interval in percent: 50, 80, 90 or 95.

    Returns:
        One for each year there is an origin in, in order.
    """
    year = columns["origin"].astype("datetime64[Y]").astype(int) + 1970
    return [_share(str(each), columns, level, year == each) for each in np.unique(year).tolist()]


def coverage_by_horizon(of_horizon: Mapping[int, Columns], level: int) -> list[Share]:
    """Share of closes inside a central interval, by the horizon.

    Args:
        of_horizon: sessions ahead -> columns of one model, see `columns_of`; each with a row.
        level: probability of the interval in percent, one that is kept of these columns.

    Returns:
        One for each horizon, in their order.
    """
    return [
        _share(str(horizon), columns, level, np.full(columns["origin"].size, True))
        for horizon, columns in of_horizon.items()
    ]


def coverage_by_regime(columns: Columns, states: States, level: int) -> list[Share]:
    """Share of closes inside a central interval, by the likeliest regime at the origin.

    Args:
        columns: of one model, see `columns_of`.
        states: of that model or another; origins it does not have are left out.
        level: probability of the interval in percent: 50, 80, 90 or 95.

    Returns:
        One for each regime that was the likeliest at an origin, quietest first.
    """
    _, mine, theirs = np.intersect1d(columns["origin"], states.origin, return_indices=True)
    regime = np.full(columns["origin"].size, -1)
    regime[mine] = states.regime[theirs]
    return [
        _share(name, columns, level, regime == place)
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


def _share(group: str, columns: Columns, level: int, inside: npt.NDArray[np.bool_]) -> Share:
    share = float(columns[f"covered_{level}"][inside].mean())
    windows = non_overlapping(columns["origin"][inside], columns["target"][inside])
    reach = wilson(share, windows) if windows >= FEWEST_WINDOWS else None
    return Share(group, int(inside.sum()), share, reach)
