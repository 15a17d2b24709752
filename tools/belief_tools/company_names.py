"""Find the companies that a question names, by ticker, by name, or by a name with a slip in it."""

import difflib
import functools
import re
from collections.abc import Mapping, Sequence

from belief_tools.marked_text import blank, blank_all, whole_words

# Only what people commonly ask about; anything else needs "$XYZ", "NYSE: XYZ" or "XYZ's stock".
_WELL_KNOWN = dict(
    entry.split(" ", 1)
    for entry in (
        "AAPL apple, MSFT microsoft, GOOGL google|alphabet|GOOG, AMZN amazon, NVDA nvidia, TSLA "
        "tesla, "
        "META facebook|meta|meta platforms, AMD amd|advanced micro devices, INTC (?-i:Intel), AVGO "
        "broadcom, "
        "TSM tsmc?|taiwan semiconductor, QCOM qualcomm, MU micron, ASML asml, "
        "SMCI super ?micro, PLTR palantir, ORCL oracle, IBM ibm, CSCO cisco, CRM salesforce, "
        "ADBE adobe, NFLX netflix, DIS disney, BRK.B berkshire(?: hathaway)?, JPM jp ?morgan, "
        "BAC bank of america, GS goldman sachs, WMT walmart, KO coca[- ]cola, "
        "PEP pepsi(?:co)?, MCD mcdonald's, NKE nike, BA boeing, XOM exxon(?:mobil)?, PFE pfizer, "
        "LLY eli lilly, UBER uber, GME gamestop, SPY s&p(?: ?500)?, "
        "QQQ nasdaq[- ]100, DJI dow jones, BTC bitcoin, ETH ethereum"
    ).split(", ")
)
# Words of questions that are tickers or names of companies as well.
WORDS = frozenset(
    "a able about above act add after again ago ahead ai all allow also am an and any app "
    "apple apr are arm as ask at aug average away back band bank base be bear beat below best "
    "bet big bill bit block book both bull but buy by call can car care cash cat chance "
    "change chart check cheap city clear close coin come corp cost could crash cut daily data "
    "date day days deal dec deep did do does double dow down drop each earn ease east edge "
    "else end energy estimate even ever expect eye fact fall far fast feb figure fine first "
    "five flat floor flow for forecast four free fri from full fun fund future gain gap gas "
    "gen get give global go goes going gold good gone great group grow had half has have he "
    "hear help here high hit hold home hope hour how i if in into is it its jan jul jump jun "
    "just keep key know land last late lead least less let level life like likely limit line "
    "link live long look loss lot love low made main major make man many mar mark market "
    "match max may maybe me mean median mid might mind model mon money month more most move "
    "much must my name near net never new next nice no node none not note nov now oct odds of "
    "off ok old on one only open or order other our out over own pay peak per pick play point "
    "pool post price prime pro put quick quote range rate reach read real rest right ring "
    "rise road rock run safe sale sat say see sell sep set share she shell short should show "
    "side sign silver six size small snap so sold some soon split spot square stand star "
    "start stay step still stock stop sum summer sun sure swing take talk target team tech "
    "tell ten test than that the them then there they think this three time to today told too "
    "top touch track trade true try tue turn two under unit unity until up upon us use value "
    "very via view visa wait wall want was watch we wed week well went were what when where "
    "which who why will win wish with word work world worth would yes yet you your zero zone "
    "zoom".split()
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


def read_symbols(
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
    for symbol, pattern in _well_known_patterns().items():
        if symbol not in symbols and pattern.search(text):
            others.append(symbol)
            text = blank_all(pattern, text)
    for match in _TICKER_FORMS.finditer(text):
        word = match[match.lastgroup or 0]
        if not _NO_COMPANY.fullmatch(word):
            others.append(word.upper() if match["cash"] else word)
            text = blank(text, *match.span(match.lastgroup or 0))
    return (named[0] if named else None), (*named[1:], *dict.fromkeys(others)), text


@functools.cache
def _well_known_patterns() -> dict[str, re.Pattern[str]]:
    return {
        symbol: re.compile(rf"(?<![\w#])(?:{re.escape(symbol)}|(?i:{names}))(?![\w#])")
        for symbol, names in _WELL_KNOWN.items()
    }


_JOINS = re.compile(r"(?:'s?)?[\s,&/]*(?:(?:and|or|versus|vs\.?|with|to|nor|than)\s+)?", re.I)


def own_part(text: str, symbols: Mapping[str, Sequence[str]], symbol: str) -> str | None:
    """What a text that names several symbols says of one: up to where it names the next.

    Names that are only joined ("A and B above 150") share what follows the last of them.

    Args:
        text: the question.
        symbols: the names of each known symbol.
        symbol: the one wanted.

    Returns:
        What comes before the first name, and the part of the symbol, with all names blanked out;
        None where it has none.

    Example:
        >>> names = {"NVDA": ("Nvidia",), "AMD": ("AMD",)}
        >>> own_part("In June, is Nvidia above 150 and AMD above 200?", names, "AMD")
        'In June, is ### above 200?'
    """
    found = sorted(
        (match.start(), match.end(), name)
        for name, names in symbols.items()
        for match in _symbol_pattern(name, names).finditer(text)
    )
    place = next((i for i, (_, _, name) in enumerate(found) if name == symbol), None)
    if place is None:
        return None
    last = place
    while last + 1 < len(found) and _JOINS.fullmatch(text, found[last][1], found[last + 1][0]):
        last += 1
    end = found[last + 1][0] if last + 1 < len(found) else len(text)
    kept = text[: found[0][0]] + text[found[place][0] : end]
    return blank_all(re.compile("|".join(p.pattern for p in _patterns(symbols))), kept)


def _patterns(symbols: Mapping[str, Sequence[str]]) -> list[re.Pattern[str]]:
    return [_symbol_pattern(symbol, names) for symbol, names in symbols.items()]


_FORM = re.compile(
    r"(?:,? +(?:inc|incorporated|corp|corporation|co|company|ltd|limited|plc|n\.?v|s\.?a|ag|se"
    r"|holdings?|group)\b\.?)+$",
    re.IGNORECASE,
)


def called(name: str) -> str:
    """A company's name as people say it, without its legal form.

    Args:
        name: as the source of its prices has it.

    Example:
        >>> called("Advanced Micro Devices, Inc."), called("Nvidia")
        ('Advanced Micro Devices', 'Nvidia')
    """
    return _FORM.sub("", name) or name


def _symbol_pattern(symbol: str, names: Sequence[str]) -> re.Pattern[str]:
    """Match a name in any case; one that is a word (ALL, F, Target) only where it is marked."""
    return _pattern(symbol, tuple(names))


@functools.cache
def _pattern(symbol: str, names: tuple[str, ...]) -> re.Pattern[str]:
    ticker = re.escape(symbol)
    marked = rf"\$(?i:{ticker})|(?:NASDAQ|Nasdaq|NYSE|AMEX)\s*:\s*{ticker}|[Tt]icker\s+{ticker}"
    if len(symbol) < 3 and (symbol.lower() in WORDS or len(symbol) == 1):
        bare = "(?!)"
    elif symbol.lower() in WORDS:
        bare = rf"(?<=[a-z,] ){ticker}"  # in capitals, in a text that is not
    else:
        bare = f"(?i:{ticker})" if len(symbol) >= 4 else ticker
    ordered = sorted(names, key=len, reverse=True)
    called = [f"(?i:{re.escape(name)})" for name in ordered if name.lower() not in WORDS]
    # a name that is a word is one with a capital in the middle of a sentence, or beside "stock"
    words = [
        rf"(?<=[a-z,] ){re.escape(name)}|(?i:{re.escape(name)})(?='s\b| (?:stock|shares?|corp)\b)"
        for name in ordered
        if name.lower() in WORDS
    ]
    known = f"(?i:{_WELL_KNOWN[symbol]})" if symbol in _WELL_KNOWN else "(?!)"
    return re.compile(rf"(?<!\w)(?:{'|'.join([marked, bare, *called, *words, known])})(?!\w)")


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
