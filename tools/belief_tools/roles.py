"""What the words around a figure say it is: a role, a direction, a subject."""

import re
from dataclasses import replace
from functools import lru_cache

from belief_tools.page import ABOUT, NEAR, Figure, Page

# The nearest word before a price gives its role; a word serves one price only.
_ROLE_WORDS = {
    "last": r"(?:last|latest|most recent|current|today'?s|present|previous|prior)\s+"
    r"(?:(?!forecast|expected|predicted|median|belief)\w+\s+){0,2}?(?:close|price|value|level)"
    r"|closed|(?:is |was )?currently|today(?:'s)?|last traded|(?:now|then) (?:at|trad\w+)"
    r"|(?<!be )(?<!to )trad(?:es|ing) at|(?:up|down) from|versus|vs|compared (?:to|with)|against",
    "level": r"above|below|over|under|exceed\w*|at least|at most|more than|less than"
    r"|(?:higher|lower|greater) than|beyond|past|surpass\w*|threshold|level|cross\w*",
    "expected": r"expect\w*|median|predict\w*|forecast\w*|project(?:s|ed|ion)|anticipat\w*"
    r"|estimat\w*|will|would|should|target\w*|reach\w*|hits?|likely|best guess|belief"
    r"|(?:base|central) case|middle|midpoint|central",
    "low": r"(?:as )?lows?|lowest|lower (?:end|bound|limit)|minimum",
    "high": r"(?:as )?highs?|highest|upper(?: end| bound| limit)?|maximum",
    "possible": r"could|may|might",
    "base": r"from",
    "price": r"prices?|worth|valued? at",
}
_ROLE_PATTERN = "|".join(f"(?P<{role}>{words})" for role, words in _ROLE_WORDS.items())
_ROLE = re.compile(rf"\b(?:{_ROLE_PATTERN})\b", re.I)
_ROLE_AFTER = re.compile(
    r"\s*(?:\b(?:is|was|at|as|being|on)\s+(?:the |its |our |my |a )?(?:best |central )?"
    rf"(?:{_ROLE_PATTERN})\b"
    r"|\(\s*(?:the )?(?:(?P<last_>last close|today|now)|(?P<expected_>median|expected))\s*\)"
    r"|(?P<level_>is\s+(?:very\s+|quite\s+)?(?:unlikely|not likely))"
    r"|(?P<last__>today|now|currently)\b|at (?:the|its) (?:(?P<high_>top|(?:upper|high) end)"
    r"|(?P<low_>bottom|(?:lower|low) end))\b)",
    re.I,
)
ROLE_NAMES = {"last": "the last close", "expected": "the expected price", "level": "a level"}
_UP = r"ris(?:e|es|ing)|rose|(?<!end )(?<!ends )(?<!ending )up|upwards?|upside|higher"
_UP += r"|increas\w*|gain\w*|climb\w*|grow\w*|above|or more"
_UP += r"|floor|over(?!\s+(?:the (?:next|coming|following|past|last)|a random|GARCH|both|time\b"
_UP += r"|\d+\s+(?:trading|calendar|sessions?|days?|weeks?|months?)))"
_UP += r"|exceed\w*|at least|more than(?! (?:even|likely|not)\b)|beyond|surpass\w*"
_UP += r"|top(?:s|ped|ping)|upper side|past|reach\w*|hits?|cross\w*|advanc\w*|jump\w*"
LIES = r"(?!\s+(?:outside|between|in|within|inside|into|somewhere)\b)"  # "falls between" is no fall
_DOWN = rf"fall\w*{LIES}|fell|down|downwards?|downside|lower(?! (?:end|bound|limit|half))"
_DOWN += r"|drop\w*|declin\w*|decreas\w*|below|under|less than"
_DOWN += r"|ceiling|cap|undercut|los(?:e|es|s|t|ing)"
_DOWN += r"|or less|at most|short of|shy of|sink\w*|shrink\w*|slip\w*|shed\w*|slid\w*|slump\w*"
WAY = re.compile(rf"(?P<up>\b(?:{_UP})\b|[>\u2265])|(?P<down>\b(?:{_DOWN})\b|[<\u2264])", re.I)
MOVE = re.compile(r"\b(?:ris|rose|increas|climb|gain|fall|fell|drop|declin|mov|chang|go)\w*", re.I)
HEDGE = re.compile(r"\b(?:chances?|probab\w*|odds|likelihood|could|may|might|whether|if)\b", re.I)
_AS_OF = r"as of|made|issued|dated|based on|data|since|starting|last clos\w+|closed"
_AS_OF += r"|forecast from"
_DATE_ROLE = re.compile(
    rf"\b(?:(?P<as_of>{_AS_OF}|known (?:as of|on|by|through|until)|latest)"
    rf"|(?P<target>{_ROLE_WORDS['expected']}))\b",
    re.I,
)
INTERVAL = re.compile(r"\b(?:intervals?|bands?|ranges?|confidence|bounds?)\b", re.I)
NOT = r"\b(?:not|no|nobody|never|nor|neither|nothing|none|cannot|without|far from"
NOT += r"|rather than|unlikely)\b"
DENIES = re.compile(rf"{NOT}|n't\b", re.I)
NEGATED = re.compile(rf"(?:{NOT}|n't\b)(?:[^\w.!?;\n]+(?!but\b)\w+){{0,4}}[^\w.!?;\n]*$", re.I)
# A level is supposed, not foreseen, in "to reach $900 it would have to rise".
_SUPPOSES = re.compile(
    r"\b(?:(?:would|will) (?:have|need) to|needs? (?:to|a)|to (?:reach|hit|get to|fall to|rise to"
    r"|climb to|drop to|trade at|be at|touch)|(?:move|rise|climb|fall|drop|jump|gain|return) to"
    r"|(?:reach|hitt?|gett|fall|ris|climb|touch)ing|out of reach|stretch|(?:you|was|were) ask\w*"
    r"|or (?:more|less|higher|lower)|(?:chance|probability|odds) of(?= *$)"
    r"|you (?:name|mention)\w*|inside|outside|within|a different matter|whether|if|even)\b",
    re.I,
)
_STATES = re.compile(
    r"\b(?:expect\w*|median|predict\w*|forecast(?:s|ed)?|will (?:be|close|end|reach|hit|trade)"
    r"|base case)\b(?!\s+(?:chance|probab))",
    re.I,
)
_LEVEL_FIRST = re.compile(
    r"\s*(?:is|are|lies?|sits?|isn't|would|remains?|looks?|seems?|stands?|being"
    r"|falls? (?:in|out|just))\b",
    re.I,
)
_NOT_CLAIMED = re.compile(
    r"\b(?:not|chances?|probab\w*|odds|whether|if|would have|price target)\b|n't\b", re.I
)
_MOVED = rf"(?:{_UP}|{_DOWN}|chang\w*|mov\w*|gap|distance|difference)"
_MERELY = r"(?:only|just|merely|barely|another)"
_DISTANCE_BEFORE = re.compile(
    rf"\b(?:{_MOVED}(?:\s+{_MERELY})?\s+(?:of|by|at|to|is|are)|up|down|adds?|adding|plus"
    rf"|increase|gain\w*|los\w+|shed\w*|rise|climb|drop|fall|another|(?:an )?(?:extra"
    rf"|additional))\s+"
    rf"(?:(?:up to|over|under|(?:more|less) than|at least|{_MERELY})\s+)?"
    rf"(?:{ABOUT}\s+)?$",
    re.I,
)
_DISTANCE_AFTER = re.compile(
    r"\s*(?:\([^()]*\)\s*)?(?:or\s+\S+\s*(?:%|percent)?\s*)?"
    r"(?:higher|lower|(?:more|less)(?! (?:likely|probable|than|often))|more than (?:the|its"
    r"|today|it\b)"
    r"|(?:increase|rise|gain|drop|fall|decline|loss|upside|downside)\b"
    r"|(?:short of|shy of|away from)\b|(?:above|below|over|under|from|off)\s+(?:the |its |our )?"
    r"(?:last|latest|current|today|median|expected|that|it\b))",
    re.I,
)
_FROM_BASE = re.compile(
    r"\s*(?:higher than|lower than|above|below|over|under|from|off)\s+(?:the |its |our |where )?"
    r"(?:last|latest|current|today|median|friday's|it (?:is|closed))",
    re.I,
)
_DISTANCE_TO = re.compile(
    rf"\b(?:upside|downside|distance|gap|way)\b[^,;]{{0,60}}\s(?:is|=|:)\s*(?:{ABOUT})?\s*$",
    re.I,
)
_BRACKET = re.compile(r"\s*\(\s*")
_AGAIN = re.compile(rf"[\s,]*(?:\(|or\b|i\.e\.|that is|some|which is)[\s,]*(?:{ABOUT})?\s*", re.I)
_SHARE_OF = re.compile(
    r"\s*of (?:the |its |that |what |today's )?"
    r"(?:[$]|\d(?!\d*\s*%)(?!\s*-?\s*(?:month|week|day|session|trading))|last|median|current"
    r"|(?:share )?price"
    r"|(?P<chance>(?:chance|probability|odds)\s+(?:of|that)\b))",
    re.I,
)
# These go up or down to a level, according to where it lies.
REACHES = re.compile(r"(?:reach|hit|cross|touch)\w*", re.I)
_CLAIMS = (
    r"expect\w*|forecast\w*|predict\w*|project\w*|anticipat\w*|median|(?:best |central )?"
    r"(?:estimate|guess)\w*|base case|will|should|last|latest|current\w*|clos(?:ed|es)|is at"
    r"|price is|low|high|lower|upper|bound|target price|now|rather|instead|actually|really"
)
_FILLS = (
    r"price|close|closing|value|is|was|of|at|to|be|the|a|an|its|for|around|about|near|roughly"
    r"|approximately|reach|hit|trade|trading|end|bound|probably|rise|fall|climb|drop|as|stock"
    r"|(?-i:[A-Z]\w+)|it|that|on|in|by|month|tomorrow|case|go|target|get|move|up|down|approx\.?"
)
_CLAIMED = re.compile(rf"\b(?:{_CLAIMS})\b(?:[\s:|*(]+(?:{_FILLS})\b)*[\s:|*(~\u2248]*$", re.I)


