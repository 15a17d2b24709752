"""The rules of the grounding check about prices, ranges of prices, and distances in money."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from belief_tools.known import Known, currencies, half_widths, is_any, is_change, moves
from belief_tools.page import ABOUT, Figure, Page, is_hedged
from belief_tools.roles import (
    DENIES,
    HEDGE,
    MOVE,
    ROLE_NAMES,
    WAY,
    base_of_share,
    is_claimed,
    is_signed,
    nominal,
    role_of,
    way_near,
)
from belief_tools.wording import Finding

_FAR = 0.5  # an amount this large, as a share of the last close, is rather a price
_ROUGH = 0.05  # how far off, as a share of it, a width may be that is said with "about"
_NEARLY_SURE = 0.9  # from here on "will be above $700" is no overstatement
_SURE = re.compile(r"\b(?:will|won't|shall|going to|cannot|can't)\b(?!.*\blikely\b)", re.I)
_PRICE_NEXT = re.compile(
    r"\b(?:at|above|below|over|under|hits?|reach\w*|around|near|price of|target of)\s+$", re.I
)
ASSERTS = re.compile(
    r"\b(?:will|won't|is|are|expected|should|shall|going to|closes|ends|trades|stays|goes|rises"
    r"|falls|cannot|can't|forecast|predicted)\b",
    re.I,
)
_ORDER = re.compile(
    r"(?:[\s),]*(?:on[\s,]+)?(?:is|lies|sits|stays|remains|would be|are)\s+(?:\w+\s+){0,2}?"
    r"|[\s)]*,\s*(?:well|far|slightly|just|still|clearly|comfortably|a little)\s+)"
    r"(?:(?:above|over|beyond|higher than|more than)"
    r"|(?P<below>below|under|lower than|less than|short of))\s+(?:the |its )?(?:\w+\s+){0,3}?",
    re.I,
)
_AT_PERCENTILE = re.compile(  # "$900 is at the 76th percentile"
    rf"\d\s+(?:is|lies|sits|stands)\s+(?:{ABOUT}\s+)?(?:at|near|the)\s+(?:{ABOUT}\s+)?(?:the\s+)?$",
    re.I,
)
_HALF_WIDTH = re.compile(
    rf"(?:\bplus or minus|\bgive or take|\+/-|\u00b1|\bwithin)\s*{ABOUT}?\s*[$]?\s*$", re.I
)


def judge_prices(page: Page, known: Known) -> Iterator[Finding]:
    """Every price and range of prices is one of the result, in the role that the words give it."""
    used: set[int] = set()
    for figure in page.figures:
        if figure.kind not in ("price", "range"):
            continue
        problem = _number_problem(page, figure, known)
        if problem is None and figure.kind == "range":
            problem = _range_problem(page, figure, known)
        elif problem is None:
            problem = _price_problem(page, figure, known, used)
        if problem:
            rule, reason = problem
            yield Finding(page.words(figure), rule, f"the text says {page.words(figure)}{reason}")


def states_forecast(page: Page, figure: Figure, known: Known) -> bool:
    """Say whether a price is more than the last close or a level that the question names."""
    if figure.kind not in ("price", "range"):
        return figure.kind in ("ratio", "percentile")
    if figure.kind == "range" and figure.spans(*sorted((known.last, known.median))):
        return True
    named = (*known.asked_levels, *known.named)
    if not figure.unit and _is_plain_count(page, figure, known):
        return False
    last_too = known.last if role_of(page, figure, set()) == "last" else None
    for end in figure.ends():
        foreign = not is_any(end, (known.last, *named))
        median = end.is_near(known.median) and not (last_too and end.is_near(last_too))
        if foreign or median:
            return True
    return False


def _number_problem(page: Page, figure: Figure, known: Known) -> tuple[str, str] | None:
    ends = figure.ends()
    if any(math.isnan(end.value) for end in ends):
        return "number", "; write numbers as 1,044 or 1044.20, as the tool result does"
    fits = currencies(known.result)
    if any(end.unit not in fits for end in ends):
        return "currency", f"; the tool result is in {known.result['currency']}"
    return None


def _price_problem(
    page: Page, figure: Figure, known: Known, used: set[int]
) -> tuple[str, str] | None:
    if not figure.unit and _is_plain_count(page, figure, known):
        return None
    if _HALF_WIDTH.search(page.before(figure)) or _says_width(page, figure):
        return _width_problem(page, figure, known)
    if is_change(page, figure, known):
        return _difference_problem(page, figure, known)
    role = role_of(page, figure, used)
    if role in ("expected", "price", "") and _is_bound_said(page, figure, known):
        return None
    if is_any(figure, known.asked_levels) and not is_claimed(page, figure):
        role = "level"
    if role == "level" and _is_only_named(page, figure, known):
        return None
    if is_any(figure, known.roles["level"]) and _has_percentile(page, figure):
        return None
    if page.words(figure).endswith("0s") and role != "last" and _is_likely_place(figure, known):
        return None
    if page.words(figure).endswith("0s") and _OFTEN.search(page.prose, *page.sentence(figure)):
        return "price", f"; the tool result's 50 % interval does not reach there ({known.money})"
    if not is_any(figure, known.roles[role]):
        if not is_claimed(page, figure) and _is_distance_known(figure, known):
            return None
        name = f" as {ROLE_NAMES[role]}" if role in ROLE_NAMES else ""
        return "price", f"{name}; the tool result has no such price ({known.money})"
    problem = _bound_problem(page, figure, known)
    return problem or (_level_problem(page, figure, known) if role == "level" else None)


_OFTEN = re.compile(r"\b(?:more often than not|(?:most )?likely|probably|usually)\b", re.I)


def _is_likely_place(figure: Figure, known: Known) -> bool:
    """Say whether "the low $140s" lie, at least in part, in the 50 % interval."""
    low, high = known.intervals[0]
    return figure.value + figure.tolerance >= low and figure.value - figure.tolerance <= high


def _has_percentile(page: Page, figure: Figure) -> bool:
    start, _ = page.clause(figure)
    return any(start <= f.start < figure.start for f in page.near(figure, "percentile"))


def _is_distance_known(figure: Figure, known: Known) -> bool:
    """Say whether an amount is the distance of a price to come from the last close or median."""
    if not figure.unit or figure.value >= _FAR * known.last:
        return False
    prices = (*known.asked_levels, *(end for interval in known.intervals for end in interval))
    return is_any(figure, (abs(a - b) for a in prices for b in (known.last, known.median)))


def _is_bound_said(page: Page, figure: Figure, known: Known) -> bool:
    """Say whether a price is an end of the interval that the clause names before it."""
    start, _ = page.clause(figure)
    for named in page.near(figure, "percent"):
        ends = known.result.get(f"interval_{named.value:.0f}", ())
        if start <= named.start < figure.start and nominal(page, named) and is_any(figure, ends):
            return not is_claimed(page, figure)
    return False


def _bound_problem(page: Page, figure: Figure, known: Known) -> tuple[str, str] | None:
    """An end of an interval must be one of the interval that the text names before it."""
    named = [f for f in page.near(figure, "percent") if nominal(page, f) and f.end <= figure.start]
    if not named or is_any(figure, known.roles["base"]) or is_any(figure, known.asked_levels):
        return None
    gap = re.sub(r"\breach\w*", "", page.prose[named[-1].end : figure.start], flags=re.I)
    between = [
        f for f in page.near(figure, "percent", "range") if named[-1].end <= f.start < figure.start
    ]
    ends = known.result.get(f"interval_{named[-1].value:.0f}")
    if between or ends is None or WAY.search(gap) or is_any(figure, ends):
        return None
    words = page.words(named[-1])
    return "interval", f" of the {words} interval, which is {ends[0]:,.2f} to {ends[1]:,.2f}"


def _is_only_named(page: Page, figure: Figure, known: Known) -> bool:
    """Say whether the text says no more of a level than that the question names it."""
    said = re.match(r"\s*(?:was|were)\s+(?:asked|named|mentioned)\b", page.prose[figure.end :])
    foreseen = _SURE.search(page.lead_in(figure))
    return bool(said and not foreseen and is_any(figure, known.named))


def _is_plain_count(page: Page, figure: Figure, known: Known) -> bool:
    small_word = page.words(figure)[:1].isalpha() and figure.value < 100
    pronoun = re.search(r"\b(?:the|these|those|both|all)\s+$", page.before(figure), re.I)
    counts_nothing = not pronoun and re.match(r"\s*(?:[.,;!?]|$)", page.prose[figure.end :])
    small_word = small_word and not (counts_nothing or _PRICE_NEXT.search(page.before(figure)))
    return small_word or figure.value == known.result["horizon"]


def _difference_problem(page: Page, figure: Figure, known: Known) -> tuple[str, str] | None:
    way = way_near(page, figure)
    if is_any(figure, (abs(to - base) for base, to in moves(page, figure, known, way))):
        return None
    difference = known.median - known.last
    return "price", f" as a change; the median is {difference:+,.2f} from the last close"


def _says_width(page: Page, figure: Figure) -> bool:
    after = re.match(r"\s*(?:wide|broad|apart|spread|in width)\b", page.prose[figure.end :], re.I)
    before = re.search(
        r"\b(?:width|spread|spans?|(?:interval|range|band) of)\b[^.;,$]{0,60}$",
        page.prose[page.sentence(figure)[0] : figure.start],
        re.I,
    )
    return bool(after or before)


def _width_problem(page: Page, figure: Figure, known: Known) -> tuple[str, str] | None:
    said = _levels_named(page, figure)
    widths = {
        percent: high - low
        for percent, (low, high) in zip(("50", "90"), known.intervals, strict=True)
    }
    allowed = [width for percent, width in widths.items() if not said or percent in said]
    if _HALF_WIDTH.search(page.before(figure)):
        allowed = [*half_widths(known, [int(percent) for percent in said] or (50, 90))]
    if is_hedged(page.clean, figure.start, figure.end):
        figure = replace(figure, tolerance=max(figure.tolerance, _ROUGH * figure.value))
    if is_any(figure, allowed):
        return None
    return "price", f" as a width; the 50 % interval is {widths['50']:,.2f} wide, the 90 % " + (
        f"interval {widths['90']:,.2f}"
    )


def _levels_named(page: Page, figure: Figure) -> list[str]:
    """Return which intervals, "50" or "90", a clause names; else its sentence."""
    start, end = page.clause(figure)
    named = [f for f in page.near(figure, "percent") if round(f.value) in (50, 90)]
    beside = [f for f in named if start <= f.start < end]
    return [f"{f.value:.0f}" for f in beside or named]


def _level_problem(page: Page, figure: Figure, known: Known) -> tuple[str, str] | None:
    """A level said without a chance must be the likelier side; after "will", nearly sure."""
    start, end = page.sentence(figure)
    clause_start, clause_end = page.clause(figure)
    sentence, lead_in = page.prose[start:end], page.lead_in(figure)
    asked = re.search(r"\basked?\b", page.prose[clause_start:clause_end])
    asked = None if _SURE.search(lead_in) else asked
    ways, above = list(WAY.finditer(lead_in)), known.chances(figure, 1)
    told = (
        HEDGE.search(sentence) or page.near(figure, "percent") or page.prose[end : end + 1] == "?"
    )
    if asked or told or not ways or not above or not ASSERTS.search(lead_in):
        return None
    said_above = (ways[-1].lastgroup == "up") != bool(DENIES.search(lead_in))
    least = _NEARLY_SURE if _SURE.search(lead_in) else 0.5
    if any((chance if said_above else 1 - chance) >= least for chance in above):
        return None
    return "level", f" as if sure; the tool result's chance of a close above it is {above[0]:.0%}"


def chance_of_range(page: Page, figure: Figure) -> Figure | None:
    """Return the percentage that the text gives to a range of prices."""
    near = [f for f in page.near(figure, "percent", "range") if not _is_no_chance(page, f)]
    at = near.index(figure)
    before, after = near[at - 1] if at else None, near[at + 1] if at + 1 < len(near) else None
    if after and after.kind == "percent":
        gap = page.prose[figure.end : after.start]
        if re.fullmatch(r"\s*(?:[(\[]\s*|(?:\(\s*)?at\s+(?:the\s+)?)", gap):
            return after
    if after and after.kind == "percent" and nominal(page, after):
        if _THAT_IS.fullmatch(page.prose, figure.end, after.start):
            return after
    if before and before.kind == "percent":
        gap = page.prose[before.end : figure.start]
        lead_in = page.lead_in(before)
        said = lead_in if re.search(r"(?:\bis|:)\s*$", lead_in) else ""
        parted = re.search(r",\s*(?:so|and|but|while|which)\b|;|^[^(]*\)(?=[^(]*[,:])", gap) or any(
            before.end <= f.start < figure.start and f.kind not in ("count", "date")
            for f in page.figures
        )
        if not parted and not _topic_words(said + gap.replace("above", "", 1)):
            return before
    if after and after.kind == "percent":
        gap = page.prose[figure.end : after.start]
        lead = r"[\s,(\[]*(?:on|by|for|in)?[\s,(\[]*"
        if re.fullmatch(rf"{lead}(?:with|at|as|is|has)?\s*(?:an?|the)?\s*{ABOUT}?\s*", gap) or (
            re.fullmatch(r"[\s,]*(?:with|has)?\s*(?:a |the )?(?:probability|chance)\s+of\s+", gap)
        ):
            return after
    return None


_EVEN_CHANCES = re.compile(
    r"\b(?:equal|even|same|50[-/ ]50)\s+(?:chances?|odds)\b.*\b(?:in|out)side\b|\bas likely"
    r" (?:to be )?(?:in|out)side as (?:in|out)side\b",
    re.I,
)
_EVEN_LEAD = re.compile(
    r"\b(?:even|equal) (?:chance|odds)\W+(?:\w+\W+){0,5}(?:between|in|inside|within)\b[^.;]*$", re.I
)
_THAT_IS = re.compile(
    r"[\s,(]*(?:though|but|and|although)?\s*(?:that|this|which|it)(?:'s| is)\s+"
    r"(?:only |just )?(?:an?|the)?\s*",
    re.I,
)


def _is_no_chance(page: Page, figure: Figure) -> bool:
    """Say whether a percentage is a move, a share of a price, or a volatility."""
    yearly = re.match(r"\s*(?:per|an?|each)\s+(?:year|day)\b", page.prose[figure.end :], re.I)
    return bool(is_signed(page, figure) or base_of_share(page, figure) or yearly)


def _topic_words(text: str) -> bool:
    return bool(WAY.search(text) or re.search(r"regime|volatil", text, re.I))


def _range_problem(page: Page, figure: Figure, known: Known) -> tuple[str, str] | None:
    low, high = figure.ends()
    result, lead_in = known.result, page.lead_in(figure)
    fits = [percent for percent in (50, 90) if figure.spans(*result[f"interval_{percent}"])]
    chance = chance_of_range(page, figure)
    if not fits and re.search(r"\bfrom\b[^,;\d]*$", lead_in) and MOVE.search(lead_in):
        good = figure.spans(known.last, known.median)
        return None if good else ("price", f" as a move; the tool result has {known.money}")
    even = _EVEN_LEAD.search(lead_in) or _EVEN_CHANCES.search(page.prose, *page.sentence(figure))
    fits = [percent for percent in fits if percent == 50] if even else fits
    between = [100 * share for share in known.chances_between(low, high)]
    if re.search(r"\boutside(?:\s+of)?(?:\s+(?:the|that))?\s*$", lead_in, re.I):
        between = [100 - share for share in between]
        fits = []
    if chance and is_any(chance, between):
        return None
    if (
        chance is None
        and fits
        and (90 in fits or not _SURE.search(lead_in) or _hedged(page, figure))
    ):
        return None
    if (
        chance is None
        and not even
        and between
        and (page.near(figure, "percent") or _hedged(page, figure))
    ):
        return None
    low50, high50 = result["interval_50"]
    said = f" with {page.words(chance)}" if chance else ""
    listed = f"50 % interval {low50:,.2f} to {high50:,.2f}; {known.money}"
    return "interval", f"{said}; the tool result has no such interval ({listed})"


def _hedged(page: Page, figure: Figure) -> bool:
    return HEDGE.search(page.prose, *page.sentence(figure)) is not None


def judge_percentiles(page: Page, known: Known) -> Iterator[Finding]:
    """The price of a percentile is the result's."""
    for figure in page.figures:
        if figure.kind != "percentile":
            continue
        start, end = page.sentence(figure)
        prices = [f for f in page.figures if f.kind == "price" and start <= f.start < end]
        prices = [f for f in prices if not _says_width(page, f)]
        listed = [f for f in page.near(figure, "percentile")]
        later = [f for f in prices if f.start > listed[-1].end]
        after = [f for f in prices if 0 <= f.start - figure.end < 25]
        if len(listed) > 1 and len(later) == len(listed):
            after = [later[listed.index(figure)]]
        if _AT_PERCENTILE.search(page.lead_in(figure)):
            after = []
        spoken = after[:1] or [f for f in prices if f.end <= figure.start][-1:]
        compared = not after and WAY.search(page.prose, start, figure.start)
        right = [price for price, up in known.points if figure.is_near(100 * (1 - up))]
        if not right or (spoken and not compared and not is_any(spoken[0], right)):
            words = page.words(figure)
            told = ", ".join(f"{price:,.2f}" for price in right) or "not known"
            yield Finding(words, "price", f"the text speaks of the {words}; it is {told}")


