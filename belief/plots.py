"""Pictures of a forecast, of a belief and of transition probabilities over time.

Each function draws on the `Axes` it is given and leaves everything else alone; `belief_figure` puts
the pictures together on a `Figure` of its own. pyplot and its global state are never touched.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from belief import models
from belief.few_state import BLOCK_LENGTH
from belief.fitted_model import FittedModel
from belief.forecast import Forecast
from belief.observations import observe
from belief.posterior import Belief
from belief.prices import Closes, Prices
from belief.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

# Okabe & Ito (2008): colours that people with any colour vision can tell apart.
REGIME_COLOURS: Final = {
    "very calm": "#0072B2",
    "calm": "#56B4E9",
    "normal": "#009E73",
    "turbulent": "#E69F00",
    "crisis": "#D55E00",
    # the observed chain's
    "small move": "#56B4E9",
    "medium move": "#009E73",
    "large move": "#E69F00",
}
INK: Final = "#000000"
FORECAST_COLOUR: Final = "#0072B2"
QUIET: Final = "#595959"
EVENT_COLOUR: Final = "#D55E00"
CAME_COLOUR: Final = "#009E73"
VIEW_COLOUR: Final = "#CC79A7"
MARK_APART: Final = 7.0  # points between the marks of belief and view at one target
EVENT_HEIGHT: Final = 0.12  # of the axes
LONGEST_SOURCE: Final = 32  # characters of it that a subtitle has room for
BANDS: Final = ((0.9, 0.18), (0.5, 0.4))  # level, opacity
CLOSES_SHOWN: Final = 126
SESSIONS_SHOWN: Final = 1260
# Beyond this ratio of the highest to the lowest price equal steps in dollars hide the low ones.
LOG_AXIS_FROM: Final = 3.0
LOG_TICKS: Final = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)  # leading digits; at least two between p and 3 p
COARSE_LOG_TICKS: Final = (1.0, 2.0, 5.0)
LOG_TICKS_UP_TO: Final = 20.0  # ratio of the highest to the lowest price from which those do


def fan_chart(
    axes: "Axes",
    prices: Prices,
    forecasts: Sequence[Forecast],
    *,
    n_closes: int = CLOSES_SHOWN,
    asked: Forecast | None = None,
    came: Closes | None = None,
    view: View | None = None,
) -> None:
    """Draw the last closes and, after them, the median and the 50 and 90 % bands of forecasts.

    Closes are adjusted for the splits known at the last session, so that all prices are in dollars
    of that day. The axis is logarithmic when the prices shown span more than a factor of
    `LOG_AXIS_FROM`. Between the targets, which are dotted, the bands are straight lines. Scheduled
    events whose exact session was public then are marked at the foot.

    Args:
        axes: where to draw.
        prices: cut at the as-of session.
        forecasts: one or more, from the last session of the prices, targets increasing.
        n_closes: how many closes to show.
        asked: the forecast of the target that was asked about, marked with its 90 % interval; its
            target may be one of the others' or beyond them.
        came: what came after the last session, in its dollars; drawn as far as the forecasts reach.
        view: what a person thinks of the target asked about, marked beside it.

    Raises:
        ValueError: there are no forecasts, their targets do not increase, one of them starts
            from another symbol or session than the prices end with, or a view has no target.
    """
    _check_forecasts(prices, forecasts)
    end = forecasts[-1].target
    if asked is not None:
        _check_origin(prices, asked)
        end = max(end, asked.target)
    closes = prices.quoted_close()[-n_closes:]
    # the fan opens at the last close, which is certain
    days = np.array([prices.as_of, *(forecast.target for forecast in forecasts)])
    median = np.array([prices.last_close, *(forecast.median for forecast in forecasts)])
    for level, opacity in BANDS:
        low, high = _band(prices.last_close, forecasts, level)
        label = f"{100 * level:.0f} % band, each day by itself"
        axes.fill_between(
            days, low, high, color=FORECAST_COLOUR, alpha=opacity, linewidth=0, label=label
        )
    axes.plot(days, median, color=FORECAST_COLOUR, label="median of the forecast")
    axes.plot(days[1:], median[1:], ".", color=FORECAST_COLOUR, markersize=4)
    axes.plot(prices.session[-n_closes:], closes, color=INK, linewidth=1.2, label="close")
    if came is not None:
        _draw_what_came(axes, prices, came, end)
    _mark_target(axes, asked, view)
    _mark_as_of(axes, prices.as_of)
    _mark_events(axes, prices, end)
    _scale_prices(axes, prices)
    _date_sessions(axes)
    legend(axes)
    title(
        axes,
        f"{prices.symbol} close: forecast from {prices.as_of} to {end}",
        f"made with prices through {prices.as_of} only, from {_short(prices.source)}; "
        f"last close {prices.last_close:,.2f} {prices.currency}; "
        f"model {forecasts[0].model}, {prices.session.size:,} closes",
    )


def belief_over_time(axes: "Axes", belief: Belief, session: Days, filtered: Array) -> None:
    """Stack the filtered probabilities of the regimes over time.

    Args:
        axes: where to draw.
        belief: names the regimes, the as-of session and the number of sessions in the fit.
        session: (T,) the sessions to show.
        filtered: (T, R) probability of each regime given the returns up to that session.

    Raises:
        ValueError: the shapes disagree.
    """
    names = _names(belief)
    _check_shape("filtered", filtered, (len(session), len(names)))
    colours = [REGIME_COLOURS[name] for name in names]
    axes.stackplot(session, filtered.T, labels=names, colors=colours, linewidth=0)
    axes.set_ylim(0.0, 1.0)
    axes.set_xlim(session[0], session[-1])
    axes.set_ylabel("probability of the regime")
    _date_sessions(axes)
    legend(axes, reverse=True)
    title(
        axes,
        f"{belief.symbol}: belief about the volatility regime through {belief.as_of}",
        f"{len(session):,} sessions shown, each given the returns up to it; parameters from all "
        f"{belief.n_sessions:,} through {belief.as_of}",
    )


def staying_over_time(
    panels: Sequence["Axes"],
    belief: Belief,
    session: Days,
    transmat: Array,
    *,
    n_sessions: int = SESSIONS_SHOWN,
) -> None:
    """Draw the probability of staying one more session, a panel for each regime.

    A dot at the end is what is in force after the last session, whose shock the matrix of its block
    does not have yet: what `belief now` tells. All panels have one scale.
    The line of a regime that was seldom visited rests on few moves: its swings say little.

    Args:
        panels: (R,) where to draw, from the top down.
        belief: names the regimes and holds the transition matrix of the static fit (dashed).
        session: (T,) all sessions of the fit.
        transmat: (B, R, R) matrices of the fit, one per block of sessions aligned to the end; B is
            1 for one matrix for all time.
        n_sessions: how many of the last sessions to show.

    Raises:
        ValueError: the shapes disagree.
    """
    from belief.hmm import block_index

    names = _names(belief)
    block = block_index(len(session) - 1, BLOCK_LENGTH)
    n_blocks = 1 if len(transmat) == 1 else int(block[-1]) + 1
    _check_shape("transmat", transmat, (n_blocks, len(names), len(names)))
    first = np.searchsorted(block, np.arange(n_blocks))
    days = np.append(session[first], session[-1])
    staying = np.diagonal(transmat, axis1=1, axis2=2)
    staying = np.append(staying, staying[-1:], axis=0)
    shown = days >= session[-n_sessions:][0]
    shown[:-1] |= shown[1:]  # the block under way where the panels begin
    static = np.diag(belief.static_transition_matrix) if n_blocks > 1 else None
    in_force = np.diag(belief.transition_matrix)
    staying_panels(panels, names, days[shown], staying[shown], static, in_force)
    for axes in panels:
        axes.set_xlim(session[-n_sessions:][0], session[-1])
    beside = ": one matrix for all time"
    if n_blocks > 1:
        beside = f" beside the static fit (dashed); one matrix per {BLOCK_LENGTH} sessions"
    title(
        panels[0],
        f"{belief.symbol}: probability of staying one more session, by regime, fitted through "
        f"{belief.as_of}",
        f"model {belief.model}{beside}; {min(n_sessions, len(session)):,} of the "
        f"{belief.n_sessions:,} sessions of the fit shown; dot: in force now",
    )


def staying_panels(
    panels: Sequence["Axes"],
    names: Sequence[str],
    days: Days,
    staying: Array,
    static: Array | None,
    in_force: Array | None = None,
) -> None:
    """Draw the probability of staying in each regime, in percent, as steps on one scale.

    Args:
        panels: (R,) where to draw, from the top down.
        names: (R,) of the regimes.
        days: (n,) from which each probability holds.
        staying: (n, R) between 0 and 1.
        static: the static fit's: (R,) for all days, (n, R) one for each, or None for none.
        in_force: (R,) after the last day, drawn as a dot; None for none.
    """
    percent = 100.0 * staying
    for state, (axes, name) in enumerate(zip(panels, names, strict=True)):
        steps: dict[str, Any] = {"drawstyle": "steps-post"}
        colour = REGIME_COLOURS[name]
        axes.plot(days, percent[:, state], color=colour, linewidth=2.0, label=name, **steps)
        if static is not None:
            level = np.broadcast_to(100.0 * static, percent.shape)[:, state]
            axes.plot(days, level, "--", color=QUIET, linewidth=1.2, label="static fit", **steps)
        if in_force is not None:
            look: dict[str, Any] = {"color": colour, "markeredgecolor": INK, "clip_on": False}
            axes.plot(days[-1:], 100.0 * in_force[[state]], "o", label="in force now", **look)
        axes.set_ylabel("staying\n(%)")
        axes.grid(axis="y", color=QUIET, alpha=0.2, linewidth=0.6)
    _stack_panels(panels)


def belief_figure(
    fitted: FittedModel,
    prices: Prices,
    forecasts: Sequence[Forecast],
    *,
    n_sessions: int = SESSIONS_SHOWN,
) -> "Figure":
    """Put forecast, belief and transition probabilities of one model on one figure.

    Args:
        fitted: trained through the last session of the prices.
        prices: cut at the as-of session.
        forecasts: from the last session of the prices, targets increasing.
        n_sessions: how many sessions of belief to show.

    Returns:
        `Figure` with forecast, belief, and a panel for each regime's probability of staying, one
        below the other.

    Raises:
        ValueError: model, prices and forecasts do not belong together.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if fitted.known_through != prices.as_of:
        raise ValueError(
            f"the model knows {fitted.known_through}, the prices end on {prices.as_of}"
        )
    session, belief = observe(prices).session, models.belief(fitted)
    filtered = models.states_over_time(fitted, prices)
    height = (3.8, 3.8, *(1.15 for _ in belief.regimes))
    figure = Figure(figsize=(9.0, sum(height)), layout=ConstrainedLayoutEngine(h_pad=0.08))
    fan, regimes, *panels = figure.subplots(len(height), 1, height_ratios=height)
    fan_chart(fan, prices, forecasts)
    belief_over_time(regimes, belief, session[-n_sessions:], filtered[-n_sessions:])
    transmat = models.transmat_over_time(fitted, prices)
    staying_over_time(panels, belief, session, transmat, n_sessions=n_sessions)
    return figure