@lru_cache(maxsize=4)
def _role_words(prose: str) -> tuple[re.Match[str], ...]:
    """Return every word that can give a figure its role."""
    return tuple(_ROLE.finditer(prose))


def _is_supposed(page: Page, figure: Figure) -> bool:
    """Say whether a price is spoken of without being foreseen."""
    start, end = page.clause(figure)
    lead_in, rest = page.prose[start : figure.start], page.prose[figure.end : end]
    if not lead_in.strip(" *-") and _LEVEL_FIRST.match(rest):
        return True
    if not lead_in.strip():
        lead_in = page.prose[page.sentence(figure)[0] : figure.start]
    if re.search(r"(?:[<>=\u2264\u2265]|\bbetween)\s*$", lead_in, re.I):
        return True
    if _STATES.search(lead_in):
        return False
    return bool(_SUPPOSES.search(lead_in) or _SUPPOSES.search(rest))


_LEVEL_BEFORE = re.compile(r"\b(?:above|below|over|under|beyond)\s+$", re.I)
_HOLDS = re.compile(
    r"\s*is\s+(?:\w+ )?likely\s+to\s+(?:hold|be\s+\w+ed|break|give way|fall)\b", re.I
)
_IS_LIKELY = re.compile(r"\s*is\s+likely\b", re.I)
# "About $318, with a 90 % range of ..." puts the price itself first
_LEADS = re.compile(
    rf"[\W_]*(?:(?:{ABOUT}|somewhere|something|just|probably|most likely|likely|I'd (?:say|guess"
    r"|put it at|expect)|call it|it'?s|in the region of|a (?:shade|touch|little|bit)|over|under"
    r"|(?:my|the|our) (?:best )?(?:guess|answer)|short answer)[\s,:*]*)*",
    re.I,
)
_ENDS_LEAD = re.compile(
    r"[\s*]*(?:$|\n|[.;\u2013\u2014]|,(?!\s*\d)|\((?![^()]*\blast\b)|(?:with|by|on|in|at|for|as)\s)"
)


