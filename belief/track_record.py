"""The track record: how good earlier forecasts at about this horizon were, as known on a day.

A forecast counts once its target is at or before that day: `Scored.until` is the only gate. What
is bundled was forecast walk-forward, from origins after those on which settings were chosen.
"""

import dataclasses
import functools
import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.errors import BeliefError, UsageError
from belief.scores import hac_lag, mean_difference, non_overlapping

Column = npt.NDArray[Any]
Array = npt.NDArray[np.float64]

MODEL: Final = "belief"  # whose record it is
REFERENCES: Final = {"random_walk": "a random walk", "garch_t": "GARCH-t"}  # name -> in words
FEWEST_WINDOWS: Final = 20  # that do not overlap; with fewer nothing is claimed
TOO_FEW: Final = "too few to judge"
STANDARD_ERRORS: Final = NormalDist().inv_cdf(0.975)  # to either side, in a 95 % interval
# What a file keeps of each column: four bytes are more than enough for means over thousands.
KEPT_AS: Final = {
    "horizon": np.int16,
    "log_score": np.float32,
    "crps": np.float32,
    "pit": np.float32,
    "covered_50": np.bool_,
    "covered_90": np.bool_,
}
DAYS: Final = ("origin", "target")


@dataclass(frozen=True, eq=False)
class Scored:
    """Forecasts whose outcome is known, with their scores, as columns.

    In any order, with at most one row per model, horizon and origin.

    Attributes:
        model: (n,) its name.
        origin: (n,) last session known, unit D.
        target: (n,) session forecast, unit D.
        horizon: (n,) sessions from origin to target.
        log_score: (n,) of the log return, nats; larger is better.
        crps: (n,) of the log return; smaller is better.
        pit: (n,) probability that the forecast gave to what is below the outcome.
        covered_50: (n,) whether the central 50 % interval held the close.
        covered_90: (n,) whether the central 90 % interval held the close.

    Raises:
        ValueError: a column has another shape than the first.
    """

    model: Column
    origin: Column
    target: Column
    horizon: Column
    log_score: Column
    crps: Column
    pit: Column
    covered_50: Column
    covered_90: Column

    def __post_init__(self) -> None:
        for name, column in vars(self).items():
            if column.shape != (len(self),):
                raise ValueError(f"{name} has shape {column.shape}; it must be ({len(self)},)")
            column.setflags(write=False)

    def __len__(self) -> int:
        return int(self.model.size)

    def until(self, as_of: np.datetime64) -> "Scored":
        """Keep the forecasts whose outcome was known on a day.

        Args:
            as_of: the last session known.
        """
        return self._rows(self.target <= as_of)

    def of(self, model: str, horizon: int) -> "Scored":
        """Keep the forecasts of one model at one horizon, in the order of their origins."""
        rows = np.flatnonzero((self.horizon == horizon) & (self.model == model))
        return self._rows(rows[np.argsort(self.origin[rows], kind="stable")])

    def _rows(self, rows: Column) -> "Scored":
        return Scored(**{name: column[rows] for name, column in vars(self).items()})


COLUMNS: Final = tuple(field.name for field in dataclasses.fields(Scored))


class Skill(NamedTuple):
    """Mean log score less a reference's on the same origins, in nats; positive is better.

    Attributes:
        low, high: its 95 % interval, from a HAC standard error.
        mean: the difference.
    """

    low: float
    mean: float
    high: float

    @property
    def word(self) -> str:
        """What it amounts to: "better than", "worse than" or "no skill over"."""
        if self.low > 0.0:
            return "better than"
        return "worse than" if self.high < 0.0 else "no skill over"


