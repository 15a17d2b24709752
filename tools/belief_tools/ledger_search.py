"""Answers found again by their words, and conversations by their ids."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection

from belief.errors import UsageError
from belief.ledger import Recorded, answers_with, entry_named
from belief_tools.ledger_table import failed
from belief_tools.terminal import one_line

SHORTEST_ID: Final = 4  # digits by which a conversation may be asked for


def find(
    connection: Connection,
    words: Sequence[str],
    *,
    symbol: str | None = None,
    since: np.datetime64 | None = None,
    conversation: str | None = None,
) -> list[Recorded]:
    """Find answers, oldest first.

    Args:
        connection: of `Store.read`.
        words: each of which the question, the text, a rejected text or a note holds, as it stands
            but in any case of its letters.
        symbol: of this symbol alone.
        since: made on this day or later, in UTC.
        conversation: an id or its beginning; of this conversation alone, in the order of its turns.

    Raises:
        UsageError: neither words nor a conversation are given, or the id is none or stands for
            more than one.
        StoreError: an answer is damaged.
    """
    wanted = [word for word in map(_plain, words) if word]
    if not wanted and conversation is None:
        raise UsageError("there is nothing to look for; give words, or --conversation ID")
    of = None if conversation is None else _id(conversation)
    sought = wanted if of is None else [of, *wanted]
    found = [
        each
        for each in answers_with(connection, sought, symbol=symbol, since=since)
        if _holds(each, wanted)
    ]
    return found if of is None else _conversation(found, of)


def entry_with_forecasts(connection: Connection, name: str) -> tuple[Recorded, list[Recorded]]:
    """Find an entry, and the forecasts that it rests on where it is an answer.

    Args:
        connection: of `Store.read`.
        name: of the entry, or its beginning.

    Raises:
        UsageError: there is no such entry, or more than one.
        StoreError: it is damaged.
    """
    found = entry_named(connection, name)
    results = (call.get("result", {}) for call in found.entry.body.get("tool_calls", []))
    named = [result["forecast_id"] for result in results if "forecast_id" in result]
    return found, [entry_named(connection, each) for each in named]


def _plain(text: str) -> str:
    """Text as it is compared: as a terminal shows it, in lower case."""
    return one_line(text).lower()


def _holds(recorded: Recorded, wanted: Sequence[str]) -> bool:
    texts = [_plain(text) for text in _texts(recorded.entry.body)]
    return all(any(word in text for text in texts) for word in wanted)


def _texts(body: Any) -> Iterator[str]:
    """What was asked and said, and what went wrong; not what the host calls things."""
    rejected = (body.get("checks") or {}).get("rejected")
    said = (body.get("question"), body.get("text"), rejected, *(body.get("notes") or ()))
    return (str(text) for text in said if text is not None)


def _id(text: str) -> str:
    digits = text.strip().lower()
    if len(digits) < SHORTEST_ID or set(digits) - set("0123456789abcdef"):
        raise UsageError(
            f"{text!r} is no id of a conversation; give at least {SHORTEST_ID} of its digits"
        )
    return digits


def _conversation(found: Sequence[Recorded], beginning: str) -> list[Recorded]:
    """Those of one conversation, in the order of its turns."""
    of = [each for each in found if _place(each)[0].startswith(beginning)]
    if len({_place(each)[0] for each in of}) > 1:
        raise UsageError(f"{beginning} begins more than one conversation; give more of its digits")
    return sorted(of, key=lambda each: _place(each)[1])


def _place(recorded: Recorded) -> tuple[str, int]:
    """Conversation and turn; neither of an answer that is of none."""
    body = recorded.entry.body
    return str(body.get("conversation", "")), int(body.get("turn", 0))


def print_found(found: Sequence[Recorded]) -> None:
    """Print answers, three lines each: where they are, the question, the answer."""
    for each in found:
        entry, (conversation, turn) = each.entry, _place(each)
        where = f"conversation {one_line(conversation)}, turn {turn}" if turn else "no conversation"
        print(f"{entry.made_at[:19]}  {entry.name:<12}  {each.symbol:<6}  {where}")
        print(f"  question  {one_line(str(entry.body.get('question')))}")
        label = "error " if failed(entry.body) else "answer"
        print(f"  {label}    {one_line(str(entry.body.get('text')))}")
