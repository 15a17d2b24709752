"""The pictures of a track record: coverage, skill and calibration, with their figures in words."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from belief import backtest_plots as plots
from belief.backtest_plots import Slice
from belief.backtest_sheet import Share, coverage_by_horizon
from belief.backtest_summary import Columns
from belief.plots import title
from belief.track_record import FEWEST_WINDOWS, MODEL, REFERENCES, TOO_FEW, Skill, TrackRecord
from belief_tools.evaluation_headline import signed
from belief_tools.forecast_tool import ForecastTool
from belief_tools.page_picture import Panels, Told, page_picture
from belief_tools.record_tool import forecasts_behind
from belief_tools.report_page import Picture
from belief_tools.tear_sheet_pictures import BAND, farthest_out
from belief_tools.tear_sheet_tables import ahead

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS: Final = (50, 90)  # central intervals, percent
BELOW: Final = 0.75  # inches that ticks of two lines and the name of their axis take
APART: Final = 1.05  # inches between panels that have titles of their own


def coverage(tool: ForecastTool, records: Sequence[TrackRecord]) -> Picture:
    """Draw how often the intervals held, by horizon.

    Args:
        tool: whose track record.
        records: of it, by horizon; at least one.
    """
    columns = {each.horizon: _columns(tool, each, MODEL) for each in records}
    shares = {level: coverage_by_horizon(columns, level) for level in LEVELS}
    windows = {each.horizon: each.windows for each in records}

    def draw(panels: Sequence["Axes"]) -> None:
        for axes, (level, of) in zip(panels, shares.items(), strict=True):
            plots.coverage_by_horizon(axes, of, windows, level=level, model=MODEL)
        _share_ticks(panels)
        named = f"{tool.prices.symbol}: closes inside the central intervals, by horizon"
        few = f"hollow: fewer than {FEWEST_WINDOWS} windows"
        title(panels[0], named, f"{_extent(records)}; bars: 95 % intervals ({few})", size=10)

    told = Told(
        "Share of closes inside the central 50 and 90 % intervals, with 95 % intervals from as "
        "many windows as do not overlap",
        "; ".join(_shares_in_figures(shares, place) for place in range(len(records))),
    )
    return page_picture("coverage", Panels(len(LEVELS), 1.4, 0.2, BELOW), told, draw)


def skill(tool: ForecastTool, records: Sequence[TrackRecord]) -> Picture:
    """Draw the mean log score gained over each reference, by horizon.

    Args:
        tool: whose track record.
        records: of it, by horizon; at least one.
    """
    windows = {each.horizon: each.windows for each in records}

    def draw(panels: Sequence["Axes"]) -> None:
        for axes, reference in zip(panels, REFERENCES, strict=True):
            gained = {each.horizon: each.skill[reference] for each in records}
            plots.skill_by_horizon(axes, {MODEL: gained}, windows, reference)
        _share_ticks(panels)
        over = " and ".join(REFERENCES.values())
        named = f"{tool.prices.symbol}: mean log score gained over {over}; above 0 is better"
        title(panels[0], named, f"{_extent(records)}; bars: 95 % intervals (HAC)", size=10)

    figures = [
        f"over {words} "
        + ", ".join(f"{in_figures(each.skill[name])} {ahead([each.horizon])}" for each in records)
        for name, words in REFERENCES.items()
    ]
    told = Told(
        "Mean log score gained a forecast, nats, with 95 % intervals; one across 0 is no skill "
        "shown",
        f"Gained {'; '.join(figures)}",
    )
    return page_picture("skill", Panels(len(REFERENCES), 1.4, 0.2, BELOW), told, draw)


def calibration(tool: ForecastTool, records: Sequence[TrackRecord]) -> Picture:
    """Draw how often closes came at or below each quantile, at the shortest and longest horizon.

    Args:
        tool: whose track record.
        records: of it, by horizon; at least one.
    """
    ends = [*records[:1], *records[1:][-1:]]
    slices = [_slice(tool, each) for each in ends]

    def draw(panels: Sequence["Axes"]) -> None:
        for axes, shown in zip(panels, slices, strict=True):
            plots.reliability(axes, shown)

    figures = [f"{farthest_out(s.of_model[MODEL])} {ahead([s.horizon])}" for s in slices]
    told = Told(
        "How often the close came at or below each quantile, less the quantile's probability; "
        f"flat at 0 is calibrated; {BAND} points",
        f"Farthest out for {MODEL}: {', '.join(figures)}",
    )
    return page_picture("calibration", Panels(len(ends), 1.7, APART), told, draw)


def in_figures(found: Skill | None) -> str:
    """A skill as figures, or that there is too little to judge by.

    Args:
        found: nats a forecast.
    """
    if found is None:
        return TOO_FEW
    low, mean, high = (signed(value, 3) for value in found)
    return f"{mean} ({low} to {high})"


def _columns(tool: ForecastTool, record: TrackRecord, model: str) -> Columns:
    return vars(forecasts_behind(tool, record).of(model, record.horizon))


def _slice(tool: ForecastTool, record: TrackRecord) -> Slice:
    """The model, and the references that its record compares it with."""
    models = [MODEL, *(name for name, found in record.skill.items() if found is not None)]
    columns = {model: _columns(tool, record, model) for model in models}
    return Slice(tool.prices.symbol, record.horizon, MODEL, columns)


def _shares_in_figures(shares: Mapping[int, Sequence[Share]], place: int) -> str:
    told = [f"{100.0 * of[place].share:.1f} % inside {level} %" for level, of in shares.items()]
    horizon = next(iter(shares.values()))[place].group
    return f"{' and '.join(told)} {ahead([int(horizon)])}"


def _extent(records: Sequence[TrackRecord]) -> str:
    sources = " and ".join(dict.fromkeys(each.source for each in records))
    first, last = min(each.first for each in records), max(each.last for each in records)
    return f"{sources}, origins from {first}, targets to {last}"


def _share_ticks(panels: Sequence["Axes"]) -> None:
    """Leave the ticks of panels with the same horizons to the lowest."""
    for axes in panels[:-1]:
        axes.tick_params(axis="x", labelbottom=False)
        axes.set_xlabel("")
