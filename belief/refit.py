"""The daily refit: fetch, audit, fit, pass the gate, publish.

Whatever goes wrong, the last good prices and the last good model stay in service. What is
published is fitted from fixed values, so it depends on the prices alone; only the weights of the
memories go on from publication to publication, session by session.
"""

import contextlib
import dataclasses
import datetime
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from sqlalchemy import Connection

from belief import store as stored
from belief.audit import Audit, audit
from belief.bars import Bars
from belief.errors import FitError, PricesError, RefitRunning, StoreError
from belief.events import Events, bundled_events
from belief.fitted_model import FittedModel, code_fingerprint
from belief.grid_belief import with_weights_of
from belief.ledger import Entry, append, forecast_entry
from belief.ledger_scores import forget_changed, forget_unfounded
from belief.models import DEFAULT_MODEL, belief, carry, fit, forecasts
from belief.observations import MIN_SESSIONS, observe
from belief.posterior import Belief
from belief.prices import COLUMNS, Prices
from belief.refit_gate import Check, check_model
from belief.sessions import last_closed_session, session_after
from belief.store import Publication, Store, utc

Fetch = Callable[[np.datetime64 | None], Bars]
Progress = Callable[[str, float], None]  # what is done, and which share of it is behind

OVERLAP: Final = 15  # sessions fetched again, to be compared with those that are kept
SAME_EVENT: Final = 10  # days by which two sources may differ about one event
WALKED: Final = 1000  # sessions over which the memories are weighed before the first publication
WALK_REFIT: Final = 63  # sessions from one fit of that walk to the next
# Repairs after which the same model may read another volatility off the prices.
MOVING: Final = (
    "revised",
    "gap",
    "split",
    "basis",
    "non-positive",
    "high below low",
    "outside range",
)
# What each publication forecasts, and the models it will be compared with.
HORIZONS: Final = (1, 5, 21, 63, 126, 252)
REFERENCES: Final = ("garch_t", "random_walk")

Status = Literal["published", "nothing new", "refused"]


@dataclass(frozen=True, eq=False)
class Change:
    """What a publication changed in the belief, and why.

    Attributes:
        before: the belief at the publication before; None when this is the first.
        carried: the same model at the sessions that are new, before it was fitted again.
        now: the belief that was published.
        n_sessions: how many sessions are new.
    """

    before: Belief | None
    carried: Belief | None
    now: Belief
    n_sessions: int


