"""price_history: what the closes of a period in the past were, and what a split would change."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from belief.errors import UsageError
from belief.grid_belief import SESSIONS_PER_YEAR
from belief.prices import LARGEST_RATIO, Prices, Split
from belief.sessions import parse_day
from belief_tools.forecast_tool import (
    LONGEST_DAY,
    ForecastResult,
    OfOneSymbol,
    cents,
    money,
    rounded,
    shown,
)

Array = npt.NDArray[np.float64]

NAME: Final = "price_history"
USUAL_SESSIONS: Final = 21  # up to as_of, where no first day is given
MOST_PARTS: Final = 20  # of the smaller number in a ratio such as 3-for-2
MOST_SPLITS: Final = 6  # that a language model is shown, the latest

PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "symbol": {"type": "string", "description": "Ticker symbol, for example NVDA."},
        "first_date": {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "description": "First day of the period, as YYYY-MM-DD; null for "
            f"{USUAL_SESSIONS} trading sessions up to last_date.",
        },
        "last_date": {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "description": "Last day of the period, as YYYY-MM-DD, not after the last known "
            "close; null for that day.",
        },
    },
    "required": ["symbol", "first_date", "last_date"],
    "additionalProperties": False,
}

DEFINITION: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "What a stock's closing prices in a past period were: first, last, highest, "
        "lowest and mean close, change, volatility and splits. It says nothing of the future.",
        "strict": True,
        "parameters": PARAMETERS,
    },
}


@dataclass(frozen=True)
class HistoryResult:
    """The closes of a period: plain values, in dollars as quoted on as_of.

    Attributes:
        summary: up to three sentences that already answer.
        symbol, currency, as_of, last_close: what is known.
        first_date, last_date: first and last session of the period, ISO dates.
        sessions: how many it has.
        first_close, final_close: closes of its first and its last session.
        change: final close over first close, less 1.
        close_before: close of the session before the period; None where the prices begin with it.
        change_from_before: final close over that one, less 1.
        highest, lowest: {"close", "session"}; of equal ones the earliest.
        mean_close: arithmetic mean.
        volatility: annualised sample standard deviation of the log returns between the closes of
            the period; None for fewer than three closes.
        splits: {"session", "ratio"} of each split in the period, new shares for one old share.
        last_split: the same of the last one by as_of, None where there was none.
        age_in_days: calendar days from as_of to today; None when as_of was asked for.
        source: where the prices come from.
        notes: what else has to be said.
    """

    summary: str
    symbol: str
    currency: str
    as_of: str
    last_close: float
    first_date: str
    last_date: str
    sessions: int
    first_close: float
    final_close: float
    change: float
    close_before: float | None
    change_from_before: float | None
    highest: dict[str, Any]
    lowest: dict[str, Any]
    mean_close: float
    volatility: float | None
    splits: list[dict[str, Any]]
    last_split: dict[str, Any] | None
    age_in_days: int | None
    source: str
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The fields in order, as plain values."""
        return asdict(self)

    def to_json(self) -> str:
        """What the language model is shown: the fields in fewer words, those without use left out.

        Splits are {session: ratio}, the latest of many, and the last one is not said twice.
        """
        fields = {name: value for name, value in self.to_dict().items() if value is not None}
        fields["splits"] = {each["session"]: each["ratio"] for each in self.splits[-MOST_SPLITS:]}
        if self.splits:
            del fields["last_split"]
        return json.dumps(fields, separators=(",", ":"))


def run(tool: OfOneSymbol, arguments: Mapping[str, Any]) -> HistoryResult:
    """Sum up the closes of a period, as known at the last session of the tool.

    Args:
        tool: holds the prices.
        arguments: of a call, whoever wrote them.

    Raises:
        UsageError: an argument is missing, unknown or out of range; the text says what to do.
    """
    tool.check_call(NAME, PARAMETERS, arguments)
    prices = tool.prices
    first, last = (_day(name, arguments.get(name)) for name in ("first_date", "last_date"))
    rows = _period(prices, first, last)
    fields: dict[str, Any] = {
        "symbol": prices.symbol,
        "currency": prices.currency,
        "as_of": str(prices.as_of),
        "last_close": rounded(prices.last_close),
        **_closes(prices, rows),
        **_splits(prices, rows),
        "age_in_days": tool.age_in_days,
        "source": prices.source,
        "notes": _notes(prices),
    }
    return HistoryResult(summary=_summary(prices, rows, fields), **fields)


