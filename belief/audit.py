"""The audit of fetched rows: what is wrong with them, what is mended, and what is refused.

Prices that are kept are trusted: an audit adds to them and never rewrites their past, but for a
small revision of the last sessions. What cannot be mended without guessing is refused, and then
nothing is taken. No clock is looked at: the same rows give the same findings.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from belief.audit_rows import (
    NOTED,
    PRICES,
    REFUSED,
    REPAIRED,
    Finding,
    checked_rows,
    from_error,
    no_rows,
    number,
    ratio_in_words,
    refuse,
)
from belief.audit_series import check_series
from belief.bars import Bars
from belief.errors import PricesError
from belief.events import Events
from belief.prices import COLUMNS, OPEN_TOLERANCE, SPLIT_RATIOS, Prices, Split
from belief.sessions import sessions_between
from belief.tables import Table

__all__ = ["NOTED", "REFUSED", "REPAIRED", "Audit", "Finding", "audit"]

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Flags = npt.NDArray[np.bool_]

CURRENCY: Final = "USD"
RECENT: Final = 10  # sessions in which a hole is refused at a first load, and a revision taken
SAME: Final = 0.002  # relative difference up to which a price is the one that is kept
ONE_FACTOR: Final = 0.005  # relative spread of the ratios when all prices are off by one factor
LARGEST_REVISION: Final = 0.05
MOST_REVISED: Final = 3  # rows at once
USUAL: Final = np.log([*SPLIT_RATIOS, *(1 / ratio for ratio in SPLIT_RATIOS)])
AT_ODDS: Final = ("overlap changed", "revised", "gap")  # with what is kept, perhaps for good


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found and, unless it refused, the prices it vouches for.

    Attributes:
        findings: in the order of the checks.
        prices: as traded, the kept ones extended by the new rows; None when refused.
        n_new: sessions that were added; 0 when refused.
    """

    findings: tuple[Finding, ...]
    prices: Prices | None
    n_new: int

    @property
    def refused(self) -> bool:
        """Whether nothing was taken."""
        return self.prices is None

    @property
    def reasons(self) -> tuple[str, ...]:
        """The findings that refuse, one line each."""
        return tuple(found.as_line() for found in self.findings if found.outcome == REFUSED)


@dataclass(frozen=True, eq=False)
class _Overlap:
    """The sessions that are both kept and fetched, M of them.

    Attributes:
        session: (M,) in order.
        kept: (M,) their rows in the kept prices.
        fetched: (M,) their rows among the fetched ones.
        ratio: (4, M) fetched price over kept price.
    """

    session: Days
    kept: npt.NDArray[np.intp]
    fetched: npt.NDArray[np.intp]
    ratio: Array

    @property
    def off(self) -> Array:
        """(M,) largest relative difference of a price."""
        off: Array = np.abs(self.ratio - 1).max(axis=0)
        return off


def audit(bars: Bars, known: Prices | None) -> Audit:
    """Check fetched rows, mend what can be mended, and add them to the prices that are kept.

    Rows as traded and rows adjusted for their splits are told apart as `belief.sources.read_csv`
    does. Of a session that is kept the kept row stays, volume included, unless its prices are
    revised; rows before the first kept one are left out. The events of the rows, when they have
    any, replace the kept ones from the first of them on.

    Args:
        bars: rows of one symbol, in any state. With `known` they must overlap it.
        known: the prices that are kept; None for a first load.

    Returns:
        The findings, and the prices when none of them refuses. Auditing the same bars with these
        prices as `known` changes nothing. Prices from which no row and no split was taken are
        still from the source they were.
    """
    found = _mismatches(bars, known)
    if refuse(found):
        return Audit(found, None, 0)
    kept = np.array([], dtype="datetime64[D]") if known is None else known.session
    table, more = checked_rows(bars, kept)
    if refuse(more):
        return Audit(more, None, 0)
    return _first_load(bars, table, more) if known is None else _update(bars, known, table, more)


def _mismatches(bars: Bars, known: Prices | None) -> tuple[Finding, ...]:
    """Refuse another symbol, another currency, and no rows at all."""
    found = []
    if known is not None and bars.symbol != known.symbol:
        needed = f"rows of {known.symbol} are needed, as those kept"
        found.append(Finding(None, "symbol", f"symbol {_shown(bars.symbol)}", REFUSED, needed))
    if bars.currency != CURRENCY or (known is not None and bars.currency != known.currency):
        value = f"currency {_shown(bars.currency)}" if bars.currency else "none is named"
        found.append(Finding(None, "currency", value, REFUSED, f"prices in {CURRENCY} are needed"))
    return (*found, *(() if len(bars) else (no_rows(),)))