@dataclass(frozen=True)
class TrackRecord:
    """How good such forecasts were, as known on a day.

    Attributes:
        horizon: sessions ahead of the forecasts it is of.
        source: "backtest" or "ledger".
        first: first origin.
        last: last target.
        origins: number of forecasts.
        windows: how many of the windows from origin to target do not overlap, at most.
        coverage_50, coverage_90: share of closes that the central interval held.
        skill: of each of `REFERENCES`; None where there are fewer than `FEWEST_WINDOWS` windows
            on origins that both have, or nothing to compare with.
    """

    horizon: int
    source: str
    first: np.datetime64
    last: np.datetime64
    origins: int
    windows: int
    coverage_50: float
    coverage_90: float
    skill: Mapping[str, Skill | None]

    @property
    def verdict(self) -> str:
        """The skill in words, without a claim where there is too little to judge by.

        Example:
            >>> day, some = np.datetime64("2024-03-01"), {"random_walk": Skill(0.1, 0.2, 0.3)}
            >>> def record(windows, garch_t):
            ...     skill = {**some, "garch_t": garch_t}
            ...     return TrackRecord(5, "backtest", day, day, 99, windows, 0.5, 0.9, skill)
            >>> record(20, Skill(0.1, 0.2, 0.3)).verdict
            'better than a random walk and GARCH-t'
            >>> record(20, Skill(-0.1, 0.0, 0.1)).verdict
            'better than a random walk, no skill over GARCH-t'
            >>> record(19, None).verdict
            'too few to judge'
        """
        if self.windows < FEWEST_WINDOWS:
            return TOO_FEW
        named: dict[str, list[str]] = {}
        for reference, words in REFERENCES.items():
            skill = self.skill[reference]
            named.setdefault("not compared with" if skill is None else skill.word, []).append(words)
        joined = {"better than": " and ", "worse than": " and "}
        return ", ".join(
            f"{word} {joined.get(word, ' or ').join(of)}" for word, of in named.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values: shares and nats to three decimals, a skill as [low, mean, high]."""
        skill = {
            f"skill_{name}": found and [round(value, 3) for value in found]
            for name, found in self.skill.items()
        }
        return {
            "horizon": self.horizon,
            "source": self.source,
            "first": str(self.first),
            "last": str(self.last),
            "origins": self.origins,
            "windows": self.windows,
            "coverage_50": round(self.coverage_50, 3),
            "coverage_90": round(self.coverage_90, 3),
            **skill,
            "verdict": self.verdict,
        }


def track_record(
    scored: Scored, horizon: int, as_of: np.datetime64, *, source: str = "backtest"
) -> TrackRecord | None:
    """Sum up how good such forecasts were, from those whose target is at or before as_of.

    Args:
        scored: forecasts of `MODEL` and, to compare with, of `REFERENCES`.
        horizon: sessions ahead; of those that were scored over `FEWEST_WINDOWS` windows the nearest
            is taken, in ratio, of two equally near ones the shorter; without any, of all.
        as_of: the last session known.
        source: where the forecasts come from, "backtest" or "ledger".

    Returns:
        The record, or None when no forecast of `MODEL` had its outcome by then.

    Raises:
        ValueError: the horizon is below 1.
    """
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}; it must be at least 1")
    known = scored.until(as_of)
    found = _nearest(known, horizon)
    if found is None:
        return None
    own, nearest, windows = found
    return TrackRecord(
        horizon=nearest,
        source=source,
        first=own.origin[0],
        last=own.target.max(),
        origins=len(own),
        windows=windows,
        coverage_50=float(own.covered_50.mean()),
        coverage_90=float(own.covered_90.mean()),
        skill={name: _skill(own, known.of(name, nearest), nearest, windows) for name in REFERENCES},
    )


def choose(
    ledger: Scored | None, backtest: Scored | None, horizon: int, as_of: np.datetime64
) -> TrackRecord | None:
    """Take the record of the ledger where it says enough, else that of the backtest.

    The ledger says enough with `FEWEST_WINDOWS` windows that do not overlap, at a horizon that is
    no farther from the one wanted than the backtest's.

    Args:
        ledger: forecasts that were given out, or None.
        backtest: forecasts of the past made afterwards, or None.
        horizon: sessions ahead.
        as_of: the last session known.

    Returns:
        The record, or None when neither has a forecast whose outcome was known.
    """
    live = None if ledger is None else track_record(ledger, horizon, as_of, source="ledger")
    past = None if backtest is None else track_record(backtest, horizon, as_of)
    if live is None or past is None:
        return live or past
    as_near = _distance(live.horizon, horizon) <= _distance(past.horizon, horizon)
    return live if as_near and live.windows >= FEWEST_WINDOWS else past


def _nearest(known: Scored, horizon: int) -> tuple[Scored, int, int] | None:
    """The forecasts of `MODEL` at the horizon to judge by, that horizon, and their windows."""
    horizons = sorted(set(known.horizon[known.model == MODEL].tolist()))
    first = None
    # sorting keeps the shorter of two equally near ones before the other
    for near in sorted(horizons, key=lambda scored: _distance(scored, horizon)):
        own = known.of(MODEL, near)
        windows = non_overlapping(own.origin, own.target)
        if windows >= FEWEST_WINDOWS:
            return own, near, windows
        first = first or (own, near, windows)
    return first


def _distance(scored: int, horizon: int) -> float:
    """Ratio of the larger to the smaller; exact, so that a tie is one."""
    return max(scored, horizon) / min(scored, horizon)


def skill_of(gain: Array, windows: int, horizon: int) -> Skill | None:
    """Judge the log scores of a model less those of a reference.

    Args:
        gain: (n,) differences in nats, in the order of the origins.
        windows: how many of their windows do not overlap.
        horizon: sessions from origin to target.

    Returns:
        The interval, or None where there is too little to judge by.

    Example:
        >>> skill_of(np.tile([0.0, 0.2], 50), 100, 1).word, skill_of(np.ones(9), 9, 1)
        ('better than', None)
    """
    lag = hac_lag(max(gain.size, 1), horizon=horizon)
    if windows < FEWEST_WINDOWS or gain.size <= lag:
        return None
    found = mean_difference(gain, lag)
    if not math.isfinite(found.standard_error):
        return None  # all differences the same: they say nothing of what chance does
    half = STANDARD_ERRORS * found.standard_error
    return Skill(found.mean - half, found.mean, found.mean + half)


def _skill(own: Scored, base: Scored, horizon: int, windows: int) -> Skill | None:
    """Compare on the origins that both have; None where there is too little to judge by."""
    _, mine, theirs = np.intersect1d(own.origin, base.origin, return_indices=True)
    if mine.size < len(own):
        windows = non_overlapping(own.origin[mine], own.target[mine])
    gain = own.log_score[mine].astype(np.float64) - base.log_score[theirs].astype(np.float64)
    return skill_of(gain, windows, horizon)


def scores_from_parquet(path: Path) -> Scored:
    """Read the forecasts of `MODEL` and `REFERENCES` out of a backtest's table.

    Args:
        path: a Parquet file that `belief backtest --out` wrote.

    Returns:
        Their rows, in the order of the file.

    Raises:
        UsageError: there is no such file, or it is not such a table.
    """
    from pyarrow import ArrowException, parquet

    wanted = [("model", "in", (MODEL, *REFERENCES))]
    try:
        table = parquet.read_table(path, columns=list(COLUMNS), filters=wanted)
        columns = {name: table.column(name).to_numpy() for name in COLUMNS}
    except (OSError, KeyError, ArrowException):
        raise UsageError(
            f"{path} is not a table that `belief backtest --out` wrote; it needs the columns "
            f"{', '.join(COLUMNS)}"
        ) from None
    return scored_of(columns)


def scored_of(columns: Mapping[str, Column]) -> Scored:
    """Columns in the types that a file keeps.

    Args:
        columns: by the names of `Scored`, of any type that can be made into those.
    """
    days = {name: columns[name].astype("datetime64[D]") for name in DAYS}
    rest: dict[str, Column] = {name: columns[name].astype(small) for name, small in KEPT_AS.items()}
    return Scored(model=np.asarray(columns["model"], dtype=np.str_), **days, **rest)


def write_scored(scored: Scored, path: Path) -> None:
    """Write forecasts and scores to a file that `bundled_scores` can read.

    Args:
        scored: what to write.
        path: where, as .npz.

    Raises:
        OSError: the file cannot be written.
    """
    names, code = np.unique(scored.model, return_inverse=True)
    kept: dict[str, Any] = {"names": names, "model": code.astype(np.uint8)}
    kept |= {name: getattr(scored, name).astype(np.int64).astype(np.int32) for name in DAYS}
    kept |= {name: getattr(scored, name).astype(small) for name, small in KEPT_AS.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **kept)
    path.write_bytes(content.getvalue())


@functools.cache
def bundled_scores(symbol: str) -> Scored | None:
    """Read the walk-forward scores that are bundled for a symbol.

    Args:
        symbol: upper case.

    Returns:
        The scores, or None when none are bundled.

    Raises:
        BeliefError: the bundled file is damaged.
    """
    path = files("belief.data") / f"{symbol}.track.npz"
    if not path.is_file():
        return None
    try:
        with np.load(io.BytesIO(path.read_bytes())) as kept:
            columns = {name: kept[name] for name in ("names", *COLUMNS)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        raise BeliefError(
            f"the bundled track record of {symbol} is damaged; install anew"
        ) from None
    return scored_of({**columns, "model": columns["names"][columns["model"]]})