def settle(figure: "Figure") -> None:
    """Lay a figure out once and for all, so that it is drawn alike to the last byte.

    The layout's solver leaves noise in the last digits of where the axes are, from which names
    inside an SVG file are made.

    Args:
        figure: one of this package's, about to be saved.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position().bounds, 6).tolist())


def _check_forecasts(prices: Prices, forecasts: Sequence[Forecast]) -> None:
    if not forecasts:
        raise ValueError("there are no forecasts to draw; give at least one")
    for forecast in forecasts:
        _check_origin(prices, forecast)
    for earlier, later in pairwise(forecasts):
        if not earlier.target < later.target:
            raise ValueError(f"target {later.target} follows {earlier.target}; they must increase")


def _check_origin(prices: Prices, forecast: Forecast) -> None:
    if (forecast.symbol, forecast.origin) != (prices.symbol, prices.as_of):
        raise ValueError(
            f"a forecast of {forecast.symbol} from {forecast.origin}; "
            f"the prices are of {prices.symbol} and end on {prices.as_of}"
        )


def _check_shape(name: str, values: Array, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}; sessions and regimes want {shape}")


def _band(last_close: float, forecasts: Sequence[Forecast], level: float) -> tuple[Array, Array]:
    bounds = [(last_close, last_close), *(forecast.interval(level) for forecast in forecasts)]
    low, high = np.array(bounds).T
    return low, high


def _names(belief: Belief) -> list[str]:
    return [regime.name for regime in belief.regimes]


def _draw_what_came(axes: "Axes", prices: Prices, came: Closes, end: np.datetime64) -> None:
    """Go on from the last close that was known, in another colour and dashed."""
    shown = came.session <= end
    days = np.append(prices.as_of, came.session[shown])
    closes = np.append(prices.last_close, came.close[shown])
    look: dict[str, Any] = {"color": CAME_COLOUR, "linestyle": (0, (4, 1.5)), "linewidth": 1.8}
    axes.plot(days, closes, label="what came after", **look)


def _mark_target(axes: "Axes", asked: Forecast | None, view: View | None) -> None:
    """Mark what the belief, and beside it what a person, thinks of one target."""
    if asked is None:
        if view is not None:
            raise ValueError("a view is about a target; pass the forecast of it as `asked`")
        return
    label = f"asked about: {asked.target},\nmedian and 90 % interval"
    low, high = asked.interval(0.9)
    _mark_points(axes, asked.target, (low, asked.median, high), 0.0, FORECAST_COLOUR, "o", label)
    if view is not None:
        label = "your view of it: median,\n5 and 95 % points"
        _mark_points(axes, asked.target, view.points, MARK_APART, VIEW_COLOUR, "D", label)


def _mark_points(
    axes: "Axes",
    day: np.datetime64,
    points: tuple[float, float, float],
    aside: float,
    colour: str,
    marker: str,
    label: str,
) -> None:
    """Draw a point with its reach, some points to the right of its day."""
    from matplotlib.dates import date2num
    from matplotlib.transforms import offset_copy

    figure: Any = axes.figure
    place = offset_copy(axes.transData, fig=figure, x=aside, units="points")
    days: Any = np.full(3, day)
    look: dict[str, Any] = {"color": colour, "transform": place, "zorder": 5}
    axes.plot(days, points, "_-", linewidth=2.2, markersize=9, markeredgewidth=2.0, **look)
    look |= {"markeredgecolor": INK, "markersize": 7, "linestyle": ""}
    axes.plot(days[1:2], points[1:2], marker, label=label, **look)
    # what is drawn aside makes no room for itself
    at = date2num(day)  # type: ignore[no-untyped-call]
    axes.update_datalim([(at, point) for point in points])
    axes.autoscale_view()


def _mark_as_of(axes: "Axes", as_of: np.datetime64) -> None:
    day: Any = as_of  # matplotlib converts dates on a date axis; its annotations say float
    axes.axvline(day, color=QUIET, linestyle=":", linewidth=1.0, label=f"as of {as_of}")


def _mark_events(axes: "Axes", prices: Prices, end: np.datetime64) -> None:
    known = prices.events.until(prices.as_of).session
    days: list[Any] = list(known[(known > prices.as_of) & (known <= end)])
    for place, day in enumerate(days):
        label = "results, as scheduled" if place == 0 else None
        axes.axvline(day, ymax=EVENT_HEIGHT, color=EVENT_COLOUR, linewidth=1.5, label=label)


def _short(source: str) -> str:
    return source if len(source) <= LONGEST_SOURCE else f"{source[: LONGEST_SOURCE - 3]}..."


def _date_sessions(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateFormatter, AutoDateLocator

    locator = AutoDateLocator(minticks=4, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = AutoDateFormatter(locator)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("session (date)")


def _scale_prices(axes: "Axes", prices: Prices) -> None:
    """Choose a linear or a logarithmic axis, and write plain amounts on either."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    low, high = axes.dataLim.intervaly
    logarithmic = high > LOG_AXIS_FROM * low
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        digits = LOG_TICKS if high < LOG_TICKS_UP_TO * low else COARSE_LOG_TICKS
        axes.yaxis.set_major_locator(LogLocator(subs=digits))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.6g}"))
    axes.grid(axis="y", color=QUIET, alpha=0.2, linewidth=0.6)
    scale = "\nlogarithmic scale" if logarithmic else ""
    axes.set_ylabel(f"closing price, {prices.currency} of {prices.as_of}{scale}")


def _stack_panels(panels: Sequence["Axes"]) -> None:
    """Give panels one below the other one scale, and dates to the lowest alone."""
    low = min(axes.dataLim.y0 for axes in panels)
    for axes in panels:
        axes.set_ylim(max(low - 3.0, 0.0), 100.0)
        _date_sessions(axes)
        legend(axes)
    for axes in panels[:-1]:
        axes.tick_params(axis="x", labelbottom=False)
        axes.set_xlabel("")


def legend(axes: "Axes", *, reverse: bool = False) -> None:
    """Put the legend beside the axes, where it covers nothing.

    Args:
        axes: with what is drawn on them.
        reverse: whether what was drawn last comes first.
    """
    axes.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8, reverse=reverse
    )


def title(axes: "Axes", headline: str, detail: str, *, size: float = 11) -> None:
    """Say above the axes what is drawn, and in smaller letters what it rests on.

    Args:
        axes: where.
        headline: one line.
        detail: another.
        size: of the headline, points.
    """
    axes.set_title(headline, loc="left", fontsize=size, pad=20)
    axes.annotate(
        detail,
        xy=(0.0, 1.0),
        xytext=(0.0, 6.0),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
        color=QUIET,
    )