def _closes(prices: Prices, rows: slice) -> dict[str, Any]:
    quoted = prices.quoted_close()
    close, session = quoted[rows], prices.session[rows]
    before = float(quoted[rows.start - 1]) if rows.start else None
    first, final = float(close[0]), float(close[-1])
    high, low = int(close.argmax()), int(close.argmin())
    return {
        "first_date": str(session[0]),
        "last_date": str(session[-1]),
        "sessions": len(close),
        "first_close": rounded(first),
        "final_close": rounded(final),
        "change": _change(first, final),
        "close_before": None if before is None else rounded(before),
        "change_from_before": None if before is None else _change(before, final),
        "highest": {"close": rounded(close[high]), "session": str(session[high])},
        "lowest": {"close": rounded(close[low]), "session": str(session[low])},
        "mean_close": rounded(float(close.mean())),
        "volatility": _volatility(close),
    }


def _splits(prices: Prices, rows: slice) -> dict[str, Any]:
    first, last = prices.session[rows][[0, -1]]
    splits = _real_splits(prices)
    return {
        "splits": [_plain(each) for each in splits if first <= each.session <= last],
        "last_split": _plain(splits[-1]) if splits else None,
    }


def change_in_words(change: float) -> str:
    """Say a relative change, in whole percent from 10 % on.

    Example:
        >>> change_in_words(1.788), change_in_words(-0.1697), change_in_words(0.026)
        ('up 179 %', 'down 17 %', 'up 2.6 %')
        >>> change_in_words(0.0001)
        'unchanged'
    """
    share = 100.0 * abs(change)
    if share < 0.05:
        return "unchanged"
    return f"{'up' if change > 0.0 else 'down'} {share:,.{1 if share < 9.95 else 0}f} %"


def if_split(result: ForecastResult, ratio: float | None, prices: Prices | None = None) -> str:
    """Say what a split would do to the figures of a forecast: divide prices, leave chances.

    Args:
        result: the forecast, in dollars as quoted on its as_of.
        ratio: new shares for one old share (10 is 10-for-1), or None where the question names none.
        prices: those of the forecast, to name the company and its last split by as_of; None to
            leave that out.

    Raises:
        UsageError: the ratio is none that a split can have.
    """
    if ratio is None:
        told = (
            "A split changes the quote, not the value: a 2-for-1 split, say, would halve every "
            "price of this forecast; every chance stays."
        )
    else:
        told = _divided(result, ratio)
    return " ".join([told, *_last_split_in_words(result, prices)])


def _divided(result: ForecastResult, ratio: float) -> str:
    if not 1.0 / LARGEST_RATIO <= ratio <= LARGEST_RATIO or ratio == 1.0:  # NaN is refused too
        raise UsageError(
            f"{shown(ratio)} is not the ratio of a split; give new shares for one old share, from "
            f"1/{LARGEST_RATIO:g} to {LARGEST_RATIO:g}, such as 10 for 10-for-1"
        )
    median, low, high = (
        money(rounded(price / ratio)) for price in (result.median, *result.interval_90)
    )
    levels = ", at levels divided the same way" if result.prob_above else ""
    reverse = " reverse" if ratio < 1.0 else ""
    return (
        f"{_article(ratio)} {ratio_in_words(ratio)}{reverse} split changes the quote, not the "
        f"value: the same forecast would read {median}, with 90 % between {low} and {high}; "
        f"every chance stays{levels}."
    )


def _article(ratio: float) -> str:
    return "An" if re.match(r"8|11-|18-", ratio_in_words(ratio)) else "A"


def ratio_in_words(ratio: float) -> str:
    """Say the ratio of a split as people do.

    Example:
        >>> ratio_in_words(10.0), ratio_in_words(1.5), ratio_in_words(0.05)
        ('10-for-1', '3-for-2', '1-for-20')
    """
    larger = max(ratio, 1.0 / ratio)
    whole = Fraction(larger).limit_denominator(MOST_PARTS)
    if not math.isclose(whole, larger, rel_tol=1e-4):
        return f"{ratio:g}-for-1"
    many, few = whole.numerator, whole.denominator
    return f"{many}-for-{few}" if ratio > 1.0 else f"{few}-for-{many}"


def _last_split_in_words(result: ForecastResult, prices: Prices | None) -> list[str]:
    if prices is None:
        return []
    known = [each for each in _real_splits(prices) if str(each.session) <= result.as_of]
    if not known:
        return []
    last = known[-1]
    return [f"The last split of {prices.name} was {ratio_in_words(last.ratio)} on {last.session}."]


def _real_splits(prices: Prices) -> list[Split]:
    # a ratio of 1 declares that a jump of the price was real
    return [each for each in prices.splits if each.ratio != 1.0]


def _plain(split: Split) -> dict[str, Any]:
    return {"session": str(split.session), "ratio": round(split.ratio, 6)}


