"""The rules of the grounding check about words: certainty, subject, direction, tense and form."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from belief_tools.page import NEAR, Figure, Page
from belief_tools.roles import DENIES, HEDGE, NEGATED


@dataclass(frozen=True)
class Finding:
    """One thing in a text that the tool result does not support.

    Attributes:
        figure: the words in the text.
        rule: the kind of rule that was broken, such as ``price`` or ``date``.
        message: one line that a model can act on.
    """

    figure: str
    rule: str
    message: str


_CERTAIN = re.compile(
    r"\b(?<!%\s)(?<!percent\s)(?<!\ba\s)(?:certain(?:ly|ty)?|guarantee(?:s|d)?|definitely"
    r"|surely|undoubtedly|(?:no|without(?: a)?|beyond(?: a)?) doubt|risk-free|for sure|inevitably"
    r"|bound to|ruled out|out of the question|off the table|(?:highly|very|extremely|fully"
    r"|supremely)"
    r" confident|make no mistake|mark my words|you can (?:bet|count) on|assured(?:ly)?"
    r"|impossible|a lock|a sure thing|(?:is|are|it's) sure to"
    r"|can(?:'|no)t (?:lose|be wrong|fail|miss))\b",
    re.I,
)
_ALMOST_SURE = 0.9  # the probability from which a regime may be called almost sure
_ALMOST = re.compile(r"\b(?:almost|nearly|virtually|practically)\s+$", re.I)
_NOT_SAID = re.compile(
    r"\b(?:intraday|(?:tomorrow's|day's|session) (?:low|high)s?|cancel\w*|postpon\w*"
    r"|(?:highest|lowest|maximum"
    r"|minimum|peak|(?<!track )record)[\s-](?:\w+\s){0,2}(?:price|value|close|level|high|low)s?)\b",
    re.I,
)
_OUTLOOK = re.compile(
    r"\b(?P<lead>unlikely|likely|expect\w*|forecast|predict\w*|project\w*|anticipat\w*|set|poised"
    r"|should|will)\b(?:\s+(?!by\b|than\b|of\b|above\b|below\b)[\w'-]+){0,4}?\s+"
    r"(?:(?P<up>rise|increase|climb|gain|grow|(?:go|move) up|(?:close|be|end) (?:higher|up))"
    r"|(?P<down>fall(?!\s+(?:in|within|inside|into|somewhere)\b)|decrease|decline|drop|lose"
    r"|(?:go|move) down|(?:close|be|end) (?:lower|down)))\b",
    re.I,
)
_AGO = re.compile(r"\b(?:ago|yesterday|last (?:week|month|quarter|year)(?! of))\b", re.I)
_NO_MAKER = r"(?![\s-]+(?:maker|giant|company|manufacturer|designer|firm|stock|shares?)\b)"
_NOT_THE_SHARE = re.compile(
    rf"\b(?:(?:products?|gpus?|graphics|drivers?|chips?|hardware|software|laptops?)\b{_NO_MAKER}"
    r"|revenues?\b|sales\b|units?\b|worth of\b|business\b(?! days?)|launch\w*|unveil\w*"
    r"|(?<!earnings )(?<!results )releas\w+"
    r"|(?:sell(?:s|ing)?|sold)\b(?![\s-]+(?:at|for|around|near|off)\b))",
    re.I,
)
_FORESEES = re.compile(r"\b(?:expect|forecast|predict|project|anticipat|will)\w*", re.I)
_MARKUP = re.compile(
    r"</?[a-z_][\w-]*>|<\|.*?\|>|\[/?INST\]|```|[{}]"
    r"|\b(?:interval_\d+|prob_up|prob_above|last_close|as_of|forecast_id|transition_matrix)\b",
    re.I,
)
_PRICE_IN_PERCENT = re.compile(
    r"\b(?:forecast|prediction|expected|stock|share|closing)\b[^.;:%]*?\bprice\b"
    r"(?:(?!\b(?:chance|probab\w*|odds|likel\w*|higher|lower|above|below|up|down|ris\w+|fall\w*"
    r"|change\w*|volatil\w*|interval|range|confiden\w*|gain\w*|drop\w*|more|less|by)\b)[^.;%])*?"
    r"\b(?:is|be|at)\s+(?P<percent>(?:under |over |about |around |roughly )?\d+(?:\.\d+)?\s?%)"
    r"(?=\s*(?:[.;,]|$))",
    re.I,
)
_ENDS_WELL = re.compile(
    r"(?:[.!?][\"')\]*\u201d\u2019]*|(?:\d[kKmM]?|[%$€£)\]])[\"')\]*\u201d\u2019]*|\b(?:dollars"
    r"|percent|USD))$",
    re.I,
)

_COMPANIES = {
    **{"AAPL": "Apple", "MSFT": "Microsoft", "GOOGL": "Google|Alphabet", "AMZN": "Amazon"},
    **{"NVDA": "Nvidia|NVIDIA", "TSLA": "Tesla", "META": "Facebook|Meta", "AMD": "Advanced Micro"},
    **{"INTC": "Intel", "AVGO": "Broadcom", "TSM": "TSMC", "QCOM": "Qualcomm", "MU": "Micron"},
    **{"ORCL": "Oracle", "IBM": "IBM", "CSCO": "Cisco", "CRM": "Salesforce", "ADBE": "Adobe"},
    **{"NFLX": "Netflix", "DIS": "Disney", "BRK": "Berkshire", "JPM": "JPMorgan|JP Morgan"},
    **{"GS": "Goldman", "WMT": "Walmart", "KO": "Coca-Cola", "BA": "Boeing", "XOM": "Exxon"},
    **{"PFE": "Pfizer", "UBER": "Uber", "GME": "GameStop", "PLTR": "Palantir", "NKE": "Nike"},
    **{"BTC": "Bitcoin|bitcoin", "ETH": "Ethereum|ethereum|Ether", "SPY": "S&P", "DJI": "Dow"},
    **{"GC": "[Gg]old price|Gold", "CL": "[Oo]il price|Oil", "SMCI": "Supermicro|Super Micro"},
}
_SHORT = ("MU", "KO", "BA", "GS", "CL", "GC", "DIS", "CRM", "META")  # words or parts of others
_NAMES = {
    symbol: re.compile(rf"\b(?:{names}{'' if symbol in _SHORT else '|' + symbol})\b")
    for symbol, names in _COMPANIES.items()
}
_NOT_A_PRICE = re.compile(
    r"\b(?:dividends?|revenues?|earnings(?!\s+(?:date|day|report|release|announcement|event"
    r"|call|due|scheduled)s?)|EPS|market (?:cap\w*|value)|capitali[sz]ation|profits?"
    r"|net income|P/E|turnover|salary|bond|options?|premium)\b",
    re.I,
)
_PAST = (
    r"was|were|(?<!to\s)ha(?:s|ve|d)\s+(?:been|reached|risen|fallen|climbed|closed|hit|traded)"
    r"|stood|reached"
    r"|rose|fell|climbed|dropped|closed|traded|ended|finished|sold"
)
_PAST_BEFORE = re.compile(
    rf"\b(?:{_PAST})\b(?:\s+(?!(?:is|are|will|made|issued|dated|based)\b)[\w'-]+){{0,6}}[\s:]*$",
    re.I,
)
_PAST_AFTER = re.compile(r"\s*(?:was|were)\b(?!\s+(?:asked|named|mentioned)\b)", re.I)
_MOVES = re.compile(
    r"\b(?:crash|soar|plunge|skyrocket|plummet|collaps|rocket|explod|surg|rall(?:y|ie)|nosedive"
    r"|implod|tumbl|moon|tank|crater|boom)(?:e?s|e?d|e|ing)?\b|\b(?:bankrupt\w*|insolven\w*"
    r"|worthless|delist\w*"
    r"|to the moon|(?:to|worth) nothing)\b",
    re.I,
)
_DEAL = r"(?:buy|sell|hold|invest|short|purchase|trade|wait|dump)(?:ing|s)?"
_ADVICE = re.compile(
    rf"\b(?:(?:recommend|advis|suggest)\w*\W+(?:(?:that|you|to|not|a)\W+)*{_DEAL}"
    rf"|you (?:should|must|ought to|need to|had better)(?:\W+\w+){{0,3}}?\W+{_DEAL}"
    r"|(?:buy|sell|dump|short) (?:everything|now|it|all|more|your|the (?:stock|dip|shares?)|shares"
    r"|calls|puts|immediately|today)|(?:load|stock) up on|time to (?:buy|sell|invest)"
    r"|(?:strong|clear|is an?) (?:buy|sell)|go (?:long|short)|don't miss|better off \w+ing"
    r"|good (?:entry|time to|moment to|buy)"
    r"|worth (?:buying|selling|holding))\b",
    re.I,
)


def _is_almost_sure(page: Page, match: re.Match[str], result: Mapping[str, Any]) -> bool:
    """Say whether "almost surely" is said of a regime that is."""
    sentence = page.prose[slice(*page.sentence(Figure("words", *match.span())))].lower()
    regimes = result.get("regimes") or ()
    sure = [r["name"] for r in regimes if r["probability"] >= _ALMOST_SURE]
    return bool(_ALMOST.search(page.prose[: match.start()])) and any(n in sentence for n in sure)


def judge_words(page: Page, result: Mapping[str, Any]) -> Iterator[Finding]:
    """No forecast is sure, and the price is that of a share."""
    for match in _CERTAIN.finditer(page.prose):
        if _is_almost_sure(page, match, result):
            continue
        if not NEGATED.search(page.prose, max(0, match.start() - 2 * NEAR), match.start()):
            yield Finding(match[0], "certainty", f"no forecast is sure; leave out '{match[0]}'")
    for match in _NOT_SAID.finditer(page.prose):
        yield Finding(match[0], "price", f"the tool result says nothing about '{match[0]}'")
    for match in _NOT_THE_SHARE.finditer(page.prose):
        figure = Figure("words", *match.span())
        foreseen = _FORESEES.search(page.prose, *page.sentence(figure))
        if foreseen or page.near(figure, "price", "range"):
            yield Finding(match[0], "subject", f"the price is a share's; leave out '{match[0]}'")
            break


def judge_subject(page: Page, result: Mapping[str, Any]) -> Iterator[Finding]:
    """The text is about the price of the result's share, not of another or of something else."""
    own = re.split(r"[-.=^]", str(result.get("symbol", "")).upper())[0]
    for symbol, pattern in _NAMES.items():
        match = None if symbol == own else pattern.search(page.prose)
        if match:
            words = page.original[match.start() : match.end()]
            yield Finding(words, "subject", f"the price is {own}'s; leave out '{words}'")
    for match in _NOT_A_PRICE.finditer(page.prose):
        figure = Figure("words", *match.span())
        if not DENIES.search(page.lead_in(figure)) and (
            _FORESEES.search(page.prose, *page.sentence(figure))
            or page.near(figure, "price", "range", "percent")
        ):
            yield Finding(match[0], "subject", f"the price is a share's; leave out '{match[0]}'")


