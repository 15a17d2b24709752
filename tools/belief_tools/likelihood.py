"""The rule of the grounding check about words of chance: "likely" needs more than one half."""

import re
from collections.abc import Iterator

from belief_tools.known import Known, is_any, way_to_level
from belief_tools.page import Figure, Page
from belief_tools.ratio_claims import fits_ratio
from belief_tools.roles import DENIES, HEDGE, NEGATED, WAY, is_difference, is_of_chances, way_of
from belief_tools.wording import Finding

_LARGE_CHANGE = 0.05  # of the last close; a smaller one is not called sharp
_EVEN = (0.4, 0.6)  # a chance that may be called even
_VERY = 0.7  # a chance from which something is very likely
_LIKELY = re.compile(
    r"(?<!%\s)(?<!percent\s)(?<!more\s)(?<!less\s)(?<!most\s)(?<!least\s)(?<!as\s)(?<!equally\s)"
    r"\b(?:(?P<not>not|hardly|isn't|n't)\s+)?(?P<very>(?:very|highly|quite|extremely|rather)\s+)?"
    r"(?:(?P<yes>likely|probable|probably)|(?P<no>unlikely|improbable|doubtful|a long shot))\b"
    r"(?P<after_not>\s+not\b)?(?!\s+(?:than|range|landing|band|outcomes?|values?))",
    re.I,
)
_REPLY = re.compile(
    r"[\W_]*(?P<yes>yes|yeah|yep)\b|[\W_]*(?P<no>no|nope)\b(?=\s*[,.:;!\u2013\u2014-])", re.I
)
_LEANS = (
    r"(?:lean\w*|tilt\w*|edge|bias\w*|skew\w*|drift\w*)\s+(?:is\s+)?(?:slight\w*\s+)?"
    r"(?:to(?:ward)?s? )?(?:the )?"
)
_NO_CASE = r"(?!(?: \S+)? (?:case|end|scenario))"  # "the pessimistic case" is no mood
_MOOD = re.compile(
    rf"\b(?:(?P<up>bullish|optimistic{_NO_CASE}|positive outlook"
    rf"|{_LEANS}(?:up\w*|higher|positive))"
    rf"|(?P<down>bearish|pessimistic{_NO_CASE}|negative outlook"
    rf"|{_LEANS}(?:down\w*|lower|negative)))\b",
    re.I,
)
_EVENLY = re.compile(
    r"\b(?:coin[\s-](?:flip|toss)|toss-?up|even (?:chances?|odds)|fifty-fifty)\b", re.I
)
_LARGE = re.compile(
    r"\b(?:(?:ris\w+|up|climb\w*|fall\w*|drop\w*|down|higher|lower)\s+(?:sharp|strong|steep"
    r"|significant|substantial|considerab|dramatic|massive)l?y"
    r"|(?:sharp|steep|strong|big|large|significant|substantial|huge|massive|dramatic|considerabl"
    r"|solid"
    r"|healthy|hefty|notable|sizable|marked|meaningful|robust|decent)(?:ly|y|e)?\s+(?:ris\w+"
    r"|gain\w*|increas\w*|higher|up|climb\w*|upside|fall\w*|drop\w*|lower"
    r"|declin\w*|down\w*|loss\w*|move))\b",
    re.I,
)
_MORE = re.compile(r"\b(?:(?P<more>more)|less) (?:likely|probable)\b", re.I)
_LONGEST_REPLY = 6  # words; a longer clause speaks of something of its own


def judge_likelihood(page: Page, known: Known, question: str) -> Iterator[Finding]:
    """A word of chance, of mood or of size agrees with the figure of what it is said of."""
    yield from _judge_likely(page, known)
    yield from _judge_level_replies(page, known)
    yield from _judge_both(page, known)
    yield from _judge_of_the_two(page, known)
    yield from _judge_than_not(page, known)
    yield from _judge_comparison(page, known)
    yield from _judge_times_as_likely(page, known)
    yield from _judge_reply(page, known, question)
    yield from _judge_regime(page, known)
    up = float(known.result["prob_up"])
    for match in _MOOD.finditer(page.prose):
        way = 1 if match["up"] else -1
        negated = DENIES.search(page.lead_in(Figure("words", *match.span())))
        if not negated and way * (up - 0.5) <= 0:
            yield _finding(match[0], up, "a rise", "direction")
    chances = [up, *(chance for _, chance in known.points[1:-5])]
    for match in _EVENLY.finditer(page.prose):
        if not any(_EVEN[0] <= chance <= _EVEN[1] for chance in chances):
            yield _finding(match[0], up, "a rise", "percentage")
    for match in _LARGE.finditer(page.prose):
        lead_in = page.lead_in(Figure("words", *match.span()))
        unsure = DENIES.search(lead_in) or HEDGE.search(lead_in) or re.search("would", lead_in)
        if abs(known.change) < _LARGE_CHANGE and not unsure:
            message = (
                f"the text says '{match[0]}'; the median is {known.change:+.1%} from the last close"
            )
            yield Finding(match[0], "direction", message)


