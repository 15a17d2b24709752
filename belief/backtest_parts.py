"""One model's walk forward, in parts that are kept on disk.

A part starts from the file of the part before it, whether that was written a moment or a week ago,
in this process or another: an interruption can lose time, and can change nothing.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief import models, scores
from belief.errors import BeliefError, FitError, ImpossibleObservation
from belief.fitted_model import FittedModel
from belief.forecast import Forecast
from belief.paths import write_whole
from belief.posterior import Belief
from belief.prices import Prices
from belief.sessions import session_after

if TYPE_CHECKING:
    import pyarrow

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

PART_LENGTH: Final = 21  # origins in a part: as much work as an interruption can lose
# Column of the quantile at each probability: the digits behind the point.
QUANTILES: Final = {
    "q005": 0.005,
    "q01": 0.01,
    "q025": 0.025,
    "q05": 0.05,
    "q10": 0.1,
    "q25": 0.25,
    "q50": 0.5,
    "q75": 0.75,
    "q90": 0.9,
    "q95": 0.95,
    "q975": 0.975,
    "q99": 0.99,
    "q995": 0.995,
}
COVERED: Final = {f"covered_{100 * level:.0f}": level for level in scores.LEVELS}
SCORES: Final = ("log_score", "crps", "pit", "absolute_error", "interval_score")
INTERVAL_LEVEL: Final = 0.9  # of the interval that is scored
# What a model with states held at the origin; matrices row by row. Null for the others.
REGIME_NAMES: Final = "regime_names"
STATES: Final = ("regime_probability", "transition_matrix", "static_transition_matrix")


@dataclass(frozen=True, eq=False)
class Chain:
    """The walk of one model.

    Attributes:
        model: its name.
        prices: nothing after the last target that is looked at.
        origins: (N,) sessions to forecast from, in order.
        horizons: sessions ahead, increasing.
        refit_every: origins from one fit to the next.
        folder: where the parts are kept; its name stands for all that they depend on.
    """

    model: str
    prices: Prices
    origins: Days
    horizons: tuple[int, ...]
    refit_every: int
    folder: Path

    @property
    def n_parts(self) -> int:
        """Number of parts, the last of which may be shorter."""
        return -(-len(self.origins) // PART_LENGTH)

    def places(self, part: int) -> range:
        """Places in `origins` of the origins of a part."""
        return range(part * PART_LENGTH, min((part + 1) * PART_LENGTH, len(self.origins)))


class Scored(NamedTuple):
    """A forecast, the close at its target in dollars of its origin, and the belief at the origin.

    The belief is None for a model without states.
    """

    forecast: Forecast
    close: float
    belief: Belief | None


def finish(chain: Chain, part: int) -> bytes:
    """Walk a part and keep it, unless it is kept already.

    Args:
        chain: the walk.
        part: number of the part; those before it are walked too where they are missing.

    Returns:
        Content of the part, the same whether it was read or walked.

    Raises:
        FitError: the model cannot be fitted at one of the origins.
        ImpossibleObservation: the model ruled out what then happened.
        BeliefError: the part cannot be kept.
    """
    kept = _kept(chain, part)
    if kept is not None:
        return kept
    before = _state(finish(chain, part - 1)) if part else None
    content = _walk(chain, part, before)
    path = _path(chain, part)
    try:
        write_whole(path, _seal(chain, part, content) + content)
    except OSError as error:
        raise BeliefError(
            f"cannot keep a finished part in {path.parent}: {error.strerror}; free the disk, or "
            "name another folder in BELIEF_CACHE_DIR"
        ) from None
    return content


def rows_of(chain: Chain, part: int) -> "pyarrow.Table":
    """Read the rows of a part: one per origin and horizon whose target the prices have.

    Args:
        chain: the walk.
        part: number of the part; it is finished first where it is not.

    Returns:
        Table with the columns of `schema`.

    Raises:
        FitError, ImpossibleObservation, BeliefError: as `finish` does.
    """
    import pyarrow
    from pyarrow import parquet

    _, _, rows = finish(chain, part).partition(b"\n")
    return parquet.read_table(pyarrow.BufferReader(rows))


def is_kept(chain: Chain, part: int) -> bool:
    """Say whether a part was finished before and its file is whole."""
    return _kept(chain, part) is not None


def _kept(chain: Chain, part: int) -> bytes | None:
    """The content of the file of a part; a damaged file, or one of another part, is no file."""
    try:
        seal, _, content = _path(chain, part).read_bytes().partition(b"\n")
    except OSError:
        return None
    return content if seal + b"\n" == _seal(chain, part, content) else None


def _path(chain: Chain, part: int) -> Path:
    return chain.folder / f"{part:04d}.part"


def _seal(chain: Chain, part: int, content: bytes) -> bytes:
    """The first line of a file: it vouches for the content and for which part that is."""
    digest = hashlib.sha256(f"{chain.folder.name} {part}\n".encode() + content)
    return digest.hexdigest().encode() + b"\n"


def _written(fitted: FittedModel, rows: "pyarrow.Table") -> bytes:
    """The model on a line of its own, then the rows as a Parquet file."""
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(rows, content)
    return fitted.to_json().encode() + b"\n" + content.getvalue()


def _state(content: bytes) -> FittedModel:
    """The model as it was at the last origin of a part."""
    return FittedModel.from_json(content.partition(b"\n")[0].decode())


def _walk(chain: Chain, part: int, fitted: FittedModel | None) -> bytes:
    """Fit or carry on, and forecast, at each origin of a part."""
    scored: list[Scored] = []
    for place in chain.places(part):
        known = chain.prices.until(chain.origins[place])
        try:
            moved = _moved_on(chain, place, fitted, known)
        except (FitError, ImpossibleObservation) as error:
            raise type(error)(f"{chain.model} at {known.as_of}: {error}") from None
        scored.extend(_scored(chain, moved, known))
        fitted = moved
    return _written(moved, _rows(scored))


def _moved_on(chain: Chain, place: int, fitted: FittedModel | None, known: Prices) -> FittedModel:
    """The model at an origin: carried on to it, and fitted anew when it is time."""
    if fitted is not None:
        fitted = models.carry(fitted, known)
    if fitted is None or place % chain.refit_every == 0:
        # what moves with every session, such as weights, goes from fit to fit with `start`
        fitted = models.fit(chain.model, known, start=fitted)
    return fitted


def _scored(chain: Chain, fitted: FittedModel, known: Prices) -> Iterator[Scored]:
    """Forecasts from an origin whose outcome the prices have.

    Which targets they have is known only later: it decides which forecasts are kept, and nothing
    about them.
    """
    targets = np.array([session_after(known.as_of, horizon) for horizon in chain.horizons])
    closes = closes_at(chain.prices, known.as_of, targets)
    if np.isnan(closes).all():
        return
    ahead = models.forecasts(fitted, known, list(targets))
    belief = models.belief(fitted) if fitted.model in models.BELIEVERS else None
    for forecast, close in zip(ahead, closes.tolist(), strict=True):
        if not np.isnan(close):
            yield Scored(forecast, close, belief)


def closes_at(prices: Prices, origin: np.datetime64, targets: Days) -> Array:
    """Closes at targets in dollars of the origin, NaN where the prices have none.

    Args:
        prices: of one symbol, as traded.
        origin: one of their sessions.
        targets: (H,) days.

    Returns:
        (H,) dollars of the origin.
    """
    place = np.searchsorted(prices.session, targets).clip(max=prices.session.size - 1)
    close = prices.closes_in_dollars_of(origin)[place]
    return np.where(prices.session[place] == targets, close, np.nan)


def _rows(scored: list[Scored]) -> "pyarrow.Table":
    """Score forecasts against what came out, all at once."""
    import pyarrow

    forecasts = [each.forecast for each in scored]
    quantiles = np.array([each.log_return_quantile for each in forecasts])
    last_close = np.array([each.last_close for each in forecasts])
    close = np.array([each.close for each in scored])
    columns = {
        "model": np.array([each.model for each in forecasts], dtype=object),
        "origin": np.array([each.origin for each in forecasts], dtype="datetime64[D]"),
        "target": np.array([each.target for each in forecasts], dtype="datetime64[D]"),
        "horizon": np.array([each.horizon for each in forecasts], dtype=np.int32),
        "last_close": last_close,
        "close": close,
        "log_return": np.log(close / last_close),
    }
    if scored:
        columns |= _state_columns([each.belief for each in scored])
        columns |= _quantile_columns(forecasts)
        columns |= score_columns(quantiles, columns["log_return"], last_close)
    fields = schema()
    arrays = [pyarrow.array(columns.get(field.name, []), type=field.type) for field in fields]
    return pyarrow.Table.from_arrays(arrays, schema=fields)


def schema() -> "pyarrow.Schema":
    """Names and types of the columns, in order."""
    import pyarrow

    day, number = pyarrow.date32(), pyarrow.float64()
    numbers = pyarrow.list_(number)
    return pyarrow.schema(
        [("model", pyarrow.string()), ("origin", day), ("target", day)]
        + [("horizon", pyarrow.int32())]
        + [(name, number) for name in ("last_close", "close", "log_return", *QUANTILES, *SCORES)]
        + [(name, pyarrow.bool_()) for name in COVERED]
        + [(REGIME_NAMES, pyarrow.list_(pyarrow.string()))]
        + [(name, numbers) for name in STATES]
    )


def _state_columns(beliefs: list[Belief | None]) -> dict[str, list[Any]]:
    """Regimes and the transition probabilities in force, by the names of `STATES`."""
    rows: list[tuple[Any, ...]] = [
        (None,) * (1 + len(STATES))
        if held is None
        else (
            [regime.name for regime in held.regimes],
            [regime.probability for regime in held.regimes],
            held.transition_matrix.ravel(),
            held.static_transition_matrix.ravel(),
        )
        for held in beliefs
    ]
    return {
        name: list(column)
        for name, column in zip((REGIME_NAMES, *STATES), zip(*rows, strict=True), strict=True)
    }


def _quantile_columns(forecasts: list[Forecast]) -> dict[str, Array]:
    return {
        name: np.array([forecast.quantile(probability) for forecast in forecasts])
        for name, probability in QUANTILES.items()
    }


def score_columns(
    quantiles: Array, log_return: Array, last_close: Array
) -> dict[str, npt.NDArray[np.generic]]:
    """Score forecasts of one symbol by every score there is.

    Args:
        quantiles: (n, Q) natural-log returns at `belief.forecast.NORMAL_SCORES`.
        log_return: (n,) those that came, from origin to target.
        last_close: (n,) closes at the origins, in their dollars.

    Returns:
        (n,) under each name of `SCORES` and `COVERED`.
    """
    dollars = (quantiles, log_return, last_close)
    return {
        "log_score": scores.log_score(quantiles, log_return),
        "crps": scores.crps(quantiles, log_return),
        "pit": scores.pit(quantiles, log_return),
        "absolute_error": scores.absolute_error(*dollars),
        "interval_score": scores.interval_score(*dollars, level=INTERVAL_LEVEL),
        **{
            name: scores.covered(quantiles, log_return, level=level)
            for name, level in COVERED.items()
        },
    }
