"""Chances that a text lists apart from what they are of: "(30 % vs. 18 %)", and in tables."""

import re
from collections.abc import Iterator

from belief_tools.chance_claims import Subject, is_level
from belief_tools.known import Known, is_any, way_to_level
from belief_tools.page import ABOUT, Figure, Page
from belief_tools.roles import WAY, base_of_share, is_signed, nominal, way_of

_GAP = re.compile(
    r"[\s)(]*(?:,|/|;|(?:,\s*)?\b(?:and|or|vs\.?|versus|against|to|compared (?:with|to)))\s+"
    rf"(?:{ABOUT}|only|just)?\s*",
    re.I,
)


def listed_event(page: Page, figure: Figure, known: Known) -> Subject | None:
    """Return what a percentage of a list or of a table is said of, and its chances.

    Args:
        page: the text.
        figure: the percentage.
        known: what the result says.
    """
    return _of_table(page, figure, known) or _of_list(page, figure, known)


def _of_list(page: Page, figure: Figure, known: Known) -> Subject | None:
    """The first chance of a list is of the first event before it, and so on."""
    run = _run(page, figure)
    shared = figure.unit == "shared"
    if (len(run) < 2 and not shared) or any(nominal(page, one) for one in run):
        return None
    places = 2 if shared else len(run)
    for span in _spans(page, run):
        listed = [*_events(page, *span, known)]
        if len(listed) == 1 and places == 2 and span[0] < run[-1].end:
            listed.append([1 - listed[0][0], *_other_asked(listed[0], known)])
        if len(listed) == places:
            return "these events, in this order", tuple(listed[run.index(figure)])
    return None


def _spans(page: Page, run: list[Figure]) -> Iterator[tuple[int, int]]:
    """Yield where the events of a list may stand, the most likely place first."""
    start, end = page.sentence(run[0])
    earlier = [f.end for f in page.near(run[0], "percent") if f.end <= run[0].start]
    yield max([start, *earlier]), run[0].start
    yield start, run[0].start
    yield run[-1].end, end
    yield page.sentence_before(start), start


def _run(page: Page, figure: Figure) -> list[Figure]:
    """Return the percentages that stand in one list with a figure."""
    run: list[Figure] = []
    chances = [
        f
        for f in page.near(figure, "percent")
        if not (base_of_share(page, f) or is_signed(page, f))
    ]
    for one in chances:
        joined = run and _GAP.fullmatch(page.prose, run[-1].end, one.start)
        if not joined and figure in run:
            break
        run = [*run, one] if joined else [one]
    return run if figure in run else []


def _events(page: Page, start: int, end: int, known: Known) -> Iterator[list[float]]:
    """Yield the chances of each close beyond a level in a stretch; without one, of each move."""
    found = [f for f in page.figures if start <= f.start < end and f.kind in ("price", "range")]
    levels = [f for f in found if f.kind == "range" or is_level(page, f, known)]
    levels = [f for f in levels if not is_any(f, known.roles["base"])]
    for level in levels:
        words = page.unbounded[max(start, page.clause(level)[0]) : level.start]
        way = way_to_level(words, level, known)
        side = 1 if level.value > known.last else -1
        start = level.end
        if level.kind == "range":
            yield known.chances_between(*level.ends())
        elif known.chances(level, 1):
            ways = {way} if way else {side, _asked_way(level, known) or side}
            ways = {1, -1} if _DENIED_CLOSE.search(words) else ways
            yield [chance for one in ways for chance in known.chances(level, one)]
    moves = [] if levels else [*WAY.finditer(page.unbounded, start, end)]
    if not found or len(moves) > 1:
        up = float(known.result["prob_up"])
        for match in moves:
            yield [up if match.lastgroup == "up" else 1 - up]


_DENIED_CLOSE = re.compile(r"\b(?:(?:probably|likely) not|unlikely)\b", re.I)


def _asked_way(level: Figure, known: Known) -> int:
    return next((way for price, way in known.ways.items() if level.is_near(price)), 0)


def _other_asked(first: list[float], known: Known) -> Iterator[float]:
    """Yield the chances of what else was asked than the first event of a list."""
    for price, up in known.points:
        chance = up if known.ways.get(price, 0) > 0 else 1 - up
        if known.ways.get(price) and chance not in first:
            yield chance


def _of_table(page: Page, figure: Figure, known: Known) -> Subject | None:
    """Below a head such as "P(close below)", a chance is that of the level in its row."""
    row, end = page.sentence(figure)
    head = _head(page, row)
    if not page.prose[row:end].lstrip().startswith("|") or head is None:
        return None
    column = page.prose[row : figure.start].count("|")
    cells = head.split("|")
    way = way_of(cells[column]) if column < len(cells) else 0
    prices = [f for f in page.figures if f.kind == "price" and row <= f.start < figure.start]
    if not way or len(prices) != 1:
        return None
    name = f"{cells[column].strip()} {page.words(prices[0])}"
    return name, tuple(known.chances(prices[0], way))


def _head(page: Page, row: int) -> str | None:
    """Return the first line of the table that a row stands in."""
    lines = page.prose[:row].splitlines()
    table = next((at for at, line in enumerate(lines) if line.lstrip().startswith("|")), None)
    return None if table is None else lines[table]
