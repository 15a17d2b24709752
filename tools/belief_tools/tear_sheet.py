"""A tear sheet of a backtest's forecasts: one page of HTML that needs nothing else.

In the spirit of what tear sheets are for returns, but about forecasts: whether one model's are
better than a reference's beyond chance, how well they were calibrated, and where they failed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from belief.backtest_plots import figures
from belief.backtest_sheet import counted
from belief.backtest_summary import paired
from belief.track_record import FEWEST_WINDOWS, TOO_FEW
from belief_tools import tear_sheet_tables as tables
from belief_tools.evaluation_headline import signed
from belief_tools.report_page import Claim, Picture, Section, as_html
from belief_tools.svg import as_svg, page_style
from belief_tools.tear_sheet_pictures import described
from belief_tools.tear_sheet_tables import Shown, ahead, interval, no_outcome, read

if TYPE_CHECKING:
    import pyarrow

N_BEST: Final = 5  # origins whose share of a gain is told


def html(table: "pyarrow.Table", reference: str | None = None) -> str:
    """Write the tear sheet of a backtest.

    It is about the first model that is not the reference, and shows the others beside it.

    Args:
        table: of `belief.backtest.walk_forward`, or read from the Parquet file of one.
        reference: model the others are compared with; by default
            `belief.backtest_summary.usual_reference`.

    Returns:
        The page; the same table gives the same text.

    Raises:
        UsageError: the reference is not in the table.
        ValueError: the table is not one of `walk_forward`.
    """
    shown = read(table, reference)
    with page_style():
        drawn = {name: as_svg(figure, name) for name, figure in figures(table, reference).items()}
    title = f"Forecasts of {shown.about['symbol']} by {shown.model}"
    return as_html(title, [_headline(shown)], _sections(shown, drawn))


def _headline(shown: Shown) -> Claim:
    """Say in words whether the forecasts are better than the reference's, horizon by horizon."""
    symbol, model, reference = shown.about["symbol"], shown.model, shown.reference
    if model == reference:
        claim = f"Whether the forecasts of {symbol} by {model} have skill cannot be said"
        return Claim(claim, f"no other model was asked to compare with; {_extent(shown)}", mark=".")
    of_word: dict[str, list[int]] = {}
    for horizon, skill in shown.skill[model].items():
        of_word.setdefault(TOO_FEW if skill is None else skill.word, []).append(horizon)
    *most, last = (f"{words} {ahead(of_word[w])}" for w, words in CLAIMS.items() if w in of_word)
    told = f"{', '.join(most)} and {last}" if most else last
    claim = f"Compared with those of {reference}, the forecasts of {symbol} by {model} {told}"
    grounds = [_gains(shown), *_few_sessions(shown, of_word.get("better than", []))]
    return Claim(claim, "; ".join([*grounds, _extent(shown)]), mark=".")


CLAIMS: Final = {  # word of a skill -> in a headline
    "better than": "are better beyond chance",
    "worse than": "are worse beyond chance",
    "no skill over": "are not shown to be better or worse",
    TOO_FEW: (
        f"have too few windows that do not overlap (fewer than {FEWEST_WINDOWS}) to be judged"
    ),
}


def _few_sessions(shown: Shown, horizons: Sequence[int]) -> Iterator[str]:
    """Say how much of each gain came from a few origins."""
    for horizon in horizons:
        own, base = paired(
            shown.columns(shown.model, horizon), shown.columns(shown.reference, horizon)
        )
        gain = np.sort(own["log_score"] - base["log_score"])
        share = 100 * float(gain[-N_BEST:].sum() / gain.sum())
        yield (
            f"of the gain {ahead([horizon])} {share:.0f} % came from the {N_BEST} best of "
            f"{counted(gain.size, 'origin')}"
        )


def _gains(shown: Shown) -> str:
    told = [
        f"{horizon}: {signed(skill.mean, 4)} ({interval(skill)})"
        for horizon, skill in shown.skill[shown.model].items()
        if skill is not None
    ]
    if not told:
        return "no interval can be told"
    return f"mean log score gained in nats, with its 95 % interval, by horizon {', '.join(told)}"


