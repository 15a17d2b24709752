"""The rules of the grounding check about what no tool result knows: causes, news, events.

A result knows volatility, a regime, chances, and which results days are scheduled. A text that
says why the price should move, or that something is planned, may name only these.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from belief_tools.page import Figure, Page
from belief_tools.roles import DENIES, HEDGE
from belief_tools.wording import Finding

_CAUSE = re.compile(
    r"\b(?:because(?: of)?|due to|owing to|on account of|thanks to|on the back of|in (?:the )?light"
    r" of|in response to|given (?:how|its|the|that)|in reaction to|amid(?:st)?|reflecting"
    r"|caused by|stemming from|resulting from"
    r"|(?:driven|helped|supported|boosted|fuell?ed|lifted|spurred|propelled|buoyed|aided|hurt"
    r"|pushed(?: \w+)?|pulled(?: \w+)?|dragged(?: \w+)?|weighed(?: down| on)?|held back|pressured"
    r"|underpinned|prompted|explained) by)\s+(?P<cause>[^.;!?\n]+)",
    re.I,
)
_KNOWN_CAUSE = re.compile(
    r"\b(?:volatil\w*|vol|regimes?|rang\w+|intervals?|bands?|horizons?|events?|drifts?|chances?"
    r"|probab\w*|odds|model\w*|uncertain\w*|forecasts?|belie\w+|sessions?|days?|weeks?|months?"
    r"|year\w*|time|median|clos\w+|levels?|spreads?|distribution|wide\w*|narrow\w*|swing\w*|moves?"
    r"|calm|normal|turbulent|crisis|earnings|results|report\w*|announcement|quarterly|record"
    r"|back-?test\w*|holidays?|weekend|path\w*|skew\w*|tails?|outcomes?"
    r"|figures?|threshold|bar|gap|distance|below|above|far|near|risk)\b|\d",
    re.I,
)
_FOREIGN = re.compile(
    r"\b(?:(?:AI|artificial[\s-]intelligence)[\s-](?:boom|demand|hype|spend\w*|frenzy|cycle|trade"
    r"|related|driven|wave|craze|optimism|bubble|momentum|investments?|adoption)"
    r"|demand|shortages?|supply|competit\w+|rivals?|interest rates?|rate (?:cuts?|hikes?)"
    r"|(?:the )?Fed(?:eral Reserve)?|inflation|tariffs?|sanctions?|export (?:controls?|bans?"
    r"|restrictions?|curbs?)|trade (?:war|tensions?)|recession|econom\w+|macro\w*|pandemic"
    r"|covid\S*|coronavirus|elections?|geopolit\w+|war\b|hype|rumou?rs?|takeover|acquisitions?"
    r"|mergers?|lawsuits?|CEO|insiders?|analysts?|(?:up|down)grade[sd]?|guidance|consensus|hedge"
    r" funds?|institution(?:s|al)|crypto\w*|gaming|data[\s-]cent(?:er|re)s?|backlog"
    r"|investors?'? (?:sentiment|optimism|confidence|appetite|interest|enthusiasm|demand|fears?)"
    r"|sentiment|enthusiasm|momentum|(?:up|down)trends?|(?:bull|bear)[\s-](?:market|run)"
    r"|fundamentals"
    r"|technicals?|moving averages?|support level|resistance|seasonal\w*|valuations?|sell-?offs?"
    r"|rebound\w*|bounc\w+|bottomed"
    r"|overbought|oversold|overvalued|undervalued|cheap\w*|expensive|panic|stimulus|policy"
    r"|central banks?|government|earnings"
    r" (?:growth|beat|surprise|momentum)|(?:good|bad|positive|negative|strong|weak|recent|upbeat"
    r"|disappointing) (?:news|earnings|results|guidance|numbers)|growth)\b",
    re.I,
)
# A text may say that the forecast leaves such things out, or that they could change it.
_LEFT_OUT = re.compile(
    rf"{DENIES.pattern}|\b(?:ignor\w+|un(?:known|aware)|leav\w+ out|exclud\w+|regardless|apart from"
    r"|aside from|independent\w*|alone|purely|only|outside|blind|any)",
    re.I,
)
_SUPPOSED = re.compile(rf"{HEDGE.pattern}|\b(?:surpris\w+|unless|would|can)\b", re.I)
_MISSTATED = re.compile(
    r"\b(?:under|over)(?:stat|estimat)\w+\s+(?:\w+\s+){0,3}(?:odds|chances?|price|upside|potential"
    r"|downside)\b",
    re.I,
)
_COULD = re.compile(r"\b(?:could|may|might|can)\b", re.I)
_CORPORATE = re.compile(
    r"\b(?:(?:stock|share|forward|reverse|\w+-for-\w+|planned|upcoming|the|a|its)[\s-]split"
    r"|dividends?|buy-?backs?|repurchas\w+|launch\w*"
    r"|secondary offering|share issue|spin-?off|conference|keynote|investor day|index inclusion"
    r"|joins? the \w+)\b",
    re.I,
)
_NO_CLAIM = re.compile(
    r"\b(?:any|later|future|subsequent|further|before|adjust\w*|un-?adjusted|pre-?|ignor\w+|leav\w+"
    r"|split-|as (?:if|though)|terms)\b",
    re.I,
)
_NOTHING_DUE = re.compile(
    r"\b(?:nothing(?: else)?(?: \w+){0,2} (?:scheduled|planned|due|on the calendar|lined up|known)"
    r"|no (?:(?:scheduled|company|corporate|upcoming|planned|known|major|announced|quarterly)\s+)*"
    r"(?:events?|earnings|results|reports?|announcements?|catalysts?)\b"
    r"(?!\s+(?:figures?|estimates?|forecasts?))|(?:free|clear|devoid|empty) of (?:\w+ )?events?"
    r"|event-free|uneventful)\b",
    re.I,
)
_EVENT_DUE = re.compile(
    r"\b(?:earnings(?! per)|quarterly (?:results|report|figures|numbers)|results (?:day|date"
    r"|are (?:due|scheduled)|announcement)|(?:scheduled|announced|company|corporate|known|upcoming)"
    r" (?:\w+ )?events?)\b",
    re.I,
)
_SURE_DATE = re.compile(r"\b(?:(?<!un)(?<!-)announced|confirmed|official)\b", re.I)
_UNSURE_DATE = re.compile(
    r"\b(?:unannounced|unconfirmed|tentative\w*|(?:not|n't)(?: yet)?(?: been)? (?:announced"
    r"|confirmed)|yet to be (?:announced|confirmed))\b",
    re.I,
)


# Words of which a sentence without a figure has at least one when it speaks of the forecast.
_SPEAKS_OF_FORECAST = re.compile(
    r"\b(?:pric\w+|clos\w+|median|mid\w*|cent(?:er|re|ral)\w*|forecast\w*|model\w*|tool\w*"
    r"|(?:under|over)?estimat\w+|predict\w*|expect\w*|chances?|odds|(?:im)?prob\w*|(?:un)?likel\w+"
    r"|(?:im)?possib\w+|rang\w+|intervals?|bands?|spread|volatil\w*|regimes?|calm|normal|turbulent"
    r"|crisis|events?|earnings|results|report\w*|(?:un)?certain\w*|(?:un)?sure|(?:un)?known?|advice"
    r"|record|back-?test\w*|walk|guarante\w+|garch\S*|belie\w+|above|below|higher|lower|levels?"
    r"|outcomes?|questions?|answers?|coin|toss\w*|bet\w*|horizon|sessions?|data|tails?|quartiles?"
    r"|distribution|wide\w*|narrow\w*|figures?|numbers?|calibrat\w+|skill|snapshot|fitted|asked"
    r"|thresholds?|risk\w*|lean\w*|tilt\w*|edge|doubt\w*|flat|unchanged|guess\w*|depend\w*"
    r"|scenarios?|trust\w*|salt|caution\w*|caveats?|loosely|direction\w*|simulat\w*|either|neither"
    r"|long shot|base case|up|down|here|count on|stretch|surpris\w+|precis\w+|confiden\w+"
    r"|conclusion|summary|picture|reading|moves?|swing\w*|weight\w*|splits?|recommend\w*"
    r"|invest\w*|financial)\b",
    re.I,
)
_FEWEST_WORDS = 4  # a shorter sentence, such as "That's it.", says nothing


def judge_outside(page: Page, result: Mapping[str, Any]) -> Iterator[Finding]:
    """What a text says of causes, news and events is what the result knows.

    Args:
        page: the text.
        result: the fields of a `ForecastResult`.
    """
    yield from _judge_causes(page)
    yield from _judge_topics(page)
    yield from _judge_corporate(page)
    yield from _judge_event(page, result)
    yield from _judge_unrelated(page)


def _sentence(page: Page, match: re.Match[str]) -> str:
    return page.prose[slice(*page.sentence(Figure("words", *match.span())))]


def _is_left_out(page: Page, match: re.Match[str]) -> bool:
    """Say whether the sentence leaves something out, or its clause only supposes it."""
    start, end = page.clause(Figure("words", *match.span()))
    start = max(start, page.prose.rfind(":", start, match.start()) + 1)
    sentence, clause = _sentence(page, match), page.prose[start:end]
    left_out = _LEFT_OUT.search(sentence.replace(match[0], ""))
    later = sentence.partition(match[0])[2].partition(":")[0]
    supposed = _SUPPOSED.search(clause.replace(match[0], "")) or _COULD.search(later)
    return bool(left_out or supposed)


def _judge_causes(page: Page) -> Iterator[Finding]:
    """What is named as a cause is made of things that the result has."""
    for match in _CAUSE.finditer(page.prose):
        words = re.match(r"[\w' -]*(?:\w+[^,\w]*){3}[^,]*", match["cause"])
        cause = words[0] if words else match["cause"]
        dated = any(
            f.kind == "date" and match.start("cause") <= f.start < match.end("cause")
            for f in page.figures
        )
        if not (dated or _KNOWN_CAUSE.search(cause)):
            message = f"the tool result knows no cause such as '{cause.strip()}'"
            yield Finding(match[0].strip(), "cause", message)


def _judge_topics(page: Page) -> Iterator[Finding]:
    """News, the economy and the business are spoken of only to say that they are left out."""
    for match in _FOREIGN.finditer(page.prose):
        if not _is_left_out(page, match):
            yield Finding(match[0], "cause", f"the tool result knows nothing of '{match[0]}'")
            return
    for match in _MISSTATED.finditer(page.prose):
        if not DENIES.search(_sentence(page, match)):
            yield Finding(match[0], "cause", "the text doubts the forecast without a figure for it")


def _judge_corporate(page: Page) -> Iterator[Finding]:
    """No split, dividend or launch is known to come."""
    for match in _CORPORATE.finditer(page.prose):
        figure = Figure("words", *match.span())
        lead_in = page.lead_in(figure)
        if _NO_CLAIM.search(lead_in) or DENIES.search(_sentence(page, match)):
            continue
        if page.prose[match.end() : match.end() + 9].lower().startswith("-adjusted"):
            continue
        yield Finding(match[0], "event", f"the tool result knows of no '{match[0]}'")


def _judge_event(page: Page, result: Mapping[str, Any]) -> Iterator[Finding]:
    """An event is spoken of as due only when one is, and as absent only when none is."""
    listed = result.get("scheduled_events")
    if listed is None:
        return
    if listed:
        for match in _NOTHING_DUE.finditer(page.prose):
            yield Finding(match[0], "event", f"{listed[0]['session']} has a scheduled event")
        yield from _judge_announced(page, listed)
        return
    for match in _EVENT_DUE.finditer(page.prose):
        if not _is_left_out(page, match):
            yield Finding(match[0], "event", "the tool result has no scheduled event")


def _judge_unrelated(page: Page) -> Iterator[Finding]:
    """A sentence without a figure speaks of the forecast, and not of the company or the market."""
    for start, end in page.sentences():
        text = page.prose[start:end].strip()
        words = re.findall(r"[a-z][a-z']+", text, re.I)
        told = re.search(r"\d", page.clean[start:end]) or page.prose[end : end + 1] == "?"
        if told or len(words) < _FEWEST_WORDS or text.endswith(":"):
            continue
        if not _SPEAKS_OF_FORECAST.search(text):
            yield Finding(text[:60], "subject", f"the tool result says nothing like '{text[:60]}'")


def _judge_announced(page: Page, listed: list[Mapping[str, Any]]) -> Iterator[Finding]:
    """An event is said to be announced only when it is, and likewise for estimated ones."""
    announced = {bool(event.get("announced", True)) for event in listed}
    wrong = _UNSURE_DATE if announced == {True} else _SURE_DATE if announced == {False} else None
    for match in wrong.finditer(page.prose) if wrong else ():
        sentence = _sentence(page, match)
        spoken = re.search(r"\b(?:events?|earnings|results|report|date)\b", sentence, re.I)
        denied = announced == {False} and (DENIES.search(sentence) or "yet to" in sentence)
        if spoken and not denied:
            is_announced = "announced" if announced == {True} else "estimated, not announced"
            yield Finding(match[0], "event", f"the date of the event is {is_announced}")
