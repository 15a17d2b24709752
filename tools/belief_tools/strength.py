"""The rules of the grounding check about strong and weak words: "leans strongly", "edges up".

A strong word needs a chance well above one half, a word for a small move goes the way of the
median, "flat" needs a median near the last close, and no bound is one that the price cannot pass.
"""

import re
from collections.abc import Iterator

from belief_tools.known import Known, is_any, way_to_level
from belief_tools.page import Figure, Page
from belief_tools.roles import DENIES, HEDGE, nominal, way_of
from belief_tools.wording import Finding

_STRONG = 0.65  # a chance from which one may say "leans strongly" or "much more likely"
_FLAT = 0.03  # of the last close; a median no farther off is flat
_VERY_MUCH = (
    r"(?:strong|heav|clear|marked|decided|firm|overwhelming|considerab|significant|decisive"
    r"|pronounced|sharp|substantial)(?:ly|ily|y|le)?"
)
_LEAN = r"(?:lean\w*|tilt\w*|bias\w*|favou?r\w*|skew\w*|point(?:s|ing)|edge)"
_STRONG_LEAN = re.compile(
    rf"\b(?:{_VERY_MUCH}\s+{_LEAN}|{_LEAN}\s+{_VERY_MUCH}|(?:much|far|considerably|significantly"
    r"|way|vastly|a lot) (?:more (?:likely|probable)|likelier))\b",
    re.I,
)
_SLIGHT = (
    r"(?:slight|modest|small|mild|tiny|little|marginal|gentle|minor|a (?:bit|touch|hair|little))"
    r"(?:ly)?"
)
_UPS = r"ris(?:es?|ing)|gain\w*|increas\w*|climb\w*|grow\w*|advanc\w*|upside|up(?:ward)?s?|higher"
_DOWNS = r"fall\w*|drop\w*|declin\w*|decreas\w*|slip\w*|dip\w*|loss\w*|los(?:es?|ing)|downside"
_DOWNS += r"|down(?:ward)?s?|lower|weak\w*"
_SMALL_MOVE = re.compile(
    rf"\b(?:{_SLIGHT}\s+(?:further\s+)?(?:(?P<up1>{_UPS})|(?P<down1>{_DOWNS}))"
    rf"|(?:(?P<up2>{_UPS})|(?P<down2>{_DOWNS}))\s+{_SLIGHT}"
    r"|(?:edg|inch|creep|tick|nudg|drift)(?:e|es|s|ing)?\s+(?:(?P<up3>up\w*|higher)"
    r"|(?P<down3>down\w*|lower)))\b",
    re.I,
)
_MIDDLE = (
    r"(?:median|midpoint|central (?:path|estimate|forecast|case)|middle (?:path|of the forecast))"
)
_MIDDLE_MOVES = re.compile(
    rf"\b{_MIDDLE}\b(?:\s+(?!above|below)[\w'$.,-]+){{0,6}}?\s+(?:(?P<up>ris(?:es?|ing)|climb\w*"
    rf"|gains?"
    r"|increas\w+|(?:up|higher|above)(?=\s+(?:on|from|than|the|its|today|last)))"
    r"|(?P<down>falls?|falling|drop\w*|declin\w*|slip\w*|dip\w*|loses?|(?:down|lower|below)"
    r"(?=\s+(?:on|from|than|the|its|today|last))))\b(?!\s+(?:in|within|inside|between)\b)",
    re.I,
)
_IS_FLAT = re.compile(
    r"\b(?:(?:essentially|basically|roughly|practically|virtually|pretty much|almost|nearly|about"
    r"|more or less|largely|is|stay\w*|remain\w*)\s+(?:flat|unchanged|where it is)"
    r"|(?:little|hardly) changed?|hardly any change|no (?:real )?(?:change|move))\b",
    re.I,
)
_GOES = (
    r"(?:go|fall|drop|sink|dip|slip|decline|rise|climb|exceed|clos|close|end|finish|trade|get|move"
    r"|lose|reach|hit|top|pass|break|surpass|settle|leave|stay|gain|cross|land|touch|jump|grow)"
)
_BEYOND = r"(?:above|below|over|under|beyond|past|higher|lower|outside|more|less|any)"
_CANNOT = re.compile(
    rf"\b(?:(?:can(?:'t| ?not| never)|could(?:n't| not| never))\s+(?:(?:possibly|ever|even"
    rf"|really)\s+)?"
    rf"(?:{_GOES}|be\s+{_BEYOND})"
    rf"|(?P<will>(?:will not|won't|will never|isn't going to|is not going to|never)\s+"
    rf"(?:{_GOES}(?:e?s)?\s+{_BEYOND}|exceed\w*))"
    rf"|(?:must|is (?:guaranteed|destined|certain|sure) to)\s+(?:be\s+{_BEYOND}|{_GOES})"
    r"|nothing (?:can|could|will) (?!be\b|change\b)\w+|no way(?!\s+(?:to|of)\b)|(?:set in stone"
    r"|locked in|a given|mathematically))\b",
    re.I,
)