def is_lead_figure(page: Page, figure: Figure) -> bool:
    """Say whether a price opens the text and no word says what it is: then it is the forecast."""
    if not _LEADS.fullmatch(page.prose, 0, figure.start):
        return False
    chance = [f for f in page.figures if f.kind == "percent" and f.start >= figure.end][:1]
    if chance and chance[0].start - figure.end < 6 and not nominal(page, chance[0]):
        return False
    return _ENDS_LEAD.match(page.prose, figure.end) is not None


def role_of(page: Page, figure: Figure, used: set[int]) -> str:
    """Return what the nearest words say a price is: "last", "expected", "level", "low", or "".

    Args:
        page: the text.
        figure: the price.
        used: where the words stand that gave an earlier price its role; added to here.
    """
    if re.search(r"[<>\u2264\u2265]=?\s*$", page.before(figure)) or (
        re.match(r"\s*[<>\u2264\u2265]", page.prose[figure.end :])
    ):
        return "level"
    after = _ROLE_AFTER.match(page.prose, figure.end)
    if after and after.lastgroup:
        beyond = _LEVEL_BEFORE.search(page.before(figure)) and _IS_LIKELY.match(after[0])
        if beyond or _HOLDS.match(page.prose, figure.end):
            return "level"  # "above $100 is likely"
        used.add(after.start(after.lastgroup))
        return after.lastgroup.rstrip("_")
    start, end = page.sentence(figure)
    if re.search(r"\b(?:i\.e\.|that is|namely),?\s*$", page.before(figure), re.I):
        return ""
    before = [m for m in _role_words(page.prose) if start <= m.start() and m.end() <= figure.start]
    before = [match for match in before if match.start() not in used]
    if not before:
        if is_lead_figure(page, figure):
            return "expected"
        return "level" if _is_supposed(page, figure) else ""
    if _is_supposed(page, figure):
        used.add(before[-1].start())
        return "level"
    nearest = before[-1]
    used.add(nearest.start())
    used.update(match.start() for match in before if match.lastgroup == "last")
    reached = re.match(r"reach|hit", nearest[0], re.I)
    unsure = page.prose[start:end] if nearest[0].lower() == "reaching" else page.lead_in(figure)
    if reached and (HEDGE.search(unsure) or DENIES.search(unsure)):
        return "level"
    if before[-2:-1] and before[-2].lastgroup == "possible" and nearest.lastgroup == "expected":
        return "possible"
    return nearest.lastgroup or ""


