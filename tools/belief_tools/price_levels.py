"""Read the price levels that a question names: "$900", "1.2k", "10 % higher", "double", "$50 down".

A move is a level once the last close is known. Figures that say how likely, how long or how many
are no prices.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from belief_tools.marked_text import LEVEL_BEFORE, NEAR, NUMBER, blank, blank_all, whole_words

MOST = 8


class Levels(NamedTuple):
    """Price levels in the order named, and how those were read that name a move."""

    prices: tuple[float, ...]
    notes: tuple[str, ...] = ()


class _Move(NamedTuple):
    """A change of the price: the words, what the last close is multiplied by, what is added."""

    span: tuple[int, int]
    factor: float
    added: float = 0.0


_PRICE = re.compile(
    rf"(?<![\w.,])(?P<number>{NUMBER})(?:\s?(?P<thousand>k|thousand|grand))?(?!\w)"
    r"(?!\s*(?:%|:\d|/\d\d?(?!\d)|x\b|percent|per cent|pct|points?\b|basis|bps|times\b"
    r"|million|billion|trillion|bn\b|[ap]\.?m\b|o'clock|shares\b|stocks\b|companies|analysts|hours?\b|minutes?\b|trading"
    r"|business)|[\s-]+(?:day|session|week|month|quarter|year|for-)s?\b)",
    re.IGNORECASE,
)
_LEVEL_AFTER = re.compile(
    r"\s?\$|\+(?!\s?\d)|\s?(?:dollars?|bucks|usd|mark|level|or\s+(?:more|less|higher|lower|above|below))\b",
    re.IGNORECASE,
)
# "nvda 1000 eoy?" and "900 by Monday?": first of all, or right after the name, which is blanked out
_FIRST = re.compile(r"^\W*(?:#+\s)?$")
_SEES_BEFORE = re.compile(
    r"\b(?:(?:make|sees?|prints?|tags?|tests?|retests?)\s|sub[\s-])$", re.IGNORECASE
)
_LIST_JOINT = re.compile(r"\s*(?:,|/|-|,?\s*(?:or|and|to)\s)\s*\$?\s*", re.IGNORECASE)

# What was paid is no level that is asked about.
_PAID = re.compile(
    r"\b(?:cost\s+basis|(?:average|avg)\s+(?:cost|price)|entry(?:\s+price)?|(?:bought|got|paid|sold)"
    r"(?:\s+\w+){0,3}?)\s+(?:(?:is|of|was|at|for)\s+)?\$?$",
    re.IGNORECASE,
)
_DIGITS = whole_words(r"(?P<digits>[3-6])[ -](?:digits?|figures?)")  # "hit four figures"

_UP = (
    r"up|rises?|rising|risen|gain(?:s|ing|ed)?|climb(?:s|ing)?|jump(?:s|ing)?|grow(?:s|ing)?|adds?"
    r"|increases?|surges?|soars?|rall(?:y|ies)|pops?|advances?|appreciates?|higher|more|above|over"
    r"|upside|growth|bump|moon|goes up|pump"
)
_DOWN = (
    r"down|falls?|falling|fallen|los(?:e|es|ing)|loss|drops?|dropping|declines?|declining"
    r"|decreases?|sinks?|sheds?|dips?|crash(?:es)?|plunges?|tanks?|slides?|slips?|corrects?"
    r"|correction|lower|less|below|under|downside|tumbles?|pullback|depreciates?|selloff|sell-off"
)
_SIDES = ("above", "over", "below", "under", "more", "less")  # of a level, where they come first
_EITHER = r"within|moves?|swings?|changes?|varies|vary|plus or minus|\+/-"
_FILLER = (
    r"(?:\s+(?:by|at|least|most|than|more|less|over|about|another|around|roughly|nearly|almost|as"
    r"|much|up|to|a|an|of|some|only|just|or|the|further|stock|shares?|it|in|value|its))*?\s+"
)
_SIZE = rf"(?P<size>{NUMBER})\s?%|(?P<dollars>\$\s?{NUMBER}|{NUMBER}\s?(?:dollars|bucks|usd))"
_SURE = r"chances?|probabilit\w+|likelihood|odds|confiden\w+|certain\w*|sure|likely|interval"
_BEFORE_SIZE = re.compile(
    rf"(?<!\w)(?:(?P<up>{_UP})|(?P<down>{_DOWN})|(?P<either>{_EITHER}))"
    rf"(?P<filler>{_FILLER}|\s+)(?:{_SIZE})(?!\w)(?!\s+(?:{_SURE})\b)",
    re.IGNORECASE,
)
_AFTER_SIZE = re.compile(
    rf"(?<![\w.,])(?:{_SIZE})\s+(?:(?:or more|price|stock|share)\s+)*"
    rf"(?:(?P<up>{_UP})|(?P<down>{_DOWN})|(?P<either>{_EITHER}))(?!\w)",
    re.IGNORECASE,
)
_SIGNED = re.compile(
    rf"(?<![\w.,%$+-])(?:(?P<up>\+)|(?P<down>-)|(?P<either>\+/-))(?:{_SIZE})(?!\w)", re.IGNORECASE
)
_MULTIPLES = (
    (2.0, whole_words(r"doubl(?:e|es|ing)|twice (?:as (?:high|much)|its|the)|(?:go |do )?2x")),
    (3.0, whole_words(r"tripl(?:e|es|ing)|3x")),
    (4.0, whole_words(r"quadruples?|4x")),
    (0.5, whole_words(r"halve[sd]?|half (?:of )?(?:its|the|today's|that) (?:value|price)|in half")),
)
_NOW = r"(?:right\s+)?(?:now|today|currently|at\s+the\s+moment|at\s+present)"
_CLOSE_KNOWN = (
    r"(?:(?:where|what)\s+)?(?:it|the\s+(?:stock|price|share)|#+)(?:'s|\s+(?:is|was|closed|ended|stands"
    rf"|trades|trading|finished|sits|costs?))*(?:\s+at)?\s+{_NOW}"
    r"|(?:its|the|today's|#+(?:'s)?)\s+(?:current|present|latest|last|most\s+recent|closing|price|close"
    r"|level|value)(?:\s+(?:closing|share|stock|price|close|level|value))*(?!\s+(?:on|of|in)\b)"
    r"(?:\s+today)?"
    rf"|current\s+(?:prices?|levels?)|today(?:'s\s+(?:closing\s+)?(?:price|close|level|value))?|here"
    r"|(?:right\s+)?now"
)
AS_IT_IS = whole_words(
    rf"(?P<side>than|above|below|over|under|exceeds?|beats?|tops?)\s+(?:{_CLOSE_KNOWN})"
)
"""The last close as what a price is compared with: "than today" is no date, but a level."""
_AFTER_MOVE = re.compile(
    rf"\s+(?:(?:than|above|below|over|under|from|of|on)\s+)?(?:{_CLOSE_KNOWN})(?!\w)", re.IGNORECASE
)
_COMPARES = whole_words(
    r"higher|lower|more|less|greater|better|worse|bigger|smaller|cheaper|up|down"
)

_NO_MULTIPLE = re.compile(r"\b(?:double|triple)[- ](?:digits?|top|bottom|check)", re.IGNORECASE)


def read_levels(text: str, *, last_close: float | None = None, bare: bool = False) -> Levels:
    """Read the numbers that a sign, a word before or after, or a list marks as prices, and moves.

    Args:
        text: in plain words, without names and dates.
        last_close: what a move starts from; None leaves moves unread.
        bare: whether any other number is a price as well.

    Returns:
        `Levels`, at most 8 of them, moves rounded to cents.

    Example:
        >>> read_levels("above $900 or 1.2k").prices
        (900.0, 1200.0)
        >>> read_levels("a chance of 10% to drop 5%", last_close=200.0).prices
        (190.0,)
    """
    found: list[tuple[int, float]] = []
    notes: list[str] = []
    for move in _moves(text):
        if last_close is not None:
            level = round(last_close * move.factor + move.added, 2)
            words = text[slice(*move.span)].strip()
            notes.append(f"{words!r} was read as ${level:,.2f}, from the last close")
            found.append((move.span[0], level))
    for move in _moves(text):
        text = blank(text, *move.span)
        if said_again := _AFTER_MOVE.match(text, move.span[1]):
            text = blank(text, *said_again.span())
    if last_close is not None:
        found += [(match.start(), last_close) for match in _compared(text)]
    text = blank_all(AS_IT_IS, text)
    found += _named_prices(text, bare=bare)
    prices = [price for _, price in sorted(found, key=lambda pair: pair[0])]
    return Levels(tuple(dict.fromkeys(p for p in prices if 0 < p < math.inf))[:MOST], tuple(notes))


def _compared(text: str) -> Iterator[re.Match[str]]:
    """Find where a price is compared with the last close: "higher in June than it is today"."""
    for match in AS_IT_IS.finditer(text):
        if match["side"].lower() != "than" or _COMPARES.search(text[: match.start()]):
            yield match


def _named_prices(text: str, *, bare: bool) -> Iterator[tuple[int, float]]:
    for match in _DIGITS.finditer(text):
        yield match.start(), 10.0 ** (int(match["digits"]) - 1)
    text = blank_all(_DIGITS, text)
    end: int | None = None
    for match in _PRICE.finditer(text):
        listed = end is not None and _LIST_JOINT.fullmatch(text[end : match.start()])
        after = _LEVEL_AFTER.match(text, match.end())
        before = text[max(0, match.start() - NEAR) : match.start()]
        named = len(match["number"]) > 2 and (_FIRST.search(before) or _SEES_BEFORE.search(before))
        if not (bare or listed or after or named or LEVEL_BEFORE.search(before)):
            continue
        if _PAID.search(before):
            continue
        end = match.end()
        value = float(match["number"].replace(",", "")) * (1000 if match["thousand"] else 1)
        yield match.start(), value


def _moves(text: str) -> Iterator[_Move]:
    """Find the moves: "10 % higher", "falls by $50", "within 5 %", "double"."""
    for pattern in (_AFTER_SIZE, _BEFORE_SIZE, _SIGNED):
        for match in pattern.finditer(text):
            if not _is_a_move(match):
                continue
            yield from _both_ways(match)
            text = blank(text, *match.span())
    for factor, pattern in _MULTIPLES:
        for match in pattern.finditer(text):
            if not _NO_MULTIPLE.match(text, match.start()):
                yield _Move(match.span(), factor)


def _is_a_move(match: re.Match[str]) -> bool:
    """Say whether "$50" is a step, as in "falls by $50" and "$50 higher", and not a level."""
    word = (match["up"] or match["down"] or match["either"]).lower()
    follows = "filler" not in match.groupdict()
    if match.re is _SIGNED:
        return True
    if match["size"]:
        return follows or word not in _SIDES
    if follows:
        return word in ("higher", "lower", "up", "down", "upside", "downside", "drop", "gain")
    if word in ("higher", "lower") and match["filler"].split()[:1] == ["than"]:
        return False  # "higher than $900", unlike "rises more than $50"
    return word not in _SIDES and not re.search(r"\b(?:to|at|of)\b", match["filler"])


def _both_ways(match: re.Match[str]) -> Iterator[_Move]:
    amount = re.search(NUMBER, match["size"] or match["dollars"])
    size = float(amount[0].replace(",", "")) if amount else 0.0
    ways = (1, -1) if match["either"] else (1,) if match["up"] else (-1,)
    for way in ways:
        if match["size"]:
            yield _Move(match.span(), 1.0 + way * size / 100.0)
        else:
            yield _Move(match.span(), 1.0, way * size)
