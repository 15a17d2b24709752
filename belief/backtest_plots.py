"""Pictures of a backtest: gain over time, PIT, reliability, coverage by year.

Each function draws on the `Axes` it is given; `figures` puts them on figures of their own.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.backtest import about
from belief.backtest_summary import (
    Columns,
    check_reference,
    columns_of,
    paired,
    usual_reference,
)
from belief.scores import non_overlapping

if TYPE_CHECKING:
    import pyarrow
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]

# Okabe & Ito (2008): colours that people with any colour vision can tell apart; beyond them, and in
# grey print, the kind of line tells.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES: Final = ("-", "--", ":", "-.")
MARKERS: Final = "osD^vPX"
QUIET: Final = "#595959"
N_BINS: Final = 20  # of the PIT
BANDED: Final = 0.9  # of the counts that chance alone gives lie in the band
YEARLY_LEVELS: Final = (50, 90)  # central intervals whose coverage is drawn by year


class Slice(NamedTuple):
    """What is drawn of a backtest: all models at one horizon.

    Attributes:
        symbol: whose prices.
        horizon: sessions from origin to target.
        reference: name of the model the others are compared with.
        of_model: name -> columns of the model, see `columns_of`.
    """

    symbol: str
    horizon: int
    reference: str
    of_model: dict[str, Columns]


def figures(table: "pyarrow.Table", reference: str | None = None) -> dict[str, "Figure"]:
    """Draw a backtest, each picture at the shortest and at the longest horizon.

    Args:
        table: of `belief.backtest.walk_forward`.
        reference: model the others are compared with; by default `usual_reference`.

    Returns:
        Name -> figure: log_score_gain, pit, reliability, coverage_by_year.

    Raises:
        UsageError: the reference is not in the table.
    """
    models = list(dict.fromkeys(table.column("model").to_pylist()))
    reference = usual_reference(models) if reference is None else reference
    check_reference(reference, models)
    rows = zip(table.column("model").to_pylist(), table.column("horizon").to_pylist(), strict=True)
    horizons = sorted({horizon for model, horizon in rows if model == reference})
    slices = [
        Slice(about(table)["symbol"], horizon, reference, _of_models(table, models, horizon))
        for horizon in dict.fromkeys((horizons[0], horizons[-1]))
    ]
    yearly = [partial(coverage_by_year, level=level) for level in YEARLY_LEVELS]
    return {
        "log_score_gain": _figure(slices, [gain_over_time]),
        "pit": _figure(slices, [pit_histogram]),
        "reliability": _figure(slices, [reliability]),
        "coverage_by_year": _figure(slices, yearly),
    }


def gain_over_time(axes: "Axes", shown: Slice) -> None:
    """Draw each model's log score less the reference's, summed up over the origins.

    Args:
        axes: where to draw.
        shown: the models; origins that the reference lacks are left out.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    base = shown.of_model[shown.reference]
    axes.axhline(0.0, color=QUIET, linewidth=1.0, label=f"{shown.reference} (reference)")
    for place, (model, columns) in enumerate(shown.of_model.items()):
        own, other = paired(columns, base)
        if model != shown.reference:
            gain = np.cumsum(own["log_score"] - other["log_score"])
            axes.plot(own["origin"], gain, label=model, **_line(place))
    locator = AutoDateLocator(minticks=4, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel("origin (date)")
    axes.set_ylabel("log score gained\nso far (nats)")
    _finish(axes, shown, "log score gained over the reference; rising is better")


def pit_histogram(axes: "Axes", shown: Slice) -> None:
    """Draw how often the PIT fell into each of `N_BINS` equal bins, as a multiple of uniform.

    The band is where nine in ten bins of a calibrated model lie if its windows do not overlap.

    Args:
        axes: where to draw.
        shown: the models.
    """
    edges = np.linspace(0.0, 1.0, N_BINS + 1)
    windows = [_n_windows(columns) for columns in shown.of_model.values()]
    low, high = _chance_band(min(windows))
    axes.axhspan(low, high, color=QUIET, alpha=0.15, linewidth=0, label="90 % by chance")
    for place, (model, columns) in enumerate(shown.of_model.items()):
        count, _ = np.histogram(columns["pit"], bins=edges)
        axes.stairs(N_BINS * count / count.sum(), edges, label=model, **_line(place))
    axes.axhline(1.0, color=QUIET, linewidth=1.0)
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("PIT: probability forecast for a close at or below the one that came")
    axes.set_ylabel("share of closes\n(multiple of uniform)")
    _finish(axes, shown, "PIT; a calibrated model is flat at 1")


def reliability(axes: "Axes", shown: Slice) -> None:
    """Draw how often the close came at or below each quantile, less the quantile's probability.

    Args:
        axes: where to draw.
        shown: the models.
    """
    probability = np.linspace(0.01, 0.99, 99)
    axes.axhline(0.0, color=QUIET, linewidth=1.0, label="calibrated")
    for place, (model, columns) in enumerate(shown.of_model.items()):
        share = np.searchsorted(np.sort(columns["pit"]), probability, side="right")
        excess = 100.0 * (share / columns["pit"].size - probability)
        axes.plot(100.0 * probability, excess, label=model, **_line(place))
    axes.set_xlim(0.0, 100.0)
    axes.set_xlabel("probability of the quantile (%)")
    axes.set_ylabel("closes at or below it,\nless that (% points)")
    _finish(axes, shown, "reliability of the quantiles; a calibrated model is flat at 0")


def coverage_by_year(axes: "Axes", shown: Slice, *, level: int) -> None:
    """Draw the share of closes inside a central interval, by the year of the origin.

    Args:
        axes: where to draw.
        shown: the models.
        level: probability of the interval in percent: 50, 80, 90 or 95.
    """
    axes.axhline(level, color=QUIET, linewidth=1.0, label=f"{level} %, as forecast")
    years: set[int] = set()
    for place, (model, columns) in enumerate(shown.of_model.items()):
        year = columns["origin"].astype("datetime64[Y]").astype(int) + 1970
        known, index = np.unique(year, return_inverse=True)
        share = np.bincount(index, weights=columns[f"covered_{level}"]) / np.bincount(index)
        marker = MARKERS[place % len(MARKERS)]
        axes.plot(known, 100.0 * share, marker=marker, markersize=4, label=model, **_line(place))
        years |= set(known.tolist())
    axes.set_xticks(sorted(years)[:: 1 + len(years) // 16])
    axes.set_ylim(-3.0, 103.0)
    axes.set_xlabel("year of the origin")
    axes.set_ylabel(f"closes inside the\n{level} % interval (%)")
    _finish(axes, shown, f"coverage of the central {level} % interval")


def _figure(slices: list[Slice], draws: Sequence[Callable[["Axes", Slice], None]]) -> "Figure":
    """One picture below the other: every horizon, and every drawing of it."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    n_rows = len(slices) * len(draws)
    figure = Figure(figsize=(9.0, 3.6 * n_rows), layout=ConstrainedLayoutEngine(h_pad=0.12))
    places = figure.subplots(n_rows, 1, squeeze=False)[:, 0]
    pictures = [(draw, shown) for shown in slices for draw in draws]
    for axes, (draw, shown) in zip(places, pictures, strict=True):
        draw(axes, shown)
    return figure


def _of_models(table: "pyarrow.Table", models: list[str], horizon: int) -> dict[str, Columns]:
    found = {model: columns_of(table, model, horizon) for model in models}
    return {model: columns for model, columns in found.items() if columns["origin"].size}


def _n_windows(columns: Columns) -> int:
    return non_overlapping(columns["origin"], columns["target"])


def _chance_band(n: int) -> tuple[float, float]:
    """Where counts of n uniform values in `N_BINS` bins lie, as a multiple of their mean."""
    from scipy.stats import binom

    tail = (1.0 - BANDED) / 2.0
    low, high = binom.ppf([tail, 1.0 - tail], n, 1.0 / N_BINS)
    return N_BINS * float(low) / n, N_BINS * float(high) / n


def _line(place: int) -> dict[str, Any]:
    """Look of a model's line by its place among the models."""
    style = LINES[(place + place // len(COLOURS)) % len(LINES)]
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": style, "linewidth": 1.3}


def _finish(axes: "Axes", shown: Slice, headline: str) -> None:
    """Title with what the picture rests on, and the legend beside, where it covers nothing."""
    columns = shown.of_model[shown.reference]
    plural = "s" if shown.horizon > 1 else ""
    axes.set_title(
        f"{shown.symbol}, {shown.horizon} session{plural} ahead: {headline}",
        loc="left",
        fontsize=10,
        pad=20,
    )
    axes.annotate(
        f"{columns['origin'].size:,} origins from {columns['origin'][0]} to "
        f"{columns['origin'][-1]}, {_n_windows(columns):,} windows that do not overlap",
        xy=(0.0, 1.0),
        xytext=(0.0, 6.0),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
        color=QUIET,
    )
    axes.grid(axis="y", color=QUIET, alpha=0.2, linewidth=0.6)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
