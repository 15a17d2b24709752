"""The rules of the grounding check about dates, weekdays, and numbers of days and events."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from belief_tools.known import Known
from belief_tools.page import Figure, Page, is_about
from belief_tools.roles import role_of_date
from belief_tools.wording import Finding

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PERIOD = r"(?:day|session|week|weekend|month|quarter|year|decade|hour|minute)"
_NTH = ("first", "second", "third", "fourth")
_SEASONS = {"winter": (12, 1, 2), "spring": (3, 4, 5), "summer": (6, 7, 8), "autumn": (9, 10, 11)}
_SPANS = {"day": (1, 1), "week": (6, 8), "month": (26, 32), "quarter": (85, 95), "year": (358, 372)}
_TIMES = re.compile(
    r"\b(?:tomorrow|tonight|overnight|midnight|noon|this (?:morning|afternoon|evening)|soon|shortly"
    r"|immediately|any (?:day|moment|time) now|weekend|Christmas|Thanksgiving|Easter|Halloween"
    r"|New Year|(?:Labor|Memorial|Independence|Valentine's) Day|(?:in |by )?Q(?P<quarter>[1-4])"
    rf"|(?P<week>{'|'.join(_NTH)}|fifth|last|final) week(?= (?:of|in)\b)"
    rf"|(?P<nth>{'|'.join(_NTH)}) (?P<part>half|quarter)(?= of\b)"
    rf"|(?:next|this|coming) (?:(?:trading|business|calendar|few|couple of) )?{_PERIOD}s?"
    rf"|within {_PERIOD}s|(?:in|within) an? (?:trading )?{_PERIOD}(?! (?:that|which|with|like))"
    rf"|(?:an?|few) {_PERIOD}s? from now"
    rf"|end of (?:the|this|next) {_PERIOD}|(?:year|month|quarter|week)[- ]?end|EO[YMQ]"
    r"|(?:in|by|this|next|until|before) (?:the |early |late )?(?:spring|summer|autumn|winter)"
    rf"|(?P<weekday>{'|'.join(_WEEKDAYS)}))\b",
    re.I,
)
_BESIDE_DATE = re.compile(
    rf"\b(?P<day>{'|'.join(_WEEKDAYS)}|(?-i:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)\b\.?),?"
    r"\s*(?:the\s+)?$",
    re.I,
)
_DAY_AFTER = re.compile(rf"\s*[,(]\s*(?:a )?(?P<day>{'|'.join(_WEEKDAYS)})\b", re.I)
_EVENT = re.compile(
    r"\b(?:events?|earnings|results|report\w*|announce\w*|scheduled|meeting|split)\b", re.I
)
_EVENT_COUNT = re.compile(
    r"(?<![\w.,$-])(?<!in )(?P<n>\d+|no)\s+"
    r"(?P<which>(?:(?:other|more|further|later|additional|another)\s+)?)"
    r"(?:(?:scheduled|known|upcoming|announced|company)\s+)*(?P<noun>events?\b|later\b|\b)",
    re.I,
)
_ONE_STEP = re.compile(
    r"\b(?:stay|remain|persist|switch|transition|mov(?:e|ing)|daily|volatil|per)\w*", re.I
)


_EVENT_NEXT = re.compile(r"\s*(?:earnings|results|report|print|event)\b", re.I)
_ONE_OF_THEM = re.compile(r"\b(?:that|this|any|each|every|per|a single|just the)\s+$", re.I)
_FEASTS = {"christmas": (12, 25), "new year": (12, 31), "halloween": (10, 31)}
_FEASTS |= {"valentine's day": (2, 14), "independence day": (7, 4), "thanksgiving": (11, 25)}
_FEASTS |= {"labor day": (9, 4), "memorial day": (5, 28)}
_FEAST_DAYS = 3  # how far from a feast a day may be that is named by it


def judge_dates(page: Page, known: Known) -> Iterator[Finding]:
    """Every date is the target, the last session, or that of a scheduled event."""
    result = known.result
    target, as_of = str(result["target"]), str(result["as_of"])
    events = [str(event["session"]) for event in result.get("scheduled_events") or ()]
    for figure in page.figures:
        if figure.kind != "date":
            continue
        role = role_of_date(page, figure)
        allowed = {"target": (target,), "as_of": (as_of,)}.get(role, (target, as_of, *events))
        if events and _EVENT.search(page.prose, *page.sentence(figure)):
            allowed = (*allowed, *events)
        if _EVENT_NEXT.match(page.prose, figure.end):
            allowed, target, as_of = tuple(events), *(events or [target])[:1] * 2
        whole = "??" not in figure.unit[8:]
        if not any(figure.is_day(day) for day in (allowed if whole else (target, as_of))):
            words = page.words(figure)
            yield Finding(
                words, "date", f"the text says {words}; the target is {target}, as of {as_of}"
            )
        yield from _judge_weekday(page, figure, (target, as_of, *events))


def _judge_weekday(page: Page, figure: Figure, days: tuple[str, ...]) -> Iterator[Finding]:
    """The weekday written beside a date is the one of that date."""
    said = _BESIDE_DATE.search(page.prose, max(0, figure.start - 20), figure.start)
    said = said or _DAY_AFTER.match(page.prose, figure.end)
    meant = [date.fromisoformat(day) for day in days if figure.is_day(day)]
    if said and meant and "??" not in figure.unit[8:]:
        right = {_WEEKDAYS[day.weekday()] for day in meant}
        if not any(name.startswith(said["day"].lower().rstrip(".")) for name in right):
            words, known = said["day"], f"{meant[0]} is a {_WEEKDAYS[meant[0].weekday()].title()}"
            yield Finding(words, "date", f"the text says {words}; {known}")


def judge_counts(page: Page, known: Known) -> Iterator[Finding]:
    """Every number of days, weeks or sessions is the way to the target; and events are counted."""
    result = known.result
    days = (date.fromisoformat(result["target"]) - date.fromisoformat(result["as_of"])).days
    sessions, age = result["horizon"], result.get("age_in_days")
    spans = {
        "session": (sessions,),
        "calendar day": (days, age),
        "day": (sessions, days, age),
        "week": (days / 7, sessions / 5),
        "month": (days / 30.4,),
        "quarter": (days / 91.3,),
        "year": (days / 365.25,),
    }
    for figure in page.figures:
        if figure.kind != "count":
            continue
        spoken = [span for span in spans.get(figure.unit, ()) if span is not None]
        about = is_about(page.clean, figure.start)
        near = replace(figure, tolerance=max(figure.tolerance, 1.0)) if about else figure
        one_step = figure.value == 1 and _ONE_STEP.search(page.prose, *page.sentence(figure))
        one_step = one_step or (figure.value == 1 and _ONE_OF_THEM.search(page.before(figure)))
        if not one_step and not any(near.is_near(span) for span in spoken):
            words = page.words(figure)
            horizon = f"the horizon is {sessions} sessions ({days} days)"
            yield Finding(words, "count", f"the text says {words}; {horizon}")
    yield from _judge_events(page, known)


def _judge_events(page: Page, known: Known) -> Iterator[Finding]:
    """A number of scheduled events is the result's."""
    listed, later = known.result.get("scheduled_events"), known.result.get("later_events") or 0
    if listed is None:
        return
    for match in _EVENT_COUNT.finditer(page.prose):
        figure = Figure("words", *match.span())
        more = bool(match["which"].strip()) or match["noun"].lower() == "later"
        spoken = re.search(r"\bevents?\b", page.prose[slice(*page.sentence(figure))], re.I)
        if not spoken or not (more or match["noun"]):
            continue
        said = 0 if match["n"].lower() == "no" else int(match["n"])
        if said != (later if more else len(listed) + later):
            words = page.words(figure)
            count = f"the tool result has {len(listed) + later} in all, {later} of them later"
            yield Finding(words, "count", f"the text says {words}; {count}")


