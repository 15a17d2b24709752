"""How the answers of an evaluation came out: scores of every row, and what each arm comes to.

There are two sets of scores. `own` is what the language model itself said; where that is nothing
usable, the random walk of the trial stands in for it, the same in every arm. `shown` is what the
product showed. Whether the tool helps a model rests on `own` only.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Row = Mapping[str, Any]
Group = tuple[str, str, str]  # model, mode, arm

LEVEL: Final = 0.9  # of the interval that is asked for
SETS: Final = ("own", "shown")
SCORES: Final = ("error", "interval", "brier")  # smaller is better
COLUMNS: Final = (*SCORES, "covered")
OF_TRIAL: Final = ("target", "last_close", "actual", "regime", "random_walk")


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of n predictions, read-only.

    Attributes:
        error: (n,) ``|price - actual| / actual``; .1 is ten percent.
        interval: (n,) interval score at `LEVEL`, percent of the last close.
        brier: (n,) of the probability that the close is above the last close; a tie is not above.
        covered: (n,) 1 where the close lies in the interval, its ends included, else 0.
    """

    error: Array
    interval: Array
    brier: Array
    covered: Array

    def __post_init__(self) -> None:
        for name in COLUMNS:
            getattr(self, name).setflags(write=False)

    def __len__(self) -> int:
        """Count the predictions."""
        return len(self.error)

    def matrix(self, rows: Sequence[int]) -> Array:
        """Put chosen rows in an array of (rows, `COLUMNS`)."""
        chosen = list(rows)
        return np.column_stack([getattr(self, name)[chosen] for name in COLUMNS])


class Means(NamedTuple):
    """Means of `Scores`, in their units; `covered` is the share inside the interval."""

    error: float
    interval: float
    brier: float
    covered: float


class Summary(NamedTuple):
    """One arm of one model in one mode, at one horizon or at all.

    Attributes:
        model: "" for the arms without a language model.
        mode: "" for those too.
        arm: its name.
        horizon: sessions; None for all of them together.
        n: number of trials.
        n_stated: of which the model itself said something usable; the rest of `own` is the random
            walk.
        own: means of the model's own predictions.
        shown: means of what the product showed.
        unusable, refused, replaced, failed: shares of the trials.
        consulted: who consulted -> share of the trials.
        grounded: share of the texts that passed the check; None where none was checked.
        n_checked: number of texts that were checked.
        requests: number.
        prompt_tokens, completion_tokens: totals of the trials where they are known.
        n_uncounted: number of trials without a count of tokens.
        seconds: total.
        cost: total in dollars of the trials where it is known; None where it never is.
        n_unpriced: number of trials without a cost.
    """

    model: str
    mode: str
    arm: str
    horizon: int | None
    n: int
    n_stated: int
    own: Means
    shown: Means
    unusable: float
    refused: float
    replaced: float
    failed: float
    consulted: Mapping[str, float]
    grounded: float | None
    n_checked: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    n_uncounted: int
    seconds: float
    cost: float | None
    n_unpriced: int


@dataclass(frozen=True, eq=False)
class Trials:
    """Rows of an evaluation with both sets of their scores.

    Attributes:
        rows: as they were given.
        own: (n rows) scores of what the models said, the random walk standing in.
        shown: (n rows) scores of what the product showed.
        of_group: (model, mode, arm) -> places of its rows, in order of origin and horizon.
    """

    rows: tuple[Row, ...]
    own: Scores
    shown: Scores
    of_group: Mapping[Group, tuple[int, ...]]

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Language models with the modes they were asked in, in the order of the rows."""
        return list(dict.fromkeys((model, mode) for model, mode, _ in self.of_group if model))

    def find(self, model: str, mode: str, arm: str) -> tuple[int, ...]:
        """Give the places of an arm's rows: of the model, or of the forecasts without one."""
        return self.of_group.get((model, mode, arm)) or self.of_group.get(("", "", arm), ())


def trials_of(rows: Iterable[Row]) -> Trials:
    """Score the rows of an evaluation.

    Args:
        rows: of `belief_tools.evaluate.evaluate`.

    Raises:
        ValueError: a row comes twice, holds a figure that cannot be, or says of its trial what
            another arm says differently.
    """
    kept = tuple(rows)
    of_group: dict[Group, list[int]] = {}
    for place in sorted(range(len(kept)), key=lambda i: (kept[i]["origin"], kept[i]["horizon"])):
        row = kept[place]
        of_group.setdefault((row["model"], row["mode"], row["arm"]), []).append(place)
    _check(kept)
    groups = dict.fromkeys((row["model"], row["mode"], row["arm"]) for row in kept)
    own = scores(kept, [stood_for(row) for row in kept])
    shown = scores(kept, [row["shown"] for row in kept])
    return Trials(kept, own, shown, {group: tuple(of_group[group]) for group in groups})


def stood_for(row: Row) -> Mapping[str, float]:
    """What counts as the model's own prediction: the random walk where it said nothing usable."""
    figures: Mapping[str, float] = row["random_walk"] if row["own"] is None else row["own"]
    return figures