def _shown(text: str) -> str:
    return text if text.isascii() and text.isprintable() and len(text) <= 20 else ascii(text[:20])


def _first_load(bars: Bars, table: Table, found: tuple[Finding, ...]) -> Audit:
    recent = sessions_between(table.session[0], table.session[-1])[-RECENT:]
    everything = np.ones(table.session.size, dtype=bool)
    found = (*found, *check_series(table, everything, recent[0]))
    return _made(bars, None, table, found, n_new=table.session.size)


def _update(bars: Bars, known: Prices, table: Table, found: tuple[Finding, ...]) -> Audit:
    # What was mended in a session that is kept was told when it was new.
    found = tuple(f for f in found if f.session is None or f.session > known.as_of)
    overlap = _overlap(known, table)
    changes = tuple(_changes(known, table, overlap))
    if refuse(changes):
        return Audit(_with_way_out((*found, *changes), known.symbol), None, 0)
    joined, fresh = _joined(known, table, overlap)
    after = np.datetime64(known.as_of + np.timedelta64(1, "D"))
    found = _with_way_out((*found, *changes, *check_series(joined, fresh, after)), known.symbol)
    return _made(bars, known, joined, found, n_new=joined.session.size - known.session.size)


def _with_way_out(found: tuple[Finding, ...], symbol: str) -> tuple[Finding, ...]:
    """Add what to do when a source stays at odds with the prices that are kept."""
    way_out = f"or replace all that is kept: belief refit {symbol} --anew"
    return tuple(
        f._replace(action=f"{f.action}; {way_out}")
        if f.outcome == REFUSED and f.rule in AT_ODDS
        else f
        for f in found
    )


def _overlap(known: Prices, table: Table) -> _Overlap:
    session, kept, fetched = np.intersect1d(known.session, table.session, return_indices=True)
    ratio = [table.columns[name][fetched] / getattr(known, name)[kept] for name in PRICES]
    return _Overlap(session, kept, fetched, np.array(ratio))


def _changes(known: Prices, table: Table, overlap: _Overlap) -> list[Finding]:
    """Compare the fetched rows with those that are kept."""
    if not overlap.session.size:
        value = f"rows from {table.session[0]} to {table.session[-1]}"
        needed = f"rows from a session before {known.as_of} on are needed, the last one kept"
        return [Finding(None, "no overlap", value, REFUSED, needed)]
    splits = _changed_splits(known, table, overlap)
    if refuse(splits):
        return splits
    scale = _changed_scale(overlap)
    if scale is not None:
        return [scale]
    return [*splits, *_revisions(known, table, overlap), *_filled(known, table)]


def _changed_splits(known: Prices, table: Table, overlap: _Overlap) -> list[Finding]:
    """Find splits that only one side has; one listed late is taken when the prices agree."""
    first = max(table.session[0], known.session[0])
    last = min(table.session[-1], known.session[-1])
    kept, listed = (
        {day: ratio for day, ratio in splits if first < day <= last}
        for splits in (known.splits, table.splits)
    )
    found = []
    for day in sorted(kept.keys() | listed.keys()):
        old, new = kept.get(day, 1.0), listed.get(day, 1.0)
        if np.isclose(old, new, rtol=1e-6):  # 1 declares a jump real: no split
            continue
        value = f"split {ratio_in_words(new)}, kept was {_split_or_none(old)}"
        if new == 1.0:
            value = f"no split, kept was {_split_or_none(old)}"
        agree = bool((overlap.session < day).any()) and not (overlap.off > SAME).any()
        if old == 1.0 and agree:
            found.append(Finding(day, "split", value, REPAIRED, "taken: the prices agree with it"))
        else:
            valid = "nothing is taken until the source lists the splits that are kept"
            found.append(Finding(day, "overlap changed", value, REFUSED, valid))
    return found


def _split_or_none(ratio: float) -> str:
    return "none" if ratio == 1.0 else ratio_in_words(ratio)


def _changed_scale(overlap: _Overlap) -> Finding | None:
    """Refuse rows that are all off by one factor."""
    factor = float(np.median(overlap.ratio))
    split = float(USUAL[np.argmin(np.abs(USUAL - np.log(factor)))])
    like_split = abs(split - np.log(factor)) < OPEN_TOLERANCE
    together = (np.abs(overlap.ratio / factor - 1) < ONE_FACTOR).all()
    alone = overlap.session.size == 1 and not like_split  # one row may just be revised
    if alone or not (together and (overlap.off > SAME).all()):
        return None
    value = f"all prices are {factor:.5g} times those kept"
    action = "nothing is taken; compare the source's basis with that of the prices kept"
    if like_split:
        ratio = ratio_in_words(float(np.exp(abs(split))))
        action = f"a split ({ratio}) seems to be missing or not yet applied; load it again later"
    return Finding(overlap.session[0], "overlap changed", value, REFUSED, action)