def _day(name: str, value: object) -> tuple[str, np.datetime64 | None]:
    """An argument with its name, None for null."""
    if value is None:
        return name, None
    if not isinstance(value, str) or len(value) > LONGEST_DAY:
        raise UsageError(f"{name} is {shown(value)}; give a day as YYYY-MM-DD, or null")
    return name, parse_day(value)


def _period(
    prices: Prices, first: tuple[str, np.datetime64 | None], last: tuple[str, np.datetime64 | None]
) -> slice:
    """Find the rows of the sessions from the first to the last day."""
    session = prices.session
    valid = f"give a day from {session[0]} to {session[-1]}, or null"
    for name, day in (first, last):
        if day is not None and day > session[-1]:
            raise UsageError(f"{name} {day} is after the last known session {session[-1]}; {valid}")
        if day is not None and day < session[0]:
            raise UsageError(f"{name} {day} is before the first session {session[0]}; {valid}")
    end = session.size if last[1] is None else int(np.searchsorted(session, last[1], "right"))
    if first[1] is None:
        return slice(max(end - USUAL_SESSIONS, 0), end)
    start = int(np.searchsorted(session, first[1]))
    if last[1] is not None and first[1] > last[1]:
        raise UsageError(
            f"first_date {first[1]} is after last_date {last[1]}; give the earlier day first, both "
            f"from {session[0]} to {session[-1]}"
        )
    if start >= end:
        raise UsageError(
            f"no session lies from first_date {first[1]} to last_date {last[1]}; "
            f"the sessions beside them are {session[end - 1]} and {session[start]}"
        )
    return slice(start, end)


def _volatility(close: Array) -> float | None:
    if close.size < 3:
        return None
    return round(float(np.diff(np.log(close)).std(ddof=1) * math.sqrt(SESSIONS_PER_YEAR)), 4)


def _change(before: float, after: float) -> float:
    return round(after / before - 1.0, 4) + 0.0  # never -0.0


def _notes(prices: Prices) -> list[str]:
    if prices.splits_known:
        return [f"all prices in dollars of {prices.as_of}"]
    return ["the CSV file lists no splits, so its prices are taken as they stand"]


def _summary(prices: Prices, rows: slice, fields: Mapping[str, Any]) -> str:
    rescaled = prices.split_factor()[rows.start] != 1.0
    basis = f" (in dollars of {prices.as_of})" if rescaled else ""
    final, splits = cents(fields["final_close"]), _splits_in_words(prices, fields)
    if fields["sessions"] == 1:
        moved = fields["change_from_before"]
        since = "" if moved is None else f", {change_in_words(moved)} from the close before"
        return f"{prices.name} closed at {final} on {fields['last_date']}{since}{basis}. {splits}"
    highest, lowest = (
        f"{cents(fields[name]['close'])} on {fields[name]['session']}"
        for name in ("highest", "lowest")
    )
    return (
        f"From {fields['first_date']} to {fields['last_date']} ({fields['sessions']:,} sessions) "
        f"{prices.name} went from {cents(fields['first_close'])} to {final}, "
        f"{change_in_words(fields['change'])}{_from_before(fields)}{basis}. "
        f"The highest close was {highest}, the lowest {lowest}, "
        f"the mean {cents(fields['mean_close'])}{_volatility_in_words(fields)}. {splits}"
    )


def _from_before(fields: Mapping[str, Any]) -> str:
    """Say the change as years and months are usually compared."""
    if fields["close_before"] is None:
        return ""
    moved = change_in_words(fields["change_from_before"])
    return f", or {moved} from the close before, {cents(fields['close_before'])}"


def _volatility_in_words(fields: Mapping[str, Any]) -> str:
    if fields["volatility"] is None:
        return ""
    return f"; volatility was {100.0 * fields['volatility']:.0f} % a year"


def _splits_in_words(prices: Prices, fields: Mapping[str, Any]) -> str:
    if not prices.splits_known:
        return "Whether it split is not known."
    if not fields["splits"]:
        last = fields["last_split"]
        beside = "" if last is None else f"; the last one known was {_dated(last)}"
        return f"It did not split in that time{beside}."
    *earlier, latest = [_dated(each) for each in fields["splits"][-MOST_SPLITS:]]
    hidden = len(fields["splits"]) - len(earlier) - 1
    more = f"{hidden} times, then " if hidden else ""
    return f"It split {more}{', '.join(earlier)}{' and ' if earlier else ''}{latest}."


def _dated(split: Mapping[str, Any]) -> str:
    return f"{ratio_in_words(split['ratio'])} on {split['session']}"
