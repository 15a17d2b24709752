"""A text and the figures in it, with the words around each of them."""

import re
from dataclasses import dataclass
from functools import cached_property

NEAR = 40  # characters; how far from a figure a word that belongs to it is looked for


@dataclass(frozen=True)
class Figure:
    """One figure of a text.

    Attributes:
        kind: "date", "percent", "count", "ratio", "percentile", "price" (bare numbers too),
            "range", "whole" (the hundred of "24 of a hundred") or "unread".
        start, end: its place in the text.
        value: the number; the lower end of a range; NaN for a date or a malformed number.
        tolerance: how far a true value may be from `value`, from the digits written.
        unit: a currency, a unit of time, "points", a form of chance ("odds", "against", "shared"),
            or a date as ``YYYY-MM-DD`` with ``?`` for what is unsaid.
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
        end = figure.end
        while self.original[end - 1 : end + 1].isalpha() and len(self.original) > end:
            end += 1  # a number in words has shorter digits
        return self.original[figure.start : end].strip()

    def before(self, figure: Figure) -> str:
        """Return the few words in front of a figure."""
        return self.prose[max(0, figure.start - NEAR) : figure.start]

    def sentence(self, figure: Figure) -> tuple[int, int]:
        """Return where the sentence of a figure starts and ends."""
        return _between(self._sentence_edges, figure, len(self.prose))

    def sentences(self) -> list[tuple[int, int]]:
        """Return where every sentence starts and ends."""
        starts = [0, *(end for _, end in self._sentence_edges)]
        return [*zip(starts, [*(s for s, _ in self._sentence_edges), len(self.prose)], strict=True)]

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
    def unbounded(self) -> str:
        """`prose` without the words that bound a percentage: "under" in "just under 20 %"."""
        text = self.prose
        for figure in self.figures:
            if figure.kind == "percent" and (said := BOUND.search(self.before(figure))):
                start = figure.start - len(self.before(figure)) + said.start()
                text = text[:start] + " " * (figure.start - start) + text[figure.start :]
        return text

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


NUMBER = r"\d(?:[\d.,]*\d)?"
_PLAIN_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?|\.(\d+)")
_BETWEEN = re.compile(r"\bbetween\s+(?:about\s+)?[$]?[\d.,]+$", re.I)
ABOUT = r"(?:about|around|roughly|approximately|approx\.?|nearly|almost|close to|near|some|~|≈)"
BOUND = re.compile(
    r"\b(?:(?P<under>under|below|(?:less|fewer|lower) than|at most|no more than)|over|above"
    r"|(?:more|greater|better) than|at least|upwards? of|exceeding)\s+"
    r"(?:an?\s|about\s|roughly\s)?\s*$",
    re.I,
)
_IS_ABOUT = re.compile(
    rf"(?:{ABOUT}(?:\s+an?)?|\bsomewhere\s+(?:in|between|from|within)(?:\s+the)?|\b(?:just"
    rf"|slightly|a (?:little|bit|shade|touch|hair)|hardly|barely)\s+"
    r"(?:over|under|above|below|(?:more|less) than))\s*$",
    re.I,
)
_SENTENCE = re.compile(
    r"(?<!\bvs)(?<!approx)(?<!\bInc)(?<!Corp)(?<!\bCo)(?<!i\.e)(?<!e\.g)[.!?](?=[\s*]|$)|\n"
)
_CLAUSE = re.compile(
    r"(?<!\bvs)(?<!approx)(?<!i\.e)(?<!e\.g)[.!?](?=\s|$)|\n|;|,(?!\d)|\s(?:while|but)\s"
    r"|\sand\s(?!(?:up|above|below|over|more|under|higher|lower)\b\W{1,2}(?![$\d]))"
)


def is_about(text: str, start: int) -> bool:
    """Say whether "about" or the like stands in front of a position."""
    return _IS_ABOUT.search(text, max(0, start - NEAR), start) is not None


def is_hedged(text: str, start: int, end: int) -> bool:
    """Say whether "about" stands in front of a stretch, or "or so" behind it."""
    return is_about(text, start) or re.match(r"\s+or (?:so|thereabouts)\b", text[end:]) is not None


def number_of(words: str) -> tuple[float, float]:
    """Return the value of `words` and half a unit of its last place; NaN when malformed."""
    match = _PLAIN_NUMBER.fullmatch(words.lstrip("+-"))
    if match is None:
        return float("nan"), 0.0
    decimals = len(match[1] or match[2] or "")
    return float(words.replace(",", "")), 0.5 * 10.0**-decimals
