"""What the pictures of a tear sheet show, in words and figures."""

from collections.abc import Callable
from typing import Final

import numpy as np

from belief import backtest_sheet as sheet
from belief.backtest_sheet import Share
from belief.backtest_summary import Columns, paired
from belief.track_record import FEWEST_WINDOWS
from belief_tools.evaluation_headline import signed
from belief_tools.report_page import Picture
from belief_tools.tear_sheet_tables import Shown, ahead, interval

BAND: Final = (
    "within the grey band lie, by chance alone and of as many windows as do not overlap, nine in "
    "ten of a calibrated model's"
)
TOLD_LEVEL: Final = 90  # percent, of the interval whose coverage is told


def described(shown: Shown, name: str, svg: str) -> Picture:
    """Put figures in text beside a picture.

    Args:
        shown: the backtest.
        name: of the picture, as `belief.backtest_plots.figures` has it.
        svg: the picture.
    """
    told, caption = TOLD[name]
    figures = told(shown)
    return Picture(svg, figures, f"{caption}. {figures}.")


def _skill(shown: Shown) -> str:
    told = [
        f"{signed(skill.mean, 4)} ({interval(skill)}) {ahead([horizon])}"
        for horizon, skill in shown.skill[shown.model].items()
        if skill is not None
    ]
    few = f"fewer than {FEWEST_WINDOWS} windows that do not overlap at any horizon"
    return f"{shown.model}: {', '.join(told) or few}"


def _gain(shown: Shown) -> str:
    told = []
    for horizon in shown.ends:
        own, base = paired(
            shown.columns(shown.model, horizon), shown.columns(shown.reference, horizon)
        )
        gain = float((own["log_score"] - base["log_score"]).sum())
        told.append(f"{signed(gain, 1)} nats {ahead([horizon])}")
    return f"In all {shown.model}: {', '.join(told)}"


def _pit(shown: Shown) -> str:
    told = [
        f"{row.pit_distance:.3f} {ahead([row.horizon])}"
        for row in shown.rows
        if row.model == shown.model and row.horizon in shown.ends
    ]
    return f"Largest distance to uniform of {shown.model}: {', '.join(told)}{_little(shown)}"


def _reliability(shown: Shown) -> str:
    told = [
        f"{farthest_out(shown.columns(shown.model, horizon))} {ahead([horizon])}"
        for horizon in shown.ends
    ]
    return f"Farthest out for {shown.model}: {', '.join(told)}{_little(shown)}"


def farthest_out(columns: Columns) -> str:
    """Say at which quantile the calibration of a model is worst, and by how much.

    Args:
        columns: of one model at one horizon; of them its "pit".
    """
    pit = np.sort(columns["pit"])
    probability = np.linspace(0.01, 0.99, 99)
    excess = np.searchsorted(pit, probability, side="right") / max(pit.size, 1) - probability
    place = int(np.argmax(np.abs(excess)))
    return (
        f"{signed(100 * float(excess[place]), 1)} points at the "
        f"{100 * probability[place]:.0f} % quantile"
    )


def _little(shown: Shown) -> str:
    """Say at which of the horizons drawn there are too few windows to tell much."""
    few = [
        row.horizon
        for row in shown.rows
        if row.model == shown.model and row.horizon in shown.ends and row.n_windows < FEWEST_WINDOWS
    ]
    windows = f"fewer than {FEWEST_WINDOWS} windows that do not overlap"
    return f". Little can be told {ahead(few)}, of {windows}" if few else ""


def _years(shown: Shown) -> str:
    horizon = shown.horizons[0]
    columns = shown.columns(shown.model, horizon)
    return _shares(shown, sheet.coverage_by_year(columns, TOLD_LEVEL))


def _regimes(shown: Shown) -> str:
    assert shown.states is not None  # or there were no picture
    horizon = shown.horizons[0]
    columns = shown.columns(shown.model, horizon)
    found = sheet.coverage_by_regime(columns, shown.states, TOLD_LEVEL)
    return _shares(shown, found)


def _shares(shown: Shown, found: list[Share]) -> str:
    told = ", ".join(f"{each.group} {100 * each.share:.1f} % of {each.n:,}" for each in found)
    horizon = ahead([shown.horizons[0]])
    return f"Inside the {TOLD_LEVEL} % interval of {shown.model} {horizon}: {told}"


def _staying(shown: Shown) -> str:
    assert shown.states is not None  # or there were no picture
    staying = np.diagonal(shown.states.transmat, axis1=1, axis2=2)
    told = [
        f"{name} from {100 * each.min():.1f} to {100 * each.max():.1f} %, last "
        f"{100 * each[-1]:.1f} %"
        for name, each in zip(shown.states.names, staying.T, strict=True)
    ]
    return f"At the single origins: {', '.join(told)}"


TOLD: Final[dict[str, tuple[Callable[[Shown], str], str]]] = {
    "skill_by_horizon": (
        _skill,
        "Mean log score gained over the reference, nats, with 95 % intervals; above 0 is better, "
        "an interval across 0 is no skill shown",
    ),
    "log_score_gain": (
        _gain,
        "Log score gained over the reference, summed up over the origins, at the shortest and the "
        "longest horizon; rising is better",
    ),
    "pit": (
        _pit,
        "Histograms of the PIT; flat at 1 is calibrated, a hump means intervals too wide, a "
        f"valley too narrow; {BAND} bins",
    ),
    "reliability": (
        _reliability,
        "How often the close came at or below each quantile, less the quantile's probability; "
        f"flat at 0 is calibrated; {BAND} points",
    ),
    "coverage_by_year": (
        _years,
        "Share of closes inside the central intervals by year, with 95 % intervals; hollow: too "
        "few windows to judge by",
    ),
    "coverage_by_regime": (
        _regimes,
        "Share of closes inside the central intervals by the likeliest regime at the origin, with "
        "95 % intervals; hollow: too few windows to judge by",
    ),
    "staying": (
        _staying,
        "Probability of staying one more session in each regime as it was in force at the "
        "origins, means over blocks of them",
    ),
}
