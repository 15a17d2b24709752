"""Pictures of a backtest: skill, gain over time, PIT, reliability, coverage, staying in a regime.

Each function draws on the `Axes` it is given; `figures` puts them on figures of their own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief import backtest_sheet as sheet
from belief.backtest import about
from belief.backtest_sheet import States, counted, states_of
from belief.backtest_summary import (
    Columns,
    check_reference,
    columns_of,
    paired,
    usual_reference,
)
from belief.few_state import BLOCK_LENGTH
from belief.plots import QUIET, legend, staying_panels, title
from belief.scores import non_overlapping
from belief.track_record import FEWEST_WINDOWS, Skill

if TYPE_CHECKING:
    import pyarrow
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]

# Okabe & Ito (2008): colours that people with any colour vision can tell apart; beyond them, and in
# grey print, the kind of line tells.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Four and eight share no factor with seven: colour and either one are alike after 28 models only.
LINES: Final = ("-", "--", ":", "-.")
MARKERS: Final = "osD^vPX*"
LEGEND_ROW: Final = 0.165  # inches
N_BINS: Final = 20  # of the PIT
BANDED: Final = 0.9  # of the counts that chance alone gives lie in the band
LEVELS: Final = (50, 90)  # central intervals whose coverage is drawn by year and by regime
FEWEST_JOINED: Final = 3  # years that are joined by a line
WIDTH: Final = 0.7  # over which the models of one place on an axis are spread


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
        Name -> figure: skill_by_horizon and log_score_gain where there is more than one model;
        pit, reliability, coverage_by_year; coverage_by_regime and staying where one has states.

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
    yearly = [partial(coverage_by_year, level=level) for level in LEVELS]
    drawn = {}
    if len(models) > 1:
        drawn["skill_by_horizon"] = _skill_figure(table, models, reference, horizons)
        drawn["log_score_gain"] = _figure(slices, [gain_over_time])
    drawn["pit"] = _figure(slices, [pit_histogram])
    drawn["reliability"] = _figure(slices, [reliability])
    drawn["coverage_by_year"] = _figure(slices, yearly)
    states = states_of(table)
    if states is not None:
        by_regime = [partial(coverage_by_regime, states=states, level=level) for level in LEVELS]
        drawn["coverage_by_regime"] = _figure(slices, by_regime)
        drawn["staying"] = _staying_figure(slices[0].symbol, states)
    return drawn


def skill_by_horizon(
    axes: "Axes",
    skill: Mapping[str, Mapping[int, Skill | None]],
    n_windows: Mapping[int, int],
    reference: str,
) -> None:
    """Draw the mean log score gained over the reference, with its 95 % interval, by horizon.

    Args:
        axes: where to draw.
        skill: model -> horizon -> skill, see `belief.backtest_sheet.skills`; where it is None
            nothing is drawn, for nothing can be said.
        n_windows: horizon -> windows that do not overlap.
        reference: name of the model they are compared with; it is the line at 0.
    """
    horizons = list(n_windows)
    axes.axhline(0.0, color=QUIET, linewidth=1.0, label=f"{reference} (reference)")
    compared = [model for model in skill if model != reference]
    for place, (model, by_horizon) in enumerate(skill.items()):
        if model == reference:
            continue
        shift = _shift(compared.index(model), len(compared))
        known = [(x, by_horizon[h]) for x, h in enumerate(horizons) if by_horizon.get(h)]
        at = np.array([x + shift for x, _ in known])
        found = np.array([found for _, found in known]).reshape(-1, 3)
        _bars(axes, at, found, model, place)
    _tick_horizons(axes, n_windows)
    axes.set_ylabel("log score gained\na forecast (nats)")
    _gridded(axes)


def gain_over_time(axes: "Axes", shown: Slice) -> None:
    """Draw each model's log score less the reference's, summed up over the origins.

    Args:
        axes: where to draw.
        shown: the models; origins that the reference lacks are left out.
    """
    base = shown.of_model[shown.reference]
    axes.axhline(0.0, color=QUIET, linewidth=1.0, label=f"{shown.reference} (reference)")
    for place, (model, columns) in enumerate(shown.of_model.items()):
        own, other = paired(columns, base)
        if model != shown.reference:
            gain = np.cumsum(own["log_score"] - other["log_score"])
            axes.plot(own["origin"], gain, label=model, **_line(place))
    _date_origins(axes)
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
    low, high = N_BINS * _chance_band(min(windows), np.array(1.0 / N_BINS))
    axes.axhspan(
        float(low), float(high), color=QUIET, alpha=0.15, linewidth=0, label="90 % by chance"
    )
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

    The band is where nine in ten points of a calibrated model lie, each by itself, if its windows
    do not overlap.

    Args:
        axes: where to draw.
        shown: the models.
    """
    probability = np.linspace(0.01, 0.99, 99)
    windows = min(_n_windows(columns) for columns in shown.of_model.values())
    low, high = 100.0 * (_chance_band(windows, probability) - probability)
    band: dict[str, Any] = {
        "color": QUIET,
        "alpha": 0.15,
        "linewidth": 0,
        "label": "90 % by chance",
    }
    axes.fill_between(100.0 * probability, low, high, **band)
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

    The 95 % intervals are those of `belief.backtest_sheet.wilson`; hollow points have none.

    Args:
        axes: where to draw.
        shown: the models.
        level: probability of the interval in percent: 50, 80, 90 or 95.
    """
    axes.axhline(level, color=QUIET, linewidth=1.0, label=f"{level} %, as forecast")
    years: set[int] = set()
    for place, (model, columns) in enumerate(shown.of_model.items()):
        found = sheet.coverage_by_year(columns, level)
        year = [int(each.group) for each in found]
        at = np.array(year) + _shift(place, len(shown.of_model))
        shares = _percent(found)
        _bars(axes, at, shares, model, place)
        if len(year) >= FEWEST_JOINED:
            axes.plot(at, shares[:, 1], **_line(place))
        years |= set(year)
    axes.set_xticks(sorted(years)[:: 1 + len(years) // 16])
    axes.set_xlim(min(years) - 0.6, max(years) + 0.6)
    axes.set_xlabel("year of the origin")
    _finish_coverage(axes, shown, level)


def coverage_by_horizon(
    axes: "Axes",
    shares: Sequence[sheet.Share],
    n_windows: Mapping[int, int],
    *,
    level: int,
    model: str,
) -> None:
    """Draw the share of one model's closes inside a central interval, by the horizon.

    Args:
        axes: where to draw.
        shares: one for each horizon, see `belief.backtest_sheet.coverage_by_horizon`.
        n_windows: horizon -> windows that do not overlap, in the same order.
        level: probability of the interval in percent.
        model: its name.
    """
    axes.axhline(level, color=QUIET, linewidth=1.0, label=f"{level} %, as forecast")
    _bars(axes, np.arange(float(len(shares))), _percent(shares), model, 0)
    _tick_horizons(axes, n_windows)
    _finish_shares(axes, level)
    _gridded(axes)


def coverage_by_regime(axes: "Axes", shown: Slice, *, states: States, level: int) -> None:
    """Draw the share of closes inside a central interval, by the likeliest regime at the origin.

    Args:
        axes: where to draw.
        shown: the models.
        states: which regime that was, and by which model.
        level: probability of the interval in percent: 50, 80, 90 or 95.
    """
    axes.axhline(level, color=QUIET, linewidth=1.0, label=f"{level} %, as forecast")
    counts = dict.fromkeys(states.names, 0)
    for place, (model, columns) in enumerate(shown.of_model.items()):
        shift = _shift(place, len(shown.of_model))
        found = sheet.coverage_by_regime(columns, states, level)
        at = np.array([states.names.index(each.group) + shift for each in found])
        _bars(axes, at, _percent(found), model, place)
        counts |= {each.group: max(counts[each.group], each.n) for each in found}
    labels = [f"{name}\n{counted(n, 'origin')}" for name, n in counts.items()]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_xlabel(f"likeliest regime at the origin, as {states.model} saw it")
    _finish_coverage(axes, shown, level)


def staying_at_origins(panels: Sequence["Axes"], symbol: str, states: States) -> None:
    """Draw the probability of staying in each regime as it was in force at the origins.

    It moves with every session; drawn are means over blocks of 21 origins, aligned to the end.

    Args:
        panels: one `Axes` for each regime, from the top down.
        symbol: whose prices.
        states: what was in force.
    """
    n = states.origin.size
    block = np.arange(n - 1, -1, -1) // BLOCK_LENGTH
    first = np.flatnonzero(np.diff(block, prepend=block[0] + 1))
    size = np.diff(first, append=n)[:, None]
    staying, static = (
        np.add.reduceat(np.diagonal(each, axis1=1, axis2=2), first) / size
        for each in (states.transmat, states.static_transmat)
    )
    days = np.append(states.origin[first], states.origin[-1])
    last = np.append(staying, staying[-1:], axis=0), np.append(static, static[-1:], axis=0)
    known = bool(np.isfinite(static).all())  # a fit that goes on from another may leave it out
    staying_panels(panels, states.names, days, last[0], last[1] if known else None)
    for axes in panels:
        _date_origins(axes)
    for axes in panels[:-1]:
        axes.set_xlabel("")
    title(
        panels[0],
        f"{symbol}: probability of staying one more session, by regime, as in force at the origins",
        f"{counted(n, 'origin')} from {states.origin[0]} to {states.origin[-1]}; "
        f"model {states.model}, means over {BLOCK_LENGTH} origins"
        f"{', beside the static fit (dashed)' if known else ''}",
        size=10,
    )


def _figure(slices: list[Slice], draws: Sequence[Callable[["Axes", Slice], None]]) -> "Figure":
    """One picture below the other: every horizon, and every drawing of it."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    n_rows = len(slices) * len(draws)
    height = _height(len(slices[0].of_model), 3.2)
    figure = Figure(figsize=(9.0, height * n_rows), layout=ConstrainedLayoutEngine(h_pad=0.12))
    places = figure.subplots(n_rows, 1, squeeze=False)[:, 0]
    pictures = [(draw, shown) for shown in slices for draw in draws]
    for axes, (draw, shown) in zip(places, pictures, strict=True):
        draw(axes, shown)
    return figure


