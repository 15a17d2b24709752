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
        kind: "date", "percent", "count", "price" (bare numbers too), "range" or "unread".
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
        return [match.span() for match in _CLAUSE.finditer(self.prose)]

    @cached_property
    def roles(self) -> list[re.Match[str]]:
        """Return every word that can give a figure its role."""
        return list(_ROLE.finditer(self.prose))


def _between(edges: list[tuple[int, int]], figure: Figure, length: int) -> tuple[int, int]:
    start = max((end for _, end in edges if end <= figure.start), default=0)
    return start, min((edge for edge, _ in edges if edge >= figure.end), default=length)


_NUMBER = r"\d(?:[\d.,]*\d)?"
_PLAIN_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?|\.(\d+)")
_SCALES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "million": 1e6}
_SCALES |= {"b": 1e9, "bn": 1e9, "billion": 1e9, "trillion": 1e12}
_SYMBOLS = {"$": "dollar", "us$": "USD", "usd": "USD", "€": "EUR", "eur": "EUR", "euro": "EUR"}
_SYMBOLS |= {"£": "GBP", "gbp": "GBP", "pound": "GBP", "¥": "JPY", "jpy": "JPY", "yen": "JPY"}
_SYMBOLS |= {"₹": "INR", "inr": "INR", "rupee": "INR", "dollar": "dollar", "buck": "dollar"}
_SYMBOLS |= {"chf": "CHF", "franc": "CHF", "cad": "CAD", "c$": "CAD", "a$": "AUD", "aud": "AUD"}
_SYMBOLS |= {"hk$": "HKD", "hkd": "HKD", "cent": "cents", "us dollar": "USD"}
_DOLLARS = ("USD", "CAD", "AUD", "HKD", "NZD", "SGD")
_BEFORE = r"(?:US|HK|C|A)?\$|[€£¥₹]|(?:USD|EUR|GBP|JPY|INR|CHF|CAD|AUD|HKD)(?![a-z])"
_AFTER = (
    rf"\$(?!\s?\d)|[€£¥₹](?!\s?\d)|(?:{'|'.join(s for s in _SYMBOLS if s.isalpha())}|US dollar)s?\b"
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
_JOIN = r"(?:(?:(?<=hundred)|(?<=thousand))\s+and\s+|[\s-]+)"
_WORDED_NUMBER = re.compile(rf"\b{_WORD}\b(?:{_JOIN}{_WORD}\b)*", re.I)
_PERCENT = re.compile(rf"(?<![\w.,])(?P<number>[-+]?{_NUMBER})[\s-]*(?:%|per\s?cent\b|pct\b)", re.I)
_ODDS = re.compile(r"(?<![\w.,$])(\d+)\s*(?:in|out of|[-/])\s*(?:every\s+)?(\d+)(?![\d.,]*\d)")
_FRACTION = re.compile(r"(?<![\w.,$])0?\.\d+(?![\w%])")
_COUNT = re.compile(
    rf"(?<![\w.,$])(?P<number>{_NUMBER})[\s-]+(?:(?:trading|business|market|exchange|calendar|more)"
    r"[\s-]+)?(?P<unit>session|day|week|month|quarter|year|hour|minute)s?\b",
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
    rf"\b(\d+|a)(?:\s*-\s*|\s+(?=\w+\s+(?:chance|probab|likel|odds|of\b)))({'|'.join(_PARTS)})s?\b",
    re.I,
)
# What no reader has read: digits glued to letters, and words for numbers that are not digits here.
_UNREAD = re.compile(
    r"(?<!\w)(?=\w*\d)(?!Q[1-4]\b)\w+"
    r"|\b(?:(?:hundred|thousand|[mbtr]+illion|dozen|zero)(?:s|th)?|nil|nought|grand|twice|thrice"
    r"|(?!mani)\w{2,9}-?fold|times (?:higher|lower|more|less|greater|as|its|the)|(?:in|by) half"
    r"|(?:quadrupl|quintupl)\w+|(?<!first )(?<!second )half (?:of )?(?:the|its|as|a chance))\b",
    re.I,
)
ABOUT = r"(?:about|around|roughly|approximately|approx\.?|nearly|almost|close to|near|some|~|≈)"
_IS_ABOUT = re.compile(rf"{ABOUT}\s*$", re.I)
_SENTENCE = re.compile(r"(?<!\bvs)(?<!approx)(?<!\bInc)(?<!Corp)(?<!\bCo)[.!?](?=\s|$)|\n")
_CLAUSE = re.compile(r"(?<!\bvs)(?<!approx)[.!?](?=\s|$)|\n|;|,(?!\d)|\sand\s|\s(?:while|but)\s")

# The nearest word before a price gives its role; a word serves one price only.
_ROLE_WORDS = {
    "last": r"(?:last|latest|most recent|current|today'?s|present|previous|prior)\s+"
    r"(?:(?!forecast|expected|predicted|median|belief)\w+\s+){0,2}?(?:close|price|value|level)"
    r"|closed|(?:is |was )?currently|today(?:'s)?|last traded|now (?:at|trad\w+)"
    r"|(?<!be )(?<!to )trad(?:es|ing) at|(?:up|down) from|versus|vs|compared (?:to|with)|against",
    "level": r"above|below|over|under|exceed\w*|at least|at most|more than|less than"
    r"|(?:higher|lower|greater) than|beyond|past|surpass\w*|threshold|level|cross\w*",
    "expected": r"expect\w*|median|predict\w*|forecast\w*|project(?:s|ed|ion)|anticipat\w*"
    r"|estimat\w*|will|would|should|target\w*|reach\w*|hits?|likely|best guess|belief",
    "low": r"(?:as )?lows?|lowest|lower (?:end|bound|limit)|minimum",
    "high": r"(?:as )?highs?|highest|upper(?: end| bound| limit)?|maximum",
    "possible": r"could|may|might",
    "price": r"prices?|worth|valued? at",
}
_ROLE_PATTERN = "|".join(f"(?P<{role}>{words})" for role, words in _ROLE_WORDS.items())
_ROLE = re.compile(rf"\b(?:{_ROLE_PATTERN})\b", re.I)
_ROLE_AFTER = re.compile(
    rf"\s*(?:\b(?:is|was|at|as|being|on)\s+(?:the |its |our |a )?(?:{_ROLE_PATTERN})\b"
    r"|\(\s*(?:the )?(?:(?P<last_>last close|today|now)|(?P<expected_>median|expected))\s*\)"
    r"|(?P<level_>is\s+(?:very\s+|quite\s+)?(?:unlikely|not likely))"
    r"|(?P<last__>today|now|currently)\b)",
    re.I,
)
ROLE_NAMES = {"last": "the last close", "expected": "the expected price", "level": "a level"}
_RANGE_GAP = re.compile(
    rf"\s*(?:\b(?P<word>to|and|through|but)\b|(?P<mark>[-\u2013\u2014,]))\s*(?:{ABOUT}|below|under"
    r"|(?:a |an )?(?:upper|high)(?: end| bound| of)*)?\s*",
    re.I,
)
_RANGE_LEAD = re.compile(rf"\b(?:between|above|over|within|low of)\s*(?:{ABOUT})?\s*$", re.I)
_UP = r"ris(?:e|es|ing)|rose|up|upwards?|higher|increas\w*|gain\w*|climb\w*|grow\w*|above|over"
_UP += r"|exceed\w*|at least|more than|beyond|surpass\w*|past|reach\w*|hits?|cross\w*|advanc\w*"
LIES = r"(?!\s+(?:between|in|within|inside|into|somewhere)\b)"  # "falls between" is no fall
_DOWN = (
    rf"fall\w*{LIES}|fell|down|downwards?|lower|drop\w*|declin\w*|decreas\w*|below|under|less than"
)
_DOWN += r"|los(?:e|es|s|ing)|at most|sink\w*|shrink\w*|slip\w*"
WAY = re.compile(rf"\b(?:(?P<up>{_UP})|(?P<down>{_DOWN}))\b", re.I)
MOVE = re.compile(r"\b(?:ris|rose|increas|climb|gain|fall|fell|drop|declin|mov|chang|go)\w*", re.I)
HEDGE = re.compile(r"\b(?:chances?|probab\w*|odds|likelihood|could|may|might|whether|if)\b", re.I)
_AS_OF = r"as of|made|issued|dated|based on|data|since|starting|last clos\w+|closed|close of"
_AS_OF += r"|forecast from"
_DATE_ROLE = re.compile(
    rf"\b(?:(?P<as_of>{_AS_OF}|known|latest)|(?P<target>{_ROLE_WORDS['expected']}))\b", re.I
)
INTERVAL = re.compile(r"\b(?:intervals?|bands?|ranges?|confidence|bounds?)\b", re.I)
NOT = r"\b(?:not|no|never|nor|neither|nothing|none|cannot|without|far from|rather than|unlikely)\b"
DENIES = re.compile(rf"{NOT}|n't\b", re.I)
NEGATED = re.compile(rf"(?:{NOT}|n't\b)(?:[^\w.!?;\n]+(?!but\b)\w+){{0,4}}[^\w.!?;\n]*$", re.I)
_DIFFERENCE_BEFORE = re.compile(
    rf"\b(?:(?:{_UP}|{_DOWN}|change)\s+(?:of|by)|up|down|increase|gain|lose)\s+(?:{ABOUT}\s+)?$",
    re.I,
)
_DIFFERENCE_AFTER = re.compile(
    r"\s*(?:higher|lower|more|less|(?:increase|rise|gain|drop|fall|decline)\b"
    r"|(?:above|below|over|under)\s+(?:the |its )?(?:last|latest|current|today))",
    re.I,
)
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
        if is_about(text, match.start()):
            tolerance = max(tolerance, 1.0)
        yield Figure("percent", *match.span(), value, tolerance)
    for match in _ODDS.finditer(text):
        part, whole = int(match[1]), int(match[2])
        if part < whole <= 100 or match[1] == match[2] == "50":
            share = 50.0 if part == whole else 100.0 * part / whole
            yield Figure("percent", *match.span(), share, 3.0)
    for match in _PART.finditer(text):
        count = int(match[1]) if match[1].isdigit() else 1
        yield Figure("percent", *match.span(), 100.0 * count / _PARTS[match[2].lower()], 3.0)
    page = Page(text, text, text)
    for match in _FRACTION.finditer(text):
        figure = Figure("percent", *match.span())
        start, end = page.sentence(figure)
        if re.search(r"probab|chance|likelihood|volatil", text[start:end]):
            value, tolerance = _number(match[0])
            yield replace(figure, value=100 * value, tolerance=100 * tolerance)


def _amounts(text: str) -> Iterator[Figure]:
    """Yield every number that is left: a price, with its currency as the unit, or a bare one."""
    for match in _MONEY.finditer(text):
        value, tolerance = _number(match["number"])
        scale = _SCALES[match["scale"].lower()] if match["scale"] else 1.0
        about = is_about(text, match.start())
        value, tolerance = value * scale, min(tolerance * scale, max(0.5, 0.01 * value * scale))
        tolerance = max(tolerance, 0.01 * value) if about else tolerance
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
        Figure("count", *m.span(), *_number(m["number"]), m["unit"].lower())
        for m in _COUNT.finditer(rest)
    ]
    rest = _blank(rest, counts)
    amounts = list(_amounts(rest))
    figures += chances + counts + list(_ranges(rest, amounts))
    rest = _blank(rest, amounts)
    figures += [Figure("unread", *m.span()) for m in _UNREAD.finditer(rest)]
    return Page(text, clean, prose, tuple(sorted(figures, key=lambda f: f.start)))


