"""Questions that our own tools answer: how often it was right, how sure it is, what was, a split.

No language model is asked: what the tools say is already a sentence, and every figure in it is one
of the tool's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np

from belief.errors import UsageError
from belief.models import MAX_HORIZON
from belief.sessions import horizon_of, session_after
from belief_tools import belief_tool, forecast_tool, history_tool, record_tool
from belief_tools.answer import Answer, without_model
from belief_tools.consult import ASSUMED_HORIZON
from belief_tools.forecast_tool import ForecastResult, ForecastTool
from belief_tools.marked_text import whole_words
from belief_tools.past_periods import read_past_period
from belief_tools.past_price import MORE_THAN_A_CLOSE, past_price
from belief_tools.periods import Clock, as_date
from belief_tools.plain_words import plain_words
from belief_tools.question_kinds import FUTURE, PAST
from belief_tools.questions import Question
from belief_tools.receipt import left_out, receipt, statement
from belief_tools.target_dates import read_dates
from belief_tools.turns import carried_in_words

Result = TypeVar(
    "Result",
    ForecastResult,
    record_tool.RecordResult,
    belief_tool.BeliefResult,
    history_tool.HistoryResult,
)
Topic = Literal["record", "sure", "split", "belief", "past"]

FROM_TOOL = "from the tool"
"""Stop reason of an answer that our own tools gave."""

PAST_PRICE = "past price"
"""Stop reason of an answer that is one close of the past."""

_ITSELF = r"(?:you|it|this|they|these|those|such|belief|your|the (?:model|tool|program|belief))"
_FORECASTS = r"(?: (?:forecasts?|predictions?|intervals?|ranges?|estimates?|answers?|record))?"
_RIGHT = r"(?:right|wrong|correct|accurate|off|reliable|good|bad|true|precise|mistaken)"
_RECORD = whole_words(
    r"track[- ]record|hit[- ]rate|success rate"
    rf"|how (?:often|many times|frequently) (?:\w+ ){{0,2}}?{_ITSELF}{_FORECASTS}(?: \w+){{0,3}}?"
    rf" (?:{_RIGHT}|hold|held|miss(?:ed)?|fail(?:ed)?)"
    rf"|how (?:good|accurate|reliable|well|trustworthy) (?:are|were|is|was|have|has|did|do)"
    rf" {_ITSELF}{_FORECASTS}(?! (?:at|with))"
    rf"|(?:were|was|have|has) {_ITSELF}{_FORECASTS} (?:ever |always |usually |been )*{_RIGHT}"
    r"|(?:can|should|how (?:much|far) (?:can|should)) i (?:really )?(?:trust|rely on|believe)"
    r" (?:you|it|this|that|these|your \w+)"
    r"|(?:your|its) (?:past )?(?:accuracy|performance|mistakes|errors)"
)
_SURE = whole_words(
    rf"how (?:very |really )?(?:sure|certain|confident) (?:are|is) {_ITSELF}"
    r"|are you (?:really |very |quite )?(?:sure|certain|confident)"
    r"|how (?:un)?certain is (?:that|this|it)|how much (?:doubt|confidence)"
)
_SPLIT_AHEAD = whole_words(
    r"(?:if|suppos(?:e|ing)|assum(?:e|ing)|in case|once|after|with|given|what about)"
    r" (?:[\w#':-]+ ){0,4}?(?:stock |share |reverse |forward )*splits?"
)
_SPLIT_BEFORE = whole_words(
    r"(?:has|have|had|did|when (?:did|was|were|has)|last|latest|history of|how (?:often|many times)"
    r"|ever|previous|past)(?: [\w#'-]+){0,5}? splits?|how many (?:stock )?splits?"
)
_NUMBER = r"(\d+(?:\.\d+)?|one)"
_RATIO = re.compile(
    rf"(?<![\d$.:]){_NUMBER}[\s-]*for[\s-]*{_NUMBER}(?![\d%])"
    rf"|(?<![\d$.:]){_NUMBER} ?: ?{_NUMBER}(?= (?:\w+ ){{0,2}}splits?\b)"
    rf"|\bsplits? (?:of |by )?{_NUMBER} ?: ?{_NUMBER}(?= *(?:$|[?.,!]))",
    re.IGNORECASE,
)
_AHEAD = re.compile(
    r"(?:\b(?:at|over|for) )?(?<!in )(?P<span>\b(?:an?|\d+) (?:trading )?"
    r"(?:session|day|week|month|quarter|year)s?)\b(?: (?:ahead|out|horizons?))?",
    re.IGNORECASE,
)
_THEN = whole_words(r"since (?:then|that(?: day| time)?)")
_BELIEF = whole_words(
    r"(?:which|what)(?:'s| is| are)?(?: [\w#']+){0,3}? (?:regimes?|state of the market)"
    r"|how (?:volatile|calm|nervous|turbulent|jumpy|risky|wild|quiet|unsettled) (?:is|are)"
    r"|what(?:'s| is)(?: [\w#']+){0,4}? (?:volatility|belief|risk)(?: [\w#']+){0,3}?"
    r"|volatility (?:now|today|right now|currently)|what do you believe"
    r"|(?:is|are)(?: [\w#']+){1,4}? (?:calm|turbulent|nervous|volatile|in (?:a )?crisis)"
)


_SUMMED = whole_words(
    r"(?:highest|lowest|average|mean|biggest|best|worst|peak|median) (?:\w+ )?"
    r"(?:close|price|day|level)s?"
    r"|all-?time (?:high|low)"
    r"|(?:by )?how (?:much|far|well|badly) (?:did|has|have|had|was)(?: [\w#']+){1,4}?"
    r" (?:gain(?:ed)?|los[et]|ris(?:en|e)|rose|fall(?:en)?|fell|move[ds]?|perform(?:ed)?"
    r"|change[ds]?|drop(?:ped)?|climb(?:ed)?|gone)"
    r"|how (?:did|has|have|was)(?: [\w#']+){1,4}? (?:do|done|doing|perform(?:ed|ing)?|fared?)"
    r"|(?:price |trading )?(?:range|performance|returns?|gains?|change)"
    r" (?:in|over|of|for|since|last|this|from)"
    r"|(?:year|quarter|month)[- ]to[- ]date|ytd|volatil\w+ (?:in|over|last|was|during)"
    r"|how volatile (?:was|were|has)"
)


_ELSEWHERE = re.compile(
    rf"{FUTURE.pattern}|\b(?:i|my|tax(?:es)?|we|our|next|coming|upcoming|ahead)\b", re.IGNORECASE
)


def topic_of(question: Question) -> Topic | None:
    """Tell which of our own tools answer a question; None when it is for others.

    Args:
        question: as read.

    Example:
        >>> from belief_tools.questions import read_question
        >>> known = {"as_of": np.datetime64("2024-03-01"), "symbols": {"NVDA": ("Nvidia",)}}
        >>> topic_of(read_question("How often were you right?", **known))
        'record'
        >>> topic_of(read_question("What will Nvidia cost in June?", **known)) is None
        True
    """
    text = plain_words(question.text)
    ahead = question.kind == "future_price" and "date" not in question.carried
    dated = ahead and question.target is not None
    if _SPLIT_AHEAD.search(text) and not _SPLIT_BEFORE.search(text):
        return "split"
    if _SPLIT_BEFORE.search(text):
        return "past"
    if _RECORD.search(text):
        return "record"
    if _SURE.search(text):
        return "sure"
    if _BELIEF.search(text) and not dated:
        return "belief"
    if question.kind == "past_price" or (_SUMMED.search(text) and not _ELSEWHERE.search(text)):
        return None if dated and not PAST.search(text) else "past"
    return None


def look_up(topic: Topic, question: Question, tool: ForecastTool) -> Answer:
    """Answer from our own tools.

    Args:
        topic: of the question.
        question: as read; its target is the one of the question before where it names none.
        tool: the belief about one symbol.

    Raises:
        UsageError: the question's date, or the ratio of a split, cannot be.
    """
    if topic != "past" and question.target is not None and _target(question, tool) is None:
        # what was is no horizon: "how sure are you?" after a price of the past
        carried = tuple(part for part in question.carried if part != "date")
        question = replace(question, target=None, carried=carried)
    return _ANSWERS[topic](question, tool)


class _Calls:
    """Calls of tools by the host, as an answer records them."""

    def __init__(self, tool: ForecastTool) -> None:
        self.tool, self.made = tool, list[dict[str, Any]]()

    def forecast(self, target: np.datetime64, levels: tuple[float, ...]) -> ForecastResult:
        wanted = {"target_date": str(target), "price_levels": list(levels) or None}
        return self._made(
            forecast_tool.NAME, wanted, lambda call: self.tool.run(self.tool.check(call))
        )

    def record(self, horizon: int | None) -> record_tool.RecordResult:
        return self._made(
            record_tool.NAME, {"horizon": horizon}, lambda call: record_tool.run(self.tool, call)
        )

    def belief(self) -> belief_tool.BeliefResult:
        return self._made(belief_tool.NAME, {}, lambda call: belief_tool.run(self.tool, call))

    def history(self, first: str | None, last: str | None) -> history_tool.HistoryResult:
        wanted = {"first_date": first, "last_date": last}
        return self._made(history_tool.NAME, wanted, lambda call: history_tool.run(self.tool, call))

    def _made(
        self, name: str, wanted: Mapping[str, Any], run: Callable[[Mapping[str, Any]], Result]
    ) -> Result:
        call = {"symbol": self.tool.prices.symbol, **wanted}
        result = run(call)
        self.made.append(
            {"name": name, "arguments": call, "by": "host", "result": result.to_dict()}
        )
        return result


def _answered(
    question: Question,
    calls: _Calls,
    text: str,
    result: ForecastResult | None = None,
    notes: tuple[str, ...] = (),
) -> Answer:
    prices = calls.tool.prices
    carried = carried_in_words(question, prices.symbol)
    if question.other_symbols:
        notes = (*notes, left_out(prices.symbol, question.other_symbols))
    age = calls.tool.age_in_days
    old = "" if age is None else f", {age} days old"
    lines = (f"as of {prices.as_of}, {prices.source}{old}; {called_in_words(calls.made)}",)
    given = without_model(
        question.text,
        text,
        FROM_TOOL,
        symbol=prices.symbol,
        calls=calls.made,
        notes=(*((carried,) if carried else ()), *notes),
        receipt=lines if result is None else receipt(result, "host", None),
    )
    return replace(given, result=result)


def called_in_words(calls: list[dict[str, Any]]) -> str:
    """Name the tools that were called, in order."""
    named = ", ".join(call["name"] for call in calls)
    return f"from {named}; no language model was asked" if named else "no language model was asked"


def _target(question: Question, tool: ForecastTool) -> np.datetime64 | None:
    """The session to come that a question is about, or None."""
    target = question.target
    return target if target is not None and target > tool.prices.as_of else None


def _record(question: Question, tool: ForecastTool) -> Answer:
    calls, as_of = _Calls(tool), tool.prices.as_of
    target = _own_target(question.text, as_of) or _target(question, tool)
    horizon = None if target is None else horizon_of(as_of, target)
    return _answered(question, calls, calls.record(horizon).summary)


def _own_target(text: str, as_of: np.datetime64) -> np.datetime64 | None:
    """What "a month ahead" means in a question about the record, which asks for no price."""
    clock = Clock(as_date(as_of), past=False, future=True)
    target = read_dates(_AHEAD.sub(r"in \g<span>", plain_words(text)), clock).target
    day = None if target is None else np.datetime64(target, "D")
    return day if day is not None and as_of < day <= session_after(as_of, MAX_HORIZON) else None


def _belief(question: Question, tool: ForecastTool) -> Answer:
    calls = _Calls(tool)
    return _answered(question, calls, calls.belief().summary)


def _sure(question: Question, tool: ForecastTool) -> Answer:
    calls, target = _Calls(tool), _target(question, tool)
    if target is None and question.kind == "other":
        text = f"{calls.belief().summary} {calls.record(None).summary}"
        return _answered(question, calls, text)
    result, assumed = _forecast(question, calls)
    held = calls.belief().summary
    text = f"{statement(result)} {held} {calls.record(result.horizon).summary}"
    return _answered(question, calls, text, result, assumed)


def _forecast(question: Question, calls: _Calls) -> tuple[ForecastResult, tuple[str, ...]]:
    """The forecast for the question's target; a horizon is assumed, and said, where it has none."""
    assumed: tuple[str, ...] = ()
    as_of = calls.tool.prices.as_of
    target = _target(question, calls.tool) or _own_target(question.text, as_of)
    if target is None:
        target = session_after(as_of, ASSUMED_HORIZON)
        assumed = (f"the question has no date; {ASSUMED_HORIZON} sessions were assumed",)
    return calls.forecast(target, question.levels), assumed