def _height(n_models: int, least: float) -> float:
    """Inches of a picture whose legend is not to reach its title or the picture below."""
    return max(least, LEGEND_ROW * (n_models + 2) + 1.1)


def _skill_figure(
    table: "pyarrow.Table", models: list[str], reference: str, horizons: list[int]
) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, _height(len(models), 3.6)), layout="constrained")
    axes = figure.subplots()
    skill = {model: sheet.skills(table, model, reference, horizons) for model in models}
    own = {horizon: columns_of(table, reference, horizon) for horizon in horizons}
    n_windows = {horizon: _n_windows(own[horizon]) for horizon in horizons}
    skill_by_horizon(axes, skill, n_windows, reference)
    origin = own[horizons[0]]["origin"]
    title(
        axes,
        f"{about(table)['symbol']}: mean log score gained over {reference}; above 0 is better",
        f"{counted(origin.size, 'origin')} from {origin[0]} to {origin[-1]}; "
        "bars: 95 % intervals (HAC)",
        size=10,
    )
    return figure


def _staying_figure(symbol: str, states: States) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    n_panels = len(states.names)
    height = 0.6 + 1.15 * n_panels
    figure = Figure(figsize=(9.0, height), layout=ConstrainedLayoutEngine(h_pad=0.08))
    staying_at_origins(list(figure.subplots(n_panels, 1)), symbol, states)
    return figure


