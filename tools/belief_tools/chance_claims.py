"""What close or move the chance in a text is said of: a rise, a level passed, a range hit."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from belief_tools.figures import Figure, Page
from belief_tools.known import Known, is_any, moves, way_to_level
from belief_tools.roles import (
    INTERVAL,
    is_difference,
    scopes_of_percentage,
    way_near,
    way_of,
)

Subject = tuple[str, tuple[float, ...]]

COMPARES = re.compile(
    r"\b(?:above|below|over|under|exceed\w*|more than|less than|beyond|reach\w*|hit\w*|surpass\w*"
    r"|that high|that much)\b|[<>\u2264\u2265]",
    re.I,
)
BOUND = re.compile(
    r"\b(?:(?P<under>under|below|(?:less|fewer|lower) than|at most|no more than)|over|above"
    r"|(?:more|greater|better) than|at least|upwards? of|exceeding)\s+(?:a |an )?$",
    re.I,
)
GAP = re.compile(r"\b(?:upside|downside|distance|gap)\b", re.I)
_LAST = re.compile(r"\b(?:last clos\w+|current|present|today's|now|where it is)\b", re.I)
_BETWEEN = re.compile(r"\bbetween\b|[<\u2264].*[<\u2264]", re.I)


@dataclass(frozen=True, eq=False)
class Scope:
    """A stretch of text in which the subject of a percentage may stand.

    Attributes:
        page: the text.
        figure: the percentage.
        known: what the result says.
        start, end: where the stretch stands.
        far: whether it lies outside the percentage's own clause.
    """

    page: Page
    figure: Figure
    known: Known
    start: int
    end: int
    far: bool = False

    @property
    def text(self) -> str:
        """The words of the stretch."""
        return self.page.prose[self.start : self.end]

    @property
    def before(self) -> bool:
        """Whether it stands in front of the percentage."""
        return self.end <= self.figure.start

    @cached_property
    def levels(self) -> list[Figure]:
        """The prices in it that are no differences."""
        return [f for f in self._figures("price") if is_level(self.page, f, self.known)]

    @cached_property
    def ranges(self) -> list[Figure]:
        """The ranges in it whose chance the result tells."""
        return [f for f in self._figures("range") if self.known.chances_between(*f.ends())]

    @property
    def nearest(self) -> Figure:
        """The level that stands nearest to the percentage."""
        return self.levels[-1 if self.before else 0]

    @cached_property
    def way(self) -> int:
        """The way of the words that stand with the level, or else nearest to the percentage."""
        end = self.end
        if self.before and (bound := BOUND.search(self.page.prose, self.start, self.figure.start)):
            end = bound.start()
        if not self.levels:
            return way_of(self.page.prose[self.start : end], last=self.before)
        level = self.nearest
        if self.page.prose[level.end : level.end + 1] == "+":
            return 1
        way = way_to_level(self.page.prose[self.start : level.start], level, self.known)
        return way or way_of(self.page.prose[level.end : end])

    def _figures(self, kind: str) -> Iterator[Figure]:
        for figure in self.page.figures:
            if figure.kind == kind and self.start <= figure.start < self.end:
                yield figure


def is_level(page: Page, figure: Figure, known: Known) -> bool:
    """Say whether a price is a level of the price, and no difference or count."""
    priced = bool(figure.unit) or is_any(figure, known.roles["level"])
    return priced and not is_difference(page, figure)


def event_of(scope: Scope, *, chance: bool) -> Subject | None:
    """Return what close or move a stretch of text speaks of, and its chances.

    Args:
        scope: the stretch.
        chance: whether a chance is spoken of; a percentage may else be a distance as well.
    """
    subject = _listed(scope) or _between(scope) or _in_range(scope)
    if subject:
        return subject
    way = scope.way or _way_by_side(scope)
    if not way:
        return None
    way = -way if _is_denied(scope) else way
    name, allowed = _beyond(scope, way)
    if not chance:
        allowed = [*allowed, *distance_of(scope.page, scope.figure, scope.known)]
    return name, tuple(allowed)


def distance_of(page: Page, figure: Figure, known: Known) -> tuple[float, ...]:
    """Return the distances between prices, as shares, that a percentage can be."""
    signs = {"+": 1, "-": -1}
    way = signs.get(page.clean[figure.start : figure.end].strip()[:1], 0) or way_near(page, figure)
    return tuple(abs(to / base - 1) for base, to in moves(page, figure, known, way))


def _listed(scope: Scope) -> Subject | None:
    """Each chance of a list such as "24 % and 82 %, respectively" may be of any level."""
    sentence = scope.page.prose[slice(*scope.page.sentence(scope.figure))]
    if "respectively" not in sentence or len(scope.levels) < 2:
        return None
    return "these levels", tuple(_either_side(scope.levels, scope.known))


def _either_side(levels: Sequence[Figure], known: Known) -> Iterator[float]:
    for level in levels:
        yield from (*known.chances(level, 1), *known.chances(level, -1))


def _between(scope: Scope) -> Subject | None:
    """Return a close between two levels, said in words or as inequalities."""
    free = not scope.way or len(re.findall("[<\u2264]", scope.text)) == 2
    if not free or len(scope.levels) < 2 or GAP.search(scope.text):
        return None
    if not _BETWEEN.search(scope.text):
        return None
    low, high = scope.levels[-2:] if scope.before else scope.levels[:2]
    name = f"a close between {scope.page.words(low)} and {scope.page.words(high)}"
    return name, tuple(scope.known.chances_between(low, high))


def _in_range(scope: Scope) -> Subject | None:
    if scope.way or not scope.ranges or INTERVAL.search(scope.text):
        return None
    found = scope.ranges[-1 if scope.before else 0]
    inside = scope.known.chances_between(*found.ends())
    outside = re.search(r"\boutside\b", scope.page.prose[scope.start : found.start], re.I)
    name = f"a close {'outside' if outside else 'in'} {scope.page.words(found)}"
    return name, tuple(1 - share if outside else share for share in inside)


def _way_by_side(scope: Scope) -> int:
    """In "$900 is possible (24 %)" a close beyond the level is meant."""
    if scope.far or len(scope.levels) != 1 or is_any(scope.nearest, scope.known.roles["base"]):
        return 0
    return 1 if scope.nearest.value > scope.known.last else -1


def _is_denied(scope: Scope) -> bool:
    """Say whether the percentage's own words deny what words farther off speak of."""
    own = scope.page.prose[slice(*scopes_of_percentage(scope.page, scope.figure)[0])]
    own = own.rpartition(":")[2]
    return scope.far and re.search(r"n't\b|\b(?:not|never)\b", own, re.I) is not None