def is_claimed(page: Page, figure: Figure) -> bool:
    """Say whether a level is put as the price itself, as in "expected at $900"."""
    start, end = page.sentence(figure)
    lead_in = page.prose[start : figure.start]
    after = _ROLE_AFTER.match(page.prose, figure.end)
    if after and after.lastgroup and after.lastgroup.rstrip("_") in ("expected", "last", "price"):
        return True
    if page.prose[end : end + 1] == "?" or _NOT_CLAIMED.search(lead_in):
        return False
    return _CLAIMED.search(lead_in) is not None


def is_difference(page: Page, figure: Figure) -> bool:
    """Say whether a price is a change, as in "up $11", and not one of the prices itself."""
    if page.clean[max(0, figure.start - 1) : figure.end].lstrip(" (")[:1] in ("+", "-"):
        return page.clean[max(0, figure.start - 2) : figure.start].strip(" +(-") == ""
    after = _DISTANCE_AFTER.match(page.prose, figure.end) or (
        figure.unit and re.match(r"\s*(?:above|below)\s+(?:it|that)?\b", page.prose[figure.end :])
    )
    after = after or re.match(
        r"\s*(?:above|below|over|under|beyond)\s+(?:about )?[$]?\d(?!\d*\s+(?:trading|calendar"
        r"|session"
        r"|day|week|month))",
        page.prose[figure.end :],
    )
    said = _DISTANCE_BEFORE.search(page.before(figure)) or re.search(
        r"\bby\s+(?:about\s+)?$", page.before(figure)
    )
    before = said and not re.search(r"\b(?:to|at|is|are)\s*\w*\s*$", said[0])
    to_end = _DISTANCE_TO.search(page.lead_in(figure))
    return bool(before or to_end or after or is_beside_distance(page, figure))