_ON_COURSE = re.compile(
    r"\b(?:on (?:course|track|its way)|head(?:ed|ing|s)|poised|set|destined)\s+(?:for"
    r"|to(?:wards?)?)"
    r"(?:\s+(?:hit|reach|clear|cross|test|pass))?\s+$",
    re.I,
)
_MEDIAN_AND_LEVELS = re.compile(
    rf"\b{_MIDDLE}\b[^.;%]*?\b(?P<way>above|below|between|beyond|over|under)\s+(?:both(?: of)?"
    rf"|the (?:two|2)"
    r"|your (?:two|2)|your|the)\s+(?:of\s+)?(?:(?:your|the|these|those)\s+)?(?:(?:two"
    r"|2)\s+)?(?:levels|thresholds|marks|prices)\b",
    re.I,
)
_TREND = re.compile(
    r"(?<=[%\d)]),?\s+and\s+(?:rising|falling|climbing|growing|improving|shrinking|counting)\b"
    r"|\bexpect (?:an?|some|further|more) (?:\w+ )?(?:slide|pull-?back|bounce|breakout|run-?up"
    r"|squeeze"
    r"|dip|correction|spike)\b",
    re.I,
)
_WILL_CHANGE = re.compile(
    r"\b(?:volatility|regime|turbulence|crisis|calm)\s+(?:\w+\s+)?(?:will|is (?:set|expected|likely"
    r"|bound|about|going) to|should)\s+(?:soon |then |probably )?(?:be over|end|pick up|rise|fall"
    r"|spike|increase|decrease|ease|subside|settle|drop|cool|return|fade|shift|turn|switch|decline"
    r"|calm|surge|jump|lift)\b",
    re.I,
)


def judge_strength(page: Page, known: Known) -> Iterator[Finding]:
    """Strong and weak words agree with the chances and with the median.

    Args:
        page: the text.
        known: what the result says.
    """
    yield from _judge_cannot(page)
    yield from _judge_course(page, known)
    yield from _judge_strong(page, known)
    yield from _judge_small_moves(page, known)
    yield from _judge_middle(page, known)
    yield from _judge_median_and_levels(page, known)
    for match in _IS_FLAT.finditer(page.prose):
        figure = Figure("words", *match.span())
        if abs(known.change) > _FLAT and not DENIES.search(page.lead_in(figure)):
            yield _of_median(match[0], known)


def _judge_cannot(page: Page) -> Iterator[Finding]:
    """No price is out of reach for sure, not even one beyond the 90 % interval."""
    for match in _CANNOT.finditer(page.prose):
        figure = Figure("words", *match.span())
        told = [f for f in page.near(figure, "percent") if not nominal(page, f)]
        likely = re.search(r"likely|probabl|expect", page.lead_in(figure), re.I)
        needed = match[0].lower().startswith("must") and re.search(
            r"\b(?:to|for|needs?)\b", page.prose[page.sentence(figure)[0] : match.start()]
        )
        if needed:
            continue  # "to get there it must fall 6 %"
        if not (match["will"] and (told or likely or HEDGE.search(page.lead_in(figure)))):
            yield Finding(match[0], "certainty", f"no forecast is sure; leave out '{match[0]}'")


