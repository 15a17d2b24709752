"""What a page shows of a belief: its forecasts, its volatility, its regimes and its record.

Each section is of a tool, and so of what was known at its last session. What came after is shown
only where it is handed over, and only beside the forecast.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from belief import models
from belief.backtest_sheet import counted
from belief.forecast import Forecast
from belief.posterior import Belief
from belief.prices import Closes, Prices
from belief.sessions import horizon_of, session_after
from belief.track_record import MODEL, REFERENCES, TrackRecord
from belief.view import View
from belief_tools import belief_tool, looking_pictures, record_pictures, record_tool
from belief_tools.belief_table import last_session_lines
from belief_tools.forecast_tool import ForecastTool, cents, money, summary
from belief_tools.history_tool import change_in_words
from belief_tools.picture import HORIZONS
from belief_tools.receipt import events_in_words, percent
from belief_tools.report_page import Section, Table

Array = npt.NDArray[np.float64]

BEYOND: Final = 21  # sessions from one point of the fan to the next, after `HORIZONS`
INSIDE: Final = {  # narrowest interval that holds a close -> in words
    0.5: "inside the 50 % interval",
    0.9: "outside the 50 % interval, inside the 90 % interval",
    1.0: "outside the 90 % interval",
}


def standing_words(tool: ForecastTool) -> tuple[str, ...]:
    """Say as of when the page stands, and what it rests on, a sentence each."""
    age = "" if tool.age_in_days is None else f", {tool.age_in_days} days old"
    return (
        f"{tool.prices.name} ({tool.prices.symbol}) as of {tool.prices.as_of}: last close "
        f"{cents(tool.prices.last_close)}.",
        f"Prices: {tool.prices.source}{age}.",
        f"Model: {tool.model_in_words}.",
    )


def forecast_section(
    tool: ForecastTool,
    *,
    target: np.datetime64 | None = None,
    came: Prices | None = None,
    view: View | None = None,
) -> Section:
    """Show the forecasts as a fan, and what is to be said of a target.

    Args:
        tool: as of the day in question.
        target: the session asked about, see `belief.models.target_session`; None for none.
        came: the uncut prices, to show what came after as well; None to show nothing of it.
        view: what a person thinks of the target, in dollars of as_of.

    Raises:
        ValueError: the target is no session ahead, a view has no target, or what came is of
            another symbol.
    """
    if came is not None and came.symbol != tool.prices.symbol:
        raise ValueError(f"prices of {came.symbol} are not what came of {tool.prices.symbol}")
    fan = _fan(tool, target)
    asked = next((forecast for forecast in fan if forecast.target == target), None)
    later = None if came is None else came.closes_after(tool.prices.as_of)
    about = fan[-1] if asked is None else asked
    words = [
        f"{summary(tool.prices.name, about)}. The chance of a close above the last close is "
        f"{percent(about.prob_up)}; that is drift alone, direction can hardly be forecast.",
        _events(tool, about.horizon),
        *([_viewed(view)] if view is not None else []),
        *([_what_came(tool, about, later, came)] if came is not None and later is not None else []),
    ]
    picture = looking_pictures.fan(tool, fan, asked, later, view)
    return Section("The price ahead", words, [_targets(fan)], [picture])


def belief_section(tool: ForecastTool) -> Section:
    """Show the belief about the next session's volatility, and the regimes it adds up to."""
    held = models.belief(tool.fitted)
    told = belief_tool.run(tool, {"symbol": tool.prices.symbol})
    words = [told.summary]
    if held.last_session is not None:
        lines = "; ".join(last_session_lines(held.last_session))
        words.append(f"The last session: {lines.replace('return', 'log return', 1)}.")
    words += [f"{note[:1].upper()}{note[1:]}." for note in told.notes]
    return Section("Volatility now", words, [_regimes(held)], [looking_pictures.volatility(held)])


def regimes_section(tool: ForecastTool) -> Section:
    """Show the regimes over time, and the probabilities of moving between them now."""
    held = models.belief(tool.fitted)
    regime, place = held.regime, held.regimes.index(held.regime)
    beside = ", ".join(
        f"{when} {100.0 * matrix[place, place]:.1f} %" for when, matrix in _others(held)
    )
    words = (
        f"Most likely now is {regime.name}, with {percent(regime.probability)}. If that is so, it "
        f"stays for the next session with "
        f"{100.0 * held.transition_matrix[place, place]:.1f} % ({beside}). Regimes are relative to "
        f"the history of {tool.prices.name} itself."
    )
    drawn = [looking_pictures.regimes(tool, held), looking_pictures.staying(tool, held)]
    return Section("Regimes over time", [words], [_transitions(held)], drawn)


def record_section(tool: ForecastTool) -> Section:
    """Show how good such forecasts were, by the outcomes known at the last session."""
    records = record_tool.records_of(tool)
    told = record_tool.summary(tool, records)
    if not records:
        return Section("Track record", [told])
    drawn = [
        record_pictures.coverage(tool, records),
        record_pictures.skill(tool, records),
        record_pictures.calibration(tool, records),
    ]
    return Section("Track record", [told, _above(tool, records)], [_records(records)], drawn)


def _above(tool: ForecastTool, records: Sequence[TrackRecord]) -> str:
    """Say how often the close came above the median, which intervals alone do not tell."""
    shares = []
    for each in records:
        pit = record_tool.forecasts_behind(tool, each).of(MODEL, each.horizon).pit
        share = 100.0 * float((pit > 0.5).mean())
        shares.append(f"{share:.1f} % of the closes {counted(each.horizon, 'session')} ahead")
    return f"Above the median came {', '.join(shares)}; of a calibrated forecast's, half do."