def _judge_likely(page: Page, known: Known) -> Iterator[Finding]:
    for match in _LIKELY.finditer(page.prose):
        event = _event_of(page, Figure("words", *match.span()), known)
        if event is None:
            continue
        name, chances = event
        lead_in = page.lead_in(Figure("words", *match.span()))
        denied = match["not"] or match["after_not"] or NEGATED.search(lead_in)
        yes = bool(match["yes"]) != bool(denied)
        least = _VERY if match["very"] and not match["not"] else 0.5
        if not any((chance if yes else 1 - chance) > least for chance in chances):
            yield _finding(match[0], chances[0], name, "likelihood")


_LEVEL_REPLY = re.compile(
    r"(?:\*{0,2}\s*[?:]\s*\*{0,2}|\s+(?:it'?s|it is|the answer is"
    r"|that's)\s+)[\"']?(?:(?P<yes>yes|(?:(?:quite|very|most|fairly) )?(?:likely|probabl[ey])"
    r"(?! not)|i think so|odds-on)|(?P<no>no(?=[\s,.;:]|$)(?! (?:one|less|more))|(?:quite |very "
    r"|rather )?unlikely|(?:probably|likely) not|doubtful|improbable|hardly))",
    re.I,
)


_YES_TO = re.compile(r"\b(?:(?P<yes>yes)|no) (?:to|for|on) $", re.I)


def _judge_level_replies(page: Page, known: Known) -> Iterator[Finding]:
    """The reply to each level, as in "Above $750? Yes." and "$900: unlikely", has its chance."""
    for level in page.figures:
        if level.kind != "price":
            continue
        reply = _LEVEL_REPLY.match(page.prose, level.end) or _YES_TO.search(page.before(level))
        if not reply or not any(level.is_near(price) for price in known.asked_levels):
            continue
        way = way_to_level(page.lead_in(level), level, known)
        asked = [way for price, way in known.ways.items() if level.is_near(price)]
        chances = known.chances(level, way or asked[0] or 1)
        if not any((chance if reply["yes"] else 1 - chance) > 0.5 for chance in chances):
            words = reply[0].strip(" ?:*")
            yield _finding(words, chances[0], f"a close beyond {page.words(level)}", "likelihood")


def _judge_both(page: Page, known: Known) -> Iterator[Finding]:
    """What is said of "both" or "neither" holds for each level of the question."""
    asked = [(price, way) for price, way in known.ways.items() if way]
    chances = [
        up if way > 0 else 1 - up for price, up in known.points for p, way in asked if p == price
    ]
    for match in _BOTH.finditer(page.prose):
        likely = bool(match["both"]) != bool(match["un"])
        if len(chances) > 1 and not all((chance > 0.5) == likely for chance in chances):
            chance = min(chances) if likely else max(chances)
            yield _finding(match[0], chance, "one of them", "likelihood")


_BOTH = re.compile(
    r"\b(?:(?P<both>both)|neither)\s+(?:are|is|look|looks|seem|seems)\s+(?:very |really )?"
    r"(?P<un>un)?likely\b",
    re.I,
)


_OF_THE_TWO = re.compile(
    r"\b(?:(?P<more>(?:better|safer|surer) bet|more likely|likelier|most likely)|(?:worse"
    r"|riskier) bet"
    r"|less likely|least likely)(?=(?: \w+)? of (?:the|these|those) (?:two|2)\b| one\b)",
    re.I,
)


