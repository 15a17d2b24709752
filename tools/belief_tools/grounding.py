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
    DENIES,
    HEDGE,
    INTERVAL,
    MOVE,
    NEAR,
    NEGATED,
    ROLE_NAMES,
    WAY,
    Figure,
    Page,
    chance_of_range,
    is_about,
    is_difference,
    is_said_as_past,
    read_figures,
    role_of,
    role_of_date,
    scopes_of_percentage,
    way_of,
)


@dataclass(frozen=True)
class Finding:
    """One thing in a text that the tool result does not support.

    Attributes:
        figure: the words in the text.
        rule: the kind of rule that was broken, such as ``price`` or ``date``.
        message: one line that a model can act on.
    """

    figure: str
    rule: str
    message: str


@dataclass(frozen=True)
class _Belief:
    result: Mapping[str, Any]
    roles: Mapping[str, tuple[float, ...]]
    prob_above: tuple[tuple[float, float], ...]
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
_CERTAIN = re.compile(
    r"\b(?<!%\s)(?<!percent\s)(?<!\ba\s)(?:certain(?:ly|ty)?|guarantee(?:s|d)?|definitely"
    r"|surely|undoubtedly|(?:no|without(?: a)?|beyond(?: a)?) doubt|risk-free|for sure|inevitably"
    r"|bound to|can(?:'|no)t lose)\b",
    re.I,
)
_NOT_SAID = re.compile(
    r"\b(?:doubl(?:e|es|ed|ing)|tripl(?:e|es|ed|ing)|halv(?:e|es|ed|ing)|(?:highest|lowest|maximum"
    r"|minimum|peak|record)[\s-](?:\w+\s){0,2}(?:price|value|close|level|high|low)s?)\b",
    re.I,
)
_OUTLOOK = re.compile(
    r"\b(?P<lead>unlikely|likely|expect\w*|forecast|predict\w*|project\w*|anticipat\w*|set|poised"
    r"|should|will)\b(?:\s+(?!by\b|than\b|of\b|above\b|below\b)[\w'-]+){0,4}?\s+"
    r"(?:(?P<up>rise|increase|climb|gain|grow|(?:go|move) up|(?:close|be|end) (?:higher|up))"
    r"|(?P<down>fall(?!\s+(?:in|within|inside|into|somewhere)\b)|decrease|decline|drop|lose"
    r"|(?:go|move) down|(?:close|be|end) (?:lower|down)))\b",
    re.I,
)
_SURE = re.compile(r"\b(?:will|won't|shall|going to|cannot|can't)\b(?!.*\blikely\b)", re.I)
_BOUND = re.compile(r"\b(?:(?P<under>under|below|less than)|over|above|more than)\s+$", re.I)
_AGO = re.compile(r"\b(?:ago|yesterday|last (?:week|month|quarter|year)(?! of))\b", re.I)
_NO_MAKER = r"(?![\s-]+(?:maker|giant|company|manufacturer|designer|firm|stock|shares?)\b)"
_NOT_THE_SHARE = re.compile(
    rf"\b(?:(?:products?|gpus?|graphics|drivers?|chips?|hardware|software|laptops?)\b{_NO_MAKER}"
    r"|revenues?\b|sales\b|units?\b|worth of\b|business\b(?! days?)|launch\w*|unveil\w*|releas\w+"
    r"|(?:sell(?:s|ing)?|sold)\b(?![\s-]+(?:at|for|around|near|off)\b))",
    re.I,
)
_FORESEES = re.compile(r"\b(?:expect|forecast|predict|project|anticipat|will)\w*", re.I)
_MARKUP = re.compile(
    r"</?[a-z_][\w-]*>|<\|.*?\|>|\[/?INST\]|```|[{}]"
    r"|\b(?:interval_\d+|prob_up|prob_above|last_close|as_of|forecast_id|transition_matrix)\b",
    re.I,
)
_ENDS_WELL = re.compile(
    r"(?:[.!?][\"')\]*\u201d\u2019]*|[\d%$€£][\"')\]*\u201d\u2019]*|\b(?:dollars|percent|USD))$",
    re.I,
)
_ASKS_NO_PRICE = re.compile(r"\b(?:chances?|probab\w*|odds|likel\w+|regime|volatil\w*)\b", re.I)


