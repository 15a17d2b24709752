"""The rule of the grounding check about percentages: each is judged by what it is said of.

The words next to a percentage say its subject: a regime, a transition between regimes, the
volatility, an interval, a rise or a fall, a close beyond a level, or a distance between two prices.
Where the nearest words say none, those of the sentence do; where these say none, it may be any
chance of the result.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from belief_tools.chance_claims import (
    COMPARES,
    GAP,
    Scope,
    Subject,
    distance_of,
    event_of,
)
from belief_tools.known import (
    Known,
    half_widths,
    mentioned,
    volatilities,
)
from belief_tools.listed_chances import listed_event
from belief_tools.loose_readings import ONE_LEVEL, loose_readings
from belief_tools.page import ABOUT, BOUND, Figure, Page
from belief_tools.price_claims import chance_of_range
from belief_tools.roles import (
    DENIES,
    INTERVAL,
    base_of_share,
    clause_before,
    is_distance,
    is_from_base,
    is_signed,
    nominal,
    scopes_of_percentage,
    way_near,
)
from belief_tools.wording import Finding

_CHANCE = re.compile(
    r"\b(?:chances?|probab\w*|improbab\w*|odds|(?:un)?likel\w+|confiden\w*|prob|risk)\b|\bP\s?\(",
    re.I,
)
_BOUND_AFTER = re.compile(
    r"\s*(?:chance|shot|odds|probability)?,?\s*or (?:slightly|a (?:bit|little|touch)) "
    r"(?:(?P<under>less)|more)\b",
    re.I,
)
_CLOSE = 0.25  # how near, as a share of it, a bound such as "over half" must be to what it bounds
_BEHIND = re.compile(r"^(?:the volatility|a transition|the \w+ regime)")
_LOOSEST = 1.35  # how much larger than a distance a bound such as "within 10 %" may be
_UP_TO = re.compile(r"\bmov\w+\s+(?:by\s+)?(?:up to|as much as)\s+$", re.I)
_WITHIN_SHARE = re.compile(rf"\bwithin\s+(?:{ABOUT}\s+)?$", re.I)
_OF_SMALL_MOVE = re.compile(  # "a 90 % chance that it moves by 2 % or less"
    r"\s*(?:odds|chance|probability)\s+(?:of\s+(?:less than|under|at most)\s+"
    r"|(?:of|that)\s+(?:a move of|\w+ moves(?: by)?)\s+(?:less than\s+)?)"
    rf"(?:{ABOUT}\s+)?[$]?[\d.]+\s*%?\s+(?:(?:in )?either|or less)",
    re.I,
)
_INSIDE = re.compile(
    r"\b(?:(?P<out>outside)\s+(?:of\s+)?(?:it|that|this|those|these|either)\b"
    r"|(?:inside|within)\b(?!\s+(?:reach|sight|a\b))|within (?:about |roughly )?an?\b"
    r"(?!\s+(?:trading )?(?:day|week|month|quarter|year)))",
    re.I,
)
_VOLATILITY = re.compile(r"\bvolatil\w*|\bvol\b|\bstandard deviation", re.I)
_PERIOD_AFTER = re.compile(
    r"\s*(?:(?:per|a|an|each|every|(?:for|in|over|on) (?:a|one|any)(?: single| typical)?)\s+"
    r"(?:trading )?(?P<unit>day|session|week|month|year)\b|(?P<daily>daily)|(?P<weekly>weekly)"
    r"|(?P<yearly>annual\w*|yearly|p\.a\.))",
    re.I,
)
_PERIOD_BEFORE = re.compile(r"\b(?:(?P<daily>daily|one-day)|(?P<weekly>weekly)|monthly)\b", re.I)
_SPREAD = re.compile(
    r"\b(?:(?:it|price|stock|shares?) moves|either (?:way|direction|side)|in both directions"
    r"|plus or minus|give or take"
    r"|typical (?:move|swing))|\u00b1|\+/-",
    re.I,
)
_WITHIN = re.compile(rf"{COMPARES.pattern}|\b(?:between|ends?|bounds?|limits?)\b", re.I)
_TRANSITION = re.compile(
    r"\b(?:stay|remain|persist|switch|transition|turn|(?:mov(?:e|es|ing)|go(?:es|ing)?|chang\w+)"
    r" (?:in)?to|leav(?:e|ing))\w*",
    re.I,
)
_STAYS = re.compile(r"\b(?:stay|remain|persist)\w*", re.I)
_IN_BETWEEN = re.compile(
    r"\bin[\s-]between\b|\bneither\b\W*(?:has |is |at )?\W*$|\bin the middle\b(?! (?:half|50))"
    r"|\bbetween(?:\s+(?:the(?:m| two| 2| levels)|your)\b|\s*:?\s*$)",
    re.I,
)
_AGAINST = re.compile(rf"{DENIES.pattern}|\bagainst\b|\botherwise\b", re.I)
_EITHER_WAY = "a move either way"
_UNITS = {"day": "day", "session": "day", "week": "week", "month": "month", "year": "year"}


def judge_percentages(page: Page, known: Known, spans: Collection[Figure]) -> Iterator[Finding]:
    """Every percentage is the result's for what it is said of.

    Args:
        page: the text.
        known: what the result says.
        spans: the figures of intervals that are said as two moves.
    """
    taken = {chance_of_range(page, f) for f in page.figures if f.kind == "range"}
    taken |= {*_complements(page), *spans}
    for figure in page.figures:
        if figure.kind != "percent" or figure in taken:
            continue
        subject, allowed = (
            _points(known) if figure.unit == "points" else _subject(page, figure, known)
        )
        settled = figure.unit == "points" or listed_event(page, figure, known)
        loose = () if settled else loose_readings(page, figure, known)
        around = subject == _EITHER_WAY and any(figure.is_near(100 * value) for value in allowed)
        if not around and not any(fits(page, figure, value) for value in (*allowed, *loose)):
            words = page.words(figure)
            listed = ", ".join(f"{100 * value:.1f} %" for value in allowed[:8]) or "none"
            yield Finding(
                words,
                "percentage",
                f"the text says {words} for {subject}; the tool result: {listed}",
            )


def _complements(page: Page) -> Iterator[Figure]:
    """Yield the second of "52 % to 48 %", which the first one settles."""
    percents = [f for f in page.figures if f.kind == "percent"]
    for first, second in pairwise(percents):
        gap = page.prose[first.end : second.start]
        if re.fullmatch(r"\s*(?:to|versus|vs\.?|/|-|:|against)\s*", gap):
            if abs(first.value + second.value - 100) < 1e-6:
                yield second


def fits(page: Page, figure: Figure, share: float) -> bool:
    """Say whether a percentage, or "under 1 %" and "over 99 %", is right for a probability."""
    bound = BOUND.search(page.before(figure)) or _BOUND_AFTER.match(page.prose, figure.end)
    if bound:
        less = bool(bound["under"]) != (figure.unit == "against")  # longer odds, smaller chance
        beyond = (100 * share < figure.value) == less
        extreme = figure.value in (1.0, 99.0)
        return beyond and (extreme or abs(100 * share - figure.value) <= _CLOSE * figure.value)
    return figure.is_near(100 * share)


def is_of_close(page: Page, figure: Figure, known: Known) -> bool:
    """Say whether a percentage is said of the close to come, and not of what lies behind it."""
    if figure.unit == "points" or nominal(page, figure):
        return False
    return _BEHIND.search(_subject(page, figure, known)[0]) is None


def _points(known: Known) -> Subject:
    return "a gap in points", tuple(abs(chance - 0.5) for chance in known.chances_of_all())


def _subject(page: Page, figure: Figure, known: Known) -> Subject:
    start, end = page.clause(figure)
    scopes = _scopes(page, figure, known)
    chance = figure.unit in ("odds", "against", "shared")
    chance = chance or any(_CHANCE.search(scope.text) for scope in scopes if not scope.far)
    chance = chance or _goes_on(page, figure)
    settled = listed_event(page, figure, known) or _by_form(page, figure, known, chance=chance)
    if settled:
        return settled
    chance = chance and not is_from_base(page, figure)
    if GAP.search(page.prose, start, end) and not chance:
        return event_of(scopes[0], chance=False) or _distance(page, figure, known)
    for scope in scopes:
        spoken = chance or _CHANCE.search(scope.text) is not None
        subject = _named_subject(scope, apart=scope.far and chance)
        subject = subject or event_of(scope, chance=spoken)
        if subject:
            return subject
    return _unnamed(page, figure, known)


def _goes_on(page: Page, figure: Figure) -> bool:
    """Say whether the clause goes on with the chance of the one before: ", of less than $200"."""
    start, _ = page.clause(figure)
    goes_on = re.match(r"\s*(?:(?:so|and|but)\s+)?(?:of|that)\b", page.prose[start : figure.start])
    return bool(goes_on and _CHANCE.search(page.prose, page.sentence(figure)[0], start))


def _by_form(page: Page, figure: Figure, known: Known, *, chance: bool) -> Subject | None:
    """Return the subject of a percentage that is plain from the words right beside it."""
    own, (sentence, _) = page.prose[slice(*_own(page, figure))], page.sentence(figure)
    if _is_volatility(page, figure, own, chance=chance):
        return _volatility(page, figure, known)
    if nominal(page, figure) or _OF_SMALL_MOVE.match(page.prose, figure.end):
        return "an interval", (0.5, 0.9)
    if covers := _OVER_SHARE.search(page.before(figure)):
        levels = [f for f in page.near(figure, "price") if f.end <= figure.start][-1:]
        if levels and _OF_ALL.match(page.prose, figure.end):
            way = -1 if covers["above"] else 1  # above three quarters: the chance of less
            return "what lies beyond a level", tuple(known.chances(levels[0], way))
    if apart := _apart_from_base(page, figure, known):
        return "a distance between prices", apart
    if is_signed(page, figure) or _is_of_move(page, figure, known):
        return _distance(page, figure, known)
    if _WITHIN_SHARE.search(page.before(figure)) or _UP_TO.search(page.before(figure)):
        return "a distance to the ends of an interval", tuple(_reaches(figure, known))
    odds = figure.unit in ("odds", "against", "shared")
    if (_SPREAD.search(own) and not odds) or (
        page.before(figure).endswith("(") and _SPREAD.search(page.prose[sentence : figure.start])
    ):
        return _spread(known)
    share_of = base_of_share(page, figure)
    if share_of == "chance":
        chances = [*known.chances_of_all()]
        return "a share of a chance", tuple(a / b for a in chances for b in chances if b > a)
    if share_of:
        prices = mentioned(page, figure, known)
        shares = [a / b for a in prices for b in prices if a != b]
        widths = [high - low for low, high in known.intervals]
        if re.search(r"\b(?:los\w+|shed\w*|down|drop\w*)\b", page.lead_in(figure), re.I):
            shares = [1 - share for share in shares if share < 1]
        return "a share of a price", (*shares, *(width / known.last for width in widths))
    if not chance and is_distance(page, figure):
        return _distance(page, figure, known)
    return None


_IS_BEYOND = re.compile(
    rf"\s*(?:is|lies|sits|would be|are)\s+(?:only |just )?(?:{ABOUT}|some)?\s*(?:a )?$", re.I
)
_OVER_SHARE = re.compile(
    rf"\d\s+(?:is|lies|sits)\s+(?:(?P<above>above)|below)\s+(?:{ABOUT}\s+)?$", re.I
)
_OF_ALL = re.compile(
    r"\s*of\s+(?:\w+\s+)?(?:outcomes|paths|simulat\w+|scenarios|closes|cases)\b", re.I
)
_BEYOND_IT = re.compile(r"\s*(?:above|below|higher|lower)\s*(?:$|[.,;)])", re.I)


def _apart_from_base(page: Page, figure: Figure, known: Known) -> tuple[float, ...]:
    """Return what "21 %" may be in "$681 is 17 % below the last close and $994 is 21 % above"."""
    before = [f for f in page.near(figure, "price") if f.end <= figure.start]
    if not before or not _BEYOND_IT.match(page.prose, figure.end):
        return ()
    if not _IS_BEYOND.fullmatch(page.prose, before[-1].end, figure.start):
        return ()
    prices = [price for price in known.roles["level"] if before[-1].is_near(price)]
    sign = way_near(page, figure)
    bases = (known.last, known.median)
    return tuple(abs(p / b - 1) for p in prices for b in bases if sign * (p - b) > 0)


def _is_of_move(page: Page, figure: Figure, known: Known) -> bool:
    """Say whether a percentage is a distance: "$7.51 to $7.71, or 2.7 %", "36 % short of $12"."""
    if re.match(r"\s*(?:short of|shy of|away from)\b", page.prose[figure.end :], re.I):
        return True
    ends = sorted((known.last, known.median))
    moved = [f for f in page.near(figure, "range") if f.end <= figure.start and f.spans(*ends)]
    return bool(
        moved
        and re.fullmatch(
            r"[\s,(]*(?:or|i\.e\.|a \w+ of)?[\s,]*(?:about|only)?\s*",
            page.prose[moved[-1].end : figure.start],
        )
    )


def _reaches(figure: Figure, known: Known) -> Iterator[float]:
    """Yield the figure itself where it is a tight bound on how far an interval reaches."""
    for interval in known.intervals:
        reach = max(abs(end / known.last - 1) for end in interval)
        yield reach
        if 100 * reach <= figure.value <= _LOOSEST * 100 * reach:
            yield figure.value / 100


def _own(page: Page, figure: Figure) -> tuple[int, int]:
    """Return where the words stand that belong to no other percentage of the clause."""
    near = scopes_of_percentage(page, figure)[:2]
    if page.before(figure).endswith("(") and page.prose[figure.end : figure.end + 1] == ")":
        near = [span for span in near if span[1] <= figure.start]  # "(96 %)" ends what it is of
    return min(start for start, _ in near), max(end for _, end in near)


def _scopes(page: Page, figure: Figure, known: Known) -> list[Scope]:
    """Return where the subject may stand, nearest first."""
    spans = scopes_of_percentage(page, figure)
    scopes = [Scope(page, figure, known, *span) for span in spans[:2]]
    if len(scopes[0].text.split()) < 2:  # as in "to be above its present $7.51, 52 %"
        scopes.append(Scope(page, figure, known, *clause_before(page, figure)))
    far = [*spans[2:], *_asked_before(page, figure)]
    return scopes + [Scope(page, figure, known, *span, far=True) for span in far]


def _asked_before(page: Page, figure: Figure) -> Iterator[tuple[int, int]]:
    """Yield where the sentence before stands, when it is a question: the text then answers it."""
    start, _ = page.sentence(figure)
    before = page.sentence_before(start)
    if page.prose[before:start].rstrip().endswith("?"):
        yield before, start


def _unnamed(page: Page, figure: Figure, known: Known) -> Subject:
    """Any chance of the result; but of one level asked for, where a chance is spoken of."""
    clause = page.prose[slice(*page.clause(figure))].rpartition(":")[2]
    if known.asked and not _AGAINST.search(clause):
        return "what was asked", tuple(known.asked_chances)
    return "this", tuple(known.chances_of_all())


def _is_volatility(page: Page, figure: Figure, near: str, *, chance: bool) -> bool:
    if not chance and _PERIOD_BEFORE.search(near) and not GAP.search(near):
        return True
    if _VOLATILITY.search(near):
        return not (chance and _CHANCE.search(page.prose, figure.end, figure.end + 15))
    daily = re.match(r"\s*(?:(?:a|per|each)\s+day|daily)\b", page.prose[figure.end :], re.I)
    if daily and not chance:
        return True
    start, _ = page.sentence(figure)
    spoken = _VOLATILITY.search(page.prose, start, figure.start)
    after = re.match(r"\s*(?:over|in|for|after|across)\s+(?:the\s+)?\d", page.prose[figure.end :])
    return bool(spoken and (after or _PERIOD_AFTER.match(page.prose, figure.end)))


def _volatility(page: Page, figure: Figure, known: Known) -> Subject:
    periods = volatilities(known)
    said = _PERIOD_AFTER.match(page.prose, figure.end) or (
        _PERIOD_BEFORE.search(page.prose, page.clause(figure)[0], figure.start)
    )
    period = "year"
    if said:
        words = said.groupdict()
        unit = (words.get("unit") or "").lower()
        period = _UNITS.get(unit) or ("day" if words.get("daily") else "year")
        period = "week" if words.get("weekly") else period
    ahead = page.near(figure, "count") or _SPREAD.search(page.prose, *page.clause(figure))
    allowed = (periods[period], periods["horizon"]) if ahead else (periods[period],)
    return f"the volatility of a {period}", allowed


def _spread(known: Known) -> Subject:
    ends = [abs(end / known.last - 1) for interval in known.intervals for end in interval]
    shares = [width / base for width in half_widths(known) for base in (known.last, known.median)]
    return _EITHER_WAY, (volatilities(known)["horizon"], *shares, *ends, 0.5, 0.9)


def _distance(page: Page, figure: Figure, known: Known) -> Subject:
    return "a distance between prices", distance_of(page, figure, known)


def _named_subject(scope: Scope, *, apart: bool) -> Subject | None:
    """Return the transition, the regime or the interval that a scope names."""
    known, text = scope.known, scope.text
    subject = _regime_subject(scope)
    if subject:
        return subject
    if len(known.asked_levels) == 2:
        low, high = sorted(known.asked_levels)
        above = dict(known.points)
        if _IN_BETWEEN.search(text):
            return "a close in between", (above[low] - above[high],)
        if one := ONE_LEVEL.search(text):
            up = above[high if one["upper"] else low]
            way = known.ways.get(high if one["upper"] else low)
            return "one of the levels", (up, 1 - up) if not way else (up if way > 0 else 1 - up,)
    inside = None if scope.ranges else _INSIDE.search(text)
    if inside:
        return "an interval", (0.5, 0.1) if inside["out"] else (0.5, 0.9)
    if not apart and INTERVAL.search(text) and not _WITHIN.search(text):
        outside = re.search(r"\b(?:outside|miss\w*|leave\w*|left)\b", text, re.I)
        return "an interval", (0.5, 0.1) if outside else (0.5, 0.9)
    return None


def _regime_subject(scope: Scope) -> Subject | None:
    text, result = scope.text, scope.known.result
    regimes = [str(regime["name"]) for regime in result.get("regimes") or ()]
    sentence = scope.page.prose[slice(*scope.page.sentence(scope.figure))]
    spoken = [name for name in regimes if re.search(rf"\b{re.escape(name)}\b", sentence, re.I)]
    if spoken and _TRANSITION.search(text) and result.get("transition_matrix"):
        return "a transition", tuple(_transitions(text, sentence, regimes, scope.known))
    named = [name for name in regimes if re.search(rf"\b{re.escape(name)}\b", text, re.I)]
    if not named:
        return None
    name = (max if scope.before else min)(named, key=lambda name: text.lower().rfind(name.lower()))
    chances = {regime["name"]: float(regime["probability"]) for regime in result["regimes"]}
    together = (sum(chances[name] for name in named),) if len(named) > 1 else ()
    return f"the {name} regime", (chances[name], *together)


def _transitions(text: str, sentence: str, regimes: Sequence[str], known: Known) -> Iterator[float]:
    """Yield the chances of the moves between regimes that a text can mean."""
    matrix = known.result["transition_matrix"]
    places = {name: sentence.lower().find(name.lower()) for name in regimes}
    spoken = [row for row, name in enumerate(regimes) if places[name] >= 0]
    to = [row for row in spoken if re.search(rf"\bto (?:the |a )?{regimes[row]}", text, re.I)]
    for row in spoken:
        if _STAYS.search(text):
            yield matrix[row][row]
        elif to:
            yield from (matrix[row][column] for column in to if column != row)
        else:
            yield from matrix[row]