def _revisions(known: Prices, table: Table, overlap: _Overlap) -> list[Finding]:
    """Take small revisions of a few of the last sessions, and refuse any others."""
    changed = np.flatnonzero(overlap.off > SAME)
    if changed.size > MOST_REVISED:
        value = f"{changed.size} of {overlap.session.size} rows differ from those kept"
        action = f"up to {MOST_REVISED} may; the prices must be loaded anew if these are right"
        return [Finding(overlap.session[changed[0]], "overlap changed", value, REFUSED, action)]
    recent = known.session[-RECENT:][0]
    found = []
    for place in changed:
        day, off = overlap.session[place], overlap.off[place]
        name = PRICES[int(np.argmax(np.abs(overlap.ratio[:, place] - 1)))]
        old, new = getattr(known, name)[overlap.kept[place]], table.columns[name]
        value = f"{name} {number(new[overlap.fetched[place]])}, kept was {number(old)}"
        outcome, action = REPAIRED, "the revised row is taken"
        if off > LARGEST_REVISION or day < recent:
            outcome = REFUSED
            action = f"up to {LARGEST_REVISION:.0%} in the last {RECENT} sessions would be taken"
        found.append(Finding(day, "revised", value, outcome, action))
    return found


def _filled(known: Prices, table: Table) -> list[Finding]:
    """Tell the sessions that only one side has, as far as both reach."""
    first = max(known.session[0], table.session[0])
    last = min(known.session[-1], table.session[-1])
    found = []
    for day in np.setxor1d(known.session, table.session):
        if not first <= day <= last:
            continue
        value, outcome, action = "a row that was missing", REPAIRED, "filled in"
        if day in known.session:
            value, outcome, action = "the row is gone", NOTED, "the kept row stays"
        found.append(Finding(day, "gap", value, outcome, action))
    return found


def _joined(known: Prices, table: Table, overlap: _Overlap) -> tuple[Table, Flags]:
    """Put revised rows in the place of the kept ones and add the others; mark which these are."""
    changed = overlap.off > SAME
    stays = np.ones(known.session.size, dtype=bool)
    stays[overlap.kept[changed]] = False
    added = (table.session >= known.session[0]) & ~np.isin(table.session, known.session[stays])
    session = np.concatenate([known.session[stays], table.session[added]])
    order = np.argsort(session)
    columns = {
        name: np.concatenate([getattr(known, name)[stays], table.columns[name][added]])[order]
        for name in COLUMNS
    }
    # One that is listed at the first row fetched has shown nothing, and a ratio of 1 is no split.
    splits = {
        day: ratio for day, ratio in table.splits if day > max(session[order[0]], table.session[0])
    }
    splits |= {day: ratio for day, ratio in known.splits if ratio != 1.0 or day not in splits}
    told = tuple(Split(day, splits[day]) for day in sorted(splits))
    return Table(session[order], columns, told), np.isin(session[order], table.session[added])


def _made(
    bars: Bars, known: Prices | None, table: Table, found: tuple[Finding, ...], *, n_new: int
) -> Audit:
    """Make the prices, whose own rules have the last word."""
    if refuse(found):
        return Audit(found, None, 0)
    events = _events(bars, known, table.session[-1])
    if known is not None and _nothing_taken(known, table):
        return Audit(found, replace(known, events=events), 0)
    try:
        prices = Prices(
            symbol=bars.symbol,
            name=bars.name if known is None else known.name,
            currency=bars.currency,
            session=table.session,
            **table.columns,
            splits=table.splits,
            source=bars.source,
            splits_known=bars.splits_known and (known is None or known.splits_known),
            retrieved_at=bars.retrieved_at,
            events=events,
        )
    except PricesError as error:
        return Audit((*found, from_error("prices", error)), None, 0)
    return Audit(found, prices, n_new)


def _nothing_taken(known: Prices, table: Table) -> bool:
    same = (np.array_equal(getattr(known, name), table.columns[name]) for name in COLUMNS)
    sessions = np.array_equal(known.session, table.session)
    return sessions and known.splits == table.splits and all(same)


def _events(bars: Bars, known: Prices | None, last: np.datetime64) -> Events:
    """Give the events of the rows, and before them the kept ones that have taken place."""
    if known is None or not len(bars.events):
        return bars.events if known is None else known.events
    kept, told = known.events.session, bars.events.session
    return Events(np.concatenate([kept[(kept < told[0]) & (kept <= last)], told]))