def judge_moves_and_advice(page: Page) -> Iterator[Finding]:
    """A forecast foresees no crash, and it gives no advice."""
    for match in _MOVES.finditer(page.prose):
        if re.search(r"%\s+$", page.prose[: match.start()]) and re.match(
            r"[^.;]{0,20}\b(?:would|to)\b|ral(?:ly|lies)\b", page.prose[match.start() :], re.I
        ):
            continue  # "a 9.4 % rally" is a distance
        if re.match(r"[^.;]{0,20}\bwould (?:require|need|take|mean)\b", page.prose[match.end() :]):
            continue
        if re.search(r"\bvolatility\W+(?:\w+\W+){0,2}$", page.prose[: match.start()], re.I):
            continue
        yield Finding(match[0], "direction", f"the tool result says nothing about '{match[0]}'")
    for match in _ADVICE.finditer(page.prose):
        before = page.prose[max(0, match.start() - 2 * NEAR) : match.start()]
        if not NEGATED.search(before):
            yield Finding(match[0], "advice", f"a forecast is no advice; leave out '{match[0]}'")


def _is_said_as_past(page: Page, figure: Figure) -> bool:
    """Say whether the verb next to a price is in the past, as in "the price was $834"."""
    after = _PAST_AFTER.match(page.prose, figure.end)
    return bool(after or _PAST_BEFORE.search(page.lead_in(figure)))


