"""Intervals said as two moves: "between 11 % below and 12 % above today's close".

The one move goes down to the lower end of an interval and the other up to its upper end; the chance
beside them, as in "nine times in ten", is then that of the interval.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from belief_tools.known import Known
from belief_tools.page import BOUND, Figure, Page
from belief_tools.ratio_claims import fits_ratio
from belief_tools.roles import INTERVAL, WAY, is_signed

_LONGEST_GAP = 70  # characters between the two moves
_JOINS = re.compile(r"\b(?:to|and|or)\b|[-\u2013/]", re.I)
_LOSS = re.compile(r"\b(?:los(?:e|es|s|ing)|down|minus|drop\w*|fall\w*|declin\w*|lower)\b", re.I)
_KINDS = ("percent", "ratio")


def move_spans(page: Page, known: Known) -> Mapping[Figure, float]:
    """Return the figures of intervals that are said as two moves, each with its chance.

    Args:
        page: the text.
        known: what the result says.
    """
    found: dict[Figure, float] = {}
    moves = [f for f in page.figures if f.kind in _KINDS and f.unit != "points"]
    for first, second in pairwise(moves):
        low, high = _low_and_high(page, first, second)
        if low is None or high is None:
            continue
        for chance, ends in zip((0.5, 0.9), known.intervals, strict=True):
            if _reaches(page, low, ends[0], known) and _reaches(page, high, ends[1], known):
                found |= {first: chance, second: chance}
                found |= {f: chance for f in _chances_of(page, first, chance)}
    return found


def _low_and_high(page: Page, first: Figure, second: Figure) -> tuple[Figure | None, Figure | None]:
    gap = page.prose[first.end : second.start]
    if len(gap) > _LONGEST_GAP or not _JOINS.search(gap) or re.search(r"[.;:\n]\s|\d", gap):
        return None, None
    ways = _way(page, first), _way(page, second)
    pair = {ways[0]: first, ways[1]: second}
    return (pair.get(-1), pair.get(1)) if set(ways) == {1, -1} else (None, None)


def _way(page: Page, figure: Figure) -> int:
    """Return the way of a move, from its sign or from the words beside it."""
    if figure.kind == "ratio":
        return 1 if figure.value >= 1 else -1
    if is_signed(page, figure):
        sign = page.clean[figure.start : figure.end].lstrip()[:1]
        return -1 if sign == "-" or "minus" in page.before(figure)[-8:] else 1
    after = re.match(r"\s*(?:or (?:so|more) )?(\w+)", page.prose[figure.end :])
    before = page.unbounded[max(0, figure.start - 25) : figure.start]
    found = (after and WAY.fullmatch(after[1])) or next(reversed([*WAY.finditer(before)]), None)
    if after and re.match(r"loss|drop|fall|decline|gain|rise", after[1], re.I):
        return -1 if _LOSS.match(after[1]) else 1
    if not found:
        return 0
    return 1 if found.lastgroup == "up" else -1


def _reaches(page: Page, move: Figure, end: float, known: Known) -> bool:
    """Say whether a move goes from the last close, or from the median, to an end."""
    for base in (known.last, known.median):
        if move.kind == "ratio":
            if fits_ratio(page, move, end / base):
                return True
            continue
        share = 100 * abs(end / base - 1)
        bound = BOUND.search(page.before(move))
        wide = replace(move, tolerance=max(move.tolerance, 0.25 * move.value)) if bound else move
        if wide.is_near(share) and (not bound or (share < move.value) == bool(bound["under"])):
            return True
    return False


def _chances_of(page: Page, move: Figure, chance: float) -> Iterator[Figure]:
    """Yield the chance that the sentence gives to the span, as in "nine times in ten"."""
    start, _ = page.clause(move)
    for figure in page.near(move, "percent"):
        beside = start <= figure.start or INTERVAL.search(page.prose, figure.end, figure.end + 20)
        if beside and figure is not move and figure.is_near(100 * chance):
            yield figure
