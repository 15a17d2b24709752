"""Read a text into figures (dates, percentages, counts, prices, ranges of prices, bare numbers).

A text is read once: what one reader has found it blanks out for the next, and positions stay. The
words around a figure then say what it is meant to be: "last close was $834" gives $834 the role
"last", even when $834 is the median.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from belief_tools.chance_forms import chances_in
from belief_tools.page import ABOUT, NEAR, NUMBER, Figure, Page, is_about, is_hedged, number_of

_SCALES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "million": 1e6}
_SCALES |= {"b": 1e9, "bn": 1e9, "billion": 1e9, "trillion": 1e12}
_SYMBOLS = {"$": "dollar", "us$": "USD", "usd": "USD", "€": "EUR", "eur": "EUR", "euro": "EUR"}
_SYMBOLS |= {"£": "GBP", "gbp": "GBP", "pound": "GBP", "¥": "JPY", "jpy": "JPY", "yen": "JPY"}
_SYMBOLS |= {"₹": "INR", "inr": "INR", "rupee": "INR", "dollar": "dollar", "buck": "dollar"}
_SYMBOLS |= {"chf": "CHF", "franc": "CHF", "cad": "CAD", "c$": "CAD", "a$": "AUD", "aud": "AUD"}
_SYMBOLS |= {"hk$": "HKD", "hkd": "HKD", "cent": "dollar", "us dollar": "USD"}
_BEFORE = r"(?:US|HK|C|A)?\$|[€£¥₹]|(?:USD|EUR|GBP|JPY|INR|CHF|CAD|AUD|HKD)(?![a-z])"
_AFTER = (
    rf"\$(?!\s?\d)|[€£¥₹](?!\s?\d)|(?:{'|'.join(s for s in _SYMBOLS if s.isalpha())}|US dollar)s?\b"
)
_DOLLARS_AND_CENTS = re.compile(
    r"(?<![\w.,$])(\d[\d,]*)\s+(?:dollars?|bucks?)\s+(?:and\s+)?(\d{1,2})\s+cents?\b", re.I
)
_MONEY = re.compile(
    rf"(?<![\w.,])(?P<sign>-(?=\s?[$€£]))?(?:(?P<before>{_BEFORE})\s?)?(?P<number>{NUMBER})"
    rf"(?:[\s-]?(?P<scale>{'|'.join(_SCALES)})\b)?(?:[\s-]*(?P<after>{_AFTER}))?(?!\w)",
    re.I,
)
_SMALL = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_SMALL += " fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDED = {word: n for n, word in enumerate(_SMALL.split(), start=1)}
_WORDED |= {word: 10 * n for n, word in enumerate(_TENS.split(), start=2)}
_WORDED |= {"hundred": 100, "thousand": 1000}
_WORD = rf"(?:{'|'.join(_WORDED)})"
# "one" alone is a pronoun, as in "the normal one", unless something is counted
_COUNTED = (
    r"(?=[\s-]+(?:in|out|time|chance|case|outcome|scenario|shot|half|third|quarter|fifth|sixth"
)
_COUNTED += r"|tenth|per|to"
_COUNTED += r"|of the|and|hundred|thousand|(?:trading |calendar )?(?:session|day|week|month|year)"
_COUNTED += r"|dollar|buck|cent)\b)"
_JOIN = r"(?:(?:(?<=hundred)|(?<=thousand))\s+and\s+|[\s-]+)"
_WORDED_NUMBER = re.compile(
    rf"\b(?!(?<!to[\s-])one\b(?!{_COUNTED})(?!{_JOIN}{_WORD}\b)){_WORD}\b(?:{_JOIN}{_WORD}\b)*",
    re.I,
)
_RATIO = re.compile(
    rf"(?<![\w.,$])(?P<number>{NUMBER})(?:[\s-]*times\b(?!\s+(?:in|out)\b)|[x\u00d7](?!\w))", re.I
)
_FACTOR = re.compile(rf"\bfactor of (?:{ABOUT}\s+)?(?P<number>{NUMBER})(?!\w)", re.I)
_RATIO_WORD = re.compile(
    r"\b(?:(?P<half>halv(?:e|es|ed|ing)|half(?=\s+(?:of\s+)?(?:its|today's|that\b|it\b"
    r"|(?:the |its )?(?:current|last|latest|present)|the price|the value|[$]?\d|as likely)))"
    r"|(?P<triple>tripl(?:es?|ed|ing))|(?P<four>quadrupl(?:es?|ed|ing))"
    r"|double(?!-|\s+(?:digit|check))s?|doubled|doubling|twice)\b",
    re.I,
)
_DECADE = re.compile(
    r"(?<![\w.,])(?P<part>(?P<low>low|mid|high|upper)(?:[\s-]+to[\s-]+(?P<high>mid|high"
    r"|upper))?[\s-]+)?"
    r"(?P<unit>[$])?(?P<number>[1-9]\d{0,2}0)s\b",
    re.I,
)
_THIRDS = {"low": (0.0, 0.4), "mid": (0.3, 0.7), "high": (0.6, 1.0), "upper": (0.6, 1.0)}
_COUNT = re.compile(
    rf"(?<![\w.,$])(?P<number>{NUMBER})[\s-]+(?:(?:(?P<open>trading|business|market|exchange)"
    r"|(?P<calendar>calendar)|more|full|short)[\s-]+){0,2}(?P<unit>session|day|week|month"
    r"|quarter|year|hour|minute)s?\b",
    re.I,
)
_MONTHS = "january february march april may june july august september october november december"
_MONTH_NUMBER = {name[:3]: n for n, name in enumerate(_MONTHS.split(), start=1)}
_MONTH = rf"(?P<m>(?:{'|'.join(_MONTHS.split())}|(?:{'|'.join(_MONTH_NUMBER)}|sept)\b\.?))"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?(?!\d)"
_PERIODS_OF = (
    "end start beginning middle close quarter half spring summer autumn fall winter day week month"
    " rest remainder".split()
)
_YEAR_AFTER = "|".join(
    rf"(?<=\b{w}[\s-])"
    for w in (
        *"in by year since until during through early mid late Christmas Eve Day end".split(),
        r"Q\d",
        *(f"{period} of" for period in _PERIODS_OF),
    )
)
_DATES = tuple(
    re.compile(rf"(?<![\w$.,]){pattern}(?!\w|[.,]\d)", re.I)
    for pattern in (
        r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})",
        r"(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})",
        r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4}|\d{2})",
        rf"{_MONTH}\s+{_DAY}(?:,?\s+(?P<y>\d{{4}}))?",
        rf"{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+(?P<y>\d{{4}}))?",
        rf"{_MONTH},?\s+(?P<y>\d{{4}})",
        rf"(?-i:(?P<m>{'|'.join(m.title() for m in _MONTHS.split() if m != 'may')}))",
        r"(?<=\b(?:in|of|by)\s)(?-i:(?P<m>May))",
        r"(?:(?<=\bon )|(?<=\bby )|(?<=\bfor ))(?P<m>\d{1,2})/(?P<d>\d{2})",
        r"(?<=\()(?P<m>0?[1-9]|1[0-2])/(?P<d>[0-3]?\d)(?=\))",
        r"(?<=\bthe )(?P<d>[0-3]?\d)(?:st|nd|rd|th)(?![^.;\n]{0,30}percentile)",
        rf"(?:{_YEAR_AFTER})(?P<y>(?:19|20)\d\d)(?!\s*(?:dollar|usd|eur|%|per|a share|each|buck))",
        r"(?<=\bfrom )(?P<y>(?:19|20)\d\d)(?=\s+(?:on\b|onwards?|(?:to|through|until)\b))",
    )
)
_INDICES = re.compile(r"S&P\s?500|Nasdaq[- ]100|Russell 2000", re.I)
_LABELS = re.compile(r"^[ \t]*(?P<item>\d{1,2})[.)](?=[ \t]+\S)", re.M)
_PERCENTILE = re.compile(
    r"\b(?P<number>\d{1,2})(?:st|nd|rd|th)?"
    r"(?:[\s-]percentiles?\b"
    r"|(?=(?:,?\s+(?:and\s+|to\s+)?\d{1,2}(?:st|nd|rd|th))+[\s-]percentile))",
    re.I,
)
_OF_PERCENTILE = re.compile(r"percentile[^.;\n]*\bthe $", re.I)
_ORDINAL = re.compile(
    r"(?<![\w.,$])(?P<number>\d{1,2})(?:(?:st|nd|rd|th)\b|(?=[\s-]percentile))", re.I
)
# What no reader has read: digits glued to letters, and words for numbers that are not digits here.
_UNREAD = re.compile(
    r"(?<!\w)(?=\w*\d)(?!Q[1-4]\b)\w+"
    r"|\b(?:(?:hundred|thousand|[mbtr]+illion|dozen|zero)(?:s|th)?|nil|nought|grand|twice|thrice"
    r"|(?!mani)\w{2,9}-?fold|(?:in|by) half(?! an? )"
    r"|quintupl\w+|(?<!first )(?<!second )half (?:of )?(?:the|its|as|a chance))\b",
    re.I,
)
_RANGE_GAP = re.compile(
    rf"\s*(?:\b(?:all the way )?(?:up |down )?(?P<word>to|and|through|but)\b"
    rf"|(?P<mark>[-\u2013\u2014,\u2026]|\.\.\.?))"
    rf"\s*(?:the\s+)?(?:{ABOUT}|below|under|(?:a |an )?(?:upper|high)(?: end| bound| of)*)?\s*",
    re.I,
)
_RANGE_LEAD = re.compile(rf"\b(?:between|above|over|within|low of)\s*(?:{ABOUT})?\s*$", re.I)
_TYPOGRAPHY = str.maketrans("\u00a0\u202f\u2009\u2019\u2018\u2212*\\`", "   ''-   ")


def _worded_digits(match: re.Match[str]) -> str:
    """Return a number in words as digits, padded to keep the positions."""
    total = current = 0
    last = 1000
    for word in re.findall(rf"\b{_WORD}\b", match[0].lower()):
        value = _WORDED[word]
        if value < 100 and (last < 20 or (last < 100 and value > 9)):
            return "0,0".ljust(len(match[0]))  # "one-four": no number that can be read
        last = value
        if value == 1000:
            total, current = total + max(current, 1) * 1000, 0
        else:
            current = max(current, 1) * 100 if value == 100 else current + value
    return str(total + current).ljust(len(match[0]))


def _blank(text: str, figures: Iterable[Figure]) -> str:
    for figure in figures:
        text = text[: figure.start] + " " * (figure.end - figure.start) + text[figure.end :]
    return text


def _without_labels(text: str) -> str:
    """Blank out the names of indices, and the numbers of a list's items: 1, 2, 3 and so on."""
    text = _INDICES.sub(lambda m: " " * len(m[0]), text)
    item = 0
    for match in _LABELS.finditer(text):
        if int(match["item"]) == item + 1:
            item += 1
            text = _blank(text, [Figure("label", *match.span())])
    return text


