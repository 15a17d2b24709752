"""The report of an evaluation: one page of HTML that needs nothing else, and the same in Markdown.

Its first line says whether the tool helped. Modes are reported apart; nothing is left out silently.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from belief_tools.evaluation_differences import DRAWS, FEWEST_WINDOWS, Difference
from belief_tools.evaluation_headline import headline, signed
from belief_tools.evaluation_plots import pictures, stated
from belief_tools.evaluation_rows import Means, Row, Summary, means
from belief_tools.evaluation_scores import Scored
from belief_tools.report_page import Picture, Section, Table, as_html, as_markdown

TITLE: Final = "Does the tool help?"
NONE: Final = "-"
AT: Final = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles of the error at which examples are shown
LONGEST: Final = 600  # characters of an example
SCORE_HEAD: Final = ("error", "interval", "Brier", "in 90 %")
UNITS: Final = (
    "Error: absolute percentage error of the price; interval: score of the 90 % interval, in "
    "percent of the last close; Brier: of the chance of a close above the last close; smaller is "
    "better. In 90 %: share of closes inside the interval, which should be 90 %."
)
CAUTION: Final = (
    "Differences are the first arm less the second on the same trials; negative is better. The 90 %"
    f" intervals, which alone decide the verdict, come from {DRAWS:,} draws of blocks of "
    "neighbouring origins, the t-values are "
    f"those of Diebold and Mariano. A question mark: fewer than {FEWEST_WINDOWS} windows that do "
    "not overlap, too few to judge by. Many comparisons are made; where there is no difference, "
    "one interval in ten excludes 0 by chance alone."
)
ABOUT: Final = {
    "command": "command",
    "symbol": "symbol",
    "source": "prices",
    "first": "first origin",
    "last": "last origin",
    "n_origins": "origins",
    "horizons": "horizons (sessions)",
    "arms": "arms",
    "modes": "modes",
    "most_tokens": "longest reply (tokens)",
    "models": "models",
    "code_fingerprint": "fingerprint of the code",
}


def markdown(scored: Scored, about: Mapping[str, Any]) -> str:
    """Write the report as Markdown, without its pictures.

    Args:
        scored: the evaluation.
        about: how it was made: "command", "symbol", "first", "last", "horizons", "modes", "models"
            as {"name", "cutoff"} each, "code_fingerprint", and what else is to be told.
    """
    return as_markdown(TITLE, headline(scored), _sections(scored, about, {}))


def html(scored: Scored, about: Mapping[str, Any]) -> str:
    """Write the report as one page of HTML, light or dark as its reader's screen.

    Args:
        scored: the evaluation.
        about: how it was made, see `markdown`.

    Returns:
        The page; the same evaluation gives the same text.
    """
    drawn: dict[str, list[Picture]] = {"time": [], "calibration": []}
    for model, mode in scored.trials.asked:
        arms = [arm for arm, _ in _arms(scored, model, mode)]
        for name, picture in pictures(scored, model, mode, arms).items():
            drawn[name].append(picture)
    return as_html(TITLE, headline(scored), _sections(scored, about, drawn))


def _sections(
    scored: Scored, about: Mapping[str, Any], drawn: Mapping[str, list[Picture]]
) -> Iterator[Section]:
    yield Section("Arms side by side", [ASKED, OWN, UNITS], list(_side_by_side(scored)))
    yield Section("What the tool changes", [CAUTION], list(_changes(scored)))
    yield Section("Error over time", [OVER_TIME], pictures=drawn.get("time", ()))
    yield Section(
        "Calibration", [CALIBRATED], list(_calibration(scored)), drawn.get("calibration", ())
    )
    yield Section("Examples", [EXAMPLES], list(_examples(scored)))
    yield Section("What became of the answers", [BECAME], [_outcomes(scored)])
    yield Section("What the models recall", [RECALLED], [_recall(scored)] if scored.recall else [])
    yield Section("Tokens, seconds and cost", tables=[_costs(scored)])
    yield Section("What was left out", [LEFT_OUT], [_left_out(scored)])
    yield Section("How it was made", [MADE], [_made(about)])


ASKED: Final = (
    "None is told nothing; price the last closes; band the last close and where a random walk "
    "would end in nine of ten cases; context the belief in the prompt; tool the belief through its "
    "tool. Plain names the symbol; masked disguises symbol, days and the scale of prices, so that "
    "texts are in disguise while figures are mapped back."
)
OWN: Final = (
    "Own is what the model itself said; an unusable, refused or rejected answer counts in every "
    "arm as the same random-walk forecast. Shown is what the product showed: with the tool and in "
    "context that is the belief, whatever the model said. Whether the tool helps a model rests on "
    "own only. Arms without a language model are scored on the same trials."
)
OVER_TIME: Final = (
    "At each origin the mean over the horizons; the page that belief evaluate report writes draws "
    "it."
)
CALIBRATED: Final = (
    "Where the closes fell in what each arm itself stated, unusable answers aside: a calibrated "
    "forecast has 5 % of them below its interval, 5 % above, and as many below its price as above."
)
EXAMPLES: Final = (
    "Predictions at the quantiles of each arm's own error, with what the model said; a text that "
    f"goes on beyond {LONGEST} characters is cut."
)
BECAME: Final = (
    "Shares of the trials. Unusable: no figures could be read; refused: it said that it would not "
    "answer; replaced: its text did not pass the checks; failed: no reply came; grounded: of the "
    "texts that were checked, those that passed. One answer may count more than once."
)
RECALLED: Final = (
    "Closes of the past that a model knew when it was asked outright. A model that knows them may "
    "recall what it is to predict: compare the plain mode with the masked one."
)
LEFT_OUT: Final = (
    "Trials that only one arm of a comparison has, which it therefore leaves out; and trials in "
    "which a random walk stands in for the model."
)
MADE: Final = (
    "Prices, belief and prompts end with the close of the origin. Nothing here says that prices can"
    " be told in advance, or that money can be made."
)


def _side_by_side(scored: Scored) -> Iterator[Table]:
    trials = scored.trials
    for model, mode in trials.asked:
        arms = _arms(scored, model, mode)
        head = ["arm", "trials", "usable", *(f"own {name}" for name in SCORE_HEAD)]
        rows = [
            [
                arm,
                f"{len(places):,}",
                f"{len(stated(scored, places)):,}",
                *_means(means(trials.own, places)),
                *_means(means(trials.shown, places)),
            ]
            for arm, places in arms
        ]
        head += [f"shown {name}" for name in SCORE_HEAD]
        yield Table(f"{model}, {mode}: all horizons", head, rows)
        yield Table(
            f"{model}, {mode}: own scores by horizon",
            ["arm", "horizon", "trials", *SCORE_HEAD],
            list(_by_horizon(scored, arms)),
            folded=True,
        )


def _by_horizon(scored: Scored, arms: list[tuple[str, list[int]]]) -> Iterator[list[str]]:
    for arm, places in arms:
        of_row = {place: scored.trials.rows[place]["horizon"] for place in places}
        for horizon in sorted(set(of_row.values())):
            chosen = [place for place in places if of_row[place] == horizon]
            scores = _means(means(scored.trials.own, chosen))
            yield [arm, str(horizon), f"{len(chosen):,}", *scores]


def _arms(scored: Scored, model: str, mode: str) -> list[tuple[str, list[int]]]:
    """Arms of a model in a mode, then those without one on the same trials, with their rows."""
    trials = scored.trials
    groups = trials.of_group.items()
    own = [(group[2], list(places)) for group, places in groups if group[:2] == (model, mode)]
    asked = {_trial(trials.rows[place]) for _, places in own for place in places}
    for (name, _, arm), places in groups:
        if not name:
            own.append((arm, [p for p in places if _trial(trials.rows[p]) in asked]))
    return [(arm, places) for arm, places in own if places]


def _trial(row: Row) -> tuple[str, int]:
    return row["origin"], row["horizon"]


def _means(found: Means) -> list[str]:
    return [
        f"{100 * found.error:.1f} %",
        f"{found.interval:.1f}",
        f"{found.brier:.3f}",
        f"{100 * found.covered:.0f} %",
    ]


def _changes(scored: Scored) -> Iterator[Table]:
    for model, mode in scored.trials.asked:
        own = [
            each
            for each in scored.differences
            if (each.model, each.mode, each.of) == (model, mode, "own")
        ]
        captions = {
            "all": "all horizons and regimes",
            "horizon": "by horizon",
            "regime": "by regime at the origin",
            "stated": "only where the model itself said something usable in both arms",
        }
        for by, words in captions.items():
            chosen = [each for each in own if each.by == by]
            yield _differences(f"{model}, {mode}, own scores, {words}", chosen, folded=by != "all")
        shown = [
            each
            for each in scored.differences
            if (each.model, each.mode, each.of, each.by) == (model, mode, "shown", "all")
        ]
        yield _differences(
            f"{model}, {mode}, what the product showed, all horizons", shown, folded=True
        )


def _differences(caption: str, found: Sequence[Difference], *, folded: bool) -> Table:
    sliced = any(each.value for each in found)
    head = ["arms", *(["of"] if sliced else []), "score", "difference", "90 % interval", "t"]
    rows = [
        [
            f"{each.arm} - {each.base}",
            *([_slice(each)] if sliced else []),
            NAMES[each.score],
            _amount(each, each.mean),
            _interval(each),
            NONE if each.t_value is None else signed(each.t_value, 1),
            f"{each.n:,}",
            f"{each.n_windows:,}",
            each.verdict + ("?" if each.few else ""),
        ]
        for each in found
    ]
    head += ["trials", "windows", "verdict"]
    return Table(caption, head, rows, n_words=2 + sliced, folded=folded)


NAMES: Final = {
    "error": "error (points)",
    "interval": "interval score",
    "brier": "Brier",
    "covered": "in 90 % (points)",
}


def _interval(each: Difference) -> str:
    low, high = (_amount(each, end) for end in (each.low, each.high))
    return NONE if each.low is None else f"{low} to {high}"


def _slice(each: Difference) -> str:
    return f"{each.value} sessions" if each.by == "horizon" else each.value


def _amount(each: Difference, value: float | None) -> str:
    scale, digits = {"error": (100, 2), "interval": (1, 2), "brier": (1, 4), "covered": (100, 1)}[
        each.score
    ]
    return NONE if value is None else signed(scale * value, digits)


def _calibration(scored: Scored) -> Iterator[Table]:
    head = ["arm", "stated", "below low", "low to price", "price to high", "above high"]
    head += ["mean chance of a rise", "rose"]
    for model, mode in scored.trials.asked:
        rows = []
        for arm, places in _arms(scored, model, mode):
            chosen = [scored.trials.rows[place] for place in stated(scored, places)]
            if chosen:
                rows.append([arm, f"{len(chosen):,}", *_where(chosen)])
        yield Table(f"{model}, {mode}: where the closes fell", head, rows)


def _where(rows: Sequence[Row]) -> list[str]:
    below = above = under = up = 0
    for row in rows:
        said, close = row["own"], row["actual"]
        below += close < said["low"]
        above += close > said["high"]
        under += said["low"] <= close <= min(said["price"], said["high"])
        up += close > row["last_close"]
    n = len(rows)
    chance = sum(row["own"]["prob_up"] for row in rows) / n
    return [f"{100 * k / n:.0f} %" for k in (below, under, n - below - under - above, above)] + [
        f"{100 * chance:.0f} %",
        f"{100 * up / n:.0f} %",
    ]


def _examples(scored: Scored) -> Iterator[Table]:
    head = ["arm", "quantile", "origin", "sessions", "last close", "said", "90 % interval"]
    head += ["came", "error", "text"]
    for model, mode in scored.trials.asked:
        rows = [
            row
            for group, places in scored.trials.of_group.items()
            if group[:2] == (model, mode)
            for row in _examples_of(scored, group[2], places)
        ]
        yield Table(f"{model}, {mode}: examples", head, rows, prose=True)


def _examples_of(scored: Scored, arm: str, places: Sequence[int]) -> Iterator[list[str]]:
    error = scored.trials.own.error
    ranked = sorted(places, key=lambda place: (error[place], places.index(place)))
    for quantile in AT:
        place = ranked[round(quantile * (len(ranked) - 1))]
        row = scored.trials.rows[place]
        own = row["own"]
        yield [
            arm,
            f"{100 * quantile:.0f} %",
            row["origin"],
            str(row["horizon"]),
            f"{row['last_close']:,.2f}",
            "random walk" if own is None else f"{own['price']:,.2f}",
            NONE if own is None else f"{own['low']:,.2f} to {own['high']:,.2f}",
            f"{row['actual']:,.2f}",
            f"{100 * error[place]:.1f} %",
            _cut(row["text"] or ""),
        ]


def _cut(text: str) -> str:
    more = len(text) - LONGEST
    return text if more <= 0 else f"{text[:LONGEST]}... ({more:,} more characters)"


def _asked(scored: Scored) -> list[Summary]:
    return [each for each in scored.summaries if each.model and each.horizon is None]


def _outcomes(scored: Scored) -> Table:
    kinds = sorted({kind for each in _asked(scored) for kind in each.consulted})
    head = ["model", "mode", "arm", "trials", "unusable", "refused", "replaced", "failed"]
    head += [f"consulted by {kind}" for kind in kinds] + ["grounded", "checked"]
    rows = [
        [
            *each[:3],
            f"{each.n:,}",
            *map(_share, (each.unusable, each.refused, each.replaced, each.failed)),
            *(_share(each.consulted.get(kind, 0.0)) for kind in kinds),
            _share(each.grounded),
            f"{each.n_checked:,}",
        ]
        for each in _asked(scored)
    ]
    return Table("What became of the answers, all horizons", head, rows, n_words=3)


def _share(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"


def _recall(scored: Scored) -> Table:
    rows = [
        [each.model, f"{each.n:,}", f"{each.n_said:,}", f"{each.n_known:,}", _share(each.share)]
        for each in scored.recall
    ]
    return Table("Recall probe", ["model", "asked", "said", "known", "share known"], rows)


def _costs(scored: Scored) -> Table:
    head = ["model", "mode", "arm", "requests", "prompt tokens", "reply tokens", "not counted"]
    head += ["seconds", "seconds a trial", "cost", "without a cost"]
    rows = [
        [
            *each[:3],
            f"{each.requests:,}",
            f"{each.prompt_tokens:,}",
            f"{each.completion_tokens:,}",
            f"{each.n_uncounted:,}",
            f"{each.seconds:,.1f}",
            f"{each.seconds / each.n:,.2f}",
            NONE if each.cost is None else f"${each.cost:,.4f}",
            f"{each.n_unpriced:,}",
        ]
        for each in _asked(scored)
    ]
    return Table("Totals of all trials", head, rows, n_words=3)


def _left_out(scored: Scored) -> Table:
    head = ["model", "mode", "arms", "compared", "only the first has", "only the second has"]
    head += ["random walk for the first", "for the second"]
    rows = []
    for pair in scored.left_out:
        missing = [_missing(scored, pair.model, pair.mode, arm) for arm in (pair.arm, pair.base)]
        counts = (pair.n, pair.only_arm, pair.only_base, *missing)
        named = f"{pair.arm} - {pair.base}" + ("" if pair.n else " (not compared)")
        rows.append([pair.model, pair.mode, named, *(f"{count:,}" for count in counts)])
    return Table("Left out of each comparison, and stood in for", head, rows, n_words=3)


def _missing(scored: Scored, model: str, mode: str, arm: str) -> int:
    places = list(scored.trials.find(model, mode, arm))
    return len(places) - len(stated(scored, places))


def _made(about: Mapping[str, Any]) -> Table:
    known = {**dict.fromkeys(name for name in ABOUT if name in about), **about}
    rows = [[ABOUT.get(name, name), _plain(value)] for name, value in known.items()]
    return Table("What was run", ["what", "value"], rows, n_words=2)


def _plain(value: Any) -> str:
    """A value of `about` in words."""
    if value is None:
        return "not stated"
    if isinstance(value, Mapping):
        if set(value) == {"name", "cutoff"}:
            return f"{value['name']} (knowledge cutoff {_plain(value['cutoff'])})"
        return ", ".join(f"{name}: {_plain(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)