def is_beside_distance(page: Page, figure: Figure) -> bool:
    """Say whether a price tells a distance again that stands as a percentage before it."""
    for other in page.figures:
        if other.kind == "percent" and 0 < figure.start - other.end < 2 * NEAR:
            gap = page.prose[other.end : figure.start]
            distance = is_signed(page, other) or _DISTANCE_BEFORE.search(page.before(other))
            if _BRACKET.fullmatch(gap) or (distance and _AGAIN.fullmatch(gap)):
                return True
    return False


def is_signed(page: Page, figure: Figure) -> bool:
    """Say whether a figure has a plus or a minus in front."""
    worded = re.search(r"(?<!or )\b(?:minus|plus)\s+$", page.before(figure), re.I)
    return bool(worded) or page.clean[figure.start : figure.end].lstrip()[:1] in ("+", "-")


def is_distance(page: Page, figure: Figure) -> bool:
    """Say whether a percentage is a change or a distance, as in "up 9 %"."""
    if is_signed(page, figure):
        return True
    start, _ = page.clause(figure)
    before = _DISTANCE_BEFORE.search(page.before(figure)) and not re.search(
        r"[()]", page.prose[start : figure.start]
    )
    beside = [
        f
        for f in page.figures
        if f.kind == "price" and 0 < figure.start - f.end < 12 and is_difference(page, f)
    ]
    return bool(before or beside or _DISTANCE_AFTER.match(page.prose, figure.end))


def is_from_base(page: Page, figure: Figure) -> bool:
    """Say whether a percentage is counted from a price, as in "2 % above the last close"."""
    return _FROM_BASE.match(page.prose, figure.end) is not None


def is_of_chances(page: Page, figure: Figure) -> bool:
    """Say whether a multiple is one of chances, as in "twice as likely"."""
    after = r"\s*(?:as|more)\s+(?:likely|probable)|\s*(?:likelier|the (?:chance|probability|odds))"
    return re.match(after, page.prose[figure.end :], re.I) is not None


def base_of_share(page: Page, figure: Figure) -> str:
    """Say what a percentage is a share of: a "price" or a "chance"; else ""."""
    said = _SHARE_OF.match(page.prose, figure.end)
    return "" if said is None else "chance" if said["chance"] else "price"


_WAY_BESIDE = re.compile(
    rf"\b(?:up|down|gain|loss|rise|drop|fall)\s+(?:(?:of|by)\s+)?(?:{ABOUT}|(?:more|less) than"
    r"|over|under|at least)?\s*$",
    re.I,
)


def way_near(page: Page, figure: Figure) -> int:
    """Return +1 or -1 for the direction word that stands with a distance, 0 without one."""
    if beside := _WAY_BESIDE.search(page.lead_in(figure)):
        return way_of(beside[0])
    after = re.match(
        r"(?:\s|\(|\))*(?:or \S+ ?(?:%|percent)? )?(?:\w+\s+)?", page.prose[figure.end :]
    )
    at = figure.end + (after.end() if after else 0)
    found = WAY.match(page.prose, figure.end + 1) or WAY.match(page.prose, at)
    if found and not REACHES.match(found[0]):
        return 1 if found.lastgroup == "up" else -1
    before = re.sub(r"\b(?:over|under|up to|more than|less than)\s*$", "", page.lead_in(figure))
    return way_of(before, last=True)


_NEGATES = re.compile(
    r"(?:\b(?:not|no|never)|n't)(?:[^\w,;.:()]+(?!but\b)\w+){0,3}[^\w,;.:()]+$", re.I
)


def way_of(text: str, *, last: bool = False) -> int:
    """Return +1 or -1 for the first (or last) direction word of `text`, 0 without one."""
    found = list(WAY.finditer(text))
    if not found:
        return 0
    match = found[-1 if last else 0]
    way = 1 if match.lastgroup == "up" else -1
    return -way if _NEGATES.search(text[: match.start()]) else way


_NOMINAL_AFTER = re.compile(
    r"[\s-]*(?:(?:central|prediction|forecast|confidence|probability)\s+)?"
    r"(?:intervals?|ranges?|bands?|ones|levels?|CI)\b",
    re.I,
)


