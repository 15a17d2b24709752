"""Read a question about a price: which symbol, which session, which price levels.

Everything is relative to `as_of`, never to the clock. What one reader has read, it blanks out for
the next: names first, then dates, then price levels; what is left tells the kind. In a conversation
a text that is no whole question ("and in June?") takes what it leaves out from the one before.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

import numpy as np

from belief_tools.target_dates import (
    AMOUNT_OF_MONEY,
    LEVEL_BEFORE,
    NEAR,
    NUMBER,
    Clock,
    Dates,
    as_date,
    blank,
    blank_all,
    read_dates,
    whole_words,
)

Kind = Literal["future_price", "past_price", "other"]
Part = Literal["company", "date", "levels"]
_MAX_LEVELS = 8
_LONGEST = 2_000  # characters; the patterns below are not meant for whole documents


@dataclass(frozen=True)
class Question:
    """What a question asks for, as far as it can be read without a language model.

    Attributes:
        text: the question as it was asked.
        kind: a price in the future, a price up to `as_of`, or anything else.
        symbol: the known symbol it names, or None.
        other_symbols: further companies or tickers it names, which an answer about `symbol` misses.
        target: the session asked about, or None without a date; never set for kind "other".
        phrase: the words `target` was read from.
        levels: price levels named, in the currency of the question, in order, at most 8.
        problem: one line saying which date cannot be right, or that the text is too long; or None.
        carried: the parts that were taken from the question before.
        wish: the words that say what is asked: `text`, or those of the question it leans on.
    """

    text: str
    kind: Kind
    symbol: str | None
    other_symbols: tuple[str, ...]
    target: np.datetime64 | None
    phrase: str | None
    levels: tuple[float, ...]
    problem: str | None
    carried: tuple[Part, ...]
    wish: str


def read_question(
    text: str,
    *,
    as_of: np.datetime64,
    symbols: Mapping[str, Sequence[str]],
    earlier: Question | None = None,
) -> Question:
    """Read the kind, symbol, target session and price levels of a question.

    Args:
        text: the question, in English.
        as_of: the session whose close is the last thing known.
        symbols: the names of each known symbol, such as ``{"NVDA": ("Nvidia",)}``.
        earlier: the question before, in a conversation; a text that is no whole question takes
            kind, company, date and levels from it where it names none.

    Returns:
        `Question`; a date that cannot be right is reported in `problem`, never raised.

    Example:
        >>> known = {"as_of": np.datetime64("2024-03-01"), "symbols": {"NVDA": ("Nvidia",)}}
        >>> asked = read_question("Will Nvidia close above $900 in March 2024?", **known)
        >>> asked.kind, asked.symbol, str(asked.target), asked.phrase, asked.levels
        ('future_price', 'NVDA', '2024-03-28', 'in March 2024', (900.0,))
        >>> asked = read_question("And in six months?", **known, earlier=asked)
        >>> asked.kind, asked.symbol, str(asked.target), asked.levels, asked.carried
        ('future_price', 'NVDA', '2024-08-30', (900.0,), ('company', 'levels'))
    """
    plain = re.sub(r"\s", " ", text[:_LONGEST].translate(_PLAIN_PUNCTUATION))
    symbol, others, rest = _read_symbols(plain, symbols)
    clock = Clock(
        as_of=as_date(as_of),
        past=bool(_PAST.search(plain)) and not _FUTURE.search(plain),
        future=bool(_FUTURE.search(plain)),
    )
    dates = read_dates(rest, clock)
    asked = _Asked(text, rest, dates, symbol, others, _read_levels(dates.rest))
    if earlier is not None and earlier.kind != "other" and _leans(asked, earlier):
        return _completed(asked, clock, earlier)
    return _alone(asked, clock)


def _alone(asked: _Asked, clock: Clock) -> Question:
    """Read a text that says all there is to say."""
    kind, text = _kind(asked, clock), asked.original
    target, phrase, problem, _ = asked.dates
    if kind == "past_price" and target is None and problem is None:
        target = clock.as_of
    if kind == "other":
        return Question(
            text, kind, asked.symbol, asked.others, None, None, (), None, carried=(), wish=text
        )
    return Question(
        text=text,
        kind=kind,
        symbol=asked.symbol,
        other_symbols=asked.others,
        target=_session(target),
        phrase=phrase,
        levels=asked.levels,
        problem=_too_long(text) or problem,
        carried=(),
        wish=text,
    )


def _session(target: date | None) -> np.datetime64 | None:
    return None if target is None else np.datetime64(target, "D")


def _too_long(text: str) -> str | None:
    if len(text) <= _LONGEST:
        return None
    return f"the question has {len(text):,} characters; ask in at most {_LONGEST:,}"


_PLAIN_PUNCTUATION = str.maketrans("\u2018\u2019\u2013\u2014", "''--")


# ---- which company ----

# Only what people commonly ask about; anything else needs "$XYZ", "NYSE: XYZ" or "XYZ's stock".
_WELL_KNOWN = dict(
    entry.split(" ", 1)
    for entry in (
        "AAPL apple, MSFT microsoft, GOOGL google|alphabet|GOOG, AMZN amazon, NVDA nvidia, TSLA "
        "tesla, "
        "META facebook|meta|meta platforms, AMD advanced micro devices, INTC (?-i:Intel), AVGO "
        "broadcom, "
        "TSM tsmc|taiwan semiconductor, QCOM qualcomm, MU micron, ASML asml, "
        "SMCI super ?micro, PLTR palantir, ORCL oracle, IBM ibm, CSCO cisco, CRM salesforce, "
        "ADBE adobe, NFLX netflix, DIS disney, BRK.B berkshire(?: hathaway)?, JPM jp ?morgan, "
        "BAC bank of america, GS goldman sachs, WMT walmart, KO coca[- ]cola, "
        "PEP pepsi(?:co)?, MCD mcdonald's, NKE nike, BA boeing, XOM exxon(?:mobil)?, PFE pfizer, "
        "LLY eli lilly, UBER uber, GME gamestop, SPY s&p(?: ?500)?, "
        "QQQ nasdaq[- ]100, DJI dow jones, BTC bitcoin, ETH ethereum"
    ).split(", ")
)
_TICKER_FORMS = re.compile(
    r"\$(?P<cash>[A-Za-z]{1,5})\b"
    r"|\b(?:NASDAQ|NYSE|AMEX|Nasdaq)\s*:\s*(?P<listed>[A-Z]{1,5})\b"
    r"|\b[Tt]icker\s+(?:[Ss]ymbol\s+)?(?P<ticker>[A-Z]{1,5})\b"
    r"|\b(?P<owner>[A-Z][A-Za-z&]+)(?:'s|s'|')\s+(?:stock|shares?|closing|price)\b"
    r"|(?<=[a-z,] )(?P<stock>[A-Z][A-Za-z&]+)\s+(?:stock|shares?)\b"
    r"|\b(?:stock|shares?)(?:\s+price)?\s+of\s+(?P<of>[A-Z][A-Za-z&]+)"
)
_NO_COMPANY = whole_words(
    r"what|today|tomorrow|yesterday|it|its|the|this|next|company|corp|corporation|inc|us|ai|tech"
    r"|mon|tues|wednes|thurs|fri|\w+day|january|february|march|april|may|june|july|august|september"
    r"|october|november|december|usd|q[1-4]|christmas|stock"
)


def _read_symbols(
    text: str, symbols: Mapping[str, Sequence[str]]
) -> tuple[str | None, tuple[str, ...], str]:
    """Find the known symbol and any other company; return the text with both blanked out."""
    known = {symbol: _symbol_pattern(symbol, names) for symbol, names in symbols.items()}
    first = {s: m.start() for s, pattern in known.items() if (m := pattern.search(text))}
    named = sorted(first, key=lambda symbol: first[symbol])
    for symbol in named:
        text = blank_all(known[symbol], text)
    if not named and (typo := _misspelled(text, symbols)):
        named = [typo[0]]
        text = blank(text, *typo[1])
    others: list[str] = []
    for symbol, names in _WELL_KNOWN.items():
        pattern = re.compile(rf"(?<![\w#])(?:{re.escape(symbol)}|(?i:{names}))(?![\w#])")
        if symbol not in symbols and pattern.search(text):
            others.append(symbol)
            text = blank_all(pattern, text)
    for match in _TICKER_FORMS.finditer(text):
        word = match[match.lastgroup or 0]
        if not _NO_COMPANY.fullmatch(word):
            others.append(word.upper() if match["cash"] else word)
            text = blank(text, *match.span(match.lastgroup or 0))
    return (named[0] if named else None), (*named[1:], *dict.fromkeys(others)), text


def _symbol_pattern(symbol: str, names: Sequence[str]) -> re.Pattern[str]:
    """Match a name in any case; a ticker that could be a word (ALL, F) only where it is marked."""
    ticker = re.escape(symbol)
    marked = rf"\$(?i:{ticker})|(?:NASDAQ|Nasdaq|NYSE|AMEX)\s*:\s*{ticker}|[Tt]icker\s+{ticker}"
    bare = f"(?i:{ticker})" if len(symbol) >= 4 else ticker if len(symbol) > 1 else "(?!)"
    called = [re.escape(name) for name in sorted(names, key=len, reverse=True)]
    named = "|".join([*called, _WELL_KNOWN.get(symbol, "(?!)")])
    return re.compile(rf"(?<!\w)(?:{marked}|{bare}|(?i:{named}))(?!\w)")


def _misspelled(
    text: str, symbols: Mapping[str, Sequence[str]]
) -> tuple[str, tuple[int, int]] | None:
    """Find a one-word name with a slip in it ("Nvidea"), with its place in the text."""
    names = {name.lower(): symbol for symbol in symbols for name in symbols[symbol]}
    for match in re.finditer(r"[A-Za-z]{5,}", text):
        close = difflib.get_close_matches(match[0].lower(), names, n=1, cutoff=0.8)
        if close and close[0][0] == match[0][0].lower():
            return names[close[0]], match.span()
    return None


# ---- which price levels ----

_PRICE = re.compile(
    rf"(?<![\w.,])(?P<number>{NUMBER})(?:\s?(?P<thousand>k|thousand|grand))?(?!\w)"
    r"(?!\s*(?:%|:\d|/\d|x\b|percent|per cent|pct|points?\b|basis|bps|times\b|million|billion"
    r"|trillion"
    r"|bn\b|[ap]\.?m\b|o'clock|shares\b|stocks\b|companies|analysts|hours?\b|minutes?\b|trading"
    r"|business)|[\s-]+(?:day|session|week|month|quarter|year|for-)s?\b)",
    re.IGNORECASE,
)
_LEVEL_AFTER = re.compile(
    r"\s?(?:dollars?|bucks|usd|mark|level|or\s+(?:more|less|higher|lower|above|below))\b",
    re.IGNORECASE,
)
_LIST_JOINT = re.compile(r"\s*(?:,|/|-|,?\s*(?:or|and|to)\s)\s*\$?\s*", re.IGNORECASE)


def _read_levels(text: str, *, bare: bool = False) -> tuple[float, ...]:
    """Read the numbers that a sign, a word before or after, or a list marks as prices.

    Args:
        text: without dates.
        bare: whether any other number is a price as well.
    """
    levels: list[float] = []
    end: int | None = None
    for match in _PRICE.finditer(text):
        listed = end is not None and _LIST_JOINT.fullmatch(text[end : match.start()])
        after = _LEVEL_AFTER.match(text, match.end())
        before = text[max(0, match.start() - NEAR) : match.start()]
        if not (bare or listed or after or LEVEL_BEFORE.search(before)):
            continue
        end = match.end()
        value = float(match["number"].replace(",", "")) * (1000 if match["thousand"] else 1)
        if 0 < value < math.inf:
            levels.append(value)
    return tuple(dict.fromkeys(levels))[:_MAX_LEVELS]


# ---- which kind ----


class _Asked(NamedTuple):
    """A text, the same with its names blanked out, and what was read from it."""

    original: str
    text: str
    dates: Dates
    symbol: str | None
    others: tuple[str, ...]
    levels: tuple[float, ...]

    @property
    def subject(self) -> str | None:
        """The company it is about."""
        return self.symbol or (self.others[0] if self.others else None)


_FUTURE = re.compile(
    r"\b(?:will|won't|would(?! you)|could(?! you)|can(?! you)|might|may|should|shall|going to|gonna"
    r"|predict\w*|forecast\w*|expect\w*|project(?:ed|ions?)|estimates?|outlook|targets?|chances?"
    r"|probab\w+|odds|likel\w+|how (?:high|low|far))\b|'ll\b",
    re.IGNORECASE,
)
_PAST = whole_words(
    r"was|were|did|had|has|closed|traded|ended|finished|opened|rose|fell|dropped|gained|ago"
    r"|yesterday|last (?:session|week|month|quarter|year|\w+day)|previous|historical|history"
)
_PRESENT = whole_words(
    r"prices?|priced|quote|trad(?:es?|ing) (?:at|for)|worth|how much|close|closing"
)
_NOW = whole_words(r"now|current(?:ly)?|today's|today|latest|last")
_PRICE_WORDS = whole_words(
    r"prices?|priced|stocks?|shares?|trade[sd]?|trading(?! (?:day|session|week))|quoted?"
    r"|clos(?:e[sd]?|ing)|worth(?! (?:buying|it|watching|holding|reading|investing))"
)
_NOT_THE_PRICE = whole_words(
    r"(?:stock|share) (?:splits?|buybacks?)|market share|(?:per|shareholder) share|close (?:an?|the"
    r"|its|their)"
)
_MOVES = whole_words(
    r"above|below|go(?:ing)? (?:up|down|higher|lower)|up or down|rise|rall(?:y|ies)|fall|drop|gain"
    r"|climb|(?:in|de)crease|decline|double|triple|halve|crash|surge|soar|tank|plunge|jump|higher"
    r"|lower|recover|rebound|volatil\w+|bull\w*|bear(?:ish)?|costs?|(?:all-time|record|new|year's"
    r"|month's|week's|week) (?:high|low)|where (?:will|would|could|might|is|does)|how (?:will|would"
    r"|might|could|did)[\s#'\w]* (?:perform|do|fare)"
)
_TOPICS = whole_words(
    r"revenues?|(?<!after )(?<!before )(?<!into )earnings|eps|dividends?|profits?|margins?|income"
    r"|sales|guidance|market (?:cap\w*|share|value)|valuation|p/?e|ratio|headcount|employees"
    r"|layoffs?|ceo|cfo|lawsuit|splits?|buybacks?|debt|cash flow|weather|temperature"
    r"|interest rates?|inflation|gdp|rain|snow|how many|who|announc\w+|unveil\w*|launch\w*"
    r"|releas\w+|reports?|products?|deals?|acqui\w+|merg\w+|hir\w+|conferences?"
    r"|what does[\s#]+(?:make|sell)"
)
_PRODUCTS = whole_words(
    r"gpus?|graphics? cards?|chips?|rtx|[abh]\d00s?|geforce|blackwell|hopper|laptop"
)
_REASONS = whole_words(r"why (?:is|are|does|do|did|was|has)")
_ADVICE = whole_words(
    r"should (?:i|we|one|you|my \w+) (?:\w+ )?(?:buy|sell|hold"
    r"|keep|invest|short|trade|get|purchase|own)|(?:good|bad|right|smart|safe|wise) (?:time|idea"
    r"|investment|buy|stock)|worth (?:buying|holding|it)|worth investing|recommend\w*|(?:buy"
    r"|sell),? (?:sell,? )?or (?:buy|sell|hold)|invest(?:ing)? in"
)
_DEFINITION = whole_words(
    r"what does .*\b(?:mean|make|sell|do|stand for)|how do(?:es)? (?:you|an?|the|this|it)|defin\w+"
    r"|meaning of|explain (?:what|how|why|the)"
)
_STOCK = whole_words(
    r"stocks?|shares?|clos(?:e|ing)|(?:the|its) price(?! of (?!(?:the|this|that|its?|one"
    r"|a) ?(?:stock|share)?\b|#))"
)


def _kind(asked: _Asked, clock: Clock) -> Kind:
    if not _about_a_price(asked):
        return "other"
    if (target := asked.dates.target) is not None:
        return "future_price" if target > clock.as_of else "past_price"
    if clock.future or (asked.levels and not clock.past):
        return "future_price"
    if asked.dates.problem:
        return "past_price" if clock.past else "future_price"
    if clock.past or (_PRESENT.search(asked.text) and (asked.subject or _NOW.search(asked.text))):
        return "past_price"
    return "other"


def _about_a_price(asked: _Asked) -> bool:
    text = blank_all(_NOT_THE_PRICE, asked.text)
    dated = asked.dates.target is not None or asked.dates.problem is not None
    concrete = dated or asked.levels
    if _ADVICE.search(text) or _REASONS.search(text):
        return False
    if _DEFINITION.search(text) and not concrete:
        return False
    if _PRODUCTS.search(text) and not (_STOCK.search(text) or asked.levels):
        return False
    if asked.subject is None:
        money = asked.levels and AMOUNT_OF_MONEY.search(text)
        it_moves = whole_words("it").search(text) and (_MOVES.search(text) or asked.levels)
        return bool(_STOCK.search(text) or ((money or it_moves) and not _TOPICS.search(text)))
    if _PRICE_WORDS.search(text):
        return True
    if _TOPICS.search(asked.text):
        return False
    return bool(concrete or _MOVES.search(text))


# ---- what leans on the question before ----

# A text made of these words and of names, dates and levels says nothing else: it is a follow-up.
_JOINING = whole_words(
    r"and|or|but|so|then|okay|ok|well|hmm|now|what'?s?|which|how|about|if|instead|rather|say|maybe"
    r"|perhaps|also|too|again|same|for|the|an?|by|in|on|at|of|to|from|until|till|through|over|with"
    r"|during|within|after|before|around|near|as|be|is|are|was|were|been|has|had|do|does|did|it|its"
    r"|it's|that|that's|this|those|there|they|them|level|date|day|time|end|more|less|than|between"
    r"|most|least|high|low|out|up|down|far|further|ahead|later|sooner|longer|even|only|just|look"
    r"|like|think|know|see|believe|i|i'm|me|you|your|we|us|tell|give|show|please|mean|meant|not"
    r"|no|sorry|yes|still|get|go|reach\w*|hit\w*|exceed\w*|cross\w*|top|over|under|rises|falls"
    r"|drops|goes|gets|stays?|ends|percent|per|cent|dollars?|bucks|usd|let|one|make[sd]?|other|else"
    r"|today|any|much|thanks?|thx|great|good|nice|interesting|right|alright|fine|oh|ah|wow"
)
_REPEATS = whole_words(
    r"why|how come|really|how (?:very |really )?(?:sure|certain|confident|accurate|reliable|precise"
    r"|exact|wrong|far off|good|safe)|(?:un)?sure|(?:un)?certain(?:ty)?|confident|confidence"
    r"|how do(?:es)? (?:you|it) know|explain(?! (?:what|how|why|the))|reasons?|based|basis|median"
    r"|range|interval|error|margin|risk|doubts?|trust|rely|repeat"
)
_AHEAD = whole_words(
    r"next|coming|following|tomorrow|tmrw|from now|from today|later"
    r"|in (?:an?|\w+) (?:day|session|week|month|quarter|year)s?"
)
# Elsewhere these three are verbs.
_BARE_MONTH = re.compile(
    r"^\W*(?:(?:and|or|so|what about|how about)\W+)?(may|march|mar)\W*$", re.IGNORECASE
)
_SAME_LEVEL = whole_words(
    r"(?:above|below|over|under|past|at|reach|hit|exceed|cross|top) (?:that|this|those|it)|there"
    r"|that (?:high|low|much)|(?:that|this|those|same) levels?"
)


def _leans(asked: _Asked, earlier: Question) -> bool:
    """Say whether a text is no whole question of its own."""
    text = asked.text
    if _ADVICE.search(text) or (_REASONS.search(text) and _PAST.search(text)):
        return False
    if _BARE_MONTH.search(text):
        return True
    dated = asked.dates.target is not None or asked.dates.problem is not None
    levels = asked.levels or _bare_levels(asked, earlier)
    defined = _DEFINITION.search(blank_all(_REPEATS, text)) and not (dated or levels)
    wants = _wants(text)
    if defined or (wants and asked.subject is not None):
        return False
    left = asked.dates.rest
    for said in (_REPEATS, _MOVES, _PRICE_WORDS, _FUTURE, _PAST, _JOINING):
        left = blank_all(said, left)
    if re.search(r"[^\W\d_]{2}", re.sub(r"\d+(?:st|nd|rd|th|k)?\b", "", left)):
        return False
    again = _REPEATS.search(text) or _FUTURE.search(text)
    return bool(dated or levels or wants or again or asked.subject)


def _wants(text: str) -> bool:
    """Say whether a text says itself what it asks for, and not only when or how far."""
    return bool(_MOVES.search(text) or _PRICE_WORDS.search(text))


def _bare_levels(asked: _Asked, earlier: Question) -> tuple[float, ...]:
    """Read "and 170?" after a question about another level."""
    return _read_levels(asked.dates.rest, bare=bool(earlier.levels))


def _completed(asked: _Asked, own: Clock, earlier: Question) -> Question:
    """Fill in what a follow-up leaves out; its own words come first."""
    clock = _clock_of_follow_up(asked, own, earlier)
    dates = read_dates(_BARE_MONTH.sub(r"in \1", asked.text), clock)
    levels = asked.levels or _bare_levels(asked, earlier)
    kind = _kind_of_follow_up(dates, clock, will_be=bool(levels) and not own.past)
    target, phrase = _session(dates.target), dates.phrase
    symbol, others, wants = asked.symbol, asked.others, _wants(asked.text)
    carried: list[Part] = []
    if asked.subject is None:
        carried.append("company")
        symbol, others = earlier.symbol, () if earlier.symbol else earlier.other_symbols
    if target is None and dates.problem is None:
        if kind == earlier.kind and earlier.target is not None:
            carried.append("date")
            target, phrase = earlier.target, earlier.phrase
        elif kind == "past_price":
            target = _session(clock.as_of)
    same = not wants or _SAME_LEVEL.search(asked.text) or _REPEATS.search(asked.text)
    if not levels and earlier.levels and same and kind == "future_price":
        carried.append("levels")
        levels = earlier.levels
    return Question(
        text=asked.original,
        kind=kind,
        symbol=symbol,
        other_symbols=others,
        target=target,
        phrase=phrase,
        levels=levels,
        problem=_too_long(asked.original) or dates.problem,
        carried=tuple(carried),
        wish=asked.original if wants else earlier.wish,
    )


def _clock_of_follow_up(asked: _Asked, own: Clock, earlier: Question) -> Clock:
    """Say what time a follow-up speaks of: that of its own words, else of the question before."""
    future = own.future or bool(_AHEAD.search(asked.text))
    return own._replace(
        past=own.past or (earlier.kind == "past_price" and not future),
        future=future or (earlier.kind == "future_price" and not own.past),
    )


def _kind_of_follow_up(dates: Dates, clock: Clock, *, will_be: bool) -> Kind:
    if dates.target is not None:
        return "future_price" if dates.target > clock.as_of else "past_price"
    return "past_price" if clock.past and not will_be else "future_price"
