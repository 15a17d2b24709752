"""A belief and its forecasts as tables of plain text, at most 100 columns wide."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from belief.posterior import Belief, LastSession
from belief_tools.forecast_tool import ForecastTool, cents
from belief_tools.receipt import events_in_words

SESSIONS_SHOWN = 21  # ahead, of scheduled events


def print_belief(held: Belief, tool: ForecastTool) -> None:
    """Print what the model believes at the last session, what moved it, and what it moves by."""
    low, high = held.volatility_interval_90
    age = "" if tool.age_in_days is None else f", {tool.age_in_days} days old"
    print(f"{tool.prices.name} ({held.symbol}) as of {held.as_of}, {tool.prices.source}{age}")
    print(f"last close {cents(tool.prices.last_close)}, model {tool.model_in_words}")
    span = (
        ""
        if low == high or not low <= held.volatility <= high
        else f" (90 % of the belief: {low:.0%} to {high:.0%})"
    )
    print(f"volatility {held.volatility:.0%} a year{span}, undecided by {held.entropy:.2f} nats")
    if held.last_session is not None:
        print(last_session_sentence(held.last_session))
    if events := tool.scheduled_events(SESSIONS_SHOWN):
        print(f"scheduled events in {SESSIONS_SHOWN} sessions: {events_in_words(events, 0)}")
    for note in tool.belief_notes:
        print(note)
    _print_regimes(held)
    _print_transitions(held)


def last_session_sentence(last: LastSession) -> str:
    """Say what the last session did to the volatility believed in, and why.

    Args:
        last: what the model says of it.
    """
    return "last session: " + "\n              ".join(last_session_lines(last))


def last_session_lines(last: LastSession) -> list[str]:
    """The same in parts: its return, its range where it had one, and what they did.

    Args:
        last: what the model says of it.
    """
    reaction = " after a scheduled event" if last.event else ""
    lines = [f"return {last.log_return:+.1%}{reaction}, as large in {_one_in(last.return_tail)}"]
    steps = f"{last.volatility_before:.0%} -> {last.volatility_after_return:.0%} by the return"
    if last.range_tail is not None:
        lines.append(f"range, for such a return, as large in {_one_in(last.range_tail)}")
        steps += f" -> {last.volatility_after:.0%} by the range"
    return [*lines, f"volatility believed in: {steps}"]


def _one_in(tail: float) -> str:
    """A probability as people say it.

    Example:
        >>> _one_in(0.9), _one_in(0.11), _one_in(0.00001)
        ('9 sessions of 10', '1 session of 9', '1 session of more than 1,000')
    """
    if tail >= 0.5:
        return f"{10 * tail:.0f} sessions of 10"
    return f"1 session of {1.0 / tail:.0f}" if tail > 0.001 else "1 session of more than 1,000"


def _print_regimes(held: Belief) -> None:
    print("\nregime       belief  before  volatility  sessions left  moves seen")
    for regime in held.regimes:
        print(
            f"{regime.name:<11}{regime.probability:>8.1%}{regime.before:>8.1%}"
            f"{regime.volatility:>12.0%}{regime.remaining_sessions:>15.0f}"
            f"{regime.effective_moves:>12.0f}{' *' if regime.from_prior else ''}"
        )
    if any(regime.from_prior for regime in held.regimes):
        print("* too few moves to estimate from: its row below is that of the static fit")


def _print_transitions(held: Belief) -> None:
    names = [regime.name for regime in held.regimes]
    before = held.year_ago_transition_matrix
    beside = (
        [held.static_transition_matrix]
        if before is None
        else [before, held.static_transition_matrix]
    )
    told = "static fit" if before is None else "a year ago, static fit"
    print(f"\nchance of moving after the last session, in force now ({told})")
    print(" " * 11 + "".join(f"{'to ' + name:>22}" for name in names))
    for place, name in enumerate(names):
        others = zip(*(matrix[place] for matrix in beside), strict=True)
        cells = (
            f"{now:.2%} ({', '.join(f'{value:.1%}' for value in other)})"
            for now, other in zip(held.transition_matrix[place], others, strict=True)
        )
        print(f"{name:<11}" + "".join(f"{cell:>22}" for cell in cells))


def print_forecasts(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print forecasts, one target a line.

    Args:
        rows: target, horizon, median, interval_50, interval_90 and prob_up of each.
    """
    print("\ntarget      sessions      median       50 % between              90 % between    up")
    for row in rows:
        half, wide = (
            f"{cents(row[name][0])} - {cents(row[name][1])}"
            for name in ("interval_50", "interval_90")
        )
        print(
            f"{row['target']}{row['horizon']:>10}{cents(row['median']):>12}"
            f"{half:>26}{wide:>26}{row['prob_up']:>6.0%}"
        )
    sys.stdout.flush()