def _believe(result: Mapping[str, Any], question: str) -> _Belief:
    last, median = float(result["last_close"]), float(result["median"])
    (low50, high50), (low90, high90) = result["interval_50"], result["interval_90"]
    asked = [(float(p["level"]), float(p["probability"])) for p in result.get("prob_above") or ()]
    tails = [(low90, 0.95), (low50, 0.75), (median, 0.5), (high50, 0.25), (high90, 0.05)]
    in_question = [f for f in read_figures(question).figures if f.kind in ("price", "range")]
    levels = [level for level, _ in asked]
    levels += [end.value for figure in in_question for end in figure.ends()]
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
    return _Belief(result, roles, known, _money_line(result))


def _money_line(result: Mapping[str, Any]) -> str:
    sign = "$" if result["currency"] in _DOLLARS else f"{result['currency']} "
    digits = 0 if result["median"] >= 20 else 2
    low, high = result["interval_90"]
    return (
        f"median {sign}{result['median']:,.{digits}f}, 90 % interval {sign}{low:,.{digits}f} to "
        f"{sign}{high:,.{digits}f}, last close {sign}{result['last_close']:,.2f}"
    )


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
    if not any(figure.is_near(value) for value in belief.roles[role]):
        name = f" as {ROLE_NAMES[role]}" if role in ROLE_NAMES else ""
        return "price", f"{name}; the tool result has no such price ({belief.money})"
    return _level_problem(page, figure, belief) if role == "level" else None


def _is_plain_count(page: Page, figure: Figure, belief: _Belief) -> bool:
    small_word = page.words(figure)[:1].isalpha() and figure.value < 100
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
    asked = re.search(r"\b(?:asked|level)\b", page.prose[clause_start:clause_end])
    ways, above = list(WAY.finditer(lead_in)), _probability_above(figure, belief)
    if asked or HEDGE.search(sentence) or "%" in sentence or not ways or above is None:
        return None
    said_above = (ways[-1].lastgroup == "up") != bool(DENIES.search(lead_in))
    if (above if said_above else 1 - above) >= (_NEARLY_SURE if _SURE.search(lead_in) else 0.5):
        return None
    return "level", f" as if sure; the tool result's chance of a close above it is {above:.0%}"


def _probability_above(figure: Figure, belief: _Belief) -> float | None:
    return next((chance for level, chance in belief.prob_above if figure.is_near(level)), None)


def _range_problem(page: Page, figure: Figure, belief: _Belief) -> tuple[str, str] | None:
    result, lead_in = belief.result, page.lead_in(figure)
    if re.search(r"\bfrom\b[^,;\d]*$", lead_in) and MOVE.search(lead_in):
        good = figure.spans(result["last_close"], result["median"])
        return None if good else ("price", f" as a move; the tool result has {belief.money}")
    chance = chance_of_range(page, figure)
    fits = [percent for percent in (50, 90) if figure.spans(*result[f"interval_{percent}"])]
    if fits and (chance is None or any(chance.is_near(percent) for percent in fits)):
        return None
    low, high = result["interval_50"]
    said = f" with {page.words(chance)}" if chance else ""
    known = f"50 % interval {low:,.2f} to {high:,.2f}; {belief.money}"
    return "interval", f"{said}; the tool result has no such interval ({known})"


def _judge_percentages(page: Page, belief: _Belief) -> Iterator[Finding]:
    taken = {chance_of_range(page, f) for f in page.figures if f.kind == "range"}
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
    for figure in page.figures:
        if figure.kind != "date":
            continue
        role = role_of_date(page, figure)
        allowed = {"target": (target,), "as_of": (as_of,)}.get(role, (target, as_of))
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