@dataclass(frozen=True, eq=False)
class Refit:
    """How a refit ended.

    Attributes:
        status: "published", "nothing new" or "refused".
        as_of: the last session of the prices in the store; None when it has none.
        audit: what was found in the prices that were fetched.
        checks: of the gate; none when it was not reached.
        change: what was published changed; None when nothing was.
        in_service: whether a model serves after a refusal.
    """

    status: Status
    as_of: np.datetime64 | None
    audit: Audit
    checks: tuple[Check, ...] = ()
    change: Change | None = None
    in_service: bool = True

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was refused, one line each."""
        failed = (f"{check.name}: {check.reason}" for check in self.checks if not check.passed)
        return (*self.audit.reasons, *failed)


def refit(
    symbol: str,
    store: Store,
    fetch: Fetch,
    *,
    now: datetime.datetime,
    anew: bool = False,
    progress: Progress = lambda *_: None,
) -> Refit:
    """Bring in new sessions, check them, fit, and publish what passes the gate.

    Run again on the same prices it does nothing. A second one at the same time is refused.

    Args:
        symbol: upper case.
        store: where prices, models and forecasts are kept.
        fetch: gives the bars from a day on, or all of them for None.
        now: the moment; forecasts are dated with it.
        anew: fetch the whole history and audit it by itself, in place of what is kept: the way out
            when the source contradicts prices that were wrong.
        progress: is told what takes a while.

    Returns:
        `Refit`.

    Raises:
        RefitRunning: another process is refitting the symbol.
        PricesError: there are no prices, or their source fails.
        FitError: the prices cannot be fitted.
        StoreError: the store fails; what it held before it still holds.
    """
    with refitting(symbol, store):
        known = _known(store, symbol, anew=anew)
        compared = None if anew else known
        found = audit(closed_rows(fetch(first_day(compared)), now), compared)
        prices = known if found.prices is None else _with_events(found.prices)
        keep = functools.partial(_keep, prices=prices, known=known)
        with store.write() as connection:
            stored.save_findings(connection, symbol, found.findings, utc(now))
            if not found.refused and compared is not None:
                keep(connection)
        if found.refused or prices is None:
            last = None if known is None else known.as_of
            return Refit("refused", last, found, in_service=known is not None)
        # a history that is new as a whole is kept together with its first model, or not at all
        together = keep if compared is None else None
        return _publish(store, prices, found, now, progress, together)


def closed_rows(bars: Bars, now: datetime.datetime) -> Bars:
    """Leave out the rows of sessions that have not closed yet, whatever source tells them.

    Args:
        bars: as they came.
        now: the moment.
    """
    closed = bars.session <= last_closed_session(now)
    if closed.all():
        return bars
    columns = {name: getattr(bars, name)[closed] for name in ("session", *COLUMNS)}
    return dataclasses.replace(bars, **columns)


def _keep(connection: Connection, *, prices: Prices | None, known: Prices | None) -> None:
    if prices is not None:
        stored.save_prices(connection, prices)
        if known is not None:
            forget_changed(connection, known, prices)
        else:
            forget_unfounded(connection, prices)


def _known(store: Store, symbol: str, *, anew: bool) -> Prices | None:
    """The prices that are kept; damaged ones count as none when they are to be replaced."""
    with store.read() as connection:
        try:
            return stored.load_prices(connection, symbol)
        except PricesError as error:
            if anew:
                return None
            raise PricesError(f"{error}; belief refit --anew replaces them") from None


@contextlib.contextmanager
def refitting(symbol: str, store: Store) -> Iterator[None]:
    """Hold the symbol, so that no other process refits it; a process that dies lets go.

    Raises:
        RefitRunning: another process holds it.
        StoreError: the file that is held cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(store.lock_path(symbol))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RefitRunning(
            f"{symbol} is being refitted by another process; wait until it has ended"
        ) from None
    except OSError as error:
        raise StoreError(f"cannot hold {symbol} for a refit: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


def first_day(known: Prices | None) -> np.datetime64 | None:
    """The day from which prices are fetched, so that they overlap with what is known.

    Args:
        known: the prices that are kept, or None.

    Returns:
        A session, or None for the whole history.
    """
    if known is None:
        return None
    day: np.datetime64 = known.session[-min(OVERLAP, known.session.size)]
    return day


def _with_events(prices: Prices) -> Prices:
    """Add the bundled events that are public; where two sources name one, the bundled counts."""
    bundled = bundled_events(prices.symbol).session
    apart = np.abs(prices.events.session[:, None] - bundled).min(axis=1, initial=10**6)
    own = prices.events.session[apart > np.timedelta64(SAME_EVENT, "D")]
    events = Events(np.union1d(own, bundled)).until(prices.as_of)
    return dataclasses.replace(prices, events=events)


def _publish(
    store: Store,
    prices: Prices,
    found: Audit,
    now: datetime.datetime,
    progress: Progress,
    together: Callable[[Connection], None] | None,
) -> Refit:
    """Fit and publish; `together` is done in the same transaction."""
    serving = _in_service(store, prices)
    fingerprint = prices.fingerprint()
    of_this_code = serving is not None and serving.code_fingerprint == code_fingerprint()
    if serving is not None and of_this_code and serving.prices_fingerprint == fingerprint:
        return Refit("nothing new", prices.as_of, found)
    carried = _carried(serving, prices) if of_this_code else None
    weighed = weigh_memories(prices, progress) if carried is None else carried
    progress(f"fitting {prices.session.size:,} sessions through {prices.as_of}", 0.0)
    candidate = fit(DEFAULT_MODEL, prices)
    if weighed is not None:
        candidate = with_weights_of(candidate, weighed)
    reason = None if carried is None else _data_reason(found, serving, prices)
    checks = check_model(candidate, carried, observe(prices), data_reason=reason)
    if not all(check.passed for check in checks):
        return Refit("refused", prices.as_of, found, checks, in_service=serving is not None)
    publication = Publication(candidate, prices.as_of, fingerprint, code_fingerprint(), utc(now))
    said = _forecasts(candidate, prices, publication.published_at)
    with store.write() as connection:
        if together is not None:
            together(connection)
        stored.publish(connection, publication)
        append(connection, prices.symbol, said)
    return Refit("published", prices.as_of, found, checks, _change(serving, carried, candidate))


def _in_service(store: Store, prices: Prices) -> Publication | None:
    """The model in service; None when there is none, or it is damaged and cannot serve."""
    with store.read() as connection, contextlib.suppress(StoreError):
        return stored.published(connection, prices.symbol, prices.as_of)
    return None


def _carried(serving: Publication | None, prices: Prices) -> FittedModel | None:
    """The model in service at the last session; None when the prices are not those it knows."""
    if serving is None:
        return None
    try:
        return carry(serving.fitted, prices)
    except ValueError:
        return None


def weigh_memories(prices: Prices, progress: Progress) -> FittedModel | None:
    """Walk over the last sessions, so that the memories of a first model count as they deserve.

    Args:
        prices: the whole history.
        progress: is told how far it has come.

    Returns:
        A fit whose weights rest on the walk, or None when there is too little before it.
    """
    last = prices.session.size - 1
    begin = max(last - WALKED, MIN_SESSIONS)
    fitted = None
    for place in range(begin, last, WALK_REFIT):
        known = prices.until(prices.session[place])
        share = (place - begin) / max(last - begin, 1)
        progress(f"weighing the memories over {last - begin:,} sessions, once", share)
        before = None if fitted is None else carry(fitted, known)
        fitted = fit(DEFAULT_MODEL, known, start=before)
    return None if fitted is None else carry(fitted, prices)


def _data_reason(found: Audit, serving: Publication | None, prices: Prices) -> str | None:
    """Why a belief may jump from one fit to the next although both read the same prices."""
    repaired = [
        each for each in found.findings if each.outcome == "repaired" and each.rule in MOVING
    ]
    if repaired:
        return f"{repaired[0].rule} at {repaired[0].session}"
    if serving is None:
        return None
    # corrected by a refit that was then refused or cut short, which this audit cannot see
    if prices.until(serving.session).fingerprint() != serving.prices_fingerprint:
        return f"what was known at {serving.session} has been corrected"
    n_new = int(np.count_nonzero(prices.session > serving.session))
    return f"{n_new} sessions are new" if n_new > WALK_REFIT else None


def _forecasts(fitted: FittedModel, prices: Prices, made_at: str) -> list[Entry]:
    """What the model and those it is compared with say today, for the ledger."""
    targets = [session_after(prices.as_of, horizon) for horizon in HORIZONS]
    models = [fitted]
    for name in REFERENCES:
        with contextlib.suppress(FitError):  # then there is nothing to compare with
            models.append(fit(name, prices))
    return [
        forecast_entry(model, prices, forecast, made_at=made_at, live=True)
        for model in models
        for forecast in forecasts(model, prices, targets)
    ]


def _change(
    serving: Publication | None, carried: FittedModel | None, candidate: FittedModel
) -> Change:
    before = None if serving is None or carried is None else belief(serving.fitted)
    n_sessions = candidate.n_sessions
    if serving is not None and carried is not None:
        n_sessions -= serving.fitted.n_sessions
    return Change(
        before=before,
        carried=None if carried is None else belief(carried),
        now=belief(candidate),
        n_sessions=n_sessions,
    )
