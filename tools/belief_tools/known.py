"""What a tool result says, as the prices, chances and distances that a text may quote of it."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from belief_tools.figures import read_figures
from belief_tools.page import Figure, Page
from belief_tools.roles import REACHES, WAY, is_beside_distance, is_difference, way_of

_DOLLARS = ("USD", "CAD", "AUD", "HKD", "NZD", "SGD")
_LOW = re.compile(r"\b(?:lower|low|bottom|downside|lows|minimum)\b", re.I)
_HIGH = re.compile(r"\b(?:upper|high|top|upside|highs|maximum)\b", re.I)
_NOMINAL = re.compile(r"\b(50|90)\s*(?:%|percent|per cent)", re.I)
_BASE_AFTER = re.compile(
    r"\s*(?:(?:increase|rise|gain|drop|fall|decline|loss|move|change|higher|lower|up|down)\s+)?"
    r"(?:above|below|over|under|beyond|than|from|off|of|short of|shy of|away from|versus"
    r"|(?:relative|compared) (?:to|with))\s+"
    r"(?:the |its |our |a |today's )*",
    re.I,
)
_ANCHOR = re.compile(
    r"(?:(?P<level>(?:level|threshold|mark|that (?:level|threshold|mark))\b)|(?P<last>last"
    r"|latest|current|today|present|recent)|(?P<median>median|expected|central)"
    r"|(?P<that>that|it|this|there)\b)",
    re.I,
)


@dataclass(frozen=True, eq=False)
class Known:
    """The figures of a tool result in the forms in which people say them.

    Attributes:
        result: the fields of a `ForecastResult`.
        roles: the prices that can stand in each role of a price.
        points: (price, chance of a close above it), where the result tells the chance.
        named: the prices in the question.
        ways: the way that the question asks of each level.
        money: one line that names the prices, for messages.
    """

    result: Mapping[str, Any]
    roles: Mapping[str, tuple[float, ...]]
    points: tuple[tuple[float, float], ...]
    named: tuple[float, ...]
    ways: Mapping[float, int]
    money: str

    @property
    def change(self) -> float:
        """The median's distance from the last close, as a share of it."""
        return self.median / self.last - 1.0

    @property
    def asked(self) -> tuple[float, int] | None:
        """The level of the question and its way, when it has just one."""
        only = list(self.ways.items())
        return only[0] if len(only) == 1 and only[0][1] else None

    @property
    def asked_chances(self) -> list[float]:
        """The chance of what was asked; none where the question names no level, or several."""
        if self.asked is None:
            return []
        level, way = self.asked
        return [up if way > 0 else 1 - up for price, up in self.points if price == level]

    @property
    def intervals(self) -> tuple[tuple[float, float], ...]:
        """The ends of the 50 % and of the 90 % interval."""
        low50, high50 = self.result["interval_50"]
        low90, high90 = self.result["interval_90"]
        return (low50, high50), (low90, high90)

    @property
    def asked_levels(self) -> tuple[float, ...]:
        """The levels whose chance was asked for."""
        return tuple(float(p["level"]) for p in self.result.get("prob_above") or ())

    @property
    def last(self) -> float:
        """The last close."""
        return float(self.result["last_close"])

    @property
    def median(self) -> float:
        """The median."""
        return float(self.result["median"])

    def chances(self, level: Figure, way: int) -> list[float]:
        """Return the chances of a close above (below, for way -1) what `level` may round."""
        return [up if way > 0 else 1 - up for price, up in self.points if level.is_near(price)]

    def chances_between(self, low: Figure, high: Figure) -> list[float]:
        """Return the chances of a close between two prices."""
        return [a - b for a in self.chances(low, 1) for b in self.chances(high, 1) if a > b]

    def chances_of_all(self) -> Iterator[float]:
        """Yield every chance that the result tells by itself."""
        chances = [self.result["prob_up"]]
        chances += [asked["probability"] for asked in self.result.get("prob_above") or ()]
        for chance in chances:
            yield from (chance, 1 - chance)
        yield from (regime["probability"] for regime in self.result.get("regimes") or ())