def _extent(shown: Shown) -> str:
    rows = [row for row in shown.rows if row.model == shown.model]
    return (
        f"{counted(max(row.n for row in rows), 'origin')} from {shown.about['from']} to "
        f"{shown.about['to']}, forecast {ahead(shown.horizons)}; skill here "
        "is in the whole distribution, above all its width, and is no claim of direction or "
        "profit"
    )


def _sections(shown: Shown, drawn: Mapping[str, str]) -> Iterator[Section]:
    left = no_outcome(shown.about["horizons"], shown.horizons)
    named = {name: described(shown, name, svg) for name, svg in drawn.items()}

    def pictures(*names: str) -> list[Picture]:
        return [named[name] for name in names if name in named]

    words = [SCORES if left is None else f"{left.capitalize()}. {SCORES}"]
    yield Section("Scores by horizon", words, list(tables.scores(shown)))
    if shown.skill:
        both = pictures("skill_by_horizon", "log_score_gain")
        yield Section("Skill over time", [SKILL], [tables.gain_by_year(shown)], both)
    fit = pictures("pit", "reliability")
    yield Section("Calibration", [CALIBRATION], [tables.where(shown)], fit)
    yield Section(
        "Coverage by year", [COVERAGE], tables.by_year(shown), pictures("coverage_by_year")
    )
    yield _by_regime(shown, pictures("coverage_by_regime"))
    yield Section("Worst sessions", [WORST], [tables.worst(shown)])
    yield _in_force(shown, pictures("staying"))
    yield Section("How it was made", [MADE], [tables.made(shown)])


def _by_regime(shown: Shown, pictures: Sequence[Picture]) -> Section:
    title = "Coverage by regime"
    if shown.states is None:
        return Section(title, [NO_STATES])
    return Section(title, [REGIMES], tables.by_regime(shown, shown.states), pictures)


def _in_force(shown: Shown, pictures: Sequence[Picture]) -> Section:
    title = "Transition probabilities over time"
    if shown.states is None:
        return Section(title, [NO_STATES])
    return Section(title, [IN_FORCE], [tables.transitions(shown.states)], pictures)


SCORES: Final = (
    "Log score: log density given to the log return that came, nats; larger is better. CRPS of the "
    "log return; smaller is better, ratio below 1. Gain: log score less the reference's on the "
    "same origins; t-values and the 95 % intervals allow for overlap (HAC, Diebold and Mariano). "
    "Windows: how many from origin to target do not overlap; with fewer than "
    f"{FEWEST_WINDOWS} a question mark says that there is too little to judge by. In 50 % and in "
    "90 %: share of closes inside the central interval, % ± standard error. PIT: largest distance "
    "to uniform; 0 is calibrated."
)
SKILL: Final = (
    "Better or worse is said only where the 95 % interval of the mean gain excludes 0 and at least "
    f"{FEWEST_WINDOWS} windows do not overlap. Where there is no difference, one such interval in "
    "twenty excludes 0 by chance alone."
)
CALIBRATION: Final = (
    "Of a calibrated forecast, 5 % of the closes come below its 5 % quantile, and so on: the PIT "
    "is the probability that was forecast for a close at or below the one that came."
)
COVERAGE: Final = (
    "A central interval holds as many closes as its probability says, give or take chance. "
    "Intervals of the shares are Wilson's at 95 %, of as many trials as windows that do not "
    f"overlap; with fewer than {FEWEST_WINDOWS} of these there are {TOO_FEW}: a question mark in "
    "the tables, a hollow point in the pictures."
)
REGIMES: Final = (
    "The regime is the one that was the likeliest at the close of the origin, as the model saw it "
    "then; regimes are relative to the symbol's own history. Intervals are those of the coverage "
    "by year."
)
IN_FORCE: Final = (
    "What each forecast was made with: the probabilities of moving between regimes after the "
    "origin's close, which change with every session and every fit, and those of the static fit, "
    "in which all sessions count alike. In the volatility grid both move with the last return too."
)
WORST: Final = (
    "The origins whose forecasts scored lowest at the shortest horizon; of windows that overlap, "
    "only the lowest. Chance: that was forecast for a close at least as far out on that side."
)
MADE: Final = (
    "Each forecast uses only what was known at the close of its origin: prices, splits and "
    "announcements up to then, and a fit to them. Nothing here says that the direction of prices "
    "can be told in advance, or that money can be made."
)
NO_STATES: Final = (
    "No model of this backtest has states, or its file was written before they were kept."
)
