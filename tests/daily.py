"""What tests of the daily refit share: a short history, and commands at a moment of it."""

import contextlib
import dataclasses
import datetime
import io
import json
import sys
from collections.abc import Callable
from typing import NamedTuple
from unittest import mock

import numpy as np
from chat_server import Answer, Request, structured, text, tool_call

from belief.bars import Bars, bars_of
from belief.prices import COLUMNS, Prices
from belief.sessions import session_close
from belief.sources import load_prices
from belief_tools import cli, clock


def short_history(last: str, first: str = "2023-03-28") -> Prices:
    """Nvidia from one day to another, as if there had been nothing before."""
    whole = load_prices("NVDA").until(np.datetime64(last, "D"))
    rows = whole.session >= np.datetime64(first, "D")
    return dataclasses.replace(
        whole,
        session=whole.session[rows],
        splits=tuple(split for split in whole.splits if split.session > whole.session[rows][0]),
        **{name: getattr(whole, name)[rows] for name in COLUMNS},
    )


def changed(prices: Prices, day: str, **values: float) -> Prices:
    """The same prices but for some columns of one session."""
    columns = {}
    for name, value in values.items():
        columns[name] = getattr(prices, name).copy()
        columns[name][prices.session == np.datetime64(day, "D")] = value
    return dataclasses.replace(prices, **columns)


def stale_repeat(prices: Prices, day: str) -> Prices:
    """The same prices but for one session, whose prices are those of the one before it."""
    row = int(np.flatnonzero(prices.session == np.datetime64(day, "D"))[0])
    return changed(prices, day, **{name: getattr(prices, name)[row - 1] for name in COLUMNS[:-1]})


def bars_until(prices: Prices, day: str) -> Bars:
    """What a source without faults hands over on a day."""
    return bars_of(prices.until(np.datetime64(day, "D")))


def evening(day: object) -> datetime.datetime:
    """An hour after a session's close, as the clock of the program has it."""
    moment = session_close(np.datetime64(day, "D")) + datetime.timedelta(hours=1)
    return moment.astimezone(datetime.UTC)


class Finished(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


def belief(*arguments: str, at: datetime.datetime) -> Finished:
    """Run the real command in this process, at a moment."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", ["belief", *arguments]),
        mock.patch.object(clock, "now", lambda: at),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Finished(code, out.getvalue(), err.getvalue())


def assert_one_line_error(finished: Finished, code: int, *words: str) -> None:
    """The command failed as it should: nothing on standard output, one line that says why."""
    assert finished.code == code, finished
    lines = [line for line in finished.err.splitlines() if line.startswith("belief: ")]
    assert finished.out == "" and len(lines) == 1, finished
    assert "Traceback" not in finished.err
    for word in words:
        assert word in lines[0]


def repeating(target: str, close: float) -> Callable[[Request], Answer]:
    """A language model that repeats the tool's summary, and whose own view is the last close."""
    own = {"price": close, "low": 0.8 * close, "high": 1.2 * close, "prob_up": 0.5}

    def answer(request: Request) -> Answer:
        if request.forced_tool is not None:
            called = {"symbol": "NVDA", "target_date": target, "price_levels": None}
            return tool_call(request.forced_tool, called)
        if request.schema_name is not None:
            return structured({**own, "reasons": "as today"})
        return text(str(json.loads(request.tool_results[-1])["summary"]) + ".")

    return answer