def judge_times(page: Page, result: Mapping[str, Any], question: str) -> Iterator[Finding]:
    """A day in words, such as "tomorrow", must be the question's, or go with the date."""
    asked = " ".join(question.lower().split())
    target, as_of = (date.fromisoformat(str(result[name])) for name in ("target", "as_of"))
    for match in _TIMES.finditer(page.prose):
        words = " ".join(match[0].lower().split())
        figure = Figure("words", *match.span())
        if re.search(rf"\b{re.escape(words)}\b", asked) or _is_next(words, target, as_of):
            continue
        if _is_period(match, words, target, as_of):
            continue
        if match["weekday"] and _is_holiday(page, match.end(), result):
            continue
        if match["weekday"] and _is_weekday(page, figure, target, as_of):
            continue
        one_session = re.fullmatch(r"next (?:\w+ )?(?:day|session)", words)
        stepwise = _ONE_STEP.search(page.prose, *page.sentence(figure))
        if one_session and (result["horizon"] == 1 or stepwise):
            continue
        yield Finding(match[0], "date", f"the text says '{match[0]}'; the target is {target}")


_HOLIDAY = re.compile(
    r"\s+(?:is|was|being|will be)\s+(?:an?\s+)?(?:\w+\s+)?(?:holiday|closed|[\w']+ Day\b)", re.I
)


