"""An answer as a card of the page: the text, what it rests on, and what of a text was rejected.

Whatever comes from a model, a person or a file is handed over as text, which htmltools escapes.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from htmltools import Tag, TagChild, TagList, tags

from belief.errors import BeliefError
from belief_tools.answer import Answer
from belief_tools.conversation import Reply
from belief_tools.forecast_tool import cents
from belief_tools.recording import Written
from belief_tools.terminal import one_line, printable

MOST_REJECTED: Final = 4_000  # characters that are shown; the ledger has the whole
MOST_ASKED: Final = 60  # characters of a name that a model made up
FOREMOST: Final = 3  # lines of a receipt: as of when, the forecast, the regime
MOST_OF_A_CALL: Final = 600  # characters of one of its arguments, or of a field of its result
MADE_BY: Final = {
    "model": "the language model",
    "arguments": "the language model, as JSON",
    "host": "this program, not the language model",
    "context": "this program, which put the result in the prompt",
}
MODEL_FAILED: Final = "language model failed"
WHOSE: Final = {
    "replaced": "The belief's own statement, in place of the model's text:",
    "repaired": "The model's second text; its first did not pass the checks:",
    "not consulted": "The bare model's text, which nothing has checked:",
    MODEL_FAILED: "The belief's own statement, as the language model failed:",
}


def reply_card(reply: Reply) -> Tag:
    """What came of a question for one symbol.

    Args:
        reply: of a conversation.
    """
    if isinstance(reply.came, BeliefError):
        return error_card(reply.came, reply.written)
    return answer_card(reply.came, reply.written)


def answer_card(given: Answer, written: Written | None = None) -> Tag:
    """An answer with all that belongs to it.

    Args:
        given: the answer.
        written: where it is in the ledger, or why it is not there; None when it was not to be.
    """
    failed = given.stop_reason == MODEL_FAILED  # its reason is the last note
    return tags.div(
        _words(given),
        _problem(given.notes[-1]) if failed else None,
        _rejected(given),
        _prediction(given),
        _list("answer-receipt", "What the answer rests on", given.receipt[:FOREMOST]),
        _rest_of_receipt(given.receipt[FOREMOST:]),
        _list("answer-notes", "Notes", given.notes[:-1] if failed else given.notes),
        [_call(call) for call in given.tool_calls],
        _place(written),
        class_="answer",
    )


def error_card(error: BeliefError, written: Written | None = None) -> Tag:
    """A question that ended in an error.

    Args:
        error: what the person is told.
        written: as `answer_card` has it.
    """
    return tags.div(_problem(str(error)), _place(written), class_="answer")


def coming_card(text: str, waiting: str) -> Tag:
    """An answer that is on its way; more of the text can be put behind it.

    Args:
        text: what of it may be shown so far.
        waiting: what is waited for.
    """
    begun = tags.p(printable(text), class_="answer-text") if text else None
    return tags.div(tags.p(one_line(waiting), class_="answer-waiting"), begun, class_="answer")


# ---- the text ----


def _words(given: Answer) -> TagList:
    """The text, and where it is not simply the model's what it is."""
    text = tags.p(printable(given.text), class_="answer-text")
    label = WHOSE.get(given.stop_reason)
    return TagList(None if label is None else _label(label), text)


def _label(words: str) -> Tag:
    return tags.p(words, class_="answer-label")


def _rejected(given: Answer) -> Tag | None:
    """The text that did not pass, its wrong figures struck, and the reasons below."""
    rejected = given.checks["rejected"]
    if rejected is None:
        return None
    text, findings = printable(str(rejected)), list(given.checks["findings"])
    more = "" if len(text) <= MOST_REJECTED else " ... (cut here; the ledger has the whole)"
    shown = text[:MOST_REJECTED]
    found = _places(shown, [printable(str(finding["figure"])) for finding in findings])
    struck = [*_marked(shown, found)] if found else [_struck(shown)]
    return tags.div(
        _label(f"Rejected: what {one_line(given.model or 'the language model')} wrote"),
        tags.blockquote(struck, more, class_="answer-rejected-text", _add_ws=False),
        tags.ol(
            [tags.li(one_line(str(finding["message"]))) for finding in findings],
            class_="answer-reasons",
        ),
        class_="answer-rejected",
    )


def _places(text: str, figures: Sequence[str]) -> list[tuple[int, int, int]]:
    """Where figures stand in a text: start, end and the number of the finding, from 1.

    A finding names its words and no place, so words that stand there twice are found twice.
    """
    return [
        (*match.span(), number)
        for number, figure in enumerate(figures, start=1)
        if figure.strip()
        for match in _alone(figure.strip()).finditer(text)
    ]


def _alone(figure: str) -> re.Pattern[str]:
    r"""A figure that is no part of a longer one.

    Example:
        >>> _alone("8").findall("8 of $8.50, 8,000, 18 or 8.")
        ['8', '8']
    """
    before = r"(?<![\w])(?<!\d[.,])" if figure[0].isalnum() else ""
    before += "(?<![$€£])" if figure[0].isdigit() else ""
    after = r"(?!\w)(?![.,]\d)" if figure[-1].isalnum() else ""
    return re.compile(f"{before}{re.escape(figure)}{after}")


