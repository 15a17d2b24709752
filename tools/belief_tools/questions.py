"""Read a question about a price: which symbol, which session, which price levels.

Everything is relative to `as_of`, never to the clock. What one reader has read, it blanks out for
the next: names first, then dates, then price levels; what is left tells the kind. In a conversation
a text that is no whole question ("and in June?") takes what it leaves out from the one before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np

from belief.events import NO_EVENTS, Events
from belief_tools.company_names import own_part, read_symbols
from belief_tools.marked_text import blank, blank_all, whole_words
from belief_tools.periods import Clock, as_date
from belief_tools.plain_words import plain_words
from belief_tools.price_levels import Levels, read_levels
from belief_tools.question_kinds import (
    ADVICE,
    DEFINITION,
    FUTURE,
    MOVES,
    PAST,
    PRICE_WORDS,
    REASONS,
    Asked,
    Kind,
    kind_of,
)
from belief_tools.target_dates import Dates, read_dates

Part = Literal["company", "date", "levels"]
LONGEST = 2_000
"""Characters; the patterns below are not meant for whole documents."""


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
        notes: lines saying how what can be read in two ways was read, or a change of the price.
        beside: known symbols that it is about as well, and is answered for apart.
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
    notes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def read_question(
    text: str,
    *,
    as_of: np.datetime64,
    symbols: Mapping[str, Sequence[str]],
    about: str | None = None,
    earlier: Question | None = None,
    last_close: float | None = None,
    events: Events = NO_EVENTS,
) -> Question:
    """Read the kind, symbol, target session and price levels of a question.

    Args:
        text: the question, in English.
        as_of: the session whose close is the last thing known.
        symbols: the names of each known symbol, such as ``{"NVDA": ("Nvidia",)}``.
        about: the one of them that is answered for, where the text names several; None is the one
            it names first.
        earlier: the question before, in a conversation; a text that is no whole question takes
            kind, company, date and levels from it where it names none.
        last_close: the close of `as_of`, which "10 % higher" starts from; None leaves moves unread.
        events: the results of the company as known at `as_of`, for "after earnings".

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
    plain = plain_words(text[:LONGEST])
    symbol, others, named = read_symbols(plain, symbols)
    if about in others:
        symbol, others = about, (*([symbol] if symbol else []), *others)
    beside = tuple(other for other in others if other in symbols and other != symbol)
    others = tuple(other for other in others if other not in symbols)
    clock = Clock(
        as_of=as_date(as_of),
        past=bool(PAST.search(named)) and not FUTURE.search(named),
        future=bool(FUTURE.search(named)),
        events=events,
        there=None if earlier is None or earlier.target is None else as_date(earlier.target),
    )

    def read(unread: str) -> Question:
        dates = read_dates(_without_background(unread), clock)
        levels = read_levels(dates.rest, last_close=last_close)
        asked = Asked(text, unread, dates, symbol, others, levels)
        if earlier is not None and earlier.kind != "other" and _leans(asked, earlier):
            return _completed(asked, clock, earlier)
        return _alone(asked, clock)

    whole = read(named)
    if earlier is not None and "company" in whole.carried and earlier.beside:
        together = (earlier.symbol or "", *earlier.beside)
        about = about if about in together else whole.symbol
        rest = tuple(each for each in together if each != about)
        return replace(whole, symbol=about, beside=rest)
    if not (beside or others) or symbol is None:
        return whole
    own = own_part(plain, {**symbols, **{other: () for other in others}}, symbol)
    return _of_several(whole, whole if own is None else read(own), beside)


def _of_several(whole: Question, own: Question, beside: tuple[str, ...]) -> Question:
    """Of a question about several companies, what is said of one: "A above 5 and B above 6"."""
    if own.target is None and own.problem is None:
        own = replace(own, kind=whole.kind, target=whole.target, phrase=whole.phrase)
        own = replace(own, problem=whole.problem, notes=(*whole.notes, *own.notes))
    return replace(own, beside=beside, wish=whole.wish, carried=whole.carried)


# Up to the end of a sentence, to a comma before a word, or to the verb of a question.
_CLAUSE = re.compile(
    r"(?:(?![.?!;]\s|,\s+[A-Za-z]|\s(?:will|but)\b).)+(?:[.?!;,]|\s)?", re.IGNORECASE
)
_BACKGROUND = whole_words(
    r"given|currently|bought|paid|sold|got in|(?:is|it's|trades|trading|sits|stands"
    r"|price is) (?:now |currently )?at|now at"
)


def _without_background(text: str) -> str:
    """Blank out clauses of what was and is, where others ask what will be.

    Their dates and prices are not what is asked: "It was at 495 in May. Will it reach 900 by June?"
    """
    clauses = [match.span() for match in _CLAUSE.finditer(text)]
    if not any(FUTURE.search(text[slice(*span)]) for span in clauses):
        return text
    for span in clauses:
        clause = text[slice(*span)]
        if not FUTURE.search(clause) and (PAST.search(clause) or _BACKGROUND.search(clause)):
            text = blank(text, *span)
    return text