def _judge_words(page: Page) -> Iterator[Finding]:
    for match in _CERTAIN.finditer(page.prose):
        if not NEGATED.search(page.prose, max(0, match.start() - 2 * NEAR), match.start()):
            yield Finding(match[0], "certainty", f"no forecast is sure; leave out '{match[0]}'")
    for match in _NOT_SAID.finditer(page.prose):
        yield Finding(match[0], "price", f"the tool result says nothing about '{match[0]}'")
    for match in _NOT_THE_SHARE.finditer(page.prose):
        figure = Figure("words", *match.span())
        foreseen = _FORESEES.search(page.prose, *page.sentence(figure))
        if foreseen or page.near(figure, "price", "range"):
            yield Finding(match[0], "subject", f"the price is a share's; leave out '{match[0]}'")
            break


def _judge_tense(page: Page, belief: _Belief) -> Iterator[Finding]:
    """The last close is past; any other price of the result is not."""
    for figure in page.figures:
        if figure.kind not in ("price", "range") or _is_last_close(page, figure, belief):
            continue
        lead_in = page.lead_in(figure)
        past = is_said_as_past(page, figure)
        if not past and _AGO.search(page.prose, *page.sentence(figure)):
            others = page.near(figure, "price")
            past = not any(_is_last_close(page, other, belief) for other in others)
        if past and not HEDGE.search(lead_in):
            words, target = page.words(figure), belief.result["target"]
            yield Finding(words, "tense", f"the text says {words} as past; {target} is to come")


def _is_last_close(page: Page, figure: Figure, belief: _Belief) -> bool:
    """Say whether a price can be the last close, and is not said of the target."""
    start, end = page.clause(figure)
    target, as_of = str(belief.result["target"]), str(belief.result["as_of"])
    dates = [f for f in page.figures if f.kind == "date" and start <= f.start < end]
    if any(said.is_day(target) and not said.is_day(as_of) for said in dates):
        return False
    return all(price.is_near(belief.result["last_close"]) for price in figure.ends())


def _judge_outlook(page: Page, belief: _Belief) -> Iterator[Finding]:
    up, change = float(belief.result["prob_up"]), belief.change
    for match in _OUTLOOK.finditer(page.prose):
        figure = Figure("words", *match.span())
        lead_in = page.lead_in(figure)
        if HEDGE.search(lead_in) or re.search(r"(?:%|percent|as|equally)\s*$", lead_in, re.I):
            continue
        negated = NEGATED.search(lead_in) or re.search(r"\bless\s*$", lead_in, re.I)
        negated = negated or re.search(r"\bnot\b|unlikely", match[0], re.I)
        way = (1 if match["up"] else -1) * (-1 if negated else 1)
        if way * (up - 0.5) <= 0 or way * change <= 0:
            yield Finding(
                match[0],
                "direction",
                f"the text says '{match[0]}'; the chance of a rise is {up:.0%} and the median is "
                f"{change:+.1%} from the last close",
            )


def _judge_form(text: str) -> Iterator[Finding]:
    if not text.strip():
        yield Finding("", "empty", "the text is empty; answer with the tool result's summary")
        return
    for match in _MARKUP.finditer(text):
        yield Finding(match[0], "markup", f"the text shows '{match[0]}'; answer in plain sentences")
        break
    last = text.strip().splitlines()[-1].strip().rstrip("*_`")
    labelled = re.match(r"[-*•|]|[\w ]+:", last) and re.search(r"[\w|]$", last)
    if not (_ENDS_WELL.search(last) or labelled) or text.count("(") > text.count(")"):
        yield Finding(last[-40:], "cut", "the text stops in mid-sentence; end it with a full stop")


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
    form = tuple(_judge_form(text))
    if not text.strip():
        return form
    page = read_figures(text)
    if len(page.figures) > _MOST_FIGURES:
        return too_long
    belief = _believe(result, question)
    return (
        *form,
        *_judge_prices(page, belief),
        *_judge_percentages(page, belief),
        *_judge_dates(page, belief),
        *_judge_counts(page, belief),
        *_judge_words(page),
        *_judge_outlook(page, belief),
        *_judge_tense(page, belief),
        *_judge_completeness(page, belief, question),
    )
