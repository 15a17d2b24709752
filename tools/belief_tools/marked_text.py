"""Text of which parts are already read: those are written over, and nothing reads them again."""

import re

NEAR = 30
"""Characters; how far back from a number the words that explain it are looked for."""

NUMBER = r"(?>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
"""A number, perhaps with commas between its thousands."""

# These are no dates, and the words in front of "2025" make it a price.
AMOUNT_OF_MONEY = re.compile(
    rf"\$\s?{NUMBER}k?|{NUMBER}k?\s?(?:\$|(?:dollars?|bucks|usd)\b)", re.IGNORECASE
)
LEVEL_BEFORE = re.compile(
    r"(?:\b(?:above|below|over|under|beneath|beyond|past|exceed(?:s|ing)?|surpass(?:es|ing)?"
    r"|top(?:s|ping)?|reach(?:es|ing)?|hit(?:s|ting)?|touch(?:es|ing)?|cross(?:es|ing)?"
    r"|break(?:s|ing)?|breach|crack(?:s|ing)?|hold(?:s|ing)?|clear(?:s|ing)?|beat(?:s|ing)?|regain"
    r"|north\s+of|south\s+of|at|to|than|least|most|between|near|around|about|cost"
    r"|worth|be|is|as|(?:target|level|price|strike)\s+of)\s+|[<>=$]\s*|\busd\s*)$",
    re.IGNORECASE,
)


def whole_words(pattern: str) -> re.Pattern[str]:
    """Compile a pattern that begins and ends at a word boundary, in any case."""
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


def blank(text: str, start: int, end: int) -> str:
    """Write "#" over a part of `text`, so that positions stay and nothing reads it again."""
    return text[:start] + "#" * (end - start) + text[end:]


def blank_all(pattern: re.Pattern[str], text: str) -> str:
    """Write "#" over every match of `pattern`."""
    return pattern.sub(lambda match: "#" * len(match[0]), text)
