"""What close or move the chance in a text is said of: a rise, a level passed, a range hit."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from belief_tools.known import Known, is_any, is_change, moves, way_to_level
from belief_tools.page import Figure, Page
from belief_tools.roles import (
    INTERVAL,
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
GAP = re.compile(r"\b(?:upside|downside|distance|gap)\b", re.I)
# in "more likely to rise than to fall (52 %)" the first is meant
_LIKELIER = re.compile(r"(?<=likely to )(\w+) than\b.*", re.I | re.S)
_SPEAKS_OF_MOVE = re.compile(
    r"\b(?:ris|rose|increas|climb|gain|fall|fell|drop|declin|mov|chang|go\b|went|need|requir"
    r"|jump|slip"
    r"|los[es]|away|up\b|down\b|upside|downside|would|higher|lower|short|off\b)\w*",
    re.I,
)
_BEYOND_BASE = r"\s*(?:above|below|over|under|beyond)\s+(?:[$\d]|(?:the|its|that|it|this|today)\b)"
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
        """The words of the stretch, without the bounds of percentages."""
        return self.page.unbounded[self.start : self.end]

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
        return [f for f in self._figures("range") if self._is_event(f)]

    def _is_event(self, figure: Figure) -> bool:
        move = figure.spans(*sorted((self.known.last, self.known.median)))
        return not move and bool(self.known.chances_between(*figure.ends()))

    @property
    def nearest(self) -> Figure:
        """The level that stands nearest to the percentage."""
        return self.levels[-1 if self.before else 0]

    @cached_property
    def way(self) -> int:
        """The way of the words that stand with the level, or else nearest to the percentage."""
        if not self.levels:
            return way_of(_LIKELIER.sub(r"\1", self.text), last=self.before)
        level, text = self.nearest, self.page.unbounded
        if text[level.end : level.end + 1] == "+":
            return 1
        way = way_to_level(text[self.start : level.start], level, self.known)
        return way or way_of(text[level.end : self.end])

    def _figures(self, kind: str) -> Iterator[Figure]:
        for figure in self.page.figures:
            if figure.kind == kind and self.start <= figure.start < self.end:
                yield figure


def is_level(page: Page, figure: Figure, known: Known) -> bool:
    """Say whether a price is a level of the price, and no difference or count."""
    named = is_any(figure, known.roles["level"])
    return (bool(figure.unit) or named) and not is_change(page, figure, known)


def event_of(scope: Scope, *, chance: bool) -> Subject | None:
    """Return what close or move a stretch of text speaks of, and its chances.

    Args:
        scope: the stretch.
        chance: whether a chance is spoken of; a percentage may else be a distance as well.
    """
    subject = _listed(scope) or _between(scope) or _in_range(scope)
    if subject:
        return subject
    ways = [scope.way] if scope.way else _ways_by_side(scope)
    if not ways:
        return None
    denied = _is_denied(scope)
    spoken = [_beyond(scope, -way if denied else way) for way in ways]
    name, allowed = spoken[0][0], [share for _, shares in spoken for share in shares]
    if _denies_verb(scope, denied=denied):
        allowed += [1 - share for share in allowed]
    if not chance and _may_be_distance(scope.page, scope.figure):
        allowed = [*allowed, *distance_of(scope.page, scope.figure, scope.known)]
    return name, tuple(allowed)


def _may_be_distance(page: Page, figure: Figure) -> bool:
    beside = re.match(_BEYOND_BASE, page.prose[figure.end :], re.I)
    return bool(beside or _SPEAKS_OF_MOVE.search(page.prose, *page.clause(figure)))


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


def _ways_by_side(scope: Scope) -> list[int]:
    """In "$900 is possible (24 %)" a close beyond the level is meant, or what was asked of it."""
    if scope.far or len(scope.levels) != 1 or is_any(scope.nearest, scope.known.roles["base"]):
        return []
    level, asked = scope.nearest, scope.known.ways
    side = 1 if level.value > scope.known.last else -1
    return [side, *(way for price, way in asked.items() if level.is_near(price) and way != side)]


_DENIED = re.compile(r"n't\b|\b(?:not|never|out of reach|(?:falls?|stops?) short)\b", re.I)
_THAT_NOT = re.compile(r"\W*(?:\w+\W+){0,2}?(?:that|it|of|for)\b.*(?:n't|\b(?:not|never))\b", re.I)


_CHANCE_THAT = re.compile(
    r"\b(?:chances?|probability|odds|likelihood|risk)\W+(?:that|of|for|it)\b", re.I
)


def _own_words(scope: Scope) -> str:
    own = scope.page.prose[slice(*scopes_of_percentage(scope.page, scope.figure)[0])]
    return own.rpartition(":")[2]


def _is_denied(scope: Scope) -> bool:
    """Say whether the percentage's own words deny what words farther off speak of."""
    return scope.far and _DENIED.search(_own_words(scope)) is not None


def _denies_verb(scope: Scope, *, denied: bool) -> bool:
    """Say whether a denial may be the verb's: "won't close above $900 (24 %)" gives either chance.

    In "76 % that it won't" the denial is part of what the percentage is said of.
    """
    if denied:
        return _THAT_NOT.match(_own_words(scope)) is None
    said = _DENIED.search(scope.text)
    return bool(scope.before and said and not _CHANCE_THAT.search(scope.text[: said.start()]))


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
        if levels := _levels_before(scope, way):
            chances = [chance for level in levels for chance in known.chances(level, way)]
            return f"a close {name} a level", chances
    up = float(known.result["prob_up"])
    elsewhere = [known.chances(level, way) for level in _levels_elsewhere(scope, way)]
    chances = [up if way > 0 else 1 - up, *(share for shares in elsewhere for share in shares)]
    return "a rise" if way > 0 else "a fall", chances


def _levels_before(scope: Scope, way: int) -> list[Figure]:
    """Return the levels spoken of so far, apart from the last close and the median.

    Of a range that is its end on the way said: "53 % between $150 and $250, 30 % above".
    """
    known, plain = scope.known, (scope.known.last, scope.known.median)
    before = [f for f in scope.page.figures if f.end <= scope.figure.start]
    ends = [f.high if way > 0 and f.high else f for f in before if f.kind == "range"]
    prices = [f for f in before if f.kind == "price" and is_level(scope.page, f, known)]
    return [f for f in (*prices, *ends) if not is_any(f, plain) and known.chances(f, 1)]


def _levels_elsewhere(scope: Scope, way: int) -> list[Figure]:
    """Return the levels that a way without one may mean.

    They are the end of a range in the sentence, as in "58 % between $750 and $900, 24 % higher",
    and the one level on the other side, as in "the upside case (5 %) starts at $994".
    """
    page, figure = scope.page, scope.figure
    ranges = [f for f in page.near(figure, "range") if f.end <= figure.start][-1:]
    ends = [f.high if way > 0 and f.high else f for f in ranges]
    if scope.far:
        return ends
    spans = scopes_of_percentage(page, figure)[:2]
    other = [Scope(page, figure, scope.known, *span) for span in spans if span[0] != scope.start]
    beside = [level for one in other if not one.way for level in one.levels]
    beside = [level for level in beside if not is_any(level, scope.known.roles["base"])]
    return [*ends, *(beside if len(beside) == 1 else ())]