def judge_tense(page: Page, result: Mapping[str, Any]) -> Iterator[Finding]:
    """The last close is past; any other price of the result is not."""
    for figure in page.figures:
        if figure.kind not in ("price", "range") or _is_last_close(page, figure, result):
            continue
        lead_in = page.lead_in(figure)
        past = _is_said_as_past(page, figure)
        if not past and _AGO.search(page.prose, *page.sentence(figure)):
            others = page.near(figure, "price")
            past = not any(_is_last_close(page, other, result) for other in others)
        if past and not HEDGE.search(lead_in):
            words, target = page.words(figure), result["target"]
            yield Finding(words, "tense", f"the text says {words} as past; {target} is to come")


def _is_last_close(page: Page, figure: Figure, result: Mapping[str, Any]) -> bool:
    """Say whether a price can be the last close, and is not said of the target."""
    start, end = page.clause(figure)
    target, as_of = str(result["target"]), str(result["as_of"])
    dates = [f for f in page.figures if f.kind == "date" and start <= f.start < end]
    if any(said.is_day(target) and not said.is_day(as_of) for said in dates):
        return False
    return all(price.is_near(result["last_close"]) for price in figure.ends())


def judge_outlook(page: Page, result: Mapping[str, Any]) -> Iterator[Finding]:
    """A rise or a fall in words goes the way of the median and of its chance."""
    up = float(result["prob_up"])
    change = float(result["median"]) / float(result["last_close"]) - 1.0
    for match in _OUTLOOK.finditer(page.prose):
        figure = Figure("words", *match.span())
        lead_in = page.lead_in(figure)
        told = [f for f in page.near(figure, "percent") if f.end <= match.start()]
        if told and re.match(r"\s+between\b", page.prose[match.end() :]):
            continue  # "nine times in ten it should fall between"
        if HEDGE.search(lead_in) or re.search(r"(?:%|percent|as|equally)\s*$", lead_in, re.I):
            continue
        negated = NEGATED.search(lead_in) or re.search(r"\bless\s*$", lead_in, re.I)
        negated = negated or re.search(r"\bnot\b|unlikely", match[0], re.I)
        way = (1 if match["up"] else -1) * (-1 if negated else 1)
        if way * (up - 0.5) <= 0 or way * change <= 0:
            yield Finding(
                match[0],
                "direction",
                f"the text says '{match[0]}'; the chance of a rise is {up:.0%} and the median is "
                f"{change:+.1%} from the last close",
            )