def _split(question: Question, tool: ForecastTool) -> Answer:
    calls, ratio = _Calls(tool), _ratio(question.text)
    result, assumed = _forecast(question, calls)
    calls.history(str(tool.prices.session[0]), None)
    text = f"{result.summary}. {history_tool.if_split(result, ratio, tool.prices)}"
    return _answered(question, calls, text, result, assumed)


def _ratio(text: str) -> float | None:
    """The ratio of the split that a text names: new shares for one old share."""
    found = _RATIO.search(plain_words(text))
    if found is None:
        return None
    said = [each for each in found.groups() if each is not None]
    many, few = (1.0 if each.lower() == "one" else float(each) for each in said)
    if not many or not few:
        raise UsageError(f"{found[0]} is not the ratio of a split; write it like 10-for-1")
    return few / many if re.search(r"\breverse\b", text, re.I) and many > few else many / few


def _past(question: Question, tool: ForecastTool) -> Answer:
    """The close of one session, or what a period came to."""
    text = plain_words(question.text)
    splits = _SPLIT_BEFORE.search(text) is not None
    wished = f"{text} {plain_words(question.wish)}"  # "and in February?"
    calls = _Calls(tool)
    if splits or _SUMMED.search(wished) or MORE_THAN_A_CLOSE.search(wished):
        first, last, assumed = _period(question, tool, ever=splits)
        return _answered(question, calls, calls.history(first, last).summary, notes=assumed)
    said, session = past_price(question, tool)
    if session is not None:
        calls.history(str(session), str(session))
    given = _answered(question, calls, said, notes=question.notes)
    return replace(given, stop_reason=PAST_PRICE)


def _period(
    question: Question, tool: ForecastTool, *, ever: bool = False
) -> tuple[str | None, str | None, tuple[str, ...]]:
    """The first and last day that a question asks about, as price_history takes them.

    Args:
        question: as read.
        tool: knows the first and the last session.
        ever: whether all that is known is meant where no period is named.

    Returns:
        The days, and what was assumed.

    Raises:
        UsageError: the period lies ahead.
    """
    prices = tool.prices
    start, end = str(prices.session[0]), str(prices.as_of)
    named = read_past_period(question.text, prices.as_of, tool.symbols)
    before = question.target is not None and question.target <= prices.as_of
    if named is None and before and _THEN.search(question.text):
        return max(str(question.target), start), None, ()
    if named is None:
        usual = f"no period is named; the last {history_tool.USUAL_SESSIONS} sessions were taken"
        return (start, None, ()) if ever else (None, None, (usual,))
    last = min(str(named.last), end)
    return min(max(str(named.first), start), last), last, ()


_ANSWERS: Mapping[Topic, Callable[[Question, ForecastTool], Answer]] = {
    "record": _record,
    "sure": _sure,
    "split": _split,
    "belief": _belief,
    "past": _past,
}