def _dates(text: str) -> list[Figure]:
    found: list[Figure] = []
    for pattern in _DATES:
        new = [Figure("date", *m.span(), unit=_date_parts(m)) for m in pattern.finditer(text)]
        new = [f for f in new if not _OF_PERCENTILE.search(text, max(0, f.start - 80), f.start)]
        found, text = found + new, _blank(text, new)
    return found


def _date_parts(match: re.Match[str]) -> str:
    """Return a date as ``YYYY-MM-DD`` with ``?`` for a part that is not said."""
    parts = match.groupdict()
    year, month, day = parts.get("y") or "????", parts.get("m") or "??", parts.get("d") or "??"
    month = str(_MONTH_NUMBER.get(month[:3].lower(), month))
    if month.isdigit() and day.isdigit() and int(month) > 12:
        month, day = day, month
    return f"{year.rjust(4, '0') if len(year) == 4 else '20' + year}-{month:0>2}-{day:0>2}"


def _amounts(text: str) -> Iterator[Figure]:
    """Yield every number that is left: a price, with its currency as the unit, or a bare one."""
    for match in _DOLLARS_AND_CENTS.finditer(text):
        value = float(match[1].replace(",", "")) + int(match[2]) / 100
        whole = Figure("price", *match.span(), value, 0.005, "dollar")
        yield whole
        text = _blank(text, [whole])
    for match in _MONEY.finditer(text):
        value, tolerance = number_of(match["number"])
        scale = _SCALES[match["scale"].lower()] if match["scale"] else 1.0
        if (match["after"] or "").lower().startswith("cent"):
            scale = 0.01
        value, tolerance = value * scale, min(tolerance * scale, max(0.5, 0.01 * value * scale))
        if is_hedged(text, *match.span()):
            tolerance = _hedged(match["number"], value, tolerance)
        units = {(match[g] or "").lower() for g in ("before", "after")} - {""}
        unit = " ".join(sorted({_SYMBOLS.get(u, _SYMBOLS.get(u[:-1], u)) for u in units}))
        yield Figure("price", *match.span(), -value if match["sign"] else value, tolerance, unit)


