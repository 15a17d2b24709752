"""Every forecast that is shown goes to the ledger, and every question with what came of it."""

import datetime
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from belief.errors import BeliefError
from belief.forecast import Forecast
from belief.paths import store_location
from belief_tools.forecast_tool import ForecastTool
from belief_tools.terminal import one_line

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


@dataclass(frozen=True)
class Written:
    """Where an answer is in the ledger, or why it is not there.

    Attributes:
        name: of its entry; None when it could not be written.
        problem: what the person has to be told then, in one line; None when it was written.
    """

    name: str | None
    problem: str | None


class ConversationLog:
    """Writes one run of ask or chat down, turn after turn."""

    def __init__(self, now: Callable[[], datetime.datetime]) -> None:
        """Begin without turns.

        Args:
            now: gives the moment; asked at every turn.
        """
        self.now = now
        self.conversation = conversation_id()
        self._turns = 0

    def answer(self, tool: ForecastTool, given: "Answer") -> Written:
        """Write the answer of the next turn down; `tool` is what it rests on."""
        return record_answer(tool, given, self.now(), self._next())

    def failure(self, tool: ForecastTool, question: str, error: BeliefError) -> Written:
        """Write down that the question of the next turn ended in an error; `tool` was asked."""
        return record_failure(tool, question, str(error), self.now(), self._next())

    def _next(self) -> Place:
        self._turns += 1
        return Place(self.conversation, self._turns)


def conversation_id() -> str:
    """Name a conversation, by a name that no other has and that nobody can guess."""
    return secrets.token_hex(6)


def record_forecasts(
    tool: ForecastTool, shown: Sequence[Forecast], now: datetime.datetime
) -> str | None:
    """Write forecasts down.

    Args:
        tool: what made them.
        shown: the forecasts.
        now: the moment.

    Returns:
        None, or where the ledger fails what the person has to be told, in one line.
    """
    return _append(tool.prices.symbol, lambda: _forecasts(tool, shown, now))


def record_answer(
    tool: ForecastTool, given: "Answer", now: datetime.datetime, place: Place | None = None
) -> Written:
    """Write an answer down, after the forecasts it rests on.

    Args:
        tool: what it rests on.
        given: the answer.
        now: the moment.
        place: where it stands in a conversation; None when it is of none.
    """
    entry = _answer(tool, given, now, place)
    problem = _append(tool.prices.symbol, lambda: [*_consulted(tool, given, now), entry])
    return Written(entry.name if problem is None else None, problem)


def record_failure(
    tool: ForecastTool,
    question: str,
    error_line: str,
    now: datetime.datetime,
    place: Place | None = None,
) -> Written:
    """Write down that a question ended in an error: an answer whose stop reason is `FAILED`.

    Args:
        tool: what was asked.
        question: as asked.
        error_line: what the person was told, in one line.
        now: the moment.
        place: where it stands in a conversation; None when it is of none.
    """
    from belief_tools.answer import without_model

    return record_answer(tool, without_model(question, one_line(error_line), FAILED), now, place)


def _append(symbol: str, make: Callable[[], "list[Entry]"]) -> str | None:
    """Put entries into the ledger; what comes back is why they are not there, if they are not."""
    from belief.ledger import append
    from belief.store import open_store

    try:
        with open_store(store_location()) as store, store.write() as connection:
            append(connection, symbol, make())
    except BeliefError as error:
        return f"this is not in the ledger: {error}"
    return None


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