def _marked(text: str, places: Sequence[tuple[int, int, int]]) -> Iterator[TagChild]:
    """A text with what stands at these places struck; those that overlap are struck as one."""
    end = 0
    for start, stop, numbers in _merged(places):
        yield text[end:start]
        yield _struck(text[start:stop])
        yield tags.sup(_unseen(" reason "), ", ".join(map(str, numbers)), _add_ws=False)
        end = stop
    yield text[end:]


def _merged(places: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, list[int]]]:
    merged: list[tuple[int, int, list[int]]] = []
    for start, stop, number in sorted(places):
        if merged and start < merged[-1][1]:
            first, last, numbers = merged[-1]
            merged[-1] = (first, max(last, stop), sorted({*numbers, number}))
        else:
            merged.append((start, stop, [number]))
    return merged


def _struck(words: str) -> Tag:
    return Tag("del", _unseen("rejected: "), words, _add_ws=False)


def _unseen(words: str) -> Tag:
    """Words for those who hear the page and do not see it."""
    return tags.span(words, class_="unseen")


def _problem(words: str) -> Tag:
    return tags.p(tags.strong("Error: "), one_line(words), class_="answer-problem")


# ---- what belongs to it ----


def _prediction(given: Answer) -> Tag | None:
    """The model's own figures, which no check has passed, beside those of the belief."""
    own = given.prediction
    if own is None:
        return None
    beside = "not compared with the belief's"
    if own.get("agrees"):
        beside = "the belief's figures, to one percent"
    elif own.get("own_view"):
        beside = "its own view: outside the belief's 98 % interval"
    elif "agrees" in own:
        beside = "other than the belief's, and inside its 98 % interval"
    return tags.p(
        f"The language model's own figures, unchecked: {cents(own['price'])} "
        f"({cents(own['low'])} to {cents(own['high'])}), up with {own['prob_up']:.0%}; {beside}.",
        class_="answer-prediction",
    )


def _list(name: str, label: str, lines: Sequence[str]) -> TagList | None:
    if not lines:
        return None
    rows = [tags.li(one_line(line)) for line in lines]
    return TagList(_label(label), tags.ul(rows, class_=name))


def _rest_of_receipt(lines: Sequence[str]) -> Tag | None:
    """What of the receipt would push the answer itself out of sight, to be unfolded."""
    if not lines:
        return None
    rows = tags.ul([tags.li(one_line(line)) for line in lines], class_="answer-notes")
    return tags.details(
        tags.summary("The rest of it: record, model, who made the call"),
        rows,
        class_="answer-rest",
    )


def _place(written: Written | None) -> Tag | None:
    if written is None:
        return None
    if written.name is None:
        return _problem(written.problem or "")
    link = tags.a(f"entry {written.name}", href=f"ledger/{quote(written.name, safe='')}")
    return tags.p("In the ledger: ", link, class_="answer-place")


# ---- the calls ----


def _call(call: Mapping[str, Any]) -> Tag:
    """A call of a tool, to be unfolded."""
    name, by = one_line(str(call["name"]), longest=MOST_ASKED), str(call["by"])
    ended = " ended in an error" if "error" in call else ""
    return tags.details(
        tags.summary(f"Tool call: {name}{ended}"),
        _fields("The call", dict(_of_the_call(call))),
        _outcome(call),
        tags.p(f"Made by {MADE_BY.get(by, by)}.", class_="answer-by"),
        class_="answer-call",
    )


def _of_the_call(call: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if call.get("asked"):
        yield "as the model asked", call["asked"]
    arguments = call.get("arguments")
    if isinstance(arguments, Mapping):
        yield from arguments.items()
    else:
        yield "as it was asked", arguments


def _outcome(call: Mapping[str, Any]) -> Tag:
    if "error" in call:
        return _problem(str(call["error"]))
    return _fields("The result", call["result"])


def _fields(caption: str, fields: Mapping[str, Any]) -> Tag:
    rows = [
        tags.tr(tags.th(one_line(str(name)), scope="row"), tags.td(_value(value)))
        for name, value in fields.items()
    ]
    table = tags.table(tags.caption(caption), tags.tbody(rows), class_="answer-fields")
    return tags.div(table, class_="wide", tabindex="0", role="group", aria_label=caption)


def _value(value: Any) -> str:
    """A value in words: a text as it stands, a list of plain values in a row, the rest as JSON."""
    if value is None or value == []:
        return "none"
    if isinstance(value, str):
        return _bounded(value)
    if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        return _bounded(", ".join(map(_value, value)))
    return _bounded(json.dumps(value, ensure_ascii=False, default=str))


def _bounded(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= MOST_OF_A_CALL else f"{shown[:MOST_OF_A_CALL]}..."