_SIDE_OF_LAST = re.compile(
    r"\s*(?:,|\(|is|which is|that is)[\s,]*(?:just |only )?(?:an? (?:hair|touch|bit|shade|little"
    r"|tad)"
    r"|slightly|marginally|fractionally|barely|well|far)?\s*(?:(?P<above>above|higher than|over|up"
    r" (?:on|from))|below|lower than|under|down (?:on|from))\s+(?:the|its|today's|\w+day's)\s+"
    r"(?:(?:last|latest|current|previous|present)\b|clos)",
    re.I,
)


def _judge_side_of_last(page: Page, known: Known) -> Iterator[Finding]:
    """A price said to be above or below the last close lies there."""
    for figure in page.figures:
        said = figure.kind == "price" and _SIDE_OF_LAST.match(page.prose, figure.end)
        if not said or is_change(page, figure, known):
            continue
        meant = [price for price in known.roles["level"] if figure.is_near(price)]
        others = [price for price in meant if price != known.last]
        if others and not any((price > known.last) == bool(said["above"]) for price in others):
            words = page.words(figure) + said[0]
            message = f"the text says '{words}'; the last close is {known.last:,.2f}"
            yield Finding(words, "price", message)


def judge_order(page: Page, known: Known) -> Iterator[Finding]:
    """Where the text says that a price is above or below another, it is."""
    yield from _judge_side_of_last(page, known)
    prices = [f for f in page.figures if f.kind == "price"]
    for first, second in pairwise(prices):
        said = _ORDER.fullmatch(page.prose, first.end, second.start)
        if said is None or is_change(page, first, known) or DENIES.search(said[0]):
            continue
        if (first.value > second.value) == bool(said["below"]):
            words = page.original[first.start : second.end]
            message = f"the text says '{words}'; the other way round it is right"
            yield Finding(words, "price", message)