def know(result: Mapping[str, Any], question: str) -> Known:
    """Gather what may be quoted of a result.

    Args:
        result: the fields of a `ForecastResult` as plain values.
        question: what was asked.
    """
    last, median = float(result["last_close"]), float(result["median"])
    (low50, high50), (low90, high90) = result["interval_50"], result["interval_90"]
    asked = [(float(p["level"]), float(p["probability"])) for p in result.get("prob_above") or ()]
    tails = [(low90, 0.95), (low50, 0.75), (median, 0.5), (high50, 0.25), (high90, 0.05)]
    levels = tuple(level for level, _ in asked)
    in_question = [f for f in read_figures(question).figures if f.kind in ("price", "range")]
    ends = (low50, low90, high50, high90)
    roles = {
        "last": (last,),
        "expected": (median,),
        "low": (low50, low90),
        "high": (high50, high90),
        "price": (median, last),
        "base": (last, median),
        "possible": (median, *ends, *levels),
        "level": (last, median, *ends, *levels),
        "": (median, last, *ends),
    }
    return Known(
        result,
        roles,
        ((last, float(result["prob_up"])), *asked, *tails),
        tuple(end.value for figure in in_question for end in figure.ends()),
        dict(_asked_ways(question, levels)),
        _money_line(result),
    )


def _asked_ways(question: str, levels: tuple[float, ...]) -> Iterator[tuple[float, int]]:
    """Yield each level with the way that the question asks of it, 0 when unsaid."""
    page = read_figures(question)
    start = way = 0
    for level in levels:
        named = [f for f in page.figures for end in f.ends() if end.is_near(level)]
        if named:
            way = way_of(page.prose[start : named[0].start], last=True) or way
            start = named[0].end
        yield level, way or (way_of(question) if len(levels) == 1 else 0)


def is_change(page: Page, figure: Figure, known: Known) -> bool:
    """Say whether a price is a change or a distance, and no level in "a fall under $750"."""
    beyond = re.search(
        r"\b(?:over|under|above|below|to|past|beyond)\s*$", page.before(figure), re.I
    )
    level = _LEVEL_BELOW_IT.match(page.prose, figure.end)
    named = is_any(figure, known.roles["level"])
    again = is_beside_distance(page, figure)
    return is_difference(page, figure) and not (named and (beyond or level or again))


_LEVEL_BELOW_IT = re.compile(
    r"\s*(?:is\s+)?(?:above|below|over|under|inside|outside)\s+(?:it|that|this|them)\b", re.I
)


def _money_line(result: Mapping[str, Any]) -> str:
    sign = "$" if result["currency"] in _DOLLARS else f"{result['currency']} "
    digits = 0 if result["median"] >= 20 else 2
    low, high = result["interval_90"]
    return (
        f"median {sign}{result['median']:,.{digits}f}, 90 % interval {sign}{low:,.{digits}f} to "
        f"{sign}{high:,.{digits}f}, last close {sign}{result['last_close']:,.2f}"
    )


def currencies(result: Mapping[str, Any]) -> set[str]:
    """Return the units in which a price of the result may be written."""
    currency = result["currency"]
    return {"", currency, *(("dollar", f"{currency} dollar") if currency in _DOLLARS else ())}


def mentioned(page: Page, figure: Figure, known: Known) -> set[float]:
    """Return the prices of the result that the text speaks of near a figure.

    They are those in its sentence and in the one before, and the ends of an interval that it
    calls upper and lower.
    """
    start, end = page.sentence(figure)
    start = page.sentence_before(start)
    text = page.prose[start:end]
    said = [
        price
        for other in page.figures
        if other.kind in ("price", "range") and start <= other.start < end and other is not figure
        for price in other.ends()
    ]
    prices = {value for value in known.roles["level"] if any(p.is_near(value) for p in said)}
    return {known.last, known.median, *prices, *_ends_in_words(text, known)}


def _ends_in_words(text: str, known: Known) -> Iterator[float]:
    nominal = {int(match[1]) for match in _NOMINAL.finditer(text)} or {50, 90}
    for percent in nominal:
        low, high = known.result[f"interval_{percent}"]
        ends = (_LOW.search(text), _HIGH.search(text))
        whole = not any(ends) and re.search(r"\b(?:interval|range|band)\b", text, re.I)
        yield from (low,) if ends[0] or whole else ()
        yield from (high,) if ends[1] or whole else ()