def _judge_of_the_two(page: Page, known: Known) -> Iterator[Finding]:
    """Of the two levels of the question, the one that is called more likely is so."""
    asked = {
        price: up if known.ways[price] >= 0 else 1 - up
        for price, up in known.points
        if price in known.ways
    }
    for match in _OF_THE_TWO.finditer(page.prose):
        near = page.near(Figure("words", *match.span()), "price")
        named = [price for price in asked if any(f.is_near(price) for f in near)]
        if len(asked) != 2 or len(named) != 1:
            continue
        other = next(price for price in asked if price != named[0])
        if (asked[named[0]] > asked[other]) != bool(match["more"]):
            yield _finding(match[0], asked[named[0]], f"{named[0]:g}", "likelihood")


def _event_of(page: Page, words: Figure, known: Known) -> tuple[str, list[float]] | None:
    """Return the close beyond a level that "likely" is said of; the one asked for in a reply."""
    start, end = page.clause(words)
    colon = page.prose.rfind(":", start, words.start)
    start, colon = max(start, colon + 1), page.prose.find(":", words.end, end)
    end = end if colon < 0 else colon
    clause = page.prose[start:end]
    prices = [f for f in page.figures if f.kind == "price" and start <= f.start < end]
    levels = [f for f in prices if known.chances(f, 1) and not is_difference(page, f)]
    ranges = [f for f in page.figures if f.kind == "range" and start <= f.start < end]
    if len(levels) == 1 and not ranges:
        level = levels[0]
        # the "not" of "probably not above $150" is the word's own
        begin = words.end if start < words.end < level.start else start
        way = way_to_level(page.prose[begin : level.start], level, known)
        way = way or way_to_level(page.prose[start : level.start], level, known)
        way = way or way_of(page.prose[level.end : end])
        chances = known.chances(level, way) if way else []
        return (f"a close beyond {page.words(level)}", chances) if chances else None
    said = re.split(r"[:(\u2013\u2014]", clause[words.start - start :])[0]
    lead_in = page.prose[start : words.start]
    short = len((lead_in + said).split()) <= _LONGEST_REPLY
    if levels or prices or ranges or not short or not known.asked or WAY.search(lead_in + said):
        return None
    if any(
        regime["name"] in (lead_in + said).lower() for regime in known.result.get("regimes") or ()
    ):
        return None
    return "what was asked", known.asked_chances


def _judge_than_not(page: Page, known: Known) -> Iterator[Finding]:
    """Where something is "more likely than not", that is said of a chance above one half."""
    for match in re.finditer(r"\b(?:(?P<more>more)|less) likely than not\b", page.prose, re.I):
        words = Figure("words", *match.span())
        start, end = page.sentence(words)
        end = min(end, page.clause(words)[1])
        prices = [f for f in page.figures if f.kind == "price" and start <= f.start < end]
        levels = [f for f in prices if is_any(f, known.asked_levels)]
        if len(levels) == 1:
            way = way_to_level(page.prose[start : levels[0].start], levels[0], known)
            chances = known.chances(levels[0], way) if way else []
            if chances and not any((chance > 0.5) == bool(match["more"]) for chance in chances):
                yield _finding(
                    match[0], chances[0], f"a close beyond {page.words(levels[0])}", "likelihood"
                )


def _judge_comparison(page: Page, known: Known) -> Iterator[Finding]:
    """What is said to be more likely than something else is so."""
    for match in _MORE.finditer(page.prose):
        start, end = page.sentence(Figure("words", *match.span()))
        than = re.compile(r"\bthan\b").search(page.prose, match.end(), end)
        if than is None:
            continue
        first = _chances_in(page, start, than.start(), known)
        second = _chances_in(page, than.end(), end, known)
        more = match["more"] is not None
        if first and second and not any((a > b) == more for a in first for b in second):
            words = page.original[match.start() : match.end()]
            message = f"the text says '{words}'; the chances are {first[0]:.0%} and {second[0]:.0%}"
            yield Finding(words, "likelihood", message)


def _judge_times_as_likely(page: Page, known: Known) -> Iterator[Finding]:
    """A multiple of a chance, as in "3 times as likely to be below $900 as above it", is right."""
    for figure in page.figures:
        if figure.kind != "ratio" or not is_of_chances(page, figure):
            continue
        _, end = page.sentence(figure)
        than = _THAN.search(page.prose, figure.end + _WORDS_OF_RATIO, end)
        first, second = _two_sides(page, figure, than, known)
        ratios = [a / b for a in first for b in second if b]
        if not any(fits_ratio(page, figure, ratio) for ratio in ratios):
            words = page.words(figure)
            told = ", ".join(f"{ratio:.1f}" for ratio in ratios) or "not known"
            yield Finding(words, "likelihood", f"the text says {words} as likely; it is {told}")


