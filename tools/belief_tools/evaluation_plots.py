"""Pictures of an evaluation: error over time, calibration of intervals and of chances.

Each is drawn for one language model in one mode, as an <svg> that a page can hold: it refers to
nothing outside, and its ink is the page's, light or dark.
"""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from belief_tools.evaluation_rows import LEVEL
from belief_tools.evaluation_scores import Scored
from belief_tools.report_page import Picture
from belief_tools.svg import INK, as_svg, page_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

# Okabe & Ito (2008) without black: colours that people with any colour vision can tell apart.
LOOK: Final[dict[str, tuple[str, str, str]]] = {
    "none": ("#E69F00", ":", "v"),
    "price": ("#D55E00", "--", "s"),
    "band": ("#CC79A7", "-.", "D"),
    "context": ("#009E73", "-", "^"),
    "tool": ("#0072B2", "-", "o"),
    "belief": ("#56B4E9", "--", "P"),
    "garch_t": ("#8C8C8C", "-.", "X"),
    "random_walk": ("#8C8C8C", ":", "p"),
}
OTHER: Final = ("#8C8C8C", "-", ".")
OVER_TIME: Final = ("none", "price", "band", "context", "tool", "random_walk")
N_BINS: Final = 5  # of the stated chances
LINEAR_BELOW: Final = 10.0  # percent of error; a bare model may be out by a factor of ten


def pictures(scored: Scored, model: str, mode: str, arms: list[str]) -> dict[str, Picture]:
    """Draw an evaluation of one language model in one mode.

    Args:
        scored: the evaluation.
        model: its name.
        mode: in which it was asked.
        arms: that it was asked, and those without a model.

    Returns:
        "time" and "calibration"; the same evaluation gives the same bytes.
    """
    from matplotlib.figure import Figure

    places = {arm: list(scored.trials.find(model, mode, arm)) for arm in arms}
    about = f"{model}, {mode}"
    with page_style():
        over_time = Figure(figsize=(9.0, 3.6), layout="constrained")
        _error_over_time(over_time.subplots(), scored, places)
        calibration = Figure(figsize=(9.0, 3.6), layout="constrained")
        intervals, chances = calibration.subplots(1, 2)
        _intervals(intervals, scored, places)
        _chances(chances, scored, places)
        names = [f"{kind}{scored.trials.asked.index((model, mode))}" for kind in ("time", "fit")]
        drawn = [
            as_svg(each, name) for each, name in zip((over_time, calibration), names, strict=True)
        ]
    return {
        "time": Picture(drawn[0], _told_errors(scored, places, about), f"{about}: {TIME}"),
        "calibration": Picture(drawn[1], _told_shares(scored, places, about), f"{about}: {FIT}"),
    }


TIME: Final = (
    "absolute percentage error of the model's own predictions at each origin, mean over the "
    "horizons; a random walk stands in for what was unusable"
)
FIT: Final = (
    "left, share of closes inside the intervals that were stated, which should be 90 %; right, "
    "how often the close came above the last close where a chance was stated. Only predictions "
    "that the model itself stated; their number is beside each arm"
)


def stated(scored: Scored, places: list[int]) -> list[int]:
    """Places of the rows in which the model itself said something usable."""
    return [place for place in places if scored.trials.rows[place]["own"] is not None]


def _error_over_time(axes: "Axes", scored: Scored, places: dict[str, list[int]]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import StrMethodFormatter

    highest = 0.0
    for arm in filter(places.get, OVER_TIME):
        rows = [scored.trials.rows[place] for place in places[arm]]
        days = np.array([row["origin"] for row in rows], dtype="datetime64[D]")
        origin, index = np.unique(days, return_inverse=True)
        percent = 100.0 * scored.trials.own.error[places[arm]]
        error = np.bincount(index, weights=percent) / np.bincount(index)
        highest = max(highest, float(error.max()))
        axes.plot(origin, error, label=arm, linewidth=1.2, **_look(arm))
    if highest > 10.0 * LINEAR_BELOW:
        axes.set_yscale("symlog", linthresh=LINEAR_BELOW)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.6g}"))
    axes.set_ylim(bottom=0.0)
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel("origin (date)")
    axes.set_ylabel("absolute percentage error (%)")
    _finish(axes)


def _intervals(axes: "Axes", scored: Scored, places: dict[str, list[int]]) -> None:
    labels = []
    axes.axvline(100.0 * LEVEL, color=INK, linewidth=1.0, linestyle=":")
    for height, (arm, all_of_it) in enumerate(places.items()):
        chosen = stated(scored, all_of_it)
        labels.append(f"{arm} ({len(chosen)} of {len(all_of_it)})")
        if chosen:
            share = 100.0 * float(scored.trials.own.covered[chosen].mean())
            colour, _, marker = LOOK.get(arm, OTHER)
            axes.plot([share], [height], color=colour, marker=marker, markersize=7)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlim(-3.0, 103.0)
    axes.set_xlabel("closes inside the 90 % interval (%)")
    axes.grid(axis="y", alpha=0.25)


def _chances(axes: "Axes", scored: Scored, places: dict[str, list[int]]) -> None:
    axes.plot([0.0, 100.0], [0.0, 100.0], color=INK, linewidth=1.0, linestyle=":")
    for arm, all_of_it in places.items():
        chosen = stated(scored, all_of_it)
        if chosen:
            said, came = _by_chance(scored, chosen)
            axes.plot(100.0 * said, 100.0 * came, label=arm, linewidth=1.0, **_look(arm))
    axes.set_xlim(-3.0, 103.0)
    axes.set_ylim(-3.0, 103.0)
    axes.set_xlabel("stated chance of a close above the last (%)")
    axes.set_ylabel("closes above it (%)")
    _finish(axes)


def _by_chance(scored: Scored, places: list[int]) -> tuple[Array, Array]:
    """Mean chance stated and share that came true, in each of `N_BINS` equal bins that is used."""
    rows = [scored.trials.rows[place] for place in places]
    said = np.array([row["own"]["prob_up"] for row in rows])
    came = np.array([row["actual"] > row["last_close"] for row in rows], dtype=np.float64)
    bin_of = np.minimum((said * N_BINS).astype(int), N_BINS - 1)
    count = np.bincount(bin_of, minlength=N_BINS)
    used = count > 0
    sums = (np.bincount(bin_of, weights=each, minlength=N_BINS)[used] for each in (said, came))
    mean_said, mean_came = (each / count[used] for each in sums)
    return mean_said, mean_came


def _look(arm: str) -> dict[str, Any]:
    colour, line, marker = LOOK.get(arm, OTHER)
    return {"color": colour, "linestyle": line, "marker": marker, "markersize": 4}


def _finish(axes: "Axes") -> None:
    axes.grid(axis="y", alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def _told_errors(scored: Scored, places: dict[str, list[int]], about: str) -> str:
    told = [
        f"{arm} {100.0 * scored.trials.own.error[places[arm]].mean():.1f} %"
        for arm in filter(places.get, OVER_TIME)
    ]
    return f"{about}: error at each origin, one line an arm; means {', '.join(told)}"


def _told_shares(scored: Scored, places: dict[str, list[int]], about: str) -> str:
    told = [
        f"{arm} {100.0 * scored.trials.own.covered[chosen].mean():.0f} %"
        for arm in places
        if (chosen := stated(scored, places[arm]))
    ]
    return f"{about}: share of closes inside the stated 90 % intervals; {', '.join(told)}"
