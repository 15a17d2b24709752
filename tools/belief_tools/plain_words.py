"""Write a question in plain words: numbers in digits, short forms in full, slips put right.

What reads dates and prices after this knows one way of saying each: "a year and a half" arrives as
"1.5 years", "nine hundred bucks" as "900 bucks", "in 3 wks" as "in 3 weeks", "fridy" as "friday".
"""

import difflib
import re
from functools import cache

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_VALUES = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{word: 10 * value for value, word in enumerate(_TENS, start=2)},
}
_LONGEST_NUMBER = 12  # words
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1_000, "grand": 1_000}
_NUMBER_WORD = "|".join([*sorted(_VALUES, key=len, reverse=True), *_SCALES])
_NUMBER = re.compile(
    rf"(?<![\w'])(?:(?:an?|a couple of|\d+(?:\.\d+)?)[ -](?=(?:{'|'.join(_SCALES)})\b))?"
    rf"(?:{_NUMBER_WORD})(?:(?:[ -]| and )(?:{_NUMBER_WORD}))*(?!\w)",
    re.IGNORECASE,
)

_PUNCTUATION = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014\u00a0", "''\"\"-- ")
_SPAN = "day|session|week|month|quarter|year"
_SHORT = {
    "wk": "week",
    "wks": "weeks",
    "mo": "months",
    "mos": "months",
    "mth": "month",
    "mths": "months",
    "qtr": "quarter",
    "yr": "year",
    "yrs": "years",
    "hrs": "hours",
    "xmas": "christmas",
    "x-mas": "christmas",
    "tmr": "tomorrow",
    "tmrw": "tomorrow",
    "tmw": "tomorrow",
    "2moro": "tomorrow",
    "tmrrw": "tomorrow",
    "ystd": "yesterday",
    "yday": "yesterday",
    "nxt": "next",
    "2day": "today",
    "wil": "will",
    "wat": "what",
    "rn": "right now",
    "til": "till",
    "thru": "through",
    "b4": "before",
    "pct": "%",
    "percent": "%",
    "per cent": "%",
}
_LETTERS = {"d": "days", "w": "weeks", "m": "months", "y": "years", "h": "hours"}
_REWRITES: tuple[tuple[str, str], ...] = (
    (r"\b(next|this|last) weak\b", r"\1 week"),
    (r"\b(where|what|how)'d(?= (?:[\w']+ ){1,3}be\b)", r"\1 would"),
    (r"\b(where|what|how)'d\b", r"\1 did"),
    (rf"\bbefore the ({_SPAN}) (?:is (?:out|over|up)|ends)\b", r"by the end of the \1"),
    (r"\bnext weekend\b", "end of next week"),
    (r"\b(?:this|the) weekend\b", "end of this week"),
    (r"\bfirst of (?=[a-z]{3,9}\b)(?!the|this|next|all)", "1st of "),
    (r"\b(?:a|one) quarter of (?:its|the|today's) (?:value|price|worth)\b", "25 %"),
    (r"\b(?:a|one) third of (?:its|the|today's) (?:value|price|worth)\b", "33.3333 %"),
    (r"\b(?:a |1 )?fortnight(?:'s)?\b", "2 weeks"),
    (r"\b(?:a )?couple (?:of )?(?!hundred|thousand)", "2 "),
    (rf"\b(?:an?|1) ({_SPAN})s? and a half\b", r"1.5 \1s"),
    (rf"\bone and a half ({_SPAN})s?\b", r"1.5 \1s"),
    (rf"\b(\d+) and a half ({_SPAN})s?\b", r"\1.5 \2s"),
    (rf"\b(\d+) ({_SPAN})s? and a half\b", r"\1.5 \2s"),
    (r"\b(?:3|three)[ -]quarters of a year\b", "9 months"),
    (rf"\bhalf[ -]an?[ -]({_SPAN})\b", r"0.5 \1s"),
    (r"\b(?<!first )(?<!second )(?<!last )(?<!\d )half[ -]year\b", "0.5 years"),
    (r"\b(?:a|1) decade\b", "10 years"),
    (r"\b(?:end of year|year ?end|close of (?:the )?year)\b", "end of the year"),
)
_SHORT_FORM = re.compile(
    rf"(?<![\w$'])(?:{'|'.join(sorted(_SHORT, key=len, reverse=True))})(?![\w'])", re.IGNORECASE
)
_LETTER_FORM = re.compile(
    r"(?<![\w$.,/])(?P<count>\d{1,3}) ?(?P<unit>[dwmyh]|wks?|mos?|mths?|qtrs?|yrs?)(?![\w'])",
    re.IGNORECASE,
)
_SPANS_AHEAD = re.compile(r"\b(?:in|next|over|within|for|after|another|about) (?:the )?$", re.I)

