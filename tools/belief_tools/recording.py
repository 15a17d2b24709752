"""Every forecast that is shown goes to the ledger, and every question with what came of it."""

import datetime
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from belief.errors import BeliefError
from belief.forecast import Forecast
from belief.paths import store_location
from belief_tools.forecast_tool import ForecastTool
from belief_tools.terminal import one_line, say_error

if TYPE_CHECKING:
    from belief.ledger import Entry
    from belief_tools.answer import Answer

FAILED: Final = "error"  # stop reason of a question that ended in an error


@dataclass(frozen=True)
class Place:
    """Where a question stands in a conversation.

    Attributes:
        conversation: 12 hexadecimal digits, the same for all of one run of ask or chat.
        turn: from 1.
    """

    conversation: str
    turn: int


class ConversationLog:
    """Writes one run of ask or chat down, turn after turn."""

    def __init__(self, now: Callable[[], datetime.datetime]) -> None:
        """Begin without turns.

        Args:
            now: gives the moment; asked at the beginning and at every turn.
        """
        self.now, self.began = now, now()
        self._last: Place | None = None

    def answer(self, tool: ForecastTool, given: "Answer") -> None:
        """Write the answer of the next turn down; `tool` is what it rests on."""
        record_answer(tool, given, self.now(), self._next(given.question))

    def failure(self, tool: ForecastTool, question: str, error: BeliefError) -> None:
        """Write down that the question of the next turn ended in an error; `tool` was asked."""
        record_failure(tool, question, str(error), self.now(), self._next(question))

    def _next(self, question: str) -> Place:
        if self._last is None:
            self._last = Place(conversation_id(self.began, os.getpid(), question), 1)
        else:
            self._last = Place(self._last.conversation, self._last.turn + 1)
        return self._last


def conversation_id(began: datetime.datetime, process: int, question: str) -> str:
    """Name a conversation, so that two that begin at once have two names.

    Args:
        began: the moment.
        process: id of the process it is held in.
        question: the first one.
    """
    return _short_digest(began.astimezone(datetime.UTC).isoformat(), str(process), question)


def record_forecasts(tool: ForecastTool, shown: Sequence[Forecast], now: datetime.datetime) -> None:
    """Write forecasts down; a ledger that fails costs a line on standard error, nothing else.

    Args:
        tool: what made them.
        shown: the forecasts.
        now: the moment.
    """
    _append(tool.prices.symbol, lambda: _forecasts(tool, shown, now))


def record_answer(
    tool: ForecastTool, given: "Answer", now: datetime.datetime, place: Place | None = None
) -> None:
    """Write an answer down, after the forecasts it rests on.

    Args:
        tool: what it rests on.
        given: the answer.
        now: the moment.
        place: where it stands in a conversation; None when it is of none.
    """
    _append(
        tool.prices.symbol,
        lambda: [*_consulted(tool, given, now), _answer(tool, given, now, place)],
    )


def record_failure(
    tool: ForecastTool,
    question: str,
    error_line: str,
    now: datetime.datetime,
    place: Place | None = None,
) -> None:
    """Write down that a question ended in an error: an answer whose stop reason is `FAILED`.

    Args:
        tool: what was asked.
        question: as asked.
        error_line: what the person was told, in one line.
        now: the moment.
        place: where it stands in a conversation; None when it is of none.
    """
    from belief_tools.answer import without_model

    record_answer(tool, without_model(question, one_line(error_line), FAILED), now, place)


def _append(symbol: str, make: Callable[[], "list[Entry]"]) -> None:
    from belief.ledger import append
    from belief.store import open_store

    try:
        with open_store(store_location()) as store, store.write() as connection:
            append(connection, symbol, make())
    except BeliefError as error:
        say_error(f"this is not in the ledger: {error}")


def _forecasts(
    tool: ForecastTool, shown: Sequence[Forecast], now: datetime.datetime
) -> "list[Entry]":
    from belief.ledger import forecast_entry
    from belief.store import utc

    return [
        forecast_entry(
            tool.fitted,
            tool.prices,
            forecast,
            made_at=utc(now),
            live=tool.live,
            view=tool.view_of(forecast.target),
        )
        for forecast in shown
    ]


def _consulted(tool: ForecastTool, given: "Answer", now: datetime.datetime) -> "list[Entry]":
    results = (call.get("result", {}) for call in given.tool_calls)
    targets = {result["target"] for result in results if "forecast_id" in result}
    if given.result is not None:
        targets.add(given.result.target)
    days = [np.datetime64(target, "D") for target in sorted(targets)]
    return _forecasts(tool, [tool.forecast(day) for day in days], now)


def _answer(
    tool: ForecastTool, given: "Answer", now: datetime.datetime, place: Place | None
) -> "Entry":
    from belief.ledger import Entry, is_live
    from belief.store import utc

    result, made_at = given.result, utc(now)
    where = {} if place is None else vars(place)
    body = {**given.to_dict(), "last_close": tool.prices.last_close, **where}
    target = None if result is None else np.datetime64(result.target, "D")
    return Entry(
        kind="answer",
        name=_short_digest(made_at, given.question, given.text, *map(str, where.values())),
        made_at=made_at,
        live=tool.live and (target is None or is_live(made_at, target, origin=tool.prices.as_of)),
        model=given.model,
        origin=None if result is None else tool.prices.as_of,
        target=target,
        horizon=None if result is None else result.horizon,
        body=body,
    )


def _short_digest(*said: str) -> str:
    return hashlib.sha256("\n".join(said).encode("utf-8", "replace")).hexdigest()[:12]