def _hedged(words: str, value: float, tolerance: float) -> float:
    """Return how far off a price may be that is said with "about": a last 0 or 5 is rounded."""
    rounded = words.rstrip()[-1:] in ("0", "5")
    if "." in words:
        return (10 if words.rstrip()[-1:] == "0" else 5 if rounded else 2) * tolerance
    return max(tolerance, 0.01 * value, 2.5 if rounded and value >= 100 else 0.0)


def _decades(text: str) -> Iterator[Figure]:
    """Yield "$800s" and "high $600s" as prices with a wide tolerance."""
    for match in _DECADE.finditer(text):
        start = float(match["number"])
        step = 10.0 ** (len(match["number"]) - len(match["number"].rstrip("0")))
        low, high = _THIRDS.get((match["low"] or "").lower(), (0.0, 1.0))
        high = _THIRDS[match["high"].lower()][1] if match["high"] else high
        unit = "dollar" if match["unit"] else ""
        middle, half = start + step * (low + high) / 2, step * (high - low) / 2
        if unit or start < 1900 or step > 10:
            yield Figure("price", *match.span(), middle, half, unit)


def _ratios(text: str) -> Iterator[Figure]:
    for match in _RATIO.finditer(text):
        yield Figure("ratio", *match.span(), *number_of(match["number"]))
    for match in _FACTOR.finditer(text):
        yield Figure("ratio", *match.span(), *number_of(match["number"]))
    for match in _RATIO_WORD.finditer(text):
        ratio = {"half": 0.5, "triple": 3.0, "four": 4.0}.get(match.lastgroup or "", 2.0)
        yield Figure("ratio", *match.span(), ratio, 0.05 * ratio)


