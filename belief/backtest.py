"""Walk forward: origin after origin, fit, forecast, and score against what came out.

Each model walks a chain of its own: at every `refit_every`-th origin it is fitted anew, starting
from the fit before it; in between its state is carried on from session to session.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from belief import models
from belief.backtest_parts import PART_LENGTH, Chain, finish, is_kept, rows_of
from belief.errors import BeliefError, UsageError
from belief.freed_memory import keep_freed_memory
from belief.observations import MIN_SESSIONS
from belief.paths import cache_dir
from belief.prices import Prices
from belief.sessions import Day, as_day, session_after

if TYPE_CHECKING:
    import pyarrow

Days = npt.NDArray[np.datetime64]
Progress = Callable[[int, int], None]

FIRST_ORIGIN: Final = np.datetime64("2013-01-02", "D")  # settings were chosen on what is before
HORIZONS: Final = (1, 5, 21, 63, 126, 252)
USUAL_MODELS: Final = ("belief", "gjr_t", "garch_t", "random_walk")
REFIT_EVERY: Final = 21
SCORES_WITH: Final = (
    "scoringrules",
    "pyarrow",
    "exchange_calendars",
)  # beside what the fingerprint of the code has
ABOUT: Final = b"belief.backtest"  # where a table says what it is of


@dataclass(frozen=True)
class Plan:
    """Which forecasts to make.

    Attributes:
        first: first day that may be an origin.
        last: last day that may be one; None for the last session of the prices.
        horizons: sessions ahead, increasing, each from 1 to `belief.models.MAX_HORIZON`.
        models: of `belief.models.MODELS`, each once; none stands for `usual_models()`.
        refit_every: origins from one fit to the next.
        n_jobs: processes; the result does not depend on them.

    Raises:
        UsageError: one of them is not valid.

    Example:
        >>> plan = Plan(first="2024-01-02", last="2024-06-28", horizons=(1, 21))
        >>> plan.models
        ('belief', 'gjr_t', 'garch_t', 'random_walk')
    """

    first: Day = FIRST_ORIGIN
    last: Day | None = None
    horizons: tuple[int, ...] = HORIZONS
    models: tuple[str, ...] = ()
    refit_every: int = REFIT_EVERY
    n_jobs: int = 1

    def __post_init__(self) -> None:
        first, last = as_day(self.first), None if self.last is None else as_day(self.last)
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "last", last)
        object.__setattr__(self, "models", tuple(self.models) or usual_models())
        object.__setattr__(self, "horizons", models.increasing_horizons(self.horizons))
        _check_models(self.models)
        for what, count in (("refit-every", self.refit_every), ("jobs", self.n_jobs)):
            if not isinstance(count, int) or count < 1:
                raise UsageError(f"{what} is {count!r}; it must be a whole number, at least 1")
        if last is not None and not first <= last:
            raise UsageError(f"the first origin {first} is after the last, {last}")


def usual_models() -> tuple[str, ...]:
    """The shipped model and those it is measured against, as far as they are there."""
    return tuple(name for name in USUAL_MODELS if name in models.MODELS) or models.MODELS


def walk_forward(
    prices: Prices, plan: Plan, *, progress: Progress | None = None
) -> "pyarrow.Table":
    """Forecast from every session of a stretch of time, and score each forecast.

    A forecast uses nothing later than its origin. A target that the prices do not have gives no
    row. What is finished is kept in `belief.paths.cache_dir()`: after an interruption, or with one
    more model, the same call goes on from there. Neither that nor the number of processes changes
    a bit of the result.

    Args:
        prices: of one symbol, through the last outcome that is to count.
        plan: which forecasts to make.
        progress: is told now and then how many origins are done, and of how many, over all models.

    Returns:
        Table with one row per model, origin and horizon, in this order. Columns: model, origin,
        target, horizon, last_close, close (at the target), log_return (natural, from origin to
        target), those of `backtest_parts.QUANTILES`, log_score (nats, of the log return), crps (of
        the log return), pit, absolute_error (of the median), interval_score (at 90 %), covered_50
        to covered_95 (whether the central interval contains the close), and of a model with states
        what it held at the origin, otherwise null: regime_names, regime_probability, and the
        transition probabilities in force and of the static fit, transition_matrix and
        static_transition_matrix, (R, R) row by row. Prices are in dollars of the origin.

    Raises:
        UsageError: there are too few prices before the first origin, or there is no outcome.
        FitError: a model cannot be fitted.
        BeliefError: what is finished cannot be kept, or a process died.

    Example:
        >>> from belief import load_prices
        >>> plan = Plan(first="2000-03-01", last="2000-03-31", horizons=(1,), models=("ewma_t",))
        >>> rows = walk_forward(load_prices("NVDA"), plan).to_pandas()
        >>> len(rows), round(float(rows["covered_90"].mean()), 2)
        (23, 0.83)
    """
    import pyarrow

    chains = _chains(prices, plan)
    missing = [
        [part for part in range(chain.n_parts) if not is_kept(chain, part)] for chain in chains
    ]
    total = sum(len(chain.origins) for chain in chains)
    left = sum(
        len(chain.places(part))
        for chain, parts in zip(chains, missing, strict=True)
        for part in parts
    )
    walk = _walk_here if plan.n_jobs == 1 else _walk_in_processes
    with contextlib.closing(walk(chains, missing, plan.n_jobs)) as steps:
        for n_origins in steps:
            left -= n_origins
            if progress is not None:
                progress(total - left, total)
    rows = [rows_of(chain, part) for chain in chains for part in range(chain.n_parts)]
    if not any(part.num_rows for part in rows):
        raise UsageError("the prices have none of the targets; choose other days or horizons")
    said = {ABOUT: json.dumps(_about(prices, plan, chains[0].origins))}
    return pyarrow.concat_tables(rows).combine_chunks().replace_schema_metadata(said)


def about(table: "pyarrow.Table") -> dict[str, Any]:
    """Read what a table of `walk_forward` says it is of.

    Args:
        table: of `walk_forward`, also one that was written to a Parquet file and read again.

    Returns:
        symbol, currency, source, from and to (first and last origin), horizons, models,
        refit_every.

    Raises:
        ValueError: the table is not one of `walk_forward`.
    """
    found = (table.schema.metadata or {}).get(ABOUT)
    if found is None:
        raise ValueError("the table is not one of walk_forward: it does not say what it is of")
    said: dict[str, Any] = json.loads(found)
    return said


def _about(prices: Prices, plan: Plan, origins: Days) -> dict[str, Any]:
    return {
        "symbol": prices.symbol,
        "currency": prices.currency,
        "source": prices.source,
        "from": str(origins[0]),
        "to": str(origins[-1]),
        "horizons": plan.horizons,
        "models": plan.models,
        "refit_every": plan.refit_every,
    }


def _check_models(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in models.MODELS:
            raise UsageError(f"there is no model {name!r}; choose of {', '.join(models.MODELS)}")
    if len(set(names)) < len(names):
        raise UsageError(f"a model is named twice: {', '.join(names)}")


def _chains(prices: Prices, plan: Plan) -> list[Chain]:
    """The walks of a plan, with the prices up to the last target that is looked at."""
    origins = _origins(prices, plan)
    end = session_after(origins[-1], plan.horizons[-1])
    if end < prices.as_of:
        prices = prices.until(end)  # so that later prices do not make it another walk
    return [
        Chain(
            model=model,
            prices=prices,
            origins=origins,
            horizons=plan.horizons,
            refit_every=plan.refit_every,
            folder=cache_dir() / "backtests" / _name(model, prices, origins, plan),
        )
        for model in plan.models
    ]


def _name(model: str, prices: Prices, origins: Days, plan: Plan) -> str:
    """Name the walk of a model by everything its rows depend on."""
    depends_on = {
        "fit": models.fit_fingerprint(model, prices),
        "first": str(origins[0]),
        "last": str(origins[-1]),
        "horizons": plan.horizons,
        "refit_every": plan.refit_every,
        "part_length": PART_LENGTH,
        "versions": [importlib.metadata.version(name) for name in SCORES_WITH],
    }
    return hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()


def _origins(prices: Prices, plan: Plan) -> Days:
    """The sessions to forecast from."""
    session = prices.session
    first, last = as_day(plan.first), as_day(prices.as_of if plan.last is None else plan.last)
    span = f"the prices of {prices.symbol} are from {session[0]} to {session[-1]}"
    if first > prices.as_of or last > prices.as_of:
        late = first if first > prices.as_of else last
        raise UsageError(f"origin {late} is after the last session; {span}")
    origins: Days = session[(session >= first) & (session <= last)]
    if origins.size == 0:
        raise UsageError(f"there is no session from {first} to {last}; {span}")
    n_returns = int(np.searchsorted(session, origins[0]))
    if n_returns < MIN_SESSIONS:
        enough = (
            f"choose {session[MIN_SESSIONS]} or later"
            if session.size > MIN_SESSIONS
            else "these prices are too few"
        )
        raise UsageError(
            f"at the first origin {origins[0]} only {n_returns} returns are known, at least "
            f"{MIN_SESSIONS} are needed; {enough}"
        )
    if session_after(origins[0], plan.horizons[0]) > prices.as_of:
        raise UsageError(
            f"no target {plan.horizons[0]} sessions after {origins[0]} or later has come; {span}"
        )
    return origins


def _walk_here(chains: list[Chain], missing: list[list[int]], n_jobs: int) -> Generator[int]:
    """Walk the missing parts one after the other; yields how many origins each has."""
    yield 0
    for chain, parts in zip(chains, missing, strict=True):
        for part in parts:
            yield _step(chain, part)


def _walk_in_processes(
    chains: list[Chain], missing: list[list[int]], n_jobs: int
) -> Generator[int]:
    """Walk the chains side by side, each of them part after part."""
    from joblib.externals import loky

    yield 0
    todo = [(chain, iter(parts)) for chain, parts in zip(chains, missing, strict=True) if parts]
    if not todo:
        return
    pool = loky.ProcessPoolExecutor(
        min(n_jobs, len(todo)), initializer=_belong_to, initargs=(os.getpid(),)
    )
    try:
        running = {pool.submit(_step, chain, next(parts)): (chain, parts) for chain, parts in todo}
        while running:
            done, _ = loky.wait(running, return_when=loky.FIRST_COMPLETED)
            for future in done:
                chain, parts = running.pop(future)
                yield future.result()
                part = next(parts, None)
                if part is not None:
                    running[pool.submit(_step, chain, part)] = (chain, parts)
    except loky.BrokenProcessPool:
        raise BeliefError(
            "a process of the backtest died, perhaps for want of memory; the same call goes on "
            "from what is finished, with fewer jobs if need be"
        ) from None
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _step(chain: Chain, part: int) -> int:
    finish(chain, part)
    return len(chain.places(part))


def _belong_to(parent: int) -> None:
    """Leave interrupts to the parent process, and end when it has ended, however that came."""
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)  # at any moment: files are written whole or not at all

    threading.Thread(target=watch, daemon=True).start()