def _fan(tool: ForecastTool, target: np.datetime64 | None) -> list[Forecast]:
    """The belief's forecasts, close together first, on to the target where that is later."""
    as_of = tool.prices.as_of
    ahead = {*HORIZONS}
    if target is not None:
        asked = horizon_of(as_of, target)
        ahead |= {asked, *range(HORIZONS[-1] + BEYOND, asked, BEYOND)}
    targets = [session_after(as_of, horizon) for horizon in sorted(ahead)]
    return models.forecasts(tool.fitted, tool.prices, targets)


def _events(tool: ForecastTool, horizon: int) -> str:
    sessions = f"{horizon} session{'' if horizon == 1 else 's'}"
    events = tool.scheduled_events(horizon)
    if not events:
        return f"No scheduled event is expected in {sessions}."
    return f"Scheduled events in {sessions}: {events_in_words(events, 0)}."


def _viewed(view: View) -> str:
    return (
        f"Your view: {money(view.median)}, 90 % chance between {money(view.low)} and "
        f"{money(view.high)}, with a confidence of {100.0 * view.confidence:.0f} % against the "
        f"belief."
    )


def _what_came(tool: ForecastTool, about: Forecast, later: Closes, came: Prices) -> str:
    """Say what came of a forecast, or of an earlier one as far as is known."""
    reached = later.session[later.session <= about.target]
    if not reached.size:
        return f"These prices have nothing after {about.origin} up to {about.target}."
    day, close = reached[-1], float(later.close[reached.size - 1])
    forecast, so_far = about, "What came"
    if day != about.target:
        forecast = models.forecasts(tool.fitted, tool.prices, [day])[0]
        so_far = f"These prices have no close of {about.target}; what came before it"
    held = next(level for level in INSIDE if level == 1.0 or _holds(forecast, level, close))
    return (
        f"{so_far}: on {day} the close was {cents(close)} "
        f"({change_in_words(close / about.last_close - 1.0)}), {INSIDE[held]} of that day"
        f"{_split(came, about.origin, day)}."
    )


def _holds(forecast: Forecast, level: float, close: float) -> bool:
    low, high = forecast.interval(level)
    return low <= close <= high


def _split(came: Prices, origin: np.datetime64, day: np.datetime64) -> str:
    """Say in which dollars a close is, where shares were split since the forecast."""
    told = [
        f"{split.ratio:g} for 1 on {split.session}"
        for split in came.splits
        if origin < split.session <= day and split.ratio != 1.0
    ]
    return f", in dollars of {origin}, before the split of {', '.join(told)}" if told else ""


def _targets(fan: Sequence[Forecast]) -> Table:
    head = ["target", "sessions", "median", "50 % between", "90 % between", "up"]
    rows = [
        [
            str(forecast.target),
            str(forecast.horizon),
            cents(forecast.median),
            *(" to ".join(map(cents, forecast.interval(level))) for level in (0.5, 0.9)),
            percent(forecast.prob_up),
        ]
        for forecast in fan
    ]
    return Table("Forecasts by target, in figures", head, rows, folded=True)


def _regimes(held: Belief) -> Table:
    head = ["regime", "belief", "before", "next session", "volatility", "sessions left"]
    now = np.array([regime.probability for regime in held.regimes])
    ahead = (now @ held.transition_matrix).tolist()
    rows = [
        [
            regime.name,
            *(f"{100.0 * share:.1f} %" for share in (regime.probability, regime.before, following)),
            f"{100.0 * regime.volatility:.0f} %",
            f"{regime.remaining_sessions:,.0f}",
        ]
        for regime, following in zip(held.regimes, ahead, strict=True)
    ]
    caption = f"The regimes at the close of {held.as_of}, before it, and in the session after it"
    return Table(caption, head, rows, folded=True)


def _others(held: Belief) -> Iterator[tuple[str, Array]]:
    """The matrices that stand beside the one in force."""
    if held.year_ago_transition_matrix is not None:
        yield "a year ago", held.year_ago_transition_matrix
    yield "static fit", held.static_transition_matrix


def _transitions(held: Belief) -> Table:
    names = [regime.name for regime in held.regimes]
    others = dict(_others(held))
    rows = []
    for place, name in enumerate(names):
        beside = zip(*(matrix[place].tolist() for matrix in others.values()), strict=True)
        cells = (
            f"{100.0 * now:.2f} % ({', '.join(f'{100.0 * other:.1f} %' for other in each)})"
            for now, each in zip(held.transition_matrix[place].tolist(), beside, strict=True)
        )
        rows.append([name, *cells])
    caption = (
        f"Chance of moving in the session after {held.as_of}, in force now ({', '.join(others)})"
    )
    return Table(caption, ["from", *(f"to {name}" for name in names)], rows)


def _records(records: Sequence[TrackRecord]) -> Table:
    head = ["sessions ahead", "source", "first origin", "last target", "forecasts", "windows"]
    head += ["inside 50 %", "inside 90 %", *(f"over {words}" for words in REFERENCES.values())]
    rows = [
        [
            f"{each.horizon:,}",
            each.source,
            str(each.first),
            str(each.last),
            f"{each.origins:,}",
            f"{each.windows:,}",
            *(f"{100.0 * share:.1f} %" for share in (each.coverage_50, each.coverage_90)),
            *(record_pictures.in_figures(each.skill[name]) for name in REFERENCES),
            each.verdict,
        ]
        for each in records
    ]
    caption = (
        "Track record by horizon: closes inside the intervals, and mean log score gained, nats, "
        "with its 95 % interval; windows are those that do not overlap"
    )
    return Table(caption, [*head, "verdict"], rows, folded=True)