def role_of(page: Page, figure: Figure, used: set[int]) -> str:
    """Return what the nearest words say a price is: "last", "expected", "level", "low", or "".

    Args:
        page: the text.
        figure: the price.
        used: where the words stand that gave an earlier price its role; added to here.
    """
    after = _ROLE_AFTER.match(page.prose, figure.end)
    if after and after.lastgroup:
        used.add(after.start(after.lastgroup))
        return after.lastgroup.rstrip("_")
    start, end = page.sentence(figure)
    before = [m for m in page.roles if start <= m.start() and m.end() <= figure.start]
    before = [match for match in before if match.start() not in used]
    if not before:
        return ""
    nearest = before[-1]
    used.add(nearest.start())
    used.update(match.start() for match in before if match.lastgroup == "last")
    reached = re.match(r"reach|hit", nearest[0], re.I)
    unsure = page.prose[start:end] if nearest[0].lower() == "reaching" else page.lead_in(figure)
    if reached and (HEDGE.search(unsure) or DENIES.search(unsure)):
        return "level"
    if before[-2:-1] and before[-2].lastgroup == "possible" and nearest.lastgroup == "expected":
        return "possible"
    return nearest.lastgroup or ""


def is_difference(page: Page, figure: Figure) -> bool:
    """Say whether a price is a change, as in "up $11"."""
    before = _DIFFERENCE_BEFORE.search(page.before(figure))
    return bool(before or _DIFFERENCE_AFTER.match(page.prose, figure.end))


