"""forecast_price: the function a language model calls before it says a price."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from belief.errors import UsageError
from belief.fitted_model import FittedModel
from belief.forecast import Forecast
from belief.models import MAX_HORIZON, belief, forecast_id, forecasts, target_session
from belief.posterior import Belief
from belief.prices import Prices, longest_hole
from belief.sessions import horizon_of, parse_day, session_after
from belief.sources import bundled_symbol, moves_as_bundled
from belief.track_record import MODEL, Scored, TrackRecord, bundled_scores, choose
from belief.view import View, blended
from belief_tools.once import Once

NAME = "forecast_price"
MAX_LEVELS = 8
MOST_EVENTS = 1  # of the scheduled events before the target, the soonest
BEYOND_TARGET = 60  # sessions; no window of an event is wider
LEAST_EVENT = 0.05  # scheduled events less likely before the target are not named
MERGED = 1.15  # regimes whose volatilities are closer than this are not told apart
HIGHEST_LEVEL = 1e9
LONGEST_UNTOLD = 4  # sessions without prices in a row; trading halts are as long
MOST_FORECASTS = 64  # of one tool that are kept
LONGEST_DAY = 40  # characters that an error may repeat
# A language model is not shown what it has no use for; a person is.
NOT_SHOWN = ("model", "forecast_id")
NOT_SHOWN_OF_RECORD = ("first", "last", "coverage_50")

PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "symbol": {"type": "string", "description": "Ticker symbol, for example NVDA."},
        "target_date": {
            "type": "string",
            "description": "Day the closing price is wanted for, as YYYY-MM-DD, after today and "
            f"at most {MAX_HORIZON} trading sessions ahead. For a month, its last day.",
        },
        "price_levels": {
            "anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}],
            "description": f"Up to {MAX_LEVELS} prices in dollars whose probability of being "
            "exceeded is wanted; null for none.",
        },
    },
    "required": ["symbol", "target_date", "price_levels"],
    "additionalProperties": False,
}

DEFINITION: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "Probability distribution of a stock's closing price on a future day, from "
        "a hidden Markov model fitted to its daily prices. Call it before naming any price.",
        "strict": True,
        "parameters": PARAMETERS,
    },
}


@dataclass(frozen=True)
class ForecastResult:
    """What the tool returns: plain values, in dollars as quoted on as_of.

    Attributes:
        summary: one sentence that already answers; small models need no more.
        symbol, currency, as_of, last_close: what is known.
        target: the session forecast, ISO date.
        horizon: sessions from as_of to target.
        median: price the close is as likely to be above as below.
        interval_50, interval_90: central intervals [low, high].
        prob_up: probability of a close above the last close.
        prob_above: one {"level", "probability"} for each level asked for.
        regimes: {"name", "probability"} of each regime at as_of, quietest first.
        volatility: annualised standard deviation of the next session's log return.
        transition_matrix: probabilities of moving between regimes in one session, in force now.
        scheduled_events: {"session", "announced", "probability"} of the next scheduled events that
            may move the price by the target: the likeliest session, whether it is public, and the
            probability that the event falls before or on the target.
        later_events: how many more are expected by the target.
        track_record: how good such forecasts were, {horizon, source, first and last day, origins,
            windows that do not overlap, coverage_50 and coverage_90 as shares of the closes that
            the interval held, skill_random_walk and skill_garch_t as [low, mean, high]: mean log
            score gained on the reference in nats a forecast, with its 95 % interval, null where
            windows are too few, verdict in words}; None where none had its outcome by
            as_of, and for models that are not shipped.
        age_in_days: calendar days from as_of to today; None when as_of was asked for.
        source: where the prices come from.
        model: which model made it, through which session it was fitted, and since when it serves.
        forecast_id: names this forecast.
        notes: what else has to be said.
    """

    summary: str
    symbol: str
    currency: str
    as_of: str
    last_close: float
    target: str
    horizon: int
    median: float
    interval_50: list[float]
    interval_90: list[float]
    prob_up: float
    prob_above: list[dict[str, float]]
    regimes: list[dict[str, Any]]
    volatility: float
    transition_matrix: list[list[float]]
    scheduled_events: list[dict[str, Any]]
    later_events: int
    track_record: dict[str, Any] | None
    age_in_days: int | None
    source: str
    model: str
    forecast_id: str
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The fields in order, as plain values."""
        return asdict(self)

    def to_json(self) -> str:
        """What the language model is shown: the fields in fewer words, those without use left out.

        Regimes are {name: probability}, and an empty list is not mentioned.
        """
        fields = {
            name: value
            for name, value in self.to_dict().items()
            if name not in NOT_SHOWN and value != []
        }
        fields["regimes"] = {entry["name"]: entry["probability"] for entry in self.regimes}
        if self.track_record is not None:
            fields["track_record"] = {
                name: value
                for name, value in self.track_record.items()
                if name not in NOT_SHOWN_OF_RECORD
            }
        return json.dumps(fields, separators=(",", ":"))


