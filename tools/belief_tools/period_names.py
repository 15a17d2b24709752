"""Read the names of periods: "mid-June", "Q3", "the third Friday of May", "eoy", "2025".

Readers as in `day_names`; a period named without a year is the nearest one.
"""

from __future__ import annotations

import re
from datetime import date

from belief.errors import UsageError
from belief_tools.day_names import WEEKDAYS, month_number, weekday_number, year_of, year_said
from belief_tools.holidays import nth_weekday
from belief_tools.marked_text import LEVEL_BEFORE, NEAR
from belief_tools.periods import (
    DAY,
    MONTHS_IN,
    Clock,
    Period,
    earlier,
    existing,
    later,
    month_index,
    months,
    point,
)

ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
SEASONS = {"spring": 2, "summer": 5, "autumn": 8, "fall": 8, "winter": 11}  # 0 is January

# "The gains of this year" say nothing of when.
_TURN_BEFORE = re.compile(r"\b(?:highs?|lows?|gains?|loss(?:es)?|rally) (?:of|in|from) $", re.I)


def _part_of(match: re.Match[str], period: Period) -> Period:
    """Narrow a period to what "early", "mid" or "the third Friday of" says."""
    said, days = match.groupdict(), (period.last - period.first).days + 1
    part = (said.get("part") or "").lower()
    if said.get("nth"):
        return point(_nth(said["nth"].lower(), said["of"].lower(), period))
    if part.startswith("mid"):
        return point(period.first + (14 if 28 <= days <= 31 else days // 2) * DAY)
    if part == "early":
        return point(period.first + (days // 3 - 1) * DAY)
    if part in ("start", "beginning"):
        return point(later(period.first - DAY, 1))
    return period


def _nth(which: str, of: str, period: Period) -> date:
    """Find the nth weekday, week or session of a period."""
    nth = ORDINALS.get(which) or int(re.sub(r"\D", "", which))
    day: date | None
    if of == "week":
        day = period.last if nth < 0 else period.first + (7 * nth - 1) * DAY
    elif of.endswith(("day", "session")) and of[:3] not in WEEKDAYS:
        day = earlier(period.last + DAY, 1) if nth < 0 else later(period.first - DAY, nth)
    else:
        day = nth_weekday(*period, weekday_number(of), nth) if nth else None
    return existing([day if day and day <= period.last else None])[0]


def month(match: re.Match[str], clock: Clock) -> Period | None:
    """Read a month; "may" and "march" without a year or a preposition are verbs."""
    word, which, lead = match["month"], match["which"] or "", match["lead"] or ""
    dated = (
        which or lead or _is_moved(match) or any(match[name] for name in ("year", "part", "shift"))
    )
    if word.lower() in ("may", "march", "mar") and not dated:
        starts = not re.search(r"[\w#,][\"'(]*\s+$", match.string[: match.start()])
        if starts or not word.istitle():
            return None
    if clock.future and (which.lower() == "last" or lead.lower() == "since"):
        return None
    return _month_span(match, clock, month_number(match), 1)


def _is_moved(match: re.Match[str]) -> bool:
    """Say whether "before" or "after" stands in front, which shows that a period is meant."""
    before = match.string[max(0, match.start() - NEAR) : match.start()]
    return bool(re.search(r"\b(?:before|after)\s+(?:the\s+)?$", before, re.IGNORECASE))


def numbered_month(match: re.Match[str], clock: Clock) -> Period:
    """Read 06/2024 and 2024-06."""
    if not 1 <= (month := int(match["m"] or match["m2"])) <= 12:
        raise UsageError("there is no such month; a month is written like 2024-06 or June 2024")
    return months(int(match["y"] or match["y2"]) * 12 + month - 1, 1)


def quarter(match: re.Match[str], clock: Clock) -> Period:
    """Read "Q3 2024", "H1", "the second half of next year"."""
    size = 6 if match["half"] or (match["size"] or "").lower() == "half" else 3
    digit = match["quarter"] or match["half"]
    number = int(digit) if digit else ORDINALS[match["ordinal"].lower()]
    return _month_span(match, clock, size * (number - 1), size)


def season(match: re.Match[str], clock: Clock) -> Period | None:
    """Read "by the summer"; "fall" and "spring" are verbs where no word in front says otherwise."""
    if not (_is_moved(match) or any(match[n] for n in ("lead", "part", "which", "year"))):
        return None
    return _month_span(match, clock, SEASONS[match["season"].lower()], 3)


def _month_span(match: re.Match[str], clock: Clock, start: int, size: int) -> Period:
    """Read `size` months from month `start` (0 is January) of the year named, or the nearest."""
    if (year := year_said(match, clock)) is not None:
        return _part_of(match, months(year * 12 + start, size))
    near = [months((clock.as_of.year + n) * 12 + start, size) for n in range(-2, 3)]
    # A year that cannot be meant need not have a fifth Friday.
    meant = [p for p in near if (p.first <= clock.as_of if clock.past else p.last > clock.as_of)]
    return clock.nearest(_part_of(match, period) for period in meant)


def calendar_unit(match: re.Match[str], clock: Clock) -> Period | None:
    """Read "next week", "end of the quarter", "eoy", "year-end", "the month after next"."""
    said = match.groupdict()
    letter, which = said.get("letter"), (said.get("which") or "").lower()
    units = ("week", *MONTHS_IN)
    unit = next(unit for unit in units if unit.startswith((letter or match["unit"]).lower()))
    ended = said.get("part") or "which" not in said
    if said.get("skip"):
        return _unit_after(match, unit, clock, 2)
    if not ended and which in ("", "the"):
        return None
    if _TURN_BEFORE.search(match.string[max(0, match.start() - NEAR) : match.start()]):
        return None
    shift = (
        1
        if re.search("next|coming|following", which)
        else -1
        if re.search("last|prev", which)
        else 0
    )
    if shift < 0:
        return None if clock.future else _unit_after(match, unit, clock, shift)
    begun = (said.get("part") or "").lower() in ("start", "beginning") and not clock.future
    if clock.past or (begun and shift == 0):
        period = _unit_after(match, unit, clock, shift)
        return Period(period.first, min(clock.as_of, period.last))
    return clock.nearest(_unit_after(match, unit, clock, n) for n in (shift, shift + 1))


def that_unit(match: re.Match[str], clock: Clock) -> Period | None:
    """Read "the end of that month", which goes on from another date."""
    if clock.there is None:
        return None
    return _unit_after(match, match["unit"].lower(), clock, 0)


def _unit_after(match: re.Match[str], unit: str, clock: Clock, shift: int) -> Period:
    """Return what is meant of the week, month, quarter or year `shift` after that of as_of."""
    if unit == "week":
        monday = clock.as_of + (7 * shift - clock.as_of.weekday()) * DAY
        return _part_of(match, Period(monday, monday + 6 * DAY))
    size = MONTHS_IN[unit]
    index = (month_index(clock.as_of) // size + shift) * size
    return _part_of(match, months(index, size))


def bare_year(match: re.Match[str], clock: Clock) -> Period | None:
    """Read "in 2026" and "price prediction 2026", but not the price in "above 2026"."""
    before = match.string[max(0, match.start() - NEAR) : match.start()]
    year, part = year_of(match["year"]), match["part"]
    if not part and LEVEL_BEFORE.search(before):
        return None
    led = re.search(
        r"\b(?:in|by|of|for|during|until|through|before|after)\s+$", before, re.IGNORECASE
    )
    near = 0 <= year - clock.as_of.year <= 30
    if not (near or part or led or clock.past):
        return None
    return _part_of(match, months(year * 12, 12))
