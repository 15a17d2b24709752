"""What a backtest says: means of the scores, differences to a reference, calibration."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.errors import UsageError
from belief.scores import coverage, hac_lag, mean_difference, non_overlapping, pit_distance

if TYPE_CHECKING:
    import pyarrow

Array = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[Any]]

USUAL_REFERENCES = ("garch_t", "random_walk_t", "random_walk")
SCORES = ("log_score", "crps", "pit", "absolute_error", "interval_score")
HITS = ("covered_50", "covered_80", "covered_90", "covered_95")
NEEDED = ("origin", "target", *SCORES, *HITS)


class Row(NamedTuple):
    """One model at one horizon.

    Everything that compares is over the origins that model and reference both have; all else is
    over the model's own. None where there is nothing to compare with or too little to judge by.

    Attributes:
        model: its name.
        horizon: sessions from origin to target.
        reference: name of the model it is compared with.
        n: number of origins.
        n_windows: how many of the windows from origin to target do not overlap, at most.
        n_compared: number of origins that the reference has too.
        log_score: mean, nats; larger is better.
        gain: mean log score less the reference's, nats; positive is better.
        t_value: of the gain (HAC).
        crps: mean, log return; smaller is better.
        crps_ratio: mean CRPS over the reference's; below 1 is better.
        crps_t_value: of the reference's CRPS less the model's (HAC); positive is better.
        absolute_error: mean distance of median and close, dollars of the origin.
        absolute_error_ratio: to the reference's mean.
        interval_score: mean at 90 %, dollars of the origin; smaller is better.
        interval_score_ratio: to the reference's mean.
        coverage_50, coverage_80, coverage_90, coverage_95: share of closes in the central
            interval of that probability.
        coverage_50_se, coverage_80_se, coverage_90_se, coverage_95_se: their HAC standard errors.
        pit_distance: Kolmogorov-Smirnov distance of the PIT to the uniform; 0 is calibrated.
    """

    model: str
    horizon: int
    reference: str
    n: int
    n_windows: int
    n_compared: int
    log_score: float
    gain: float | None
    t_value: float | None
    crps: float
    crps_ratio: float | None
    crps_t_value: float | None
    absolute_error: float
    absolute_error_ratio: float | None
    interval_score: float
    interval_score_ratio: float | None
    coverage_50: float
    coverage_50_se: float | None
    coverage_80: float
    coverage_80_se: float | None
    coverage_90: float
    coverage_90_se: float | None
    coverage_95: float
    coverage_95_se: float | None
    pit_distance: float


def usual_reference(models: Sequence[str]) -> str:
    """Name the model that others are compared with unless another is chosen.

    Args:
        models: names, at least one.

    Returns:
        The first of `USUAL_REFERENCES` that is among them, otherwise the last of them.

    Example:
        >>> usual_reference(["few_state", "garch_t", "chain"]), usual_reference(["a", "b"])
        ('garch_t', 'b')
    """
    return next((name for name in USUAL_REFERENCES if name in models), models[-1])


def check_reference(reference: str, models: Sequence[str]) -> None:
    """Check that a reference is one of the models.

    Raises:
        UsageError: it is not.
    """
    if reference not in models:
        raise UsageError(
            f"the reference {reference!r} is not one of the models {', '.join(models)}"
        )


def summarise(table: "pyarrow.Table", reference: str | None = None) -> list[Row]:
    """Sum up a backtest.

    Args:
        table: of `belief.backtest.walk_forward`; of one symbol.
        reference: name of one of its models; by default `usual_reference` of them.

    Returns:
        One `Row` per horizon and model, horizons increasing, models in the order of the table.

    Raises:
        UsageError: the reference is not in the table.
    """
    models = list(dict.fromkeys(table.column("model").to_pylist()))
    if reference is None:
        reference = usual_reference(models)
    check_reference(reference, models)
    rows = []
    for horizon in sorted(set(table.column("horizon").to_pylist())):
        of_model = {model: columns_of(table, model, horizon) for model in models}
        base = of_model[reference]
        rows += [
            _row(model, horizon, columns, reference, base)
            for model, columns in of_model.items()
            if columns["origin"].size
        ]
    return rows


def columns_of(table: "pyarrow.Table", model: str, horizon: int) -> Columns:
    """Take the columns of one model at one horizon out of a table.

    Args:
        table: of `belief.backtest.walk_forward`.
        model: its name.
        horizon: sessions.

    Returns:
        Name -> (n,) values in the order of the origins, of `NEEDED` only.
    """
    from pyarrow import compute

    chosen = compute.and_(
        compute.equal(table.column("model"), model), compute.equal(table.column("horizon"), horizon)
    )
    rows = table.select(list(NEEDED)).filter(chosen).sort_by("origin")
    return {name: rows.column(name).to_numpy() for name in NEEDED}


def paired(own: Columns, base: Columns) -> tuple[Columns, Columns]:
    """Keep of two models the origins that both have.

    Args:
        own: columns of one model.
        base: columns of the other, at the same horizon.

    Returns:
        Both, with as many rows, in the order of the origins.
    """
    _, mine, theirs = np.intersect1d(own["origin"], base["origin"], return_indices=True)
    return (
        {name: values[mine] for name, values in own.items()},
        {name: values[theirs] for name, values in base.items()},
    )


def _row(model: str, horizon: int, own: Columns, reference: str, base: Columns) -> Row:
    compared = None if model == reference else paired(own, base)
    lag = hac_lag(own["origin"].size, horizon=horizon)
    return Row(
        model=model,
        horizon=horizon,
        reference=reference,
        n=own["origin"].size,
        n_windows=non_overlapping(own["origin"], own["target"]),
        n_compared=own["origin"].size if compared is None else compared[0]["origin"].size,
        log_score=float(own["log_score"].mean()),
        crps=float(own["crps"].mean()),
        absolute_error=float(own["absolute_error"].mean()),
        interval_score=float(own["interval_score"].mean()),
        pit_distance=pit_distance(own["pit"].astype(np.float64)),
        **_comparison(compared, horizon),
        **_calibration(own, lag),
    )


def _comparison(pair: tuple[Columns, Columns] | None, horizon: int) -> dict[str, Any]:
    """Differences to the reference and ratios; the reference itself has none."""
    names = ("gain", "t_value", "crps_ratio", "crps_t_value")
    ratios = ("absolute_error_ratio", "interval_score_ratio")
    if pair is None or pair[0]["origin"].size == 0:
        return dict.fromkeys((*names, *ratios))
    own, base = pair
    gain, t_value = _mean_and_t(own["log_score"] - base["log_score"], horizon)
    _, crps_t_value = _mean_and_t(base["crps"] - own["crps"], horizon)
    return {
        "gain": gain,
        "t_value": t_value,
        "crps_ratio": _ratio(own, base, "crps"),
        "crps_t_value": crps_t_value,
        "absolute_error_ratio": _ratio(own, base, "absolute_error"),
        "interval_score_ratio": _ratio(own, base, "interval_score"),
    }


def _mean_and_t(difference: Array, horizon: int) -> tuple[float, float | None]:
    lag = hac_lag(len(difference), horizon=horizon)
    if len(difference) <= max(lag, 1):
        return float(difference.mean()), None  # too few for a standard error
    found = mean_difference(difference, lag)
    return found.mean, _number(found.t_value)


def _ratio(own: Columns, base: Columns, score: str) -> float | None:
    below = float(base[score].mean())
    return float(own[score].mean()) / below if below > 0.0 else None


def _calibration(own: Columns, lag: int) -> dict[str, Any]:
    found: dict[str, float | None] = {}
    for level in (50, 80, 90, 95):
        hit = own[f"covered_{level}"].astype(np.bool_)
        enough = len(hit) > max(lag, 1)
        found[f"coverage_{level}"] = float(hit.mean())
        error = coverage(hit, lag).standard_error if enough else None
        found[f"coverage_{level}_se"] = _number(error)
    return found


def _number(value: float | None) -> float | None:
    """A number that says something, or None: JSON has no NaN."""
    return None if value is None or not math.isfinite(value) else value
