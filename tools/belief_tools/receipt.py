"""What our own code says beside a language model: the belief's statement, and the receipt."""

from collections.abc import Mapping, Sequence
from typing import Any

from belief_tools.forecast_tool import ForecastResult, cents, money

HOW = {
    "model": "the model called the tool",
    "arguments": "the model wrote the call as JSON",
    "host": "consulted by host: this program made the call, not the model",
    "context": "the belief was put in the prompt",
}


def statement(result: ForecastResult) -> str:
    """The belief's own answer, made of its figures alone.

    Args:
        result: of the tool.
    """
    return f"{result.summary}. {chances_in_words(result)}"


def chances_in_words(result: ForecastResult) -> str:
    """Say the chance of a rise and those of the levels asked for."""
    up = f"The chance of a close above the last close is {percent(result.prob_up)}."
    return f"{up} {levels_in_words(result)}".strip()


def levels_in_words(result: ForecastResult, *, below: bool = False) -> str:
    """Say the chance of a close above each level asked for; empty without levels.

    Args:
        result: of the tool.
        below: say that of a close below instead.
    """
    side = "below" if below else "above"
    chances = [
        1.0 - each["probability"] if below else each["probability"] for each in result.prob_above
    ]
    said = [
        f"The chance of a close {side} {level_in_words(each['level'])} on {result.target} "
        f"is {percent(chance)}."
        for each, chance in zip(result.prob_above, chances, strict=True)
    ]
    if len(chances) == 2:
        low, high = sorted(each["level"] for each in result.prob_above)
        said.append(
            f"That of a close between {level_in_words(low)} and {level_in_words(high)} "
            f"is {percent(abs(chances[0] - chances[1]))}."
        )
    return " ".join(said)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def level_in_words(level: float) -> str:
    """Say a level as it was asked for: whole dollars only where there are no cents.

    Args:
        level: in the currency of the prices.
    """
    return money(level) if level == round(level) else cents(level)


def receipt(result: ForecastResult, consulted_by: str, model: str | None) -> tuple[str, ...]:
    """Say what an answer rests on, line by line.

    Args:
        result: of the tool.
        consulted_by: how the consultation happened.
        model: name of the language model, or None.
    """
    regime = max(result.regimes, key=lambda entry: float(entry["probability"]))
    age = "" if result.age_in_days is None else f", {result.age_in_days} days old"
    half, wide = result.interval_50, result.interval_90
    return (
        f"as of {result.as_of}, {result.source}{age}; last close {cents(result.last_close)}",
        f"target {result.target}, {_counted(result.horizon, 'session')} ahead: "
        f"median {cents(result.median)}, "
        f"50 % {cents(half[0])} to {cents(half[1])}, 90 % {cents(wide[0])} to {cents(wide[1])}",
        f"regime {regime['name']} ({percent(regime['probability'])}), "
        f"volatility {100 * result.volatility:.0f} % a year",
        *record_in_words(result.track_record),
        *[
            f"chance of a close above {level_in_words(entry['level'])} on that day (not of "
            f"touching it before): {percent(entry['probability'])}"
            for entry in result.prob_above
        ],
        *(
            [f"scheduled events: {events_in_words(result.scheduled_events, result.later_events)}"]
            if result.scheduled_events
            else []
        ),
        f"model {result.model}",
        f"{HOW[consulted_by]}; language model {model or 'none'}; forecast {result.forecast_id}",
        *result.notes,
    )


def left_out(symbol: str, others: Sequence[str]) -> str:
    """Say which companies of a question are not answered for.

    Args:
        symbol: the one that is.
        others: the rest.
    """
    named = ", ".join(others)
    return f"only {symbol} is answered for, not {named}; belief refit SYMBOL fetches others"


def record_in_words(record: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Say how good such forecasts were, and in how many windows that do not overlap.

    Args:
        record: of a `ForecastResult`.

    Example:
        >>> record = {"horizon": 21, "source": "backtest", "first": "2013-01-02"}
        >>> record |= {"last": "2025-02-14", "coverage_90": 0.895, "origins": 3029}
        >>> record |= {"windows": 145, "verdict": "no skill over a random walk or GARCH-t"}
        >>> coverage, skill = record_in_words(record)
        >>> coverage.partition(":")[2]
        ' 90 % intervals held 89.5 % of 3,029 closes'
        >>> print(skill)
        backtest with 145 windows that do not overlap: no skill over a random walk or GARCH-t
        >>> record_in_words(None)
        ('track record: none',)
    """
    if record is None:
        return ("track record: none",)
    apart = "" if record["windows"] == 1 else " that do not overlap"
    return (
        f"track record {_counted(record['horizon'], 'session')} ahead, {record['first']} to "
        f"{record['last']}: 90 % intervals held {100 * record['coverage_90']:.1f} % of "
        f"{_counted(record['origins'], 'close')}",
        f"{record['source']} with {_counted(record['windows'], 'window')}{apart}: "
        f"{record['verdict']}",
    )


def events_in_words(events: Sequence[Mapping[str, Any]], later: int) -> str:
    """Name the sessions that are expected to react to scheduled events, with what is unsure.

    Args:
        events: of a `ForecastResult`.
        later: how many more there are.

    Example:
        >>> events_in_words([{"session": "2025-02-27", "announced": True, "probability": 1.0}], 2)
        '2025-02-27, and 2 more'
    """
    named = [
        event["session"]
        if event["announced"]
        else f"about {event['session']} ({percent(event['probability'])} by the target)"
        for event in events
    ]
    return ", ".join(named) + (f", and {later} more" if later else "")


def percent(share: float) -> str:
    """A probability in whole percent, never rounded to certainty."""
    if share < 0.01:
        return "under 1 %"
    return "over 99 %" if share > 0.99 else f"{100 * share:.0f} %"