def _judge_characters(text: str) -> Iterator[Finding]:
    """Only what a reader sees, in the letters and digits that the other rules can read."""
    for character in text:
        code = f"U+{ord(character):04X}"
        if character in "\n\t" or " " <= character <= "~":
            continue
        category = unicodedata.category(character)
        if category[0] in "CZ" and category != "Zs":
            yield Finding(code, "markup", f"the text has the invisible character {code}")
        elif category[0] == "N":
            yield Finding(character, "number", f"write the digits 0 to 9, not '{character}'")
        elif category[0] == "L" and not unicodedata.name(character, "").startswith("LATIN "):
            yield Finding(character, "markup", f"answer in Latin letters, not '{character}'")
        else:
            continue
        return


def judge_form(text: str) -> Iterator[Finding]:
    """The text is plain whole sentences."""
    if not text.strip():
        yield Finding("", "empty", "the text is empty; answer with the tool result's summary")
        return
    yield from _judge_characters(text)
    for match in _PRICE_IN_PERCENT.finditer(text):
        said = f"the text says '{match[0].strip()}'; a price is in dollars, a chance in percent"
        yield Finding(match["percent"], "percentage", said)
    for match in _MARKUP.finditer(text):
        yield Finding(match[0], "markup", f"the text shows '{match[0]}'; answer in plain sentences")
        break
    last = text.strip().splitlines()[-1].strip().rstrip("*_`")
    labelled = re.match(r"[-*•|]|[\w ]+:", last) and re.search(r"[\w|]$", last)
    if not (_ENDS_WELL.search(last) or labelled) or text.count("(") > text.count(")"):
        yield Finding(last[-40:], "cut", "the text stops in mid-sentence; end it with a full stop")
