"""The grounding check: every figure in a language model's answer comes from a tool result.

The text is read once into figures (dates, percentages, counts, price ranges, numbers). Each figure
is then judged by the role that the words around it give it: "last close was $834" is wrong even
when $834 is the median. Where no word gives a role, the figure must be one of the result's own.
A figure that the check cannot place is a finding: a good text refused costs one retry, a wrong
price shown costs trust.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from belief_tools.figures import (
    ABOUT,
    DENIES,
    HEDGE,
    INTERVAL,
    MOVE,
    ROLE_NAMES,
    WAY,
    Figure,
    Page,
    is_about,
    is_difference,
    read_figures,
    role_of,
    role_of_date,
    scopes_of_percentage,
    way_of,
)
from belief_tools.record_figures import judge_record
from belief_tools.wording import (
    Finding,
    judge_form,
    judge_moves_and_advice,
    judge_outlook,
    judge_subject,
    judge_tense,
    judge_times,
    judge_words,
)

__all__ = ["Finding", "check"]


@dataclass(frozen=True)
class _Belief:
    result: Mapping[str, Any]
    roles: Mapping[str, tuple[float, ...]]
    prob_above: tuple[tuple[float, float], ...]
    named: tuple[float, ...]  # the prices in the question
    money: str

    @property
    def change(self) -> float:
        return float(self.result["median"]) / float(self.result["last_close"]) - 1.0


_LONGEST = 4_000  # characters
_MOST_FIGURES = 100
_NEARLY_SURE = 0.9  # from here on "will be above $700" is no overstatement
_DOLLARS = ("USD", "CAD", "AUD", "HKD", "NZD", "SGD")
_COMPARES = re.compile(r"\b(?:above|below|over|under|exceed\w*|more than|less than)\b", re.I)
_CHANCE = re.compile(r"\b(?:chances?|probab\w*|odds|(?:un)?likel\w+|confiden\w*|prob|risk)\b", re.I)
_SURE = re.compile(r"\b(?:will|won't|shall|going to|cannot|can't)\b(?!.*\blikely\b)", re.I)
_PRICE_NEXT = re.compile(
    r"\b(?:at|above|below|over|under|hits?|reach\w*|around|near|price of|target of)\s+$", re.I
)
_BOUND = re.compile(r"\b(?:(?P<under>under|below|less than)|over|above|more than)\s+$", re.I)
_ASKS_NO_PRICE = re.compile(r"\b(?:chances?|probab\w*|odds|likel\w+|regime|volatil\w*)\b", re.I)


def _believe(result: Mapping[str, Any], question: str) -> _Belief:
    last, median = float(result["last_close"]), float(result["median"])
    (low50, high50), (low90, high90) = result["interval_50"], result["interval_90"]
    asked = [(float(p["level"]), float(p["probability"])) for p in result.get("prob_above") or ()]
    tails = [(low90, 0.95), (low50, 0.75), (median, 0.5), (high50, 0.25), (high90, 0.05)]
    levels = [level for level, _ in asked]
    in_question = [f for f in read_figures(question).figures if f.kind in ("price", "range")]
    named = tuple(end.value for figure in in_question for end in figure.ends())
    ends = (low50, low90, high50, high90)
    roles = {
        "last": (last,),
        "expected": (median,),
        "low": (low50, low90),
        "high": (high50, high90),
        "price": (median, last),
        "possible": (median, *ends),
        "level": (last, median, *ends, *levels),
        "": (median, last, *ends),
    }
    known = ((last, float(result["prob_up"])), *asked, *tails)
    return _Belief(result, roles, known, named, _money_line(result))


def _money_line(result: Mapping[str, Any]) -> str:
    sign = "$" if result["currency"] in _DOLLARS else f"{result['currency']} "
    digits = 0 if result["median"] >= 20 else 2
    low, high = result["interval_90"]
    return (
        f"median {sign}{result['median']:,.{digits}f}, 90 % interval {sign}{low:,.{digits}f} to "
        f"{sign}{high:,.{digits}f}, last close {sign}{result['last_close']:,.2f}"
    )


def _judge_unread(page: Page) -> Iterator[Finding]:
    for figure in page.figures:
        if figure.kind == "unread":
            words = page.words(figure)
            yield Finding(words, "number", f"the text says '{words}'; write numbers as 1,044.20")


def _judge_prices(page: Page, belief: _Belief) -> Iterator[Finding]:
    used: set[int] = set()
    for figure in page.figures:
        if figure.kind not in ("price", "range"):
            continue
        problem = _number_problem(page, figure, belief)
        if problem is None and figure.kind == "range":
            problem = _range_problem(page, figure, belief)
        elif problem is None:
            problem = _price_problem(page, figure, belief, used)
        if problem:
            rule, reason = problem
            yield Finding(page.words(figure), rule, f"the text says {page.words(figure)}{reason}")


def _number_problem(page: Page, figure: Figure, belief: _Belief) -> tuple[str, str] | None:
    ends = figure.ends()
    if any(math.isnan(end.value) for end in ends):
        return "number", "; write numbers as 1,044 or 1044.20, as the tool result does"
    currency = belief.result["currency"]
    fits = {"", currency, *(("dollar", f"{currency} dollar") if currency in _DOLLARS else ())}
    if any(end.unit not in fits for end in ends):
        return "currency", f"; the tool result is in {currency}"
    return None


def _price_problem(
    page: Page, figure: Figure, belief: _Belief, used: set[int]
) -> tuple[str, str] | None:
    if not figure.unit and _is_plain_count(page, figure, belief):
        return None
    if is_difference(page, figure):
        return _difference_problem(page, figure, belief)
    role = role_of(page, figure, used)
    if role == "level" and _is_only_named(page, figure, belief):
        return None
    if not any(figure.is_near(value) for value in belief.roles[role]):
        name = f" as {ROLE_NAMES[role]}" if role in ROLE_NAMES else ""
        return "price", f"{name}; the tool result has no such price ({belief.money})"
    return _level_problem(page, figure, belief) if role == "level" else None


def _is_only_named(page: Page, figure: Figure, belief: _Belief) -> bool:
    """Say whether the text says no more of a level than that the question names it."""
    said = re.match(r"\s*(?:was|were)\s+(?:asked|named|mentioned)\b", page.prose[figure.end :])
    foreseen = _SURE.search(page.lead_in(figure))
    return bool(said and not foreseen and any(figure.is_near(value) for value in belief.named))


def _is_plain_count(page: Page, figure: Figure, belief: _Belief) -> bool:
    small_word = page.words(figure)[:1].isalpha() and figure.value < 100
    counts_nothing = re.match(r"\s*(?:[.,;!?]|$)", page.prose[figure.end :])
    small_word = small_word and not (counts_nothing or _PRICE_NEXT.search(page.before(figure)))
    return small_word or figure.value == belief.result["horizon"]


def _difference_problem(page: Page, figure: Figure, belief: _Belief) -> tuple[str, str] | None:
    difference = belief.result["median"] - belief.result["last_close"]
    way = way_of(page.prose[max(0, figure.start - 25) : figure.end + 25])
    if figure.is_near(abs(difference)) and way * difference >= 0:
        return None
    return "price", f" as a change; the median is {difference:+,.2f} from the last close"


def _level_problem(page: Page, figure: Figure, belief: _Belief) -> tuple[str, str] | None:
    """A level said without a chance must be the likelier side; after "will", nearly sure."""
    start, end = page.sentence(figure)
    clause_start, clause_end = page.clause(figure)
    sentence, lead_in = page.prose[start:end], page.lead_in(figure)
    asked = re.search(r"\basked\b", page.prose[clause_start:clause_end])
    asked = None if _SURE.search(lead_in) else asked
    ways, above = list(WAY.finditer(lead_in)), _probability_above(figure, belief)
    if asked or HEDGE.search(sentence) or "%" in sentence or not ways or above is None:
        return None
    said_above = (ways[-1].lastgroup == "up") != bool(DENIES.search(lead_in))
    if (above if said_above else 1 - above) >= (_NEARLY_SURE if _SURE.search(lead_in) else 0.5):
        return None
    return "level", f" as if sure; the tool result's chance of a close above it is {above:.0%}"


def _probability_above(figure: Figure, belief: _Belief) -> float | None:
    return next((chance for level, chance in belief.prob_above if figure.is_near(level)), None)


def _chance_of_range(page: Page, figure: Figure) -> Figure | None:
    """Return the percentage that the text gives to a range of prices."""
    near = page.near(figure, "percent", "range")
    at = near.index(figure)
    before, after = near[at - 1] if at else None, near[at + 1] if at + 1 < len(near) else None
    if before and before.kind == "percent":
        gap = page.prose[before.end : figure.start]
        lead_in = page.lead_in(before)
        said = lead_in if re.search(r"(?:\bis|:)\s*$", lead_in) else ""
        if not _topic_words(said + gap.replace("above", "", 1)):
            return before
    if after and after.kind == "percent":
        gap = page.prose[figure.end : after.start]
        if re.fullmatch(rf"[\s,(\[]*(?:with|at|as|is|has)?\s*(?:an?|the)?\s*{ABOUT}?\s*", gap) or (
            re.fullmatch(r"[\s,]*(?:with|has)?\s*(?:a |the )?(?:probability|chance)\s+of\s+", gap)
        ):
            return after
    return None


def _topic_words(text: str) -> bool:
    return bool(WAY.search(text) or re.search(r"regime|volatil", text, re.I))


def _range_problem(page: Page, figure: Figure, belief: _Belief) -> tuple[str, str] | None:
    result, lead_in = belief.result, page.lead_in(figure)
    if re.search(r"\bfrom\b[^,;\d]*$", lead_in) and MOVE.search(lead_in):
        good = figure.spans(result["last_close"], result["median"])
        return None if good else ("price", f" as a move; the tool result has {belief.money}")
    chance = _chance_of_range(page, figure)
    fits = [percent for percent in (50, 90) if figure.spans(*result[f"interval_{percent}"])]
    if fits and (chance is None or any(chance.is_near(percent) for percent in fits)):
        return None
    low, high = result["interval_50"]
    said = f" with {page.words(chance)}" if chance else ""
    known = f"50 % interval {low:,.2f} to {high:,.2f}; {belief.money}"
    return "interval", f"{said}; the tool result has no such interval ({known})"


def _judge_percentages(page: Page, belief: _Belief) -> Iterator[Finding]:
    taken = {_chance_of_range(page, f) for f in page.figures if f.kind == "range"}
    for figure in page.figures:
        if figure.kind != "percent" or figure in taken:
            continue
        subject, allowed = _percent_subject(page, figure, belief)
        if not any(_fits(page, figure, value) for value in allowed):
            words = page.words(figure)
            known = ", ".join(f"{100 * value:.1f} %" for value in allowed) or "none"
            yield Finding(
                words,
                "percentage",
                f"the text says {words} for {subject}; the tool result: {known}",
            )


def _fits(page: Page, figure: Figure, share: float) -> bool:
    """Say whether a percentage, or "under 1 %" and "over 99 %", is right for a probability."""
    bound = _BOUND.search(page.before(figure))
    if bound and figure.value in (1.0, 99.0):
        return (100 * share < figure.value) == bool(bound["under"])
    return figure.is_near(100 * share)


def _percent_subject(page: Page, figure: Figure, belief: _Belief) -> tuple[str, tuple[float, ...]]:
    scopes = scopes_of_percentage(page, figure)
    wording = "".join(page.prose[start:end] for start, end in scopes[:2])
    for number, (start, end) in enumerate(scopes):
        text = page.prose[start:end]
        chance = bool(_CHANCE.search(text) or _CHANCE.search(wording))
        subject = _named_subject(text, belief) or _moving_subject(
            page, figure, belief, (start, end), chance=chance, last=number == 2
        )
        if subject:
            return subject
    up = belief.result["prob_up"]
    chances = [asked["probability"] for asked in belief.result.get("prob_above") or ()]
    regimes = [regime["probability"] for regime in belief.result.get("regimes") or ()]
    return "this", (up, 1 - up, *chances, *(1 - p for p in chances), *regimes)


def _named_subject(text: str, belief: _Belief) -> tuple[str, tuple[float, ...]] | None:
    """Return the regime, volatility or interval that `text` names."""
    result = belief.result
    if re.search(r"\b(?:stay|remain|switch|transition|mov(?:e|ing) to)", text, re.I) and (
        matrix := result.get("transition_matrix")
    ):
        return "a transition", tuple(p for row in matrix for p in row)
    for regime in result.get("regimes") or ():
        if re.search(rf"\b{re.escape(regime['name'])}\b", text, re.I):
            return f"the {regime['name']} regime", (regime["probability"],)
    if re.search(r"volatil", text, re.I):
        return "the volatility", (result["volatility"],)
    if INTERVAL.search(text):
        return "an interval", (0.5, 0.9)
    return None


def _moving_subject(
    page: Page,
    figure: Figure,
    belief: _Belief,
    scope: tuple[int, int],
    *,
    chance: bool,
    last: bool,
) -> tuple[str, tuple[float, ...]] | None:
    """Return the rise, fall or level that the words in `scope` speak of."""
    text = page.prose[scope[0] : scope[1]]
    way = way_of(text, last=last)
    signed = page.original[figure.start : figure.end].strip()[:1] in "+-"
    if not way and not signed:
        return None
    if signed:
        return "the change", (belief.change,)
    change = (abs(belief.change),) if way * belief.change >= 0 else ()
    up = float(belief.result["prob_up"])
    prices = [f for f in page.figures if f.kind == "price" and scope[0] <= f.start < scope[1]]
    levels = [price for price in prices if not is_difference(page, price)]
    if levels and (_COMPARES.search(text) or chance):
        level = levels[-1 if last else 0]
        above = _probability_above(level, belief)
        sides = () if above is None else (above if way > 0 else 1 - above,)
        name = f"a close {'above' if way > 0 else 'below'} {page.words(level)}"
        return name, (sides if chance else (*sides, *change))
    sides = (up if way > 0 else 1 - up,)
    sentence, _ = page.sentence(figure)
    chance_before = _CHANCE.search(page.prose, sentence, figure.start) is not None
    name = "a rise" if way > 0 else "a fall"
    if chance:
        return f"the chance of {name}", sides
    return name, (*change, *(sides if chance_before or _COMPARES.search(text) else ()))


def _judge_dates(page: Page, belief: _Belief) -> Iterator[Finding]:
    target, as_of = str(belief.result["target"]), str(belief.result["as_of"])
    events = [str(event["session"]) for event in belief.result.get("scheduled_events") or ()]
    for figure in page.figures:
        if figure.kind != "date":
            continue
        role = role_of_date(page, figure)
        allowed = {"target": (target,), "as_of": (as_of,)}.get(role, (target, as_of, *events))
        whole = "??" not in figure.unit[8:]
        if not any(figure.is_day(day) for day in (allowed if whole else (target, as_of))):
            words = page.words(figure)
            yield Finding(
                words, "date", f"the text says {words}; the target is {target}, as of {as_of}"
            )


def _judge_counts(page: Page, belief: _Belief) -> Iterator[Finding]:
    result = belief.result
    days = (date.fromisoformat(result["target"]) - date.fromisoformat(result["as_of"])).days
    sessions, age = result["horizon"], result.get("age_in_days")
    spans = {
        "session": (sessions,),
        "day": (sessions, days, age),
        "week": (days / 7, sessions / 5),
        "month": (days / 30.4,),
        "quarter": (days / 91.3,),
        "year": (days / 365.25,),
    }
    for figure in page.figures:
        if figure.kind != "count":
            continue
        known = [span for span in spans.get(figure.unit, ()) if span is not None]
        about = is_about(page.clean, figure.start)
        near = replace(figure, tolerance=max(figure.tolerance, 1.0)) if about else figure
        if not any(near.is_near(span) for span in known):
            words = page.words(figure)
            horizon = f"the horizon is {sessions} sessions ({days} days)"
            yield Finding(words, "count", f"the text says {words}; {horizon}")


def _judge_completeness(page: Page, belief: _Belief, question: str) -> Iterator[Finding]:
    if _ASKS_NO_PRICE.search(question) and not re.search(r"\bprice\b|how much", question, re.I):
        return
    low, high = belief.result["interval_90"]
    prices = [f for f in page.figures if f.kind in ("price", "range")]
    ends = [end for figure in prices for end in figure.ends()]
    has_median = any(end.is_near(belief.result["median"]) for end in ends)
    has_interval = any(e.is_near(low) for e in ends) and any(e.is_near(high) for e in ends)
    for asked in belief.result.get("prob_above") or ():
        sides = (asked["probability"], 1 - asked["probability"])
        if any(end.is_near(asked["level"]) for end in ends) and any(
            _fits(page, f, side) for f in page.figures if f.kind == "percent" for side in sides
        ):
            return
    if not (has_median or has_interval):
        lacks = "neither the median nor the 90 % interval" if prices else "no price"
        yield Finding("", "missing", f"the text states {lacks} of the tool result ({belief.money})")


def check(text: str, result: Mapping[str, Any], *, question: str = "") -> tuple[Finding, ...]:
    """Find what a language model's answer says that the tool result does not.

    Args:
        text: the answer in prose.
        result: the fields of a `ForecastResult` as plain values.
        question: what was asked; a price in it may be restated as a level, never as a forecast.

    Returns:
        The findings; empty when the text is grounded.

    Example:
        >>> result = {
        ...     "symbol": "NVDA", "currency": "USD", "as_of": "2024-03-01", "last_close": 822.79,
        ...     "target": "2024-03-28", "horizon": 19, "median": 833.6, "prob_up": 0.53,
        ...     "interval_50": [766.1, 905.0], "interval_90": [665.0, 1044.2], "volatility": 0.48,
        ... }
        >>> check("On March 28, 2024 Nvidia is expected at $834.", result)
        ()
        >>> [finding.figure for finding in check("Nvidia is expected at $1,208.", result)]
        ['$1,208', '']
    """
    too_long = (Finding("", "long", "the text is too long; answer in a few sentences"),)
    if len(text) > _LONGEST:
        return too_long
    form = tuple(judge_form(text))
    if not text.strip():
        return form
    page = read_figures(text)
    if len(page.figures) > _MOST_FIGURES:
        return too_long
    belief = _believe(result, question)
    forecast, of_record = judge_record(page, result.get("track_record"))
    return (
        *form,
        *of_record,
        *_judge_unread(forecast),
        *_judge_prices(forecast, belief),
        *_judge_percentages(forecast, belief),
        *_judge_dates(forecast, belief),
        *_judge_counts(forecast, belief),
        *judge_words(page),
        *judge_subject(page, result),
        *judge_times(page, result, question),
        *judge_moves_and_advice(page),
        *judge_outlook(page, result),
        *judge_tense(forecast, result),
        *_judge_completeness(forecast, belief, question),
    )