def _judge_course(page: Page, known: Known) -> Iterator[Finding]:
    """Where the price is said to be headed is a likely place; the regime's change is not known."""
    for level in page.figures:
        said = level.kind == "price" and _ON_COURSE.search(page.before(level))
        if not said or DENIES.search(page.lead_in(level)) or is_any(level, known.roles["base"]):
            continue
        chances = known.chances(level, 1 if level.value > known.last else -1)
        if not any(chance > 0.5 for chance in chances):
            words = said[0].strip() + " " + page.words(level)
            yield Finding(words, "likelihood", f"the text says '{words}'; that is not likely")
    for match in _TREND.finditer(page.prose):
        yield Finding(match[0], "direction", f"the tool result does not foresee '{match[0]}'")
    for match in _WILL_CHANGE.finditer(page.prose):
        if not HEDGE.search(page.lead_in(Figure("words", *match.span()))):
            yield Finding(match[0], "direction", f"the tool result does not foresee '{match[0]}'")


def _judge_strong(page: Page, known: Known) -> Iterator[Finding]:
    for match in _STRONG_LEAN.finditer(page.prose):
        figure = Figure("words", *match.span())
        if DENIES.search(page.lead_in(figure)):
            continue
        chances = [*_chances_beside(page, figure, known)]
        if not any(chance > _STRONG for chance in chances):
            listed = ", ".join(f"{chance:.0%}" for chance in chances)
            message = f"the text says '{match[0]}'; the tool result's chance is {listed}"
            yield Finding(match[0], "likelihood", message)


def _chances_beside(page: Page, figure: Figure, known: Known) -> Iterator[float]:
    """Yield the chances that strong words may be said of: a level's, what was asked, a rise."""
    start, end = page.sentence(figure)
    text = page.prose[start:end]
    levels = [f for f in page.near(figure, "price") if not is_any(f, known.roles["base"])]
    for level in levels:
        way = way_to_level(page.prose[start : level.start], level, known)
        yield from (
            chance for one in ({way} if way else {1, -1}) for chance in known.chances(level, one)
        )
    for regime in known.result.get("regimes") or ():
        if re.search(rf"\b{re.escape(str(regime['name']))}\b", text, re.I):
            yield float(regime["probability"])
    if not levels:
        up = float(known.result["prob_up"])
        way = way_of(page.prose[figure.end : end]) or way_of(text)
        yield from (up,) if way > 0 else (1 - up,) if way < 0 else (up, 1 - up)
        if not way or re.search(r"\b(?:it|that|against|yes|no|not)\b", text, re.I):
            yield from (side for one in known.asked_chances for side in (one, 1 - one))
        if re.search(r"\bboth|one\b|level|threshold", text, re.I):
            yield from (side for _, one in known.points for side in (one, 1 - one))


def _judge_small_moves(page: Page, known: Known) -> Iterator[Finding]:
    """A small move that is foreseen goes the way of the median."""
    for match in _SMALL_MOVE.finditer(page.prose):
        figure = Figure("words", *match.span())
        lead_in, (_, end) = page.lead_in(figure), page.clause(figure)
        unsure = (
            HEDGE.search(lead_in)
            or DENIES.search(lead_in)
            or re.search(r"\b(?:chances?|odds|likely|than|probab\w*|would|need\w*)\b", lead_in)
        )
        level = re.match(r"\s*(?:than|below|above|to)?\s*[$\d]", page.prose[match.end() : end])
        way = 1 if any(match[f"up{n}"] for n in (1, 2, 3)) else -1
        if not (unsure or level) and way * known.change < 0:
            yield _of_median(match[0], known)


def _judge_middle(page: Page, known: Known) -> Iterator[Finding]:
    for match in _MIDDLE_MOVES.finditer(page.prose):
        way = 1 if match["up"] else -1
        denied = DENIES.search(match[0]) or HEDGE.search(match[0])
        if not denied and way * known.change < 0:
            yield _of_median(match[0], known)


def _judge_median_and_levels(page: Page, known: Known) -> Iterator[Finding]:
    """Where the median is said to lie above, below or between the levels asked for, it does."""
    levels = known.asked_levels
    for match in _MEDIAN_AND_LEVELS.finditer(page.prose) if len(levels) > 1 else ():
        way = match["way"].lower()
        right = {
            "between": min(levels) < known.median < max(levels),
            "above": known.median > max(levels),
            "below": known.median < min(levels),
        }
        if not right[{"over": "above", "beyond": "above", "under": "below"}.get(way, way)]:
            yield _of_median(match[0], known)


def _of_median(words: str, known: Known) -> Finding:
    message = f"the text says '{words}'; the median is {known.change:+.1%} from the last close"
    return Finding(words, "direction", message)