def _is_holiday(page: Page, end: int, result: Mapping[str, Any]) -> bool:
    """Say whether a weekday is called a holiday, and one stands before the target."""
    target, as_of = (date.fromisoformat(str(result[name])) for name in ("target", "as_of"))
    days = range(as_of.toordinal() + 1, target.toordinal() + 1)
    weekdays = sum(date.fromordinal(day).weekday() < 5 for day in days)
    return bool(_HOLIDAY.match(page.prose, end)) and weekdays > result["horizon"]


def _is_weekday(page: Page, figure: Figure, target: date, as_of: date) -> bool:
    """Say whether a weekday goes with its date, or is that of the last close or of this week."""
    if any(f.kind == "date" and 0 <= f.start - figure.end < 8 for f in page.figures):
        return True  # judged with its date
    named = _WEEKDAYS.index(page.words(figure).lower())
    if named in {target.weekday(), as_of.weekday()} and page.near(figure, "date"):
        return True
    of_close = re.match(r"'s\s+(?:[$]?[\d.,]+\s+)?clos|'s\s+[$]\d", page.prose[figure.end :], re.I)
    closed = re.search(r"\bclosed\b(?:[^.;]|\.\d)*$", page.lead_in(figure), re.I)
    if named == as_of.weekday() and (of_close or closed):
        return True
    return named == target.weekday() and (target - as_of).days <= 7


def _is_period(match: re.Match[str], words: str, target: date, as_of: date) -> bool:
    """Say whether a quarter, a half, a season, an end or a span of time is the target's."""
    if match["quarter"]:
        return int(match["quarter"]) == (target.month + 2) // 3
    if match["part"]:
        months = 3 if match["part"].lower() == "quarter" else 6
        return _NTH.index(match["nth"].lower()) == (target.month - 1) // months
    if season := re.search(r"spring|summer|autumn|winter", words):
        return target.month in _SEASONS[season[0]]
    if span := re.fullmatch(r"(?:in|within) an? (?:trading )?(\w+)", words):
        least, most = _SPANS.get(span[1], (0, -1))
        return least <= (target - as_of).days <= most
    if span := re.fullmatch(r"an? (\w+) from now", words):
        least, most = _SPANS.get(span[1], (0, -1))
        return least <= (target - as_of).days <= most
    if match["week"]:
        return _is_week_of_month(match["week"].lower(), target)
    if feast := next((name for name in _FEASTS if words.startswith(name)), None):
        return any(_is_feast(day, *_FEASTS[feast]) for day in (target, as_of))
    end = re.search(r"end of (the|this) (\w+)$|^()(\w+)[- ]?end$", words)
    return end is not None and _is_end(end[2] or end[4], target, as_of)


def _is_week_of_month(nth: str, day: date) -> bool:
    """Say whether a day is in the first, second ... week of its month, by either way to count."""
    monday_first = (day.day + day.replace(day=1).weekday() - 1) // 7
    if nth in ("last", "final"):
        return (day + timedelta(days=7)).month != day.month
    return [*_NTH, "fifth"].index(nth) in ((day.day - 1) // 7, monday_first)


def _is_feast(day: date, month: int, number: int) -> bool:
    years = (day.year - 1, day.year)
    return any(abs((day - date(year, month, number)).days) <= _FEAST_DAYS for year in years)


def _is_end(period: str, target: date, as_of: date) -> bool:
    """Say whether the target is the end of the period that the last session stands in."""
    soon = [date.fromordinal(target.toordinal() + days) for days in range(1, 5)]
    if period == "week":
        return target.weekday() in (3, 4) and (target - as_of).days <= 7
    months = {"month": 1, "quarter": 3, "year": 12}.get(period)
    if months is None:
        return False
    numbers = [(12 * day.year + day.month - 1) // months for day in (target, as_of, *soon)]
    return numbers[0] == numbers[1] and numbers[0] != numbers[-1]


def _is_next(words: str, target: date, as_of: date) -> bool:
    """Say whether "next week" and the like are the target's, as seen from the last session."""
    said = re.fullmatch(r"(next|this|coming) (week|month|quarter|year)", words)
    if not said:
        return False
    weeks = (target.toordinal() - 1) // 7 - (as_of.toordinal() - 1) // 7
    months = 12 * (target.year - as_of.year) + target.month - as_of.month
    quarters = (12 * target.year + target.month - 1) // 3 - (12 * as_of.year + as_of.month - 1) // 3
    passed = {"week": weeks, "month": months, "quarter": quarters}
    passed["year"] = target.year - as_of.year
    return passed[said[2]] == (0 if said[1] == "this" else 1)