def _percentiles(text: str) -> Iterator[Figure]:
    ordinals = _ORDINAL if re.search(r"percentile", text, re.I) else _PERCENTILE
    for match in ordinals.finditer(text):
        whole = _PERCENTILE.match(text, match.start()) or match
        yield Figure("percentile", *whole.span(), *number_of(match["number"]))


def _ranges(text: str, prices: list[Figure]) -> Iterator[Figure]:
    """Join neighbouring prices that the text puts as a range."""
    waiting: Figure | None = None
    for price in prices:
        gap = waiting and _RANGE_GAP.fullmatch(text, waiting.end, price.start)
        if waiting and gap and _is_range(text, waiting, gap):
            unit, high = waiting.unit or price.unit, price
            if re.search(r"\dcents?$|\d\s+cents?$", text[price.start : price.end], re.I):
                waiting = waiting if waiting.unit else _in_cents(waiting)
            if is_about(text, waiting.start):  # "about $680 to $995" hedges both
                wide = _hedged(text[price.start : price.end], price.value, price.tolerance)
                high = replace(price, tolerance=max(price.tolerance, wide))
            yield replace(waiting, kind="range", end=price.end, unit=unit, high=high)
            waiting = None
            continue
        if waiting:
            yield waiting
        waiting = price
    if waiting:
        yield waiting


def _in_cents(price: Figure) -> Figure:
    return replace(price, value=price.value / 100, tolerance=price.tolerance / 100)


def _is_range(text: str, low: Figure, gap: re.Match[str]) -> bool:
    if text[: low.start].endswith("+"):
        return False  # "+2 cents to $46.83"
    if gap["mark"] == ",":
        return text[: low.start].rstrip().endswith(("[", "("))
    if gap["word"] in ("and", "but"):
        return _RANGE_LEAD.search(text, max(0, low.start - NEAR), low.start) is not None
    return True


def _unit_of_count(match: re.Match[str]) -> str:
    unit = match["unit"].lower()
    if unit == "day" and match["calendar"]:
        return "calendar day"
    return "session" if unit == "day" and match["open"] else unit


def read_figures(text: str) -> Page:
    """Read a text into its figures.

    Example:
        >>> page = read_figures("The median is eight hundred dollars on March 28, with 53 %.")
        >>> [(figure.kind, figure.value, figure.unit) for figure in page.figures]
        [('price', 800.0, 'dollar'), ('date', nan, '????-03-28'), ('percent', 53.0, '')]
    """
    clean = _WORDED_NUMBER.sub(_worded_digits, text.translate(_TYPOGRAPHY))
    clean = _without_labels(clean)
    figures = _dates(clean)
    prose = _blank(clean, figures)
    chances = list(chances_in(prose))
    rest = _blank(prose, chances)
    counts = [
        Figure("count", *m.span(), *number_of(m["number"]), _unit_of_count(m))
        for m in _COUNT.finditer(rest)
    ]
    rest = _blank(rest, counts)
    quantiles = list(_percentiles(rest))
    rest = _blank(rest, quantiles)
    ratios = list(_ratios(rest))
    rest = _blank(rest, ratios)
    decades = list(_decades(rest))
    amounts = [*decades, *_amounts(_blank(rest, decades))]
    amounts.sort(key=lambda figure: figure.start)
    figures += chances + counts + quantiles + ratios + list(_ranges(rest, amounts))
    rest = _blank(rest, amounts)
    figures += [Figure("unread", *m.span()) for m in _UNREAD.finditer(rest)]
    return Page(text, clean, prose, tuple(sorted(figures, key=lambda f: f.start)))