def nominal(page: Page, figure: Figure) -> bool:
    """Say whether a percentage names an interval, as in "the 90 % interval"."""
    if re.search(r"\b(?:middle|central|inner)\s+$", page.before(figure), re.I):
        return True
    if re.search(
        r"\b(?:low|high|lower|upper|ends?|bounds?|intervals?|ranges?)\s*\($",
        page.before(figure),
        re.I,
    ):
        return page.prose[figure.end : figure.end + 1] == ")"
    return _NOMINAL_AFTER.match(page.prose, figure.end) is not None


def scopes_of_percentage(page: Page, figure: Figure) -> list[tuple[int, int]]:
    """Return where the subject of a percentage may stand, nearest wording first."""
    clause_start, clause_end = page.clause(figure)
    start, end = page.sentence(figure)
    others = [f for f in page.figures if f.kind == "percent" and not nominal(page, f)]
    clause_start = max([clause_start, *(f.end for f in others if f.end <= figure.start)])
    clause_end = min([clause_end, *(f.start for f in others if f.start >= figure.end)])
    if page.prose.rfind("(", clause_start, figure.start) > page.prose.rfind(
        ")", clause_start, figure.start
    ):
        bracket = page.prose.find(")", figure.end, clause_end)
        told = re.search(r"\b(?:that|this|regime)\b", page.prose[figure.end : bracket])
        clause_end = (
            bracket if told and bracket >= 0 else clause_end
        )  # "(80 % for that regime) ..."
    before, after = (clause_start, figure.start), (figure.end, clause_end)
    attributive = re.match(
        r"\s*(?:[\w-]+\s+)?(?:chance|probab|likel|odds|confid|interval|range|above|below|higher"
        r"|lower|of\b|on\b|for\b|that\b|to\b)",
        page.prose[figure.end :],
    )
    near = [after, before] if attributive else [before, after]
    return [*near, (start, figure.start), (figure.end, end)]


def clause_before(page: Page, figure: Figure) -> tuple[int, int]:
    """Return where the clause in front of a figure's own stands, within the sentence."""
    sentence, _ = page.sentence(figure)
    start, _ = page.clause(figure)
    before = Figure("words", max(sentence, start - 2), max(sentence, start - 2))
    others = [f.end for f in page.figures if f.kind == "percent" and f.end <= figure.start]
    begin = max(
        [sentence, page.clause(before)[0] if before.start > sentence else sentence, *others]
    )
    return min(begin, figure.start), figure.start


_THAN_ON = re.compile(r"\bthan\s+(?:(?:it|they)\s+\w+\s+)?(?:on|at)\s+$", re.I)


_CLOSE_OF = re.compile(r"\bthe\s+[$]?[\d.,]+\s+close\s+(?:of|on|from)\s+(?:\w+day,?\s*)?$", re.I)


def role_of_date(page: Page, figure: Figure) -> str:
    """Say whether the words around make a date the "target" or the "as_of"; else ""."""
    start, _ = page.clause(figure)
    sentence, end = page.sentence(figure)
    if weekday := re.search(r"\b\w+day,\s*$", page.prose[sentence:start], re.I):
        start, _ = page.clause(replace(figure, start=sentence + weekday.start()))
    apposed = page.prose[:start].rstrip().endswith(",")
    beside = r"[\s(]*(?:[$]?[\d.,]+\s+)?(?:on|of|at|as of)?\s*(?:\w+day,?\s*)?"
    if apposed and re.fullmatch(beside, page.prose[start : figure.start]):
        start = sentence  # "the last close, on June 1, was"
    if _THAN_ON.search(page.prose[start : figure.start]) or _CLOSE_OF.search(page.before(figure)):
        return "as_of"
    dates = [f.end for f in page.figures if f.kind == "date" and f.end <= figure.start]
    before = list(_DATE_ROLE.finditer(page.prose, max([start, *dates]), figure.start))
    if before:
        return before[-1].lastgroup or ""
    named = re.search(
        r"\b(?P<by>on|by|for)\s*(?:\w+day,?\s*)?$", page.prose[start : figure.start], re.I
    )
    if named:
        than = re.search(r"\b(?:than|versus|compared)\b", page.prose[figure.end : end])
        after = _DATE_ROLE.search(
            page.prose, figure.end, figure.end + than.start() if than else end
        )
        role = (after.lastgroup or "") if after else ""
        return "" if role == "as_of" and named["by"].lower() != "on" else role
    return ""