def _alone(asked: Asked, clock: Clock) -> Question:
    """Read a text that says all there is to say."""
    kind, text = kind_of(asked, clock), asked.original
    target, phrase, problem = asked.dates[:3]
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
        levels=asked.levels.prices,
        problem=_too_long(text) or problem,
        carried=(),
        wish=text,
        notes=(*asked.dates.notes, *asked.levels.notes),
    )


def _session(target: date | None) -> np.datetime64 | None:
    return None if target is None else np.datetime64(target, "D")


def _too_long(text: str) -> str | None:
    if len(text) <= LONGEST:
        return None
    return f"the question has {len(text):,} characters; ask in at most {LONGEST:,}"


# ---- what leans on the question before ----

# A text made of these words and of names, dates and levels says nothing else: it is a follow-up.
_JOINING = whole_words(
    r"and|or|but|so|then|okay|ok|well|hmm|now|what'?s?|which|how|about|if|instead|rather|say|maybe"
    r"|perhaps|also|too|again|same|for|the|an?|by|in|on|at|of|to|from|since|until|till|through|over|with"
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
_NOW = whole_words(
    r"now|right now|currently|at the moment|(?:its?|the) (?:current|latest|last) (?:price|close)"
    r"|(?:current|latest) (?:price|close)"
)
# "and in two?" counts in what the question before counted in.
_BARE_COUNT = re.compile(r"^\W*(?:(?:and|or|so|what about|how about)\W+)?in (\d{1,3})\W*$", re.I)
_UNIT = re.compile(r"\b(session|day|week|month|quarter|year)s?\b", re.IGNORECASE)
_SINCE_YEAR = whole_words(r"since (?:19|20)\d\d")
# Elsewhere these three are verbs.
_BARE_MONTH = re.compile(
    r"^\W*(?:(?:and|or|so|what about|how about)\W+)?(may|march|mar)\W*$", re.IGNORECASE
)
_SAME_LEVEL = whole_words(
    r"(?:above|below|over|under|past|at|reach|hit|exceed|cross|top) (?:that|this|those|it)|there"
    r"|that (?:high|low|much)|(?:that|this|those|same) levels?"
)


def _leans(asked: Asked, earlier: Question) -> bool:
    """Say whether a text is no whole question of its own."""
    text = asked.text
    if ADVICE.search(text) or (REASONS.search(text) and PAST.search(text)):
        return False
    if _BARE_MONTH.search(text) or _BARE_COUNT.search(text):
        return True
    dated = asked.dates.target is not None or asked.dates.problem is not None
    levels = _levels(asked, earlier).prices
    defined = DEFINITION.search(blank_all(_REPEATS, text)) and not (dated or levels)
    wants = _wants(text)
    if defined or (wants and asked.subject is not None):
        return False
    left = asked.dates.rest
    for said in (_REPEATS, MOVES, PRICE_WORDS, FUTURE, PAST, _JOINING):
        left = blank_all(said, left)
    if re.search(r"[^\W\d_]{2}", re.sub(r"\d+(?:st|nd|rd|th|k)?\b", "", left)):
        return False
    again = _REPEATS.search(text) or FUTURE.search(text)
    return bool(dated or levels or wants or again or asked.subject or _SINCE_YEAR.search(text))


def _wants(text: str) -> bool:
    """Say whether a text says itself what it asks for, and not only when or how far."""
    return bool(MOVES.search(text) or PRICE_WORDS.search(text))


def _levels(asked: Asked, earlier: Question) -> Levels:
    """Read "and 170?" after a question about another level."""
    if asked.levels.prices:
        return asked.levels
    return read_levels(asked.dates.rest, bare=bool(earlier.levels))


def _completed(asked: Asked, own: Clock, earlier: Question) -> Question:
    """Fill in what a follow-up leaves out; its own words come first."""
    clock = _clock_of_follow_up(asked, own, earlier)
    asked = _in_the_same_unit(asked, earlier, clock)
    dates = read_dates(_BARE_MONTH.sub(r"in \1", asked.text), clock)
    own_levels = _levels(asked, earlier)
    levels = own_levels.prices
    now = dates.target is None and not levels and not own.future and _NOW.search(asked.text)
    kind = _kind_of_follow_up(dates, clock, will_be=bool(levels) and not own.past)
    kind = "past_price" if now else kind
    target, phrase = _session(dates.target), dates.phrase
    symbol, others, wants = asked.symbol, asked.others, _wants(asked.text)
    carried: list[Part] = []
    if asked.subject is None:
        carried.append("company")
        symbol, others = earlier.symbol, () if earlier.symbol else earlier.other_symbols
    if target is None and dates.problem is None:
        if now:
            target = _session(clock.as_of)
        elif kind == earlier.kind and earlier.target is not None:
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
        notes=(*dates.notes, *own_levels.notes),
    )


def _in_the_same_unit(asked: Asked, earlier: Question, clock: Clock) -> Asked:
    """Read "and in two?" after "in a month" as "in 2 months"."""
    count, unit = _BARE_COUNT.search(asked.text), _UNIT.search(earlier.phrase or "")
    if count is None or unit is None:
        return asked
    text = f"in {count[1]} {unit[1]}s"
    dates = read_dates(text, clock)
    return asked._replace(text=text, dates=dates, levels=read_levels(dates.rest))


def _clock_of_follow_up(asked: Asked, own: Clock, earlier: Question) -> Clock:
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
