"""The pictures of a page about a belief, with their figures in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from belief import models
from belief.few_state import BLOCK_LENGTH
from belief.forecast import Forecast
from belief.plots import SESSIONS_SHOWN, belief_over_time, fan_chart, staying_over_time
from belief.posterior import Belief
from belief.prices import Closes
from belief.view import View
from belief.volatility_plot import volatility_belief
from belief_tools.forecast_tool import ForecastTool, cents, money, rounded
from belief_tools.page_picture import Panels, Told, page_picture
from belief_tools.report_page import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_BLOCKS = SESSIONS_SHOWN // BLOCK_LENGTH


def fan(
    tool: ForecastTool,
    forecasts: Sequence[Forecast],
    asked: Forecast | None,
    came: Closes | None,
    view: View | None,
) -> Picture:
    """Draw the closes and the fan of forecasts.

    Args:
        tool: whose prices.
        forecasts: from its last session, targets increasing.
        asked: that of the target asked about, one of them.
        came: what came after; None to show nothing of it.
        view: what a person thinks of the target asked about.
    """
    about = forecasts[-1] if asked is None else asked
    half, wide = (" to ".join(map(_dollars, about.interval(level))) for level in (0.5, 0.9))
    figures = [
        f"Last close {cents(tool.prices.last_close)}",
        f"on {about.target} median {_dollars(about.median)}, 50 % interval {half}, "
        f"90 % interval {wide}",
        *_view_in_figures(view),
        *_came_in_figures(came, forecasts[-1].target),
    ]

    def draw(panels: Sequence["Axes"]) -> None:
        fan_chart(panels[0], tool.prices, forecasts, asked=asked, came=came, view=view)

    told = Told("Closes and the fan of forecasts, each day by itself", "; ".join(figures))
    return page_picture("fan", Panels(1, 3.1), told, draw)


def volatility(held: Belief) -> Picture:
    """Draw the belief about the next session's volatility.

    Args:
        held: the belief.
    """
    low, high = (100.0 * end for end in held.volatility_interval_90)
    band = f", 90 % of the belief between {low:.0f} and {high:.0f} %" if low < high else ""
    ahead = _listed(held, [f"{100.0 * share:.1f} %" for share in shares_ahead(held)])
    told = Told(
        "How probable each volatility is in the next session",
        f"Volatility {100.0 * held.volatility:.0f} % a year{band}; next session {ahead}",
    )
    return page_picture(
        "volatility", Panels(1, 2.4), told, lambda panels: volatility_belief(panels[0], held)
    )


def shares_ahead(held: Belief) -> list[float]:
    """Probability of each regime in the next session, quietest first.

    Args:
        held: the belief.
    """
    ahead, places = held.ahead, range(len(held.regimes))
    return [float(ahead.probability[ahead.regime == place].sum()) for place in places]


def regimes(tool: ForecastTool, held: Belief) -> Picture:
    """Draw the belief about the regimes over time.

    Args:
        tool: its prices and model.
        held: what the model believes at the last session.
    """
    filtered = models.states_over_time(tool.fitted, tool.prices)[-SESSIONS_SHOWN:]
    session = tool.prices.session[-len(filtered) :]  # the first of a history has no return
    likeliest = np.bincount(np.argmax(filtered, axis=1), minlength=len(held.regimes))
    now = _listed(held, [f"{100.0 * regime.probability:.1f} %" for regime in held.regimes])
    counts = _listed(held, [f"{n:,}" for n in likeliest.tolist()])

    def draw(panels: Sequence["Axes"]) -> None:
        belief_over_time(panels[0], held, session, filtered)

    told = Told(
        f"Belief about the regimes in the past, as the model of {held.as_of} reads it",
        f"At the close of {held.as_of}: {now}; likeliest, in sessions of {len(filtered):,}: "
        f"{counts}",
    )
    return page_picture("regimes", Panels(1, 2.4), told, draw)


def staying(tool: ForecastTool, held: Belief) -> Picture:
    """Draw the probability of staying in each regime over time.

    Args:
        tool: its prices and model.
        held: what the model believes at the last session.
    """
    # blocks of moves are aligned to the end, and lie between one session more
    session = tool.prices.session[1:][-(N_BLOCKS * BLOCK_LENGTH + 1) :]
    transmat = models.transmat_over_time(tool.fitted, tool.prices, n_blocks=N_BLOCKS)
    now = [f"{100.0 * share:.1f} %" for share in np.diag(held.transition_matrix).tolist()]

    def draw(panels: Sequence["Axes"]) -> None:
        staying_over_time(panels, held, session, transmat)

    told = Told(
        "Probability of staying one more session in each regime",
        f"In force after {held.as_of}: {_listed(held, now)}",
    )
    return page_picture("staying", Panels(len(held.regimes), 0.75, 0.15), told, draw)


def _listed(held: Belief, figures: Sequence[str]) -> str:
    """A figure for each regime."""
    return ", ".join(f"{r.name} {each}" for r, each in zip(held.regimes, figures, strict=True))


def _dollars(price: float) -> str:
    return money(rounded(price))


def _view_in_figures(view: View | None) -> list[str]:
    if view is None:
        return []
    return [f"your view {money(view.median)}, 90 % {money(view.low)} to {money(view.high)}"]


def _came_in_figures(came: Closes | None, end: np.datetime64) -> list[str]:
    """The last close that is drawn of what came."""
    if came is None or not (came.session <= end).any():
        return []
    last = int((came.session <= end).sum()) - 1
    return [f"what came, on {came.session[last]}: {cents(float(came.close[last]))}"]
