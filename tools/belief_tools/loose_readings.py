"""What a percentage may be said of where the words beside it name no level and no regime.

"The chance is 19 %" answers the question, "18 % lower" goes with a level spoken of before, and
"one time in ten" may be the share that an interval leaves out. A percentage that is right in one
of these readings is not refused; one beside its own level, range or regime has no other reading.
"""

import re
from collections.abc import Iterator

from belief_tools.chance_claims import Scope
from belief_tools.known import Known, is_any
from belief_tools.page import Figure, Page
from belief_tools.ratio_claims import fits_ratio
from belief_tools.roles import (
    DENIES,
    INTERVAL,
    clause_before,
    nominal,
    scopes_of_percentage,
    way_of,
)

_REGIME = re.compile(r"\bregimes?\b|\bvolatil|\bvol\b|\bconfiden", re.I)
ONE_LEVEL = re.compile(
    r"\b(?:(?P<upper>upper|higher)|lower) (?:level|one|threshold|mark|of the two)\b", re.I
)
_PART_OF_ALL = re.compile(r"\b(?:top|bottom|best|worst|upper|lower)\s+$", re.I)
_TURNED = re.compile(rf"{DENIES.pattern}|\bagainst\b|\bthat it holds\b", re.I)
_OTHER_WAY = re.compile(r"\b(?:other way|otherwise|against|conversely|opposite)\b", re.I)
_EITHER_WAY = re.compile(r"\beither (?:way|direction|side)\b", re.I)
_LEFT_OUT = re.compile(
    r"\b(?:either (?:way|direction|side)|outside|miss\w*|tails?|leav\w*|beyond|surpris\w*"
    r"|except)\b",
    re.I,
)


def loose_readings(page: Page, figure: Figure, known: Known) -> Iterator[float]:
    """Yield the chances that a percentage may be where the words beside it settle none.

    Args:
        page: the text.
        figure: the percentage.
        known: what the result says.
    """
    spans = scopes_of_percentage(page, figure)[:2]
    near = [Scope(page, figure, known, *span) for span in spans]
    if len(near[0].text.split()) < 2:  # as in "above $250 is the less likely one, at 18 %"
        near.append(Scope(page, figure, known, *clause_before(page, figure)))
    if _PART_OF_ALL.search(page.before(figure)):
        if not page.near(figure, "price"):
            yield from (0.05, 0.1, 0.25, 0.5)
        for level in page.near(figure, "price"):
            yield from known.chances(level, _way_of_part(page, figure))
    yield from _of_multiples(page, figure, known)
    if nominal(page, figure) or any(_settles(scope) for scope in near):
        return
    ways = {way_of(scope.text, last=scope.before) for scope in near} - {0}
    if ways:
        levels = [*_levels_spoken_of(page, figure, known)]
        for level in levels or [Figure("price", 0, 0, price) for price in known.asked_levels]:
            yield from (chance for way in ways for chance in known.chances(level, way))
        return
    _, end = page.clause(figure)
    denied = _TURNED.search(page.prose[figure.end : end]) or _OTHER_WAY.search(page.lead_in(figure))
    yield from _asked(known, denied=denied is not None)
    if _LEFT_OUT.search(page.prose, *page.sentence(figure)):
        for inside in _intervals(page, figure, known):
            yield from (1 - inside, (1 - inside) / 2)


def _of_multiples(page: Page, figure: Figure, known: Known) -> Iterator[float]:
    """Yield the chance that the price doubles, or halves, where the clause speaks of that."""
    start, end = page.clause(figure)
    for ratio in page.near(figure, "ratio"):
        for price, up in known.points if start <= ratio.start < end else ():
            if fits_ratio(page, ratio, price / known.last):
                yield up if ratio.value > 1 else 1 - up


def _way_of_part(page: Page, figure: Figure) -> int:
    return 1 if re.search(r"\b(?:top|best|upper)\s+$", page.before(figure), re.I) else -1


def _settles(scope: Scope) -> bool:
    """Say whether a stretch names what its percentage is said of."""
    base = () if scope.way else scope.known.roles["base"]
    levels = [f for f in scope.levels if not is_any(f, base)]
    names = [str(regime["name"]) for regime in scope.known.result.get("regimes") or ()]
    named = any(re.search(rf"\b{re.escape(name)}\b", scope.text, re.I) for name in names)
    return bool(
        levels
        or scope.ranges
        or named
        or ONE_LEVEL.search(scope.text)
        or _REGIME.search(scope.text)
    )


def _levels_spoken_of(page: Page, figure: Figure, known: Known) -> Iterator[Figure]:
    """Yield the levels and ends of ranges before a figure, in its sentence and the one before."""
    start = page.sentence_before(page.sentence(figure)[0])
    for other in page.figures:
        if other.kind in ("price", "range") and start <= other.start < figure.start:
            yield from (f for f in other.ends() if not is_any(f, known.roles["base"]))


def _asked(known: Known, *, denied: bool) -> Iterator[float]:
    for level, way in known.ways.items():
        for price, up in known.points:
            if price == level and way:
                chance = up if way > 0 else 1 - up
                yield from (chance, 1 - chance) if denied else (chance,)


def _intervals(page: Page, figure: Figure, known: Known) -> Iterator[float]:
    """Yield the chance of each interval that the sentence of a figure tells, or names."""
    ranges = page.near(figure, "range")
    for inside, (low, high) in zip((0.5, 0.9), known.intervals, strict=True):
        if any(one.spans(low, high) for one in ranges):
            yield inside
    if _EITHER_WAY.search(page.prose, *page.sentence(figure)):
        yield from (0.5, 0.9)
    elif not ranges and INTERVAL.search(page.prose, *page.sentence(figure)):
        yield from (0.5, 0.9)