def _two_sides(
    page: Page, figure: Figure, than: re.Match[str] | None, known: Known
) -> tuple[list[float], list[float]]:
    """Return the chances of the two closes that are compared; of "above it", of the same level."""
    start, end = page.sentence(figure)
    if than is None:  # "a close above it is more than twice as likely"
        clause, _ = page.clause(figure)
        again = re.search(r"\b(?:it|that|this|the opposite|the reverse)\b", page.lead_in(figure))
        second = _chances_in(page, start, clause, known) if again else []
        way = way_of(page.prose[figure.end : end])
        if not second and way and known.asked:  # "twice as likely to stay above"
            second = known.chances(Figure("price", 0, 0, known.asked[0]), -way)
        return [1 - chance for chance in second], second
    levels = [f for f in page.near(figure, "price") if f.end <= figure.start]
    ways = way_of(page.prose[figure.end : than.start()]), way_of(page.prose[than.end() : end])
    if levels and all(ways) and not any(f.start > figure.end for f in page.near(figure, "price")):
        first, second = (known.chances(levels[-1], way) for way in ways)
        return first, second  # "closes above $200: 4 times as likely to stay below as above"
    first = _chances_in(page, start, than.start(), known)
    second = _chances_in(page, than.end(), end, known)
    if re.match(r"[^,;.]*\b(?:it|that|this)\b", page.prose[than.end() : end]):
        second = [1 - chance for chance in first]
    return first, second


_THAN = re.compile(r"\b(?:as|than)\b")
_WORDS_OF_RATIO = len(" as likely")


def _chances_in(page: Page, start: int, end: int, known: Known) -> list[float]:
    """Return the chance of the one close beyond a level that a stretch of text speaks of."""
    prices = [f for f in page.figures if f.kind == "price" and start <= f.start < end]
    levels = [f for f in prices if known.chances(f, 1)]
    if levels:
        way = way_to_level(page.prose[start : levels[0].start], levels[0], known)
        return known.chances(levels[0], way) if way else []
    way = way_of(page.prose[start:end])
    up = float(known.result["prob_up"])
    return [up if way > 0 else 1 - up] if way and not prices else []


def _judge_reply(page: Page, known: Known, question: str) -> Iterator[Finding]:
    """A "yes" or "no" at the start agrees with the chance of what was asked."""
    reply = _REPLY.match(page.prose)
    yes_or_no = re.match(r"\W*(?:will|is|does|do|can|could|would|are)\b", question, re.I)
    if reply is None or known.asked is None or not yes_or_no:
        return
    chances = known.asked_chances
    if not any((chance if reply["yes"] else 1 - chance) > 0.5 for chance in chances):
        yield _finding(reply[0].strip(), chances[0], "what was asked", "likelihood")


def _judge_regime(page: Page, known: Known) -> Iterator[Finding]:
    """The regime that the market is said to be in is the most probable one."""
    regimes = known.result.get("regimes") or ()
    if not regimes:
        return
    likeliest = max(regimes, key=lambda regime: float(regime["probability"]))["name"]
    names = "|".join(re.escape(str(regime["name"])) for regime in regimes)
    said = re.compile(
        r"\b(?:markets?|conditions|stock|shares?|price|regime|it|model|(?-i:[A-Z]\w+))"
        r"(?:'s|\s+(?:is|are|remains?|stays?|looks?|seems?))\s+"
        r"(?:(?:currently|now|most likely|almost surely|probably|still|very|in|at|an?|the|its)\s+)*"
        rf"[\"']?(?P<name>{names})\b",
        re.I,
    )
    for match in said.finditer(page.prose):
        figure = Figure("words", *match.span())
        lead_in = page.lead_in(figure)
        if match["name"].lower() != likeliest and not HEDGE.search(lead_in):
            start, end = page.clause(figure)
            told = any(f.kind == "percent" and start <= f.start < end for f in page.figures)
            if not DENIES.search(lead_in) and not told:
                words, message = match[0], f"the most probable regime is {likeliest}"
                yield Finding(words, "regime", f"the text says '{words}'; {message}")


def _finding(words: str, chance: float, name: str, rule: str) -> Finding:
    said = f"the text says '{words}'; the tool result's chance of {name} is {chance:.0%}"
    return Finding(words, rule, said)