def _of_models(table: "pyarrow.Table", models: list[str], horizon: int) -> dict[str, Columns]:
    found = {model: columns_of(table, model, horizon) for model in models}
    return {model: columns for model, columns in found.items() if columns["origin"].size}


def _n_windows(columns: Columns) -> int:
    return non_overlapping(columns["origin"], columns["target"])


def _chance_band(n: int, probability: Array) -> Array:
    """(2, ...) between which the share of n trials lies, as probable as `BANDED` or more."""
    from scipy.stats import binom

    tail = (1.0 - BANDED) / 2.0
    return np.stack([binom.ppf(end, n, probability) / n for end in (tail, 1.0 - tail)])


def _line(place: int) -> dict[str, Any]:
    """Look of a model's line by its place among the models."""
    style = LINES[place % len(LINES)]
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": style, "linewidth": 1.3}


def _told(windows: int) -> str:
    doubt = "" if windows >= FEWEST_WINDOWS else ":\ntoo few"
    return f"{counted(windows, 'window')}{doubt}"


def _tick_horizons(axes: "Axes", n_windows: Mapping[int, int]) -> None:
    axes.set_xticks(range(len(n_windows)), [f"{h:,}\n{_told(n)}" for h, n in n_windows.items()])
    axes.set_xlim(-0.6, len(n_windows) - 0.4)
    axes.set_xlabel("horizon (sessions), and windows that do not overlap")


