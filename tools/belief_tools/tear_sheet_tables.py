"""The tables of a tear sheet, and what they and its pictures are made from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from belief import backtest_sheet as sheet
from belief.backtest import about
from belief.backtest_plots import LEVELS
from belief.backtest_sheet import Share, States, counted
from belief.backtest_summary import (
    Columns,
    Row,
    check_reference,
    columns_of,
    paired,
    summarise,
    usual_reference,
)
from belief.track_record import FEWEST_WINDOWS, TOO_FEW, Skill
from belief_tools.evaluation_headline import signed
from belief_tools.report_page import Table

if TYPE_CHECKING:
    import pyarrow

NONE: Final = "-"
SHORT: Final = 24  # rows up to which a table is open
DATES: Final = 6  # at most, of which transition matrices are told
SMALLEST: Final = 1e-4  # chance that is told as a figure
PIT_EDGES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class Shown(NamedTuple):
    """A backtest and what was found in it.

    Attributes:
        table: of `belief.backtest.walk_forward`.
        about: what it says it is of.
        models: in its order.
        model: whose forecasts the page is about: the first that is not the reference.
        reference: model the others are compared with.
        rows: its summary.
        skill: model -> horizon -> skill over the reference, which has none itself.
        states: what the first model with states held at the origins, or None.
    """

    table: "pyarrow.Table"
    about: Mapping[str, Any]
    models: list[str]
    model: str
    reference: str
    rows: list[Row]
    skill: dict[str, dict[int, Skill | None]]
    states: States | None

    @property
    def horizons(self) -> list[int]:
        """Sessions ahead, increasing."""
        return sorted({row.horizon for row in self.rows})

    @property
    def ends(self) -> list[int]:
        """The shortest horizon and, if it is another, the longest."""
        return list(dict.fromkeys((self.horizons[0], self.horizons[-1])))

    def columns(self, model: str, horizon: int) -> Columns:
        """Of a model at a horizon; empty where it has no forecast."""
        return columns_of(self.table, model, horizon)


def read(table: "pyarrow.Table", reference: str | None) -> Shown:
    """Find in a backtest what its tear sheet shows.

    Args:
        table: of `belief.backtest.walk_forward`.
        reference: model the others are compared with; None for the usual one.

    Raises:
        UsageError: the reference is not in the table.
        ValueError: the table is not one of `walk_forward`.
    """
    models = list(dict.fromkeys(table.column("model").to_pylist()))
    reference = usual_reference(models) if reference is None else reference
    check_reference(reference, models)
    model = next((name for name in models if name != reference), reference)
    rows = summarise(table, reference)
    horizons = sorted({row.horizon for row in rows})
    skill = {
        name: sheet.skills(table, name, reference, horizons) for name in models if name != reference
    }
    states = sheet.states_of(table)
    return Shown(table, about(table), models, model, reference, rows, skill, states)


def ahead(horizons: Sequence[int]) -> str:
    """Horizons in words.

    Example:
        >>> ahead([1]), ahead([5, 21]), ahead([1, 5, 21])
        ('1 session ahead', '5 and 21 sessions ahead', '1, 5 and 21 sessions ahead')
    """
    *most, last = map(str, horizons)
    listed = f"{', '.join(most)} and {last}" if most else last
    return f"{listed} session{'' if horizons == [1] else 's'} ahead"


def no_outcome(asked: Sequence[int], found: Sequence[int]) -> str | None:
    """Say which of the horizons asked for have no outcome yet.

    Example:
        >>> no_outcome([1, 504], [1]), no_outcome([1], [1])
        ('no outcome known 504 sessions ahead', None)
    """
    left = [horizon for horizon in asked if horizon not in found]
    return f"no outcome known {ahead(left)}" if left else None


def interval(skill: Skill | None) -> str:
    """The 95 % interval of a mean gain, nats."""
    return NONE if skill is None else f"{signed(skill.low, 4)} to {signed(skill.high, 4)}"


def scores(shown: Shown) -> Iterator[Table]:
    """Scores of the model by horizon, then those of all models, a table for each horizon."""
    own = [row for row in shown.rows if row.model == shown.model]
    words = "" if shown.model == shown.reference else f", compared with {shown.reference}"
    head = ["horizon", *SCORE_HEAD]
    rows = [[str(row.horizon), *_cells(shown, row)] for row in own]
    yield Table(f"{shown.model}{words}, by horizon (sessions)", head, rows)
    if len(shown.models) > 1:
        for horizon in shown.horizons:
            rows = [[r.model, *_cells(shown, r)] for r in shown.rows if r.horizon == horizon]
            caption = f"All models, {ahead([horizon])}, compared with {shown.reference}"
            yield Table(caption, ["model", *SCORE_HEAD], rows, folded=True)


SCORE_HEAD: Final = (
    *("origins", "windows", "log score", "gain", "95 % interval", "t", "verdict"),
    *("CRPS", "ratio", "its t", "in 50 %", "in 90 %", "PIT"),
)


def _cells(shown: Shown, row: Row) -> list[str]:
    skill = shown.skill.get(row.model, {}).get(row.horizon)
    verdict = TOO_FEW if skill is None else skill.word.removesuffix(" than").removesuffix(" over")
    return [
        f"{row.n:,}",
        f"{row.n_windows:,}",
        f"{row.log_score:.4f}",
        _number(row.gain, "+.4f"),
        interval(skill),
        _t(row, row.t_value),
        "reference" if row.model == shown.reference else verdict,
        f"{row.crps:.5f}",
        _number(row.crps_ratio, ".3f"),
        _t(row, row.crps_t_value),
        _share(row, row.coverage_50, row.coverage_50_se),
        _share(row, row.coverage_90, row.coverage_90_se),
        f"{row.pit_distance:.3f}",
    ]


def _t(row: Row, value: float | None) -> str:
    doubt = "?" if value is not None and row.n_windows < FEWEST_WINDOWS else ""
    return _number(value, "+.1f") + doubt


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _share(row: Row, share: float, error: float | None) -> str:
    """A share in percent, with its standard error where there is one to judge by."""
    if row.n_windows < FEWEST_WINDOWS:
        return f"{100 * share:.1f}?"
    return f"{100 * share:.1f}" + ("" if error is None else f" ± {100 * error:.1f}")


def gain_by_year(shown: Shown) -> Table:
    """Log score gained in each year, by model, at the ends of the horizons."""
    gained = {
        (model, horizon): _yearly_gain(shown, model, horizon)
        for model in shown.skill
        for horizon in shown.ends
    }
    years = sorted({year for of_year in gained.values() for year in of_year})
    rows = [
        [
            model,
            str(horizon),
            *(_number(of_year.get(year), "+.2f") for year in years),
            f"{sum(of_year.values()):+.2f}",
        ]
        for (model, horizon), of_year in gained.items()
    ]
    caption = f"Log score gained over {shown.reference} by year of the origin, nats"
    return Table(caption, ["model", "horizon", *map(str, years), "all"], rows, folded=True)


def _yearly_gain(shown: Shown, model: str, horizon: int) -> dict[int, float]:
    own, base = paired(shown.columns(model, horizon), shown.columns(shown.reference, horizon))
    year = own["origin"].astype("datetime64[Y]").astype(int) + 1970
    gain = own["log_score"] - base["log_score"]
    return {each: float(gain[year == each].sum()) for each in np.unique(year).tolist()}


def where(shown: Shown) -> Table:
    """Where the closes fell among the quantiles."""
    named = [f"{100 * low:.0f} to {100 * high:.0f} %" for low, high in pairwise(PIT_EDGES)]
    rows = []
    for horizon in shown.ends:
        for model in shown.models:
            pit = shown.columns(model, horizon)["pit"]
            if pit.size:
                count, _ = np.histogram(pit, bins=PIT_EDGES)
                shares = [f"{100 * share:.1f} %" for share in count / pit.size]
                rows.append([model, str(horizon), f"{pit.size:,}", *shares])
    expected = [f"{100 * (high - low):.0f} %" for low, high in pairwise(PIT_EDGES)]
    rows.insert(0, ["calibrated", NONE, NONE, *expected])
    caption = "Share of closes between quantiles of the forecast"
    return Table(caption, ["model", "horizon", "origins", *named], rows, folded=len(rows) > SHORT)


def by_year(shown: Shown) -> list[Table]:
    """Coverage of every model by the year of the origin, at the ends of the horizons."""
    return [
        _coverage(shown, horizon, "year", _years(shown), sheet.coverage_by_year)
        for horizon in shown.ends
    ]


def by_regime(shown: Shown, states: States) -> list[Table]:
    """Coverage of every model by the likeliest regime, at the ends of the horizons."""
    return [
        _coverage(
            shown,
            horizon,
            "regime",
            states.names,
            partial(sheet.coverage_by_regime, states=states),
        )
        for horizon in shown.ends
    ]


def _reach(share: Share) -> str:
    """A share in percent with its 95 % interval, or a question mark for none."""
    if share.reach is None:
        return f"{100 * share.share:.1f}?"
    low, high = share.reach
    return f"{100 * share.share:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _years(shown: Shown) -> list[str]:
    first, last = (int(shown.about[end][:4]) for end in ("from", "to"))
    return [str(year) for year in range(first, last + 1)]


def _coverage(
    shown: Shown,
    horizon: int,
    word: str,
    groups: Sequence[str],
    shares: Callable[..., list[Share]],
) -> Table:
    """Coverage of every model, a row for each group there is an origin of."""
    n: dict[str, int] = {}
    cells: dict[tuple[str, str, int], str] = {}
    keys = [(model, level) for model in shown.models for level in LEVELS]
    for model, level in keys:
        columns = shown.columns(model, horizon)
        for each in shares(columns, level=level) if columns["origin"].size else ():
            n[each.group] = max(each.n, n.get(each.group, 0))
            cells[each.group, model, level] = _reach(each)
    rows = [
        [group, f"{n[group]:,}", *(cells.get((group, *key), NONE) for key in keys)]
        for group in groups
        if group in n
    ]
    caption = (
        f"Coverage by {word} of the origin, {ahead([horizon])}: closes inside the central "
        "interval, % (95 % interval)"
    )
    head = [word, "origins", *(f"{model} in {level} %" for model, level in keys)]
    return Table(caption, head, rows, folded=horizon != shown.horizons[0])


def worst(shown: Shown) -> Table:
    """The origins with the lowest log scores at the shortest horizon, and what came."""
    horizon = shown.horizons[0]
    head = ["origin", "target", "log score", f"that of {shown.reference}", "last close", "close"]
    head += ["move", "90 % interval", "chance"]
    other = shown.columns(shown.reference, horizon)
    of_origin = dict(zip(other["origin"].tolist(), other["log_score"].tolist(), strict=True))
    held = _held(shown.states)
    rows = [
        [
            str(row["origin"]),
            str(row["target"]),
            f"{row['log_score']:.2f}",
            _number(of_origin.get(row["origin"]), ".2f"),
            f"{row['last_close']:,.2f}",
            f"{row['close']:,.2f}",
            f"{100 * np.expm1(row['log_return']):+.1f} %",
            f"{row['q05']:,.2f} to {row['q95']:,.2f}",
            _chance(min(row["pit"], 1.0 - row["pit"])),
            *([held.get(row["origin"], NONE)] if held else []),
        ]
        for row in sheet.worst_origins(shown.table, shown.model, horizon)
    ]
    caption = f"Lowest log scores of {shown.model}, {ahead([horizon])}, {shown.about['currency']}"
    head += ["regime at the origin"] if held else []
    if shown.model == shown.reference:
        head.pop(3)
        for cells in rows:
            cells.pop(3)
    return Table(caption, head, rows, n_words=2)


def _chance(share: float) -> str:
    """A small chance in percent.

    Example:
        >>> _chance(0.0213), _chance(0.00042), _chance(1e-9)
        ('2.1 %', '0.042 %', 'below 0.01 %')
    """
    least = f"below {100 * SMALLEST:g} %"
    return least if share < SMALLEST else f"{float(f'{100 * share:.2g}'):g} %"


def _held(states: States | None) -> dict[Any, str]:
    """The likeliest regime at each origin, in words."""
    if states is None:
        return {}
    return {
        day: f"{states.names[place]} ({100 * probability[place]:.0f} %)"
        for day, place, probability in zip(
            states.origin.tolist(), states.regime, states.probability, strict=True
        )
    }


def transitions(states: States) -> Table:
    """The transition matrices in force at a few origins, those of the static fit beside them."""
    n = states.origin.size
    places = np.unique(np.linspace(0, n - 1, min(DATES, n)).round().astype(int))
    rows = [
        [
            str(states.origin[place]),
            name,
            f"{100 * states.probability[place, i]:.1f} %",
            *(
                _beside(states.transmat[place, i, j], states.static_transmat[place, i, j])
                for j in range(len(states.names))
            ),
        ]
        for place in places
        for i, name in enumerate(states.names)
    ]
    caption = (
        f"Probability of moving in one session, in force at {len(places)} of "
        f"{counted(n, 'origin')} (static fit), model {states.model}"
    )
    head = ["origin", "from", "belief in it", *(f"to {name}" for name in states.names)]
    return Table(caption, head, rows, n_words=2, folded=len(rows) > SHORT // 2)


def _beside(moving: float, static: float) -> str:
    beside = "" if np.isnan(static) else f" ({100 * static:.1f} %)"
    return f"{100 * moving:.1f} %{beside}"


def made(shown: Shown) -> Table:
    """What the backtest is of."""
    often = shown.about["refit_every"]
    told = {
        "symbol": shown.about["symbol"],
        "prices": shown.about["source"],
        "prices used through": str(max(shown.table.column("target").to_pylist())),
        "first origin": shown.about["from"],
        "last origin": shown.about["to"],
        "horizons (sessions)": ", ".join(map(str, shown.about["horizons"])),
        "models": ", ".join(shown.models),
        "reference": shown.reference,
        "fitted anew": "at every origin" if often == 1 else f"every {often} origins",
        "page written by": f"belief {version('belief')}",
    }
    return Table(
        "How it was made", ["what", "value"], [[*pair] for pair in told.items()], n_words=2
    )
