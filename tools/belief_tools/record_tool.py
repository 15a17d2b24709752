"""track_record: how often forecasts such as these were right, as known at the last close."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from belief.backtest import HORIZONS
from belief.errors import UsageError
from belief.models import MAX_HORIZON
from belief.track_record import FEWEST_WINDOWS, MODEL, Scored, TrackRecord, bundled_scores
from belief_tools.forecast_tool import ForecastTool, shown

NAME: Final = "track_record"
# Of several records a language model is shown only this; the summary says the rest.
SHOWN_OF_SEVERAL: Final = ("origins", "windows", "coverage_50", "coverage_90")

PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "symbol": {"type": "string", "description": "Ticker symbol, for example NVDA."},
        "horizon": {
            "anyOf": [{"type": "integer"}, {"type": "null"}],
            "description": f"Trading sessions ahead, from 1 to {MAX_HORIZON}; a month has about "
            f"21. Null for a table over {', '.join(map(str, HORIZONS))}.",
        },
    },
    "required": ["symbol", "horizon"],
    "additionalProperties": False,
}

DEFINITION: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "How good earlier forecasts of a stock's price were: how often closes fell "
        "in the 50 % and 90 % intervals, and whether the forecasts beat a random walk and GARCH.",
        "strict": True,
        "parameters": PARAMETERS,
    },
}


@dataclass(frozen=True)
class RecordResult:
    """The track record at one horizon or at several: plain values.

    Attributes:
        summary: up to three sentences that already answer.
        symbol, as_of: whose forecasts, and the last session whose outcomes count.
        records: of each horizon with enough outcomes, {horizon, source, first and last day,
            origins, windows that do not overlap, coverage_50 and coverage_90 as shares of the
            closes that the interval held, skill_random_walk and skill_garch_t as [low, mean,
            high]: mean log score gained on the reference in nats a forecast, with its 95 %
            interval, null where windows are too few, verdict in words}; empty where none is known.
        source: where the prices come from.
    """

    summary: str
    symbol: str
    as_of: str
    records: list[dict[str, Any]]
    source: str

    def to_dict(self) -> dict[str, Any]:
        """The fields in order, as plain values."""
        return asdict(self)

    def to_json(self) -> str:
        """What the language model is shown: one record whole, of several the counts and shares.

        Records are {horizon: {...}}.
        """
        several = len(self.records) > 1
        records = {
            each["horizon"]: {
                name: value
                for name, value in each.items()
                if name in SHOWN_OF_SEVERAL or not (several or name == "horizon")
            }
            for each in self.records
        }
        return json.dumps({**self.to_dict(), "records": records}, separators=(",", ":"))


def run(tool: ForecastTool, arguments: Mapping[str, Any]) -> RecordResult:
    """Say how good such forecasts were, as known at the last session of the tool.

    Args:
        tool: knows the ledger of the symbol and its backtest.
        arguments: of a call, whoever wrote them.

    Raises:
        UsageError: an argument is missing, unknown or out of range; the text says what to do.
    """
    tool.check_call(NAME, PARAMETERS, arguments)
    horizon = _horizon(arguments.get("horizon"))
    asked = HORIZONS if horizon is None else (horizon,)
    records = records_of(tool, asked)
    return RecordResult(
        summary=summary(tool, records, asked),
        symbol=tool.prices.symbol,
        as_of=str(tool.prices.as_of),
        records=[each.to_dict() for each in records],
        source=tool.prices.source,
    )


def records_of(tool: ForecastTool, horizons: Sequence[int] = HORIZONS) -> list[TrackRecord]:
    """The track record at several horizons, as known at the last session of a tool.

    Args:
        tool: knows the ledger of the symbol and its backtest.
        horizons: sessions ahead.

    Returns:
        One for each horizon with enough outcomes, increasing; with too few the nearest speaks.
    """
    found = [tool.track_record(each) for each in horizons]
    unique = {each.horizon: each for each in found if each is not None}
    return [unique[each] for each in sorted(unique)]


def forecasts_behind(tool: ForecastTool, record: TrackRecord) -> Scored:
    """The forecasts that a record sums up, with those they were compared with.

    Args:
        tool: as for `records_of`.
        record: one of those.

    Returns:
        Of all horizons, none with a target after the last session of the tool.
    """
    symbol = tool.prices.symbol
    scored = tool.ledger if record.source == "ledger" else bundled_scores(symbol)
    assert scored is not None  # or there were no record
    return scored.until(tool.prices.as_of)


def _horizon(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_HORIZON:
        raise UsageError(
            f"horizon is {shown(value)}; give a whole number of sessions from 1 to {MAX_HORIZON}, "
            f"or null for a table"
        )
    return value


def summary(
    tool: ForecastTool, found: Sequence[TrackRecord], asked: Sequence[int] = HORIZONS
) -> str:
    """Say in up to three sentences how good such forecasts were.

    Args:
        tool: whose track record.
        found: `records_of` it.
        asked: the horizons they were asked for.
    """
    records = [each.to_dict() for each in found]
    if tool.fitted.model != MODEL:
        return f"No track record is kept of forecasts by the model {tool.fitted.model}."
    if not records:
        return f"No outcome of such forecasts is known by {tool.prices.as_of}."
    told = _one(records[0]) if len(records) == 1 else _several(records)
    lacking = sorted(set(asked) - {each["horizon"] for each in records})
    return f"{told} {_lack(lacking, records)}" if lacking else told


def _lack(lacking: Sequence[int], records: Sequence[Mapping[str, Any]]) -> str:
    """Say which horizons have no record of their own, and that the nearest speaks for one."""
    ahead = "1 session" if lacking == [1] else f"{_listed(lacking)} sessions"
    if len(records) > 1 or len(lacking) > 1:
        return f"Too few outcomes are known {ahead} ahead."
    what = "enough outcomes" if records[0]["windows"] >= FEWEST_WINDOWS else "any outcome"
    return f"No record {ahead} ahead has {what}: {records[0]['horizon']} is the nearest that has."


def _one(record: Mapping[str, Any]) -> str:
    return (
        f"Of {_counted(record['origins'], 'forecast')} {_counted(record['horizon'], 'session')} "
        f"ahead from {record['first']} to {record['last']}, {_percent(record['coverage_90'])} of "
        f"the closes fell in the 90 % interval and {_percent(record['coverage_50'])} in the 50 % "
        f"interval; {record['verdict']} ({record['source']}, "
        f"{_counted(record['windows'], 'window')} without overlap)."
    )


def _several(records: Sequence[Mapping[str, Any]]) -> str:
    nearest, *others = records
    held = [
        f"{_percent(nearest['coverage_90'])} of the closes "
        f"{_counted(nearest['horizon'], 'session')} ahead",
        *[f"{_percent(each['coverage_90'])} at {each['horizon']}" for each in others],
    ]
    first = min(each["first"] for each in records)
    last = max(each["last"] for each in records)
    return (
        f"Of forecasts from {first} to {last} ({_grouped(records, 'source')}) the 90 % interval "
        f"held {_listed(held)}. Skill: {_grouped(records, 'verdict')}."
    )


def _grouped(records: Sequence[Mapping[str, Any]], field: str) -> str:
    """Say what a field is at which horizons; without them where it is the same at all."""
    groups: dict[str, list[int]] = {}
    for each in records:
        groups.setdefault(each[field], []).append(each["horizon"])
    if len(groups) == 1:
        return next(iter(groups))
    return "; ".join(f"{words} at {_listed(of)}" for words, of in groups.items())


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _listed(items: Sequence[object]) -> str:
    """Join in words.

    Example:
        >>> _listed([1]), _listed([1, 5]), _listed([1, 5, 21])
        ('1', '1 and 5', '1, 5 and 21')
    """
    *most, last = [str(item) for item in items]
    return f"{', '.join(most)} and {last}" if most else last


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"