def _shift(place: int, n: int) -> float:
    """Where beside a tick one of n stands; all together they are centred on it."""
    return WIDTH * ((place + 0.5) / n - 0.5)


def _percent(found: Sequence[sheet.Share]) -> Array:
    """(n, 3) ends of the intervals and shares between them, percent; no number for no interval."""
    nothing = (np.nan, np.nan)
    ends = [each.reach or nothing for each in found]
    rows = [(low, each.share, high) for each, (low, high) in zip(found, ends, strict=True)]
    return 100.0 * np.array(rows).reshape(-1, 3)


def _bars(axes: "Axes", at: Array, found: Array, model: str, place: int) -> None:
    """A model's points, (n, 3) low, value and high; hollow where there is no interval."""
    look: dict[str, Any] = {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": 5,
        "linestyle": "",
    }
    low, value, high = found.T
    known = np.isfinite(low)
    # rounding may put an end a hair beyond its value
    reach = np.maximum([value - low, high - value], 0.0)[:, known]
    axes.errorbar(at[known], value[known], reach, label=model, **look)
    axes.plot(at[~known], value[~known], markerfacecolor="none", **look)


def _date_origins(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel("origin (date)")


def _finish_shares(axes: "Axes", level: int) -> None:
    """Scale the axis of shares around their level, and label it."""
    low, high = axes.dataLim.intervaly
    axes.set_ylim(
        max(min(low, level - 10.0) - 3.0, -3.0), min(max(high, level + 10.0) + 3.0, 103.0)
    )
    axes.set_ylabel(f"closes inside the\n{level} % interval (%)")


def _finish_coverage(axes: "Axes", shown: Slice, level: int) -> None:
    _finish_shares(axes, level)
    beside = f"95 % intervals (hollow: fewer than {FEWEST_WINDOWS} windows)"
    _finish(axes, shown, f"coverage of the central {level} % interval, {beside}")


def _finish(axes: "Axes", shown: Slice, headline: str) -> None:
    """Title with what the picture rests on, and the legend beside, where it covers nothing."""
    columns = shown.of_model[shown.reference]
    plural = "s" if shown.horizon > 1 else ""
    title(
        axes,
        f"{shown.symbol}, {shown.horizon} session{plural} ahead: {headline}",
        f"{counted(columns['origin'].size, 'origin')} from {columns['origin'][0]} to "
        f"{columns['origin'][-1]}, windows that do not overlap: {_n_windows(columns):,}",
        size=10,
    )
    _gridded(axes)


def _gridded(axes: "Axes") -> None:
    axes.grid(axis="y", color=QUIET, alpha=0.2, linewidth=0.6)
    legend(axes)
