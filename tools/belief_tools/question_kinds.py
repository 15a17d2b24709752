"""Tell what a question is after: a price to come, a price that is known, or something else."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from belief_tools.marked_text import AMOUNT_OF_MONEY, blank_all, whole_words
from belief_tools.periods import Clock
from belief_tools.price_levels import Levels
from belief_tools.target_dates import Dates

Kind = Literal["future_price", "past_price", "other"]


class Asked(NamedTuple):
    """A text, the same with its names blanked out, and what was read from it."""

    original: str
    text: str
    dates: Dates
    symbol: str | None
    others: tuple[str, ...]
    levels: Levels

    @property
    def subject(self) -> str | None:
        """The company it is about."""
        return self.symbol or (self.others[0] if self.others else None)


FUTURE = re.compile(
    r"\b(?:will|won't|would(?! you)|could(?! you)|can(?! you)|might|may|should|shall|going to|gonna"
    r"|predict\w*|forecast\w*|expect\w*|project(?:ed|ions?)|estimates?|outlook|targets?|chances?"
    r"|probab\w+|odds|likel\w+|how (?:high|low|far)(?! (?:is|was|were|did))|head(?:ed|ing)|tomorrow"
    r"|next (?:week|month|quarter|year|(?:mon|tues|wednes|thurs|fri)day)|to the moon|mooning|upside"
    r"|downside|going (?:up|down|higher|lower)"
    r"|future|soon|someday|eventually)\b|'ll\b",
    re.IGNORECASE,
)
PAST = whole_words(
    r"was|were|did|had|has|closed|traded|ended|finished|opened|rose|fell|dropped|gained|ago"
    r"|yesterday|last (?:session|week|month|quarter|year|\w+day)(?! (?:of|in) )|previous"
    r"|historical|history"
    r"|used? to (?:be|cost|trade|close|stand|go)|back (?:then|when|in(?! the \d))"
)
_AT = r"what(?:'?s| is) #+ (?:at|doing|(?:right )?now|currently)"
_PRESENT = whole_words(
    rf"where(?:'s| is| does) #+ trad(?:e|ing)|{_AT}|how high (?:is|was)|prices?|priced|quote"
    r"|trad(?:es?|ing) (?:at|for)|worth"
    r"|how much|close|closing"
)
PRICE_WORDS = whole_words(
    rf"{_AT}|prices?|priced|stocks?|shares?|trade[sd]?|trading(?! (?:day"
    r"|session|week))|quoted?"
    r"|clos(?:e[sd]?|ing)|worth(?! (?:buying|it|watching|holding|reading|investing))"
)
_NOT_THE_PRICE = whole_words(
    r"(?:sell|buy|sold|dump|split)s? (?:\w+ ){0,2}(?:shares?|stock)|(?:stock|share) (?:splits?"
    r"|buybacks?)|(?:stock )?(?:markets?|exchanges?)(?: is| be)? (?:open"
    r"|clos"
    r"ed?|hours|holidays?)|(?:stock )?exchanges?|trading hours|market share|(?:per"
    r"|shareholder) share|close (?:an?|the"
    r"|its|their)(?! (?:day|week|month|quarter|year))"
)
MOVES = whole_words(
    r"above|below|go(?:ing)? (?:up|down|higher|lower)|up or down|rise|rall(?:y|ies)|fall|drop|gain"
    r"|climb|(?:in|de)crease|decline|double|triple|halve|crash|surge|soar|tank|plunge|jump|higher"
    r"|lower|recover|rebound|volatil\w+|bull\w*|bear(?:ish)?|costs?|(?:all-time|record|new|year's"
    r"|month's|week's|week) (?:high|low)|how (?:high|low|far)|upside|downside"
    r"|(?:rally|ris|fall|dropp|climb|surg|soar|tank|plung|crash|gain|recover|declin|grow)ing|moon"
    r"|where(?:'s| (?:will|would|could|might|is|does))|what (?:will|would|could|might)[ #]* be"
    r"|how (?:will|would"
    r"|might|could|did)[\s#'\w]* (?:perform|do|fare)"
)
_TOPICS = whole_words(
    r"revenues?|(?<!after )(?<!before )(?<!into )earnings|eps|dividends?|profits?|margins?|income"
    r"|sales|guidance|market (?:cap\w*|share|value)|valuation|p/?e|ratio|headcount|employees"
    r"|layoffs?|ceo|cfo|lawsuit|splits?|buybacks?|debt|cash flow|weather|temperature"
    r"|interest rates?|inflation|gdp|rain|snow|how many|who|(?:m|b|tr)illions?"
    r"|how much (?:money |cash )?(?:did|do|does|will|would|has)[\s#]+(?:ma[dk]e|earn|spen[dt]|pay"
    r"|paid|owe)|(?:lead|place) in|competit\w+|compete|rivals?|dominan\w+|monopol\w+|\d+ ?[+*] ?\d+"
    r"|what does[\s#]+(?:make|sell)|(?:calls?|puts?) or (?:calls?|puts?)|added to|joins?|delisted"
    r"|poem|joke|song|story|essay"
)
# What may be said of the time of a price as well: "above $900 when they report".
_HAPPENINGS = whole_words(
    r"announc\w+|unveil\w*|launch\w*|releas\w+|reports?|products?|deals?|acqui\w+|merg\w+|hir\w+"
    r"|conferences?"
)
_FORECAST = whole_words(r"predictions?|forecasts?|outlook|targets?|projections?|estimates?")
_PRODUCTS = whole_words(
    r"gpus?|graphics? cards?|chips?|rtx|[abh]\d00s?|geforce|blackwell|hopper|laptop"
)
_DEAL = (
    r"buy|sell|hold|keep|invest|short|trade|get|purchase|own|put|dump|wait|exit|enter|add|take"
    r"|go long|go short|load up|bet|stay|cash|diversify|hedge"
)
ADVICE = whole_words(
    rf"(?:should|shall|must|do|can|could|would|ought|better)(?:n't)? (?:i|we|one|you|my \w+)"
    rf"(?: (?!tell|say|predict|forecast|give|please)\w+){{0,2}}? (?:to )?(?:{_DEAL})"
    r"|(?:good|bad|right|smart|safe|wise|best|great|decent) (?:time|idea|investment|buy|stock"
    r"|moment"
    r"|entry|long[- ]term)|worth (?:buying|holding|it)|worth investing|recommend\w*|advi[cs]e"
    rf"|(?:buy|sell|hold),? (?:sell,? )?or (?:buy|sell|hold|wait|not)|invest(?:ing)? in"
    r"|(?:is|are|still)(?: [#\w]+)? a (?:strong )?(?:buy|sell|hold)|(?:wise|smart|safe|good"
    r"|sensible|better) to (?:buy|sell|hold|own)|should (?:i|we) do|too late to|time to (?:buy|sell"
    r"|get)|(?:stop[- ]loss|take[- ]profit|portfolio|my (?:savings|money|pension))"
)
REASONS = whole_words(r"why (?:is|are|does|do|did|was|has)")
DEFINITION = whole_words(
    r"what does .*\b(?:mean|make|sell|do|stand for)|how do(?:es)? (?:you|an?|the|this|it)|defin\w+"
    r"|meaning of|who (?:sets|decides|makes)|how (?:is|are) .*\b(?:set|made|decided|determined)"
    r"|explain (?:what|how|why|the)"
)
_STOCK = whole_words(
    r"stocks?|shares?|clos(?:e|ing)"
    r"|(?:the|its|(?:the |its )?(?:current|latest|present|median|expected|average|mean"
    r"|closing)) price"
    r"(?! of (?!(?:the|this|that|its?|one|a) ?(?:stock|share)?\b|#))"
)
# "price on Wednesday?", but not "egg price on Wednesday?"
_BARE_PRICE = re.compile(
    r"^\W*(?:(?:what(?:'s| is| will be)?|and|so|ok|predict|expected|closing|likely|the) )*"
    r"prices? (?:on|at|by|in|for|from|tomorrow|today|next|now|target|drop|rise|fall)\b",
    re.IGNORECASE,
)
# A text made of these words and of dates and levels asks for a price: "and by the end of 2025?".
_ASKS_FOR_A_PRICE = whole_words(
    r"and|or|but|so|then|ok|okay|well|also|now|right now|currently|what'?s?|what about|how about"
    r"|how|much|make|sees?|likely|where(?:'s)?|will|would|could|can|might|may|is|was|are|were|be|been|has|have|had"
    r"|did|does|do|it'?s?|its|that|the|an?|in|on|at|by|of|for|from|to|until|till|after|before|around"
    r"|about|above|below|over|under|between|more|less|than|least|most|again|same|please|pls|plz"
    r"|thanks|maybe|say|give me|show me|tell me|i|if|you (?:think|see|expect|reckon|predict|say)"
    r"|yes or no|level|value|worth|costs?|prices?|high|low|higher|lower|up|down|end|going|gonna|get"
    r"|reach\w*|hits?|(?:being )?exceed\w*|stands?|trad(?:e|es|ing)|clos(?:e|es|ed|ing)|realistic"
    r"|possible|there"
)


def kind_of(asked: Asked, clock: Clock) -> Kind:
    """Tell the kind of a text that leans on no other.

    Args:
        asked: what was read so far.
        clock: where the text stands in time.
    """
    if not _about_a_price(asked):
        return "other"
    if (target := asked.dates.target) is not None:
        return "future_price" if target > clock.as_of else "past_price"
    if clock.future or (asked.levels.prices and not clock.past):
        return "future_price"
    if asked.dates.problem:
        return "past_price" if clock.past else "future_price"
    if clock.past or _PRESENT.search(asked.text):
        return "past_price"
    return "other"


def _about_a_price(asked: Asked) -> bool:
    text = blank_all(_NOT_THE_PRICE, asked.text)
    dated = asked.dates.target is not None or asked.dates.problem is not None
    concrete = dated or asked.levels.prices
    if ADVICE.search(text) or REASONS.search(text):
        return False
    if DEFINITION.search(text) and not concrete:
        return False
    if _PRODUCTS.search(text) and not (_STOCK.search(text) or asked.levels.prices):
        return False
    if asked.subject is None:
        money = asked.levels.prices and (asked.levels.notes or AMOUNT_OF_MONEY.search(text))
        it_moves = whole_words("it").search(text) and (MOVES.search(text) or asked.levels.prices)
        priced = _STOCK.search(text) or _BARE_PRICE.search(text)
        meant = money or it_moves or _says_nothing_else(asked)
        return bool(priced or (meant and not _off_topic(asked)))
    if PRICE_WORDS.search(text):
        return True
    if _off_topic(asked):
        return False
    return bool(concrete or MOVES.search(text) or _FORECAST.search(text))


def _says_nothing_else(asked: Asked) -> bool:
    """Say whether a text without a company has a date or a level, and no word of anything else."""
    text = asked.text
    left = re.sub(r"\d+ ?%", "", asked.dates.rest)
    if asked.levels.prices:
        left = re.sub(r"\d+k?\b", "", left)
    for said in (_ASKS_FOR_A_PRICE, FUTURE, PAST, MOVES, _FORECAST):
        left = blank_all(said, left)
    named = asked.dates.target or asked.levels.prices or _FORECAST.search(text)
    said_it = whole_words("it|its|it's|prices?").search(text) and _PRESENT.search(text)
    return bool(named or said_it) and not re.search(r"\d|[^\W\d_]{2}", left)


def _off_topic(asked: Asked) -> bool:
    """Say whether a text is about something else of a company than its price."""
    rest = asked.dates.rest
    return bool(_TOPICS.search(rest) or (_HAPPENINGS.search(rest) and not asked.levels.prices))