def _base(page: Page, figure: Figure, known: Known) -> tuple[float, ...]:
    """Return what a distance is said from, as in "9 % above $900"; nothing when unsaid."""
    said = _BASE_AFTER.match(page.prose, figure.end)
    if not said:
        return ()
    price = next((f for f in page.figures if f.kind == "price" and f.start == said.end()), None)
    if price:
        return tuple(value for value in known.roles["level"] if price.is_near(value))
    anchor = _ANCHOR.match(page.prose, said.end())
    if not anchor or anchor.lastgroup == "that":
        return ()
    if anchor.lastgroup == "level":
        return known.asked_levels
    return (known.last,) if anchor.lastgroup == "last" else (known.median,)


def moves(page: Page, figure: Figure, known: Known, way: int) -> list[tuple[float, float]]:
    """Return the pairs of prices, from and to, whose distance a figure can be.

    Args:
        page: the text.
        figure: a distance in money or in percent.
        known: what the result says.
        way: +1 or -1 for a distance up or down, 0 when unsaid.
    """
    prices = mentioned(page, figure, known)
    said = _base(page, figure, known)
    if prices == {known.last, known.median} and known.median not in said:
        level = (known.last, *known.asked_levels)  # "it needs 44 % more", after "above $200?"
        spoken = page.near(figure, "price", "range")
        prices |= set() if any(f.is_near(known.median) for f in spoken) else {*level}
        if re.search(r"\bmedian\b", page.prose[slice(*page.sentence(figure))], re.I):
            prices = {known.last, known.median}
    bases = said or (known.last, known.median)
    pairs = [(base, price) for base in bases for price in prices if price != base]
    if not said:
        pairs = [pair for pair in pairs if pair != (known.median, known.last)]
    named = [*_levels_of_clause(page, figure, known)]
    pairs += [(a, b) for a in named for b in named if a != b and a not in bases and b not in bases]
    # nothing but the sentence's own level can be meant where it names one
    own = {*named} - {*bases}
    pairs = [pair for pair in pairs if not own or own & {*pair}]
    return [(base, price) for base, price in pairs if way * (price - base) >= 0]


def _levels_of_clause(page: Page, figure: Figure, known: Known) -> Iterator[float]:
    start, end = page.clause(figure)
    prices = [f for f in page.figures if f.kind == "price" and start <= f.start < end]
    for value in known.roles["level"]:
        if any(price.is_near(value) for price in prices if price is not figure):
            yield value


def way_to_level(lead_in: str, level: Figure, known: Known) -> int:
    """Return the way that the words in front of a level speak of, 0 when they speak of none."""
    found = [match for match in WAY.finditer(lead_in)]
    denied = re.search(r"(?:chance|prob|odds|likel)[^,;]*(?:n't|\bnot)\b", lead_in, re.I)
    if found and REACHES.match(found[-1][0]) and not denied:
        return 1 if level.value > known.last else -1
    return way_of(lead_in, last=True)


def half_widths(known: Known, percents: Iterable[int] = (50, 90)) -> Iterator[float]:
    """Yield how far the ends of the intervals are from the middle, in money."""
    for percent in percents:
        low, high = known.result[f"interval_{percent}"]
        yield from ((high - low) / 2, high - known.median, known.median - low)


def volatilities(known: Known) -> Mapping[str, float]:
    """Return the volatility by the period that it is said for."""
    yearly = float(known.result["volatility"])
    sessions = {"day": 1, "week": 5, "month": 21, "quarter": 63, "year": 252}
    periods = {name: yearly * math.sqrt(days / 252) for name, days in sessions.items()}
    return {**periods, "horizon": yearly * math.sqrt(known.result["horizon"] / 252)}


def is_any(figure: Figure, values: Iterable[float]) -> bool:
    """Say whether a figure can be one of some values."""
    return any(figure.is_near(value) for value in values)