@dataclass(frozen=True)
class Arguments:
    """Checked arguments of a call: the session, the levels, and the day as it was asked for."""

    target: np.datetime64
    levels: tuple[float, ...]
    day: np.datetime64 | None = field(default=None, compare=False)

    def to_dict(self, symbol: str) -> dict[str, Any]:
        """The call as the tool's schema writes it."""
        return {
            "symbol": symbol,
            "target_date": str(self.target),
            "price_levels": list(self.levels) or None,
        }


class OfOneSymbol:
    """What all tools have in common: prices of one symbol, and calls that must be about it."""

    prices: Prices
    today: np.datetime64 | None

    @property
    def symbols(self) -> dict[str, tuple[str, ...]]:
        """Names by which people know the symbol, as `read_question` wants them."""
        return {self.prices.symbol: (self.prices.name,)}

    @property
    def age_in_days(self) -> int | None:
        """Calendar days from as_of to today; None when as_of was asked for."""
        return None if self.today is None else int((self.today - self.prices.as_of).astype(int))

    def check_call(
        self, name: str, parameters: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> None:
        """Check what the calls of all tools have in common: names of arguments, and the symbol.

        Args:
            name: of the tool that was called.
            parameters: its schema.
            arguments: of the call, whoever wrote them.

        Raises:
            UsageError: an argument is unknown, or the symbol is another one.
        """
        expected = parameters["properties"]
        unknown = [argument for argument in arguments if argument not in expected]
        if unknown:
            raise UsageError(
                f"unknown argument {shown(unknown[0])}; {name} takes {', '.join(expected)}"
            )
        self._check_symbol(arguments.get("symbol"))

    def _check_symbol(self, symbol: object) -> None:
        known = self.prices.symbol
        if not isinstance(symbol, str):
            raise UsageError(f"symbol is {shown(symbol)}; this tool knows {known}")
        same = symbol.strip().upper() in (known, self.prices.name.upper())
        if not same and bundled_symbol(symbol) != known:
            raise UsageError(f"symbol is {shown(symbol)}; this tool knows only {known}")


@dataclass(frozen=True, eq=False)
class PricesTool(OfOneSymbol):
    """The prices of one symbol as of one session, without a model.

    Attributes:
        prices: cut at the as-of session.
        today: the day on the clock, to tell the age of the prices; None when as_of was asked for.
    """

    prices: Prices
    today: np.datetime64 | None


@dataclass(frozen=True, eq=False)
class ForecastTool(OfOneSymbol):
    """The tool for one symbol as of one session.

    Attributes:
        prices: cut at the as-of session.
        fitted: a model trained through that session.
        today: the day on the clock, to tell the age of the prices; None when as_of was asked for.
        ledger: the forecasts of the symbol that were given out, with their scores, or None; where
            they are too few the bundled backtest speaks.
        service: since when the model serves, or why it does not, in words; empty for a model that
            was fitted to prices that nobody publishes models of.
        live: whether its forecasts count in a track record: neither an earlier day nor a file was
            asked for.
        views: views of a person to be taken in, by ISO date of their target, in dollars of as_of;
            None where none were asked for.
    """

    prices: Prices
    fitted: FittedModel
    today: np.datetime64 | None
    ledger: Scored | None = None
    service: str = ""
    live: bool = True
    views: Mapping[str, View] | None = None

    def check(self, arguments: Mapping[str, Any]) -> Arguments:
        """Check the arguments of a call, whoever wrote them.

        Raises:
            UsageError: an argument is missing, unknown or out of range; the text says what to do.
        """
        self.check_call(NAME, PARAMETERS, arguments)
        day = arguments.get("target_date")
        if not isinstance(day, str) or len(day) > LONGEST_DAY:
            raise UsageError(f"target_date is {shown(day)}; give a day as YYYY-MM-DD")
        asked = parse_day(day)
        target = target_session(asked, self.prices.as_of)
        return Arguments(target, _levels(arguments.get("price_levels")), asked)

    def forecast(self, target: np.datetime64) -> Forecast:
        """The whole predictive distribution behind a result, a person's view taken in."""
        return self._made.get(target, lambda: self._forecast(target))

    def _forecast(self, target: np.datetime64) -> Forecast:
        made, view = forecasts(self.fitted, self.prices, [target])[0], self.view_of(target)
        return made if view is None else blended(made, view)

    @cached_property
    def _made(self) -> Once[Forecast]:
        # a year ahead takes a second of simulation, and more than one reader wants it
        return Once(MOST_FORECASTS)

    def view_of(self, target: np.datetime64) -> View | None:
        """The view of a person that is taken in for a target, or None."""
        return None if self.views is None else self.views.get(str(target))

    def run(self, arguments: Arguments) -> ForecastResult:
        """Answer a checked call; the same call gives the same bytes."""
        forecast, held = self.forecast(arguments.target), belief(self.fitted)
        events = self.scheduled_events(forecast.horizon)
        # the record is that of the belief alone
        record = (
            self.track_record(forecast.horizon) if self.view_of(arguments.target) is None else None
        )
        return ForecastResult(
            summary=summary(self.prices.name, forecast),
            symbol=self.prices.symbol,
            currency=self.prices.currency,
            as_of=str(forecast.origin),
            last_close=_close(forecast.last_close),
            target=str(forecast.target),
            horizon=forecast.horizon,
            median=rounded(forecast.median),
            interval_50=[rounded(end) for end in forecast.interval(0.5)],
            interval_90=[rounded(end) for end in forecast.interval(0.9)],
            prob_up=round(forecast.prob_up, 4),
            prob_above=[
                {"level": level, "probability": round(forecast.prob_above(level), 4)}
                for level in arguments.levels
            ],
            **_belief_fields(held),
            scheduled_events=events[:MOST_EVENTS],
            later_events=len(events[MOST_EVENTS:]),
            track_record=None if record is None else record.to_dict(),
            age_in_days=self.age_in_days,
            source=self.prices.source,
            model=self.model_in_words,
            forecast_id=forecast_id(self.fitted, arguments.target, self.view_of(arguments.target)),
            notes=[*_moved(arguments), *self._notes(arguments.target)],
        )

    def track_record(self, horizon: int) -> TrackRecord | None:
        """How good such forecasts were, as known at as_of; None of a model that is not shipped.

        Args:
            horizon: sessions from as_of to the target.
        """
        if self.fitted.model != MODEL:
            return None
        backtest = bundled_scores(self.prices.symbol) if moves_as_bundled(self.prices) else None
        return choose(self.ledger, backtest, horizon, self.prices.as_of)

    def _volatility_ratio(self) -> float:
        """How far apart the two most alike regimes are."""
        volatility = np.array([regime.volatility for regime in belief(self.fitted).regimes])
        return float((volatility[1:] / volatility[:-1]).min())

    def scheduled_events(self, horizon: int) -> list[dict[str, Any]]:
        """Scheduled events that may react by the target, soonest first.

        Args:
            horizon: sessions from as_of to the target.

        Returns:
            {"session", "announced", "probability"} of each, as `ForecastResult` has them.
        """
        as_of = self.prices.as_of
        # a window that reaches beyond the target has its likeliest session there, perhaps
        chances = self.prices.events.ahead(as_of, horizon + BEYOND_TARGET)
        return [
            {
                "session": str(session_after(as_of, int(row.argmax()) + 1)),
                "announced": bool(row.max() == 1.0),
                "probability": round(float(row[:horizon].sum()), 4),
            }
            for row in chances
            if row[:horizon].sum() >= LEAST_EVENT
        ]

    @property
    def model_in_words(self) -> str:
        """Name the model and its age."""
        fitted = self.fitted
        behind = horizon_of(fitted.trained_through, fitted.known_through)
        ago = "" if not behind else f", {behind} session{'s' if behind > 1 else ''} before"
        served = f", {self.service}" if self.service else ""
        return f"{fitted.model} fitted through {fitted.trained_through}{ago}{served}"

    @property
    def belief_notes(self) -> list[str]:
        """What has to be said of the model itself, whatever is asked."""
        notes = []
        if self.fitted.model == "belief" and not self.fitted.parameters["n_scored"]:
            notes.append("memories count alike: no walk has weighed them yet")
        if not len(self.prices.events):
            notes.append(f"no scheduled events of {self.prices.symbol} are known")
        if (hole := longest_hole(self.prices)).size > LONGEST_UNTOLD:
            notes.append(
                f"no prices of the {hole.size} sessions from {hole[0]} to {hole[-1]}: the move "
                f"across them counts as that of one session"
            )
        if not self.fitted.converged:
            notes.append("the fit had not settled when it stopped")
        return notes

    def _notes(self, target: np.datetime64) -> list[str]:
        basis = "prices before any later split"
        if not self.prices.splits_known:
            basis = "the CSV file lists no splits, so its prices are taken as they stand"
        notes = [basis]
        view = self.view_of(target)
        if self.views is not None and view is None:
            notes.append(f"no view of yours is recorded for {target}: this is the belief alone")
        if view is not None:
            notes.append(
                f"blended with your view: {money(view.median)} ({money(view.low)} to "
                f"{money(view.high)}), confidence {view.confidence:.0%}"
            )
        ratio = self._volatility_ratio()
        if ratio < MERGED and self.fitted.model != "chain":  # its states are seen, not told apart
            notes.append(
                f"two regimes differ by only {ratio - 1:.0%} in volatility: read them as one"
            )
        return notes + self.belief_notes


def _moved(arguments: Arguments) -> list[str]:
    """Say so where the day that was asked for is no session."""
    if arguments.day in (None, arguments.target):
        return []
    return [f"{arguments.day} is no session; {arguments.target} is the last one before it"]


def summary(name: str, forecast: Forecast) -> str:
    """Say a forecast in one sentence.

    Args:
        name: the company as people call it.
        forecast: what to say.
    """
    # rounded once as in the result's fields, or a figure on the edge would differ from its field
    low, high = (rounded(bound) for bound in forecast.interval(0.9))
    return (
        f"On {forecast.target} {name} is expected at {money(rounded(forecast.median))}; "
        f"90 % chance between {money(low)} and {money(high)}; "
        f"last close {cents(forecast.last_close)}"
    )


def money(price: float) -> str:
    """A price in whole dollars, or in cents where a dollar would be coarse.

    Example:
        >>> money(1044.2), money(12.345), money(0.01234)
        ('$1,044', '$12.35', '$0.0123')
    """
    return f"${price:,.0f}" if price >= 100.0 else cents(price)


def cents(price: float) -> str:
    """A price to the cent, or to three figures below a dollar.

    Example:
        >>> cents(822.79), cents(0.5), cents(0.01234)
        ('$822.79', '$0.500', '$0.0123')
    """
    decimals = 2 if price >= 1.0 else min(2 - math.floor(math.log10(max(price, 1e-12))), 14)
    return f"${price:,.{decimals}f}"


def _belief_fields(held: Belief) -> dict[str, Any]:
    return {
        "regimes": [
            {"name": regime.name, "probability": round(regime.probability, 4)}
            for regime in held.regimes
        ],
        "volatility": round(held.volatility, 4),
        "transition_matrix": held.transition_matrix.round(3).tolist(),
    }


def _close(value: float) -> float:
    """Take the noise off a recorded price: four decimals, or six figures below a dollar."""
    return round(value, 4) if value >= 1.0 else float(f"{value:.6g}")


def rounded(value: float) -> float:
    """Round to the cent, or to four figures below a dollar.

    Args:
        value: a price.
    """
    return round(value, 2) if value >= 1.0 else float(f"{value:.4g}")


def _levels(levels: object) -> tuple[float, ...]:
    if levels is None:
        return ()
    if not isinstance(levels, Sequence) or isinstance(levels, str):
        raise UsageError(f"price_levels is {shown(levels)}; give a list of prices or null")
    if len(levels) > MAX_LEVELS:
        raise UsageError(f"{len(levels)} price_levels are too many; give at most {MAX_LEVELS}")
    for level in levels:
        number = isinstance(level, int | float) and not isinstance(level, bool)
        if not number or not 0.0 < level < HIGHEST_LEVEL:
            raise UsageError(
                f"price level {shown(level)} is not a price; "
                f"give a number above 0 and below {HIGHEST_LEVEL:,.0f}"
            )
    return tuple(float(level) for level in levels)


def shown(value: object) -> str:
    """A value as it can stand in one line of an error, however long it is."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