def _beyond(scope: Scope, way: int) -> tuple[str, list[float]]:
    """Return the chances of a close beyond the level that is meant, or of a rise or a fall."""
    known, name = scope.known, "above" if way > 0 else "below"
    if scope.levels:
        plain = (known.last, known.median)
        others = [f for f in scope.levels if scope.far and not is_any(f, plain)]
        if len(others) > 1:
            return "these levels", [*_either_side(others, known)]
        level = others[0] if others else scope.nearest
        return f"a close {name} {scope.page.words(level)}", known.chances(level, way)
    if COMPARES.search(scope.text) and not _LAST.search(scope.text):
        if levels := _levels_before(scope):
            chances = [chance for level in levels for chance in known.chances(level, way)]
            return f"a close {name} a level", chances
    up = float(known.result["prob_up"])
    return ("a rise", [up]) if way > 0 else ("a fall", [1 - up])


def _levels_before(scope: Scope) -> list[Figure]:
    """Return the levels spoken of so far, apart from the last close and the median."""
    known, plain = scope.known, (scope.known.last, scope.known.median)
    prices = [f for f in scope.page.figures if f.kind == "price" and f.end <= scope.figure.start]
    prices = [f for f in prices if is_level(scope.page, f, known)]
    return [f for f in prices if not is_any(f, plain) and known.chances(f, 1)]
