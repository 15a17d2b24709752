"""Read a text into figures (dates, percentages, counts, prices, ranges of prices, bare numbers).

A text is read once: what one reader has found it blanks out for the next, and positions stay. The
words around a figure then say what it is meant to be: "last close was $834" gives $834 the role
"last", even when $834 is the median.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

NEAR = 40  # characters; how far from a figure a word that belongs to it is looked for


@dataclass(frozen=True)
class Figure:
    """One figure of a text.

    Attributes:
        kind: "date", "percent", "count", "ratio", "percentile", "price" (bare numbers too),
            "range" or "unread".
        start, end: its place in the text.
        value: the number; the lower end of a range; NaN for a date or a malformed number.
        tolerance: how far a true value may be from `value`, from the digits written.
        unit: a currency, a unit of time, or a date as ``YYYY-MM-DD`` with ``?`` for what is unsaid.
        high: the upper end of a range.
    """

    kind: str
    start: int
    end: int
    value: float = float("nan")
    tolerance: float = 0.0
    unit: str = ""
    high: "Figure | None" = None

    def is_near(self, value: float) -> bool:
        """Say whether `value`, rounded as the text rounds, could be this figure."""
        return abs(self.value - value) <= self.tolerance + 1e-9

    def spans(self, low: float, high: float) -> bool:
        """Say whether this is the range from `low` to `high`."""
        return self.high is not None and self.is_near(low) and self.high.is_near(high)

    def is_day(self, day: str) -> bool:
        """Say whether a date could be an ISO day, as far as it is said."""
        return all(a in ("?", b) for a, b in zip(self.unit, day, strict=True))

    def ends(self) -> "tuple[Figure, ...]":
        """Return the figure, and the upper end when it is a range."""
        return (self,) if self.high is None else (self, self.high)


@dataclass(frozen=True)
class Page:
    """A text and its figures; `clean` and `prose` are as long as `original`.

    Attributes:
        original: the text as written.
        clean: the text with numbers in words as digits, and without markup.
        prose: `clean` without dates.
        figures: all figures, in order.
    """

    original: str
    clean: str
    prose: str
    figures: tuple[Figure, ...] = ()

    def words(self, figure: Figure) -> str:
        """Return a figure as written."""
        return self.original[figure.start : figure.end].strip()

    def before(self, figure: Figure) -> str:
        """Return the few words in front of a figure."""
        return self.prose[max(0, figure.start - NEAR) : figure.start]

    def sentence(self, figure: Figure) -> tuple[int, int]:
        """Return where the sentence of a figure starts and ends."""
        return _between(self._sentence_edges, figure, len(self.prose))

    def sentence_before(self, start: int) -> int:
        """Return where the sentence starts that ends at `start`."""
        edges = [end for begin, end in self._sentence_edges if end < start]
        return edges[-1] if edges else 0

    def clause(self, figure: Figure) -> tuple[int, int]:
        """Return where the part of a sentence that a figure stands in starts and ends."""
        return _between(self._clause_edges, figure, len(self.prose))

    def lead_in(self, figure: Figure) -> str:
        """Return the words of the clause in front of a figure."""
        return self.prose[self.clause(figure)[0] : figure.start]

    def near(self, figure: Figure, *kinds: str) -> list[Figure]:
        """Return the figures of these kinds in the sentence of a figure."""
        start, end = self.sentence(figure)
        return [f for f in self.figures if start <= f.start < end and f.kind in kinds]

    @cached_property
    def _sentence_edges(self) -> list[tuple[int, int]]:
        return [match.span() for match in _SENTENCE.finditer(self.prose)]

    @cached_property
    def _clause_edges(self) -> list[tuple[int, int]]:
        edges = (match.span() for match in _CLAUSE.finditer(self.prose))
        # "between $200 and $277" is not two clauses
        return [e for e in edges if not _BETWEEN.search(self.prose, max(0, e[0] - NEAR), e[0])]


def _between(edges: list[tuple[int, int]], figure: Figure, length: int) -> tuple[int, int]:
    start = max((end for _, end in edges if end <= figure.start), default=0)
    return start, min((edge for edge, _ in edges if edge >= figure.end), default=length)


_BETWEEN = re.compile(r"\bbetween\s+(?:about\s+)?[$]?[\d.,]+$", re.I)
_NUMBER = r"\d(?:[\d.,]*\d)?"
_PLAIN_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?|\.(\d+)")
_SCALES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "million": 1e6}
_SCALES |= {"b": 1e9, "bn": 1e9, "billion": 1e9, "trillion": 1e12}
_SYMBOLS = {"$": "dollar", "us$": "USD", "usd": "USD", "€": "EUR", "eur": "EUR", "euro": "EUR"}
_SYMBOLS |= {"£": "GBP", "gbp": "GBP", "pound": "GBP", "¥": "JPY", "jpy": "JPY", "yen": "JPY"}
_SYMBOLS |= {"₹": "INR", "inr": "INR", "rupee": "INR", "dollar": "dollar", "buck": "dollar"}
_SYMBOLS |= {"chf": "CHF", "franc": "CHF", "cad": "CAD", "c$": "CAD", "a$": "AUD", "aud": "AUD"}
_SYMBOLS |= {"hk$": "HKD", "hkd": "HKD", "cent": "dollar", "us dollar": "USD"}
_DOLLARS = ("USD", "CAD", "AUD", "HKD", "NZD", "SGD")
_BEFORE = r"(?:US|HK|C|A)?\$|[€£¥₹]|(?:USD|EUR|GBP|JPY|INR|CHF|CAD|AUD|HKD)(?![a-z])"
_AFTER = (
    rf"\$(?!\s?\d)|[€£¥₹](?!\s?\d)|(?:{'|'.join(s for s in _SYMBOLS if s.isalpha())}|US dollar)s?\b"
)
_DOLLARS_AND_CENTS = re.compile(
    r"(?<![\w.,$])(\d[\d,]*)\s+(?:dollars?|bucks?)\s+(?:and\s+)?(\d{1,2})\s+cents?\b", re.I
)
_MONEY = re.compile(
    rf"(?<![\w.,])(?P<sign>-(?=\s?[$€£]))?(?:(?P<before>{_BEFORE})\s?)?(?P<number>{_NUMBER})"
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
_COUNTED = r"(?=[\s-]+(?:in|out|time|chance|case|half|third|quarter|fifth|sixth|tenth|per|to"
_COUNTED += r"|of the|and|hundred|thousand|(?:trading |calendar )?(?:session|day|week|month|year)"
_COUNTED += r"|dollar|buck|cent)\b)"
_JOIN = r"(?:(?:(?<=hundred)|(?<=thousand))\s+and\s+|[\s-]+)"
_WORDED_NUMBER = re.compile(
    rf"\b(?!(?<!to[\s-])one\b(?!{_COUNTED})(?!{_JOIN}{_WORD}\b)){_WORD}\b(?:{_JOIN}{_WORD}\b)*",
    re.I,
)
_PERCENT = re.compile(
    rf"(?<![\w.,])(?P<number>[-+]?{_NUMBER})[\s-]*"
    r"(?:(?P<points>(?:percentage|percent|%)?[\s-]*points?\b|pp\b)|%|per\s?cent\b|pct\b"
    r"|(?P<bps>bps?\b|basis points?\b))",
    re.I,
)
_ODDS = re.compile(
    r"(?<![\w.,$])(\d+)[\s-]*(?:(?:times?|chances?|cases?|days?)\s+)?(?:in|out of|[-/])[\s-]*"
    r"(?:every\s+)?(\d+)(?![\d.,]*\d)"
)
_AGAINST = re.compile(
    r"(?<![\w.,$])(?P<for>\d+)(?:\s+|-)to(?:\s+|-)(?P<to>\d+)(?![\d.,]*\d)"
    r"(?:\s+(?:odds\s+)?(?P<against>against)|(?=\s+(?:odds|on\b|in favou?r)))",
    re.I,
)
_RATIO = re.compile(
    rf"(?<![\w.,$])(?P<number>{_NUMBER})(?:[\s-]*times\b(?!\s+(?:in|out)\b)|[x\u00d7](?!\w))", re.I
)
_FRACTION = re.compile(r"(?<![\w.,$])0?\.\d+(?![\w%])")
_COUNT = re.compile(
    rf"(?<![\w.,$])(?P<number>{_NUMBER})[\s-]+(?:(?:(?P<open>trading|business|market|exchange)"
    r"|(?P<calendar>calendar)|more|full|short)[\s-]+){0,2}(?P<unit>session|day|week|month|quarter|year|hour|minute)s?\b",
    re.I,
)
_MONTHS = "january february march april may june july august september october november december"
_MONTH_NUMBER = {name[:3]: n for n, name in enumerate(_MONTHS.split(), start=1)}
_MONTH = rf"(?P<m>(?:{'|'.join(_MONTHS.split())}|(?:{'|'.join(_MONTH_NUMBER)}|sept)\b\.?))"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?(?!\d)"
_YEAR_AFTER = "|".join(
    rf"(?<=\b{w}\s)" for w in (*"in by year since until".split(), r"Q\d", "end of")
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
        rf"(?:{_YEAR_AFTER})(?P<y>(?:19|20)\d\d)(?!\s*(?:dollar|usd|eur|%|per|a share|each|buck))",
    )
)
_INDICES = re.compile(r"S&P\s?500|Nasdaq[- ]100|Russell 2000", re.I)
_LABELS = re.compile(r"^[ \t]*(?P<item>\d{1,2})[.)](?=[ \t]+\S)", re.M)
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8}
_PARTS |= {"tenth": 10}
_PART = re.compile(
    r"\b(\d+|an?)(?:\s*-\s*|\s+(?=\w+\s+(?:chance|probab|likel|odds|of\b))"
    r"|(?<=\d)\s+(?!quarter))"
    rf"({'|'.join(_PARTS)})s?\b",
    re.I,
)
_HALF = re.compile(
    r"\bhalf (?:of )?(?:(?:the|all|its|such)\s+)?(?=(?:time|outcomes?|probability|belief|mass"
    r"|closes|cases|chance|distribution|days|forecasts|weight|paths|scenarios)\b)"
    r"|\bhalf a chance\b",
    re.I,
)
_PERCENTILE = re.compile(
    r"\b(?P<number>\d{1,2})(?:st|nd|rd|th)?"
    r"(?:[\s-]percentiles?\b"
    r"|(?=(?:,?\s+(?:and\s+|to\s+)?\d{1,2}(?:st|nd|rd|th))+[\s-]percentile))",
    re.I,
)
# What no reader has read: digits glued to letters, and words for numbers that are not digits here.
_UNREAD = re.compile(
    r"(?<!\w)(?=\w*\d)(?!Q[1-4]\b)\w+"
    r"|\b(?:(?:hundred|thousand|[mbtr]+illion|dozen|zero)(?:s|th)?|nil|nought|grand|twice|thrice"
    r"|(?!mani)\w{2,9}-?fold|(?:in|by) half(?! an? )"
    r"|(?:quadrupl|quintupl)\w+|(?<!first )(?<!second )half (?:of )?(?:the|its|as|a chance))\b",
    re.I,
)
ABOUT = r"(?:about|around|roughly|approximately|approx\.?|nearly|almost|close to|near|some|~|≈)"
_IS_ABOUT = re.compile(rf"{ABOUT}\s*$", re.I)
_SENTENCE = re.compile(
    r"(?<!\bvs)(?<!approx)(?<!\bInc)(?<!Corp)(?<!\bCo)(?<!i\.e)(?<!e\.g)[.!?](?=[\s*]|$)|\n"
)
_CLAUSE = re.compile(
    r"(?<!\bvs)(?<!approx)(?<!i\.e)(?<!e\.g)[.!?](?=\s|$)|\n|;|,(?!\d)|\s(?:while|but)\s"
    r"|\sand\s(?!(?:up|above|below|over|more|under|higher|lower)\b\W{1,2}(?![$\d]))"
)

_RANGE_GAP = re.compile(
    rf"\s*(?:\b(?:up |all the way )?(?P<word>to|and|through|but)\b|(?P<mark>[-\u2013\u2014,]))"
    rf"\s*(?:{ABOUT}|below|under|(?:a |an )?(?:upper|high)(?: end| bound| of)*)?\s*",
    re.I,
)
_RANGE_LEAD = re.compile(rf"\b(?:between|above|over|within|low of)\s*(?:{ABOUT})?\s*$", re.I)
_TYPOGRAPHY = str.maketrans("\u00a0\u202f\u2009\u2019\u2018\u2212*\\`", "   ''-   ")


def is_about(text: str, start: int) -> bool:
    """Say whether "about" or the like stands in front of a position."""
    return _IS_ABOUT.search(text, max(0, start - NEAR), start) is not None


def _number(words: str) -> tuple[float, float]:
    """Return the value of `words` and half a unit of its last place; NaN when malformed."""
    match = _PLAIN_NUMBER.fullmatch(words.lstrip("+-"))
    if match is None:
        return float("nan"), 0.0
    decimals = len(match[1] or match[2] or "")
    return float(words.replace(",", "")), 0.5 * 10.0**-decimals


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


def _chances(text: str) -> Iterator[Figure]:
    for match in _PERCENT.finditer(text):
        value, tolerance = _number(match["number"])
        if match["bps"]:
            yield Figure("percent", *match.span(), value / 100, tolerance / 100)
            continue
        if is_about(text, match.start()):
            wider = max(min(1.0, 0.1 * abs(value)), 0.01 * abs(value))
            tolerance = max(tolerance, wider) if tolerance == 0.5 else 2 * tolerance
        unit = "points" if match["points"] else ""
        yield Figure("percent", *match.span(), value, tolerance, unit)
    yield from _odds(text)
    for match in _PART.finditer(text):
        count = int(match[1]) if match[1].isdigit() else 1
        yield Figure("percent", *match.span(), 100.0 * count / _PARTS[match[2].lower()], 3.0)
    page = Page(text, text, text)
    for match in _FRACTION.finditer(text):
        figure = Figure("percent", *match.span())
        start, end = page.sentence(figure)
        if re.search(r"prob|chance|likelihood|volatil|\bP\s?[(=:]|odds", text[start:end], re.I):
            value, tolerance = _number(match[0])
            yield replace(figure, value=100 * value, tolerance=100 * tolerance)


def _odds(text: str) -> Iterator[Figure]:
    """Yield "one in four", "4 to 1 against" and "an even chance" as percentages."""
    for match in _ODDS.finditer(text):
        part, whole = int(match[1]), int(match[2])
        if part < whole <= 100 or match[1] == match[2] == "50":
            share = 50.0 if part == whole else 100.0 * part / whole
            yield Figure("percent", *match.span(), share, min(3.0, max(1.0, 0.2 * share)))
    for match in _AGAINST.finditer(text):
        a, b = int(match["for"]), int(match["to"])
        if a + b:
            share = 100.0 * (b if match["against"] else a) / (a + b)
            yield Figure("percent", *match.span(), share, min(3.0, max(1.0, 0.2 * share)))
    for match in _HALF.finditer(text):
        yield Figure("percent", *match.span(), 50.0, 3.0)


def _amounts(text: str) -> Iterator[Figure]:
    """Yield every number that is left: a price, with its currency as the unit, or a bare one."""
    for match in _DOLLARS_AND_CENTS.finditer(text):
        value = float(match[1].replace(",", "")) + int(match[2]) / 100
        whole = Figure("price", *match.span(), value, 0.005, "dollar")
        yield whole
        text = _blank(text, [whole])
    for match in _MONEY.finditer(text):
        value, tolerance = _number(match["number"])
        scale = _SCALES[match["scale"].lower()] if match["scale"] else 1.0
        if (match["after"] or "").lower().startswith("cent"):
            scale = 0.01
        about = is_about(text, match.start())
        value, tolerance = value * scale, min(tolerance * scale, max(0.5, 0.01 * value * scale))
        if about:
            tolerance = 2 * tolerance if "." in match["number"] else max(tolerance, 0.01 * value)
        units = {(match[g] or "").lower() for g in ("before", "after")} - {""}
        unit = " ".join(sorted({_SYMBOLS.get(u, _SYMBOLS.get(u[:-1], u)) for u in units}))
        yield Figure("price", *match.span(), -value if match["sign"] else value, tolerance, unit)


def _ranges(text: str, prices: list[Figure]) -> Iterator[Figure]:
    """Join neighbouring prices that the text puts as a range."""
    waiting: Figure | None = None
    for price in prices:
        gap = waiting and _RANGE_GAP.fullmatch(text, waiting.end, price.start)
        if waiting and gap and _is_range(text, waiting, gap):
            unit = waiting.unit or price.unit
            yield replace(waiting, kind="range", end=price.end, unit=unit, high=price)
            waiting = None
            continue
        if waiting:
            yield waiting
        waiting = price
    if waiting:
        yield waiting


def _is_range(text: str, low: Figure, gap: re.Match[str]) -> bool:
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
    chances = list(_chances(prose))
    rest = _blank(prose, chances)
    counts = [
        Figure("count", *m.span(), *_number(m["number"]), _unit_of_count(m))
        for m in _COUNT.finditer(rest)
    ]
    rest = _blank(rest, counts)
    quantiles = [
        Figure("percentile", *m.span(), *_number(m["number"])) for m in _PERCENTILE.finditer(rest)
    ]
    rest = _blank(rest, quantiles)
    ratios = [Figure("ratio", *m.span(), *_number(m["number"])) for m in _RATIO.finditer(rest)]
    rest = _blank(rest, ratios)
    amounts = sorted(_amounts(rest), key=lambda figure: figure.start)
    figures += chances + counts + quantiles + ratios + list(_ranges(rest, amounts))
    rest = _blank(rest, amounts)
    figures += [Figure("unread", *m.span()) for m in _UNREAD.finditer(rest)]
    return Page(text, clean, prose, tuple(sorted(figures, key=lambda f: f.start)))