def scores(rows: Sequence[Row], figures: Sequence[Mapping[str, float]]) -> Scores:
    """Score predictions; smaller is better except for `covered`.

    The interval score is ``(u - l) + 2/a (l - y) 1{y < l} + 2/a (y - u) 1{y > u}`` with
    ``a = 1 - LEVEL``, in percent of the last close.

    Args:
        rows: with "actual" and "last_close".
        figures: "price", "low", "high" and "prob_up" for each row.

    Source:
        Gneiting and Raftery (2007), equation 43, doi:10.1198/016214506000001437; Brier (1950).

    Example:
        >>> row = {"actual": 110.0, "last_close": 100.0}
        >>> said = {"price": 99.0, "low": 95.0, "high": 105.0, "prob_up": 0.6}
        >>> found = scores([row], [said])
        >>> found.error.round(2).tolist(), found.interval.round(2).tolist()
        ([0.1], [110.0])
        >>> found.brier.round(2).tolist(), found.covered.tolist()
        ([0.16], [0.0])
    """
    actual, last = (_column(rows, name) for name in ("actual", "last_close"))
    price, low, high, prob_up = (
        _column(figures, name) for name in ("price", "low", "high", "prob_up")
    )
    outside = np.maximum(low - actual, 0.0) + np.maximum(actual - high, 0.0)
    return Scores(
        error=np.abs(price - actual) / actual,
        interval=100.0 * (high - low + 2.0 / (1.0 - LEVEL) * outside) / last,
        brier=(prob_up - (actual > last)) ** 2,
        covered=((low <= actual) & (actual <= high)).astype(np.float64),
    )


def summaries(trials: Trials) -> tuple[Summary, ...]:
    """Sum up every arm: each horizon, and then all of them together.

    Args:
        trials: scored.

    Returns:
        In the order of the rows; of one arm the horizons increase, and None is last.
    """
    found = []
    for group, places in trials.of_group.items():
        horizons = sorted({trials.rows[place]["horizon"] for place in places})
        for horizon in (*horizons, None):
            chosen = [place for place in places if horizon in (None, trials.rows[place]["horizon"])]
            found.append(_summary(trials, group, horizon, chosen))
    return tuple(found)


def means(found: Scores, places: Sequence[int]) -> Means:
    """Mean scores of chosen rows, at least one."""
    return Means(*(float(mean) for mean in found.matrix(places).mean(axis=0)))


def _summary(trials: Trials, group: Group, horizon: int | None, places: list[int]) -> Summary:
    rows = [trials.rows[place] for place in places]
    n = len(rows)
    kinds = Counter(row["consulted_by"] for row in rows if row["consulted_by"] is not None)
    checked = [row["grounded"] for row in rows if row["grounded"] is not None]
    costs = [row["cost"] for row in rows if row["cost"] is not None]
    counts = [(row["prompt_tokens"], row["completion_tokens"]) for row in rows]
    return Summary(
        *group,
        horizon=horizon,
        n=n,
        n_stated=sum(row["own"] is not None for row in rows),
        own=means(trials.own, places),
        shown=means(trials.shown, places),
        unusable=_share(rows, "unusable"),
        refused=_share(rows, "refused"),
        replaced=_share(rows, "replaced"),
        failed=_share(rows, "failed"),
        consulted={kind: kinds[kind] / n for kind in sorted(kinds)},
        grounded=sum(checked) / len(checked) if checked else None,
        n_checked=len(checked),
        requests=sum(row["requests"] for row in rows),
        prompt_tokens=sum(prompt or 0 for prompt, _ in counts),
        completion_tokens=sum(completion or 0 for _, completion in counts),
        n_uncounted=sum(None in pair for pair in counts),
        seconds=math.fsum(row["seconds"] for row in rows),
        cost=math.fsum(costs) if costs else None,
        n_unpriced=n - len(costs),
    )


def _share(rows: Sequence[Row], name: str) -> float:
    return sum(bool(row[name]) for row in rows) / len(rows)


def _column(values: Sequence[Mapping[str, Any]], name: str) -> Array:
    return np.array([value[name] for value in values], dtype=np.float64)


def _check(rows: Sequence[Row]) -> None:
    seen: set[tuple[Any, ...]] = set()
    of_trial: dict[tuple[str, int], Row] = {}
    for row in rows:
        named = (row["model"], row["mode"], row["arm"], row["origin"], row["horizon"])
        if named in seen:
            raise ValueError(f"the row {named} comes twice")
        seen.add(named)
        _check_figures(named, row)
        first = of_trial.setdefault((row["origin"], row["horizon"]), row)
        for name in OF_TRIAL:  # or arms would not be asked, or stood in for, alike
            if row[name] != first[name]:
                raise ValueError(f"{name} of the row {named} is {row[name]}, else {first[name]}")


def _check_figures(named: tuple[Any, ...], row: Row) -> None:
    for name in ("last_close", "actual"):
        if not _is_price(row[name]):
            raise ValueError(f"{name} of the row {named} is {row[name]}, not a price")
    for name in (*SETS, "random_walk"):
        said = row[name]
        if said is None and name == "own":
            continue
        fine = said is not None and all(map(_is_price, (said["price"], said["low"], said["high"])))
        if not fine or said["low"] > said["high"] or not 0.0 <= said["prob_up"] <= 1.0:
            raise ValueError(f"{name} of the row {named} is {said}, not a prediction")


def _is_price(value: float) -> bool:
    return math.isfinite(value) and value > 0.0