def way_of(text: str, *, last: bool = False) -> int:
    """Return +1 or -1 for the first (or last) direction word of `text`, 0 without one."""
    found = list(WAY.finditer(text))
    if not found:
        return 0
    match = found[-1 if last else 0]
    way = 1 if match.lastgroup == "up" else -1
    return -way if re.search(r"(?:\bnot|n't|no)\W+(?:\w+\W+)?$", text[: match.start()]) else way


def scopes_of_percentage(page: Page, figure: Figure) -> list[tuple[int, int]]:
    """Return where the subject of a percentage may stand, nearest wording first."""
    clause_start, clause_end = page.clause(figure)
    start, end = page.sentence(figure)
    others = [f for f in page.figures if f.kind == "percent"]
    clause_start = max([clause_start, *(f.end for f in others if f.end <= figure.start)])
    clause_end = min([clause_end, *(f.start for f in others if f.start >= figure.end)])
    before, after = (clause_start, figure.start), (figure.end, clause_end)
    attributive = re.match(
        r"\s*(?:chance|probab|likel|odds|confid|interval|range|above|below|higher|lower|of)",
        page.prose[figure.end :],
    )
    near = [after, before] if attributive else [before, after]
    return [*near, (start, figure.start), (figure.end, end)]


def role_of_date(page: Page, figure: Figure) -> str:
    """Say whether the words around make a date the "target" or the "as_of"; else ""."""
    start, _ = page.clause(figure)
    dates = [f.end for f in page.figures if f.kind == "date" and f.end <= figure.start]
    before = list(_DATE_ROLE.finditer(page.prose, max([start, *dates]), figure.start))
    if before:
        return before[-1].lastgroup or ""
    if re.search(r"\b(?:on|by|for)\s*(?:\w+day,?\s*)?$", page.prose[start : figure.start], re.I):
        _, end = page.sentence(figure)
        after = _DATE_ROLE.search(page.prose, figure.end, end)
        return (after.lastgroup or "") if after else ""
    return ""
