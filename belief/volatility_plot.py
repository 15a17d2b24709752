"""A picture of the belief itself: how probable each volatility is for the next session."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from belief.plots import INK, LOG_TICKS, QUIET, REGIME_COLOURS, legend, title
from belief.posterior import Belief, StatesAhead

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

# Of the regimes, quietest first: in grey print, and to any eyes, the pattern tells.
HATCHES: Final = ("", "//", "--", "xx", "\\\\")
LEAST_SHOWN: Final = 1e-3  # states less likely, beyond all that are likelier, are left out
NARROWEST, WIDEST = 0.01, 0.1  # half of a bar, in log volatility
ABOVE: Final = 1.08  # the highest bar lies the interval


def volatility_belief(axes: "Axes", belief: Belief) -> None:
    """Draw the probability of each state in the next session over its annualised volatility.

    The states are coloured and hatched by regime. Their volatility, and the interval that brackets
    90 % of the belief, are marked. The axis is logarithmic, as the states of a grid are spaced.

    Args:
        axes: where to draw.
        belief: at the as-of session.
    """
    ahead = belief.ahead
    shown, half = _likely(ahead), _half_width(ahead.volatility)
    for place, (regime, hatch) in enumerate(zip(belief.regimes, HATCHES, strict=False)):
        mine = ahead.regime == place
        drawn = mine & shown
        middle = 100.0 * ahead.volatility[drawn]
        look: dict[str, Any] = {"color": REGIME_COLOURS[regime.name], "hatch": hatch}
        look |= {"edgecolor": INK, "linewidth": 0.6, "align": "edge"}
        look |= {"width": middle * (np.exp(half) - np.exp(-half))}
        if drawn.any():
            label = f"{regime.name}: {100.0 * ahead.probability[mine].sum():.1f} %"
            height = 100.0 * ahead.probability[drawn]
            axes.bar(middle * np.exp(-half), height, label=label, **look)
    _mark_summary(axes, belief)
    _scale(axes)
    legend(axes)
    title(
        axes,
        f"{belief.symbol}: volatility believed in for the session after {belief.as_of}",
        f"model {belief.model}, known through {belief.as_of}; each bar is one of its "
        f"{len(ahead.volatility)} states; scheduled events left out",
    )


def _likely(ahead: StatesAhead) -> npt.NDArray[np.bool_]:
    """The states from the first to the last that is likely enough to be seen, by volatility."""
    seen = ahead.volatility[ahead.probability >= LEAST_SHOWN]
    return np.asarray((ahead.volatility >= seen.min()) & (ahead.volatility <= seen.max()))


def _half_width(volatility: Array) -> float:
    """Half of the nearest two states' distance in log volatility, so that no bars overlap."""
    gaps = [later - earlier for earlier, later in pairwise(sorted(np.log(volatility).tolist()))]
    return float(np.clip(0.5 * min(gaps), NARROWEST, WIDEST))


def _mark_summary(axes: "Axes", belief: Belief) -> None:
    """The volatility as a line through the bars, the interval as a bracket above them."""
    volatility = 100.0 * belief.volatility
    label = f"volatility: {volatility:.0f} % a year"
    axes.axvline(volatility, color=INK, linestyle="--", linewidth=1.4, label=label)
    low, high = (100.0 * end for end in belief.volatility_interval_90)
    if low < high:
        top = ABOVE * axes.dataLim.y1
        label = f"90 % of the belief:\n{low:.0f} to {high:.0f} %"
        look: dict[str, Any] = {"color": INK, "linewidth": 1.4, "markersize": 9, "label": label}
        axes.plot([low, high], [top, top], "|-", **look)


def _scale(axes: "Axes") -> None:
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=LOG_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("annualised volatility of the next session (%), logarithmic scale")
    axes.set_ylabel("probability (%)")
    axes.set_ylim(bottom=0.0)
    axes.grid(axis="y", color=QUIET, alpha=0.2, linewidth=0.6)
