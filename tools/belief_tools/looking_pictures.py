"""The pictures of a page about a belief, with their figures in words."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from belief import models
from belief.few_state import BLOCK_LENGTH
from belief.forecast import Forecast
from belief.plots import SESSIONS_SHOWN, belief_over_time, fan_chart, staying_over_time
from belief.posterior import Belief
from belief.prices import Closes
from belief.view import View
from belief.volatility_plot import volatility_belief
from belief_tools.forecast_tool import ForecastTool, cents, money, rounded
from belief_tools.report_page import Picture
from belief_tools.svg import as_svg, page_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

WIDTH: Final = 9.0  # inches
PANEL: Final = 1.15  # inches of one of several panels
N_BLOCKS: Final = SESSIONS_SHOWN // BLOCK_LENGTH


def fan(
    tool: ForecastTool,
    forecasts: Sequence[Forecast],
    asked: Forecast | None,
    came: Closes | None,
    view: View | None,
) -> Picture:
    """The closes and the fan of forecasts."""

    def draw(axes: Sequence["Axes"]) -> None:
        fan_chart(axes[0], tool.prices, forecasts, asked=asked, came=came, view=view)

    about = forecasts[-1] if asked is None else asked
    (low, high), (lower, higher) = (_ends(about, level) for level in (0.5, 0.9))
    told = [
        f"Last close {cents(tool.prices.last_close)}; on {about.target} median "
        f"{money(rounded(about.median))}, 50 % interval {low} to {high}, 90 % interval {lower} to "
        f"{higher}"
    ]
    if view is not None:
        told.append(f"your view {money(view.median)}, {money(view.low)} to {money(view.high)}")
    if came is not None and (came.session <= forecasts[-1].target).any():
        last = int(np.flatnonzero(came.session <= forecasts[-1].target)[-1])
        told.append(f"what came, through {came.session[last]}: {cents(float(came.close[last]))}")
    caption = "Closes and the fan of forecasts, each day by itself"
    return _picture("fan", draw, [3.8], "; ".join(told), caption)


def volatility(held: Belief) -> Picture:
    """The belief about the next session's volatility."""

    def draw(axes: Sequence["Axes"]) -> None:
        volatility_belief(axes[0], held)

    low, high = (100.0 * end for end in held.volatility_interval_90)
    band = f", 90 % of the belief between {low:.0f} and {high:.0f} %" if low < high else ""
    ahead = ", ".join(
        f"{regime.name} {100.0 * held.ahead.probability[held.ahead.regime == place].sum():.1f} %"
        for place, regime in enumerate(held.regimes)
    )
    told = f"Volatility {100.0 * held.volatility:.0f} % a year{band}; in the next session {ahead}"
    return _picture("volatility", draw, [3.4], told, "How probable each volatility is")


def regimes(tool: ForecastTool, held: Belief) -> list[Picture]:
    """The regimes over time, and the probabilities of staying in them."""
    session = tool.prices.session[1:]
    filtered = models.states_over_time(tool.fitted, tool.prices)[-SESSIONS_SHOWN:]
    transmat = models.transmat_over_time(tool.fitted, tool.prices, n_blocks=N_BLOCKS)

    def stacked(axes: Sequence["Axes"]) -> None:
        belief_over_time(axes[0], held, session[-SESSIONS_SHOWN:], filtered)

    def panels(axes: Sequence["Axes"]) -> None:
        # blocks are aligned to the end, and one session more than moves is shown
        shown = session[-(N_BLOCKS * BLOCK_LENGTH + 1) :]
        staying_over_time(axes, held, shown, transmat)

    likeliest = np.bincount(np.argmax(filtered, axis=1), minlength=len(held.regimes))
    now = ", ".join(f"{each.name} {100.0 * each.probability:.1f} %" for each in held.regimes)
    counts = ", ".join(f"{r.name} {n:,}" for r, n in zip(held.regimes, likeliest, strict=True))
    staying = ", ".join(
        f"{regime.name} {100.0 * share:.1f} %"
        for regime, share in zip(held.regimes, np.diag(held.transition_matrix), strict=True)
    )
    return [
        _picture(
            "regimes",
            stacked,
            [3.4],
            f"At the close of {held.as_of}: {now}. Sessions in which each was the likeliest, of "
            f"{len(filtered):,}: {counts}",
            "Belief about the regimes, as today's parameters read the past",
        ),
        _picture(
            "staying",
            panels,
            [PANEL] * len(held.regimes),
            f"In force after {held.as_of}: {staying}",
            "Probability of staying one more session in each regime",
        ),
    ]


def _ends(forecast: Forecast, level: float) -> list[str]:
    return [money(rounded(end)) for end in forecast.interval(level)]


def _picture(
    name: str,
    draw: Callable[[Sequence["Axes"]], None],
    heights: Sequence[float],
    told: str,
    caption: str,
) -> Picture:
    """Draw panels one below the other, and put the figures beside them."""
    with page_style():
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        figure = Figure((WIDTH, sum(heights)), layout=ConstrainedLayoutEngine(h_pad=0.08))
        draw(list(figure.subplots(len(heights), 1, squeeze=False)[:, 0]))
        svg = as_svg(figure, name)
    return Picture(svg, told, f"{caption}. {told}.")