_CALENDAR = (
    "january february march april may june july august september october november december monday "
    "tuesday wednesday thursday friday saturday sunday tomorrow yesterday today week weeks month "
    "months quarter quarters year years session sessions trading christmas thanksgiving easter "
    "halloween earnings quarterly dollars percent price prices"
).split()
_LETTERS_ONLY = re.compile(r"(?<![\w'$])[A-Za-z]{5,12}(?![\w'])")


def plain_words(text: str) -> str:
    """Write numbers in digits and short forms in full, and put slips in calendar words right.

    Args:
        text: a question in English.

    Returns:
        The same question in fewer ways of saying things; white space is single spaces.

    Example:
        >>> plain_words("Will it be above twelve hundred dollars in a year and a half?")
        'Will it be above 1200 dollars in 1.5 years?'
        >>> plain_words("nvda nxt fridy, or in eleven months")
        'nvda next friday, or in 11 months'
    """
    text = re.sub(r"\s+", " ", text.translate(_PUNCTUATION))
    text = _LETTERS_ONLY.sub(lambda match: _put_right(match[0]), text)
    text = _SHORT_FORM.sub(lambda match: _SHORT[match[0].lower()], text)
    text = _LETTER_FORM.sub(_unit_in_full, text)
    text = _NUMBER.sub(lambda match: _in_digits(match[0]), text)
    for pattern, plain in _REWRITES:
        text = re.sub(pattern, plain, text, flags=re.IGNORECASE)
    return text


@cache
def _put_right(word: str) -> str:
    """Return the calendar word that a word is a slip of, or the word itself."""
    low = word.lower()
    if any(low.startswith(known) for known in _CALENDAR):
        return word
    close = difflib.get_close_matches(low, _CALENDAR, n=1, cutoff=0.85)
    if not close or close[0][0] != low[0]:
        return word
    return close[0].capitalize() if word[0].isupper() else close[0]


def _unit_in_full(match: re.Match[str]) -> str:
    """Write "3w" and "6 mo" out, but leave "6m" alone where nothing says that it is a time."""
    unit = match["unit"].lower()
    before = match.string[max(0, match.start() - 20) : match.start()]
    after = match.string[match.end() : match.end() + 9]
    if len(unit) == 1 and not (
        _SPANS_AHEAD.search(before) or re.match(r" (?:ago|out|from|t)", after)
    ):
        return match[0]
    return f"{match['count']} {_LETTERS.get(unit) or _SHORT.get(unit) or 'quarters'}"


def _in_digits(words: str) -> str:
    """Write "twelve hundred and fifty" as "1250"; a small number alone stays a word."""
    total, current = 0.0, 0.0
    parts = re.split(r"[ -]", words.lower())
    if len(parts) > _LONGEST_NUMBER:
        return words
    if len(parts) == 1 and parts[0] in ("zero", "one", *_SCALES):
        return words
    for part in parts:
        if part in _VALUES:
            year_like = _VALUES[part] >= 20 and 0 < current < 100  # twenty twenty-five, nine fifty
            current = (100 if year_like else 1) * current + _VALUES[part]
        elif part in ("thousand", "grand"):
            total, current = total + 1_000 * (current or 1), 0.0
        elif part in _SCALES:
            current = _SCALES[part] * (current or 1)
        elif re.fullmatch(r"\d+(?:\.\d+)?", part):
            current += float(part)
        elif part == "couple":
            current = 2.0
    return f"{total + current:.12g}"
