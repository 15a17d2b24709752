"""One entry of the ledger as a page: all that `belief ledger show` prints, and more of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from belief.errors import UsageError
from belief.ledger import LIVE, Recorded, forecast_of
from belief.paths import store_location
from belief.store import open_store
from belief_tools.forecast_tool import cents
from belief_tools.ledger_search import entry_with_forecasts
from belief_tools.ledger_table import facts, title_of
from belief_tools.report_page import Claim, Section, Table, as_html
from belief_tools.terminal import one_line

SHARES: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)  # of the quantiles shown
LONGEST_NAME: Final = 40  # characters of a name that an error repeats


def may_see(recorded: Recorded, conversations: Collection[str]) -> bool:
    """Whether somebody may see an entry: forecasts and views anybody, an answer who asked for it.

    Args:
        recorded: the entry.
        conversations: ids of those that are this person's own.
    """
    if recorded.entry.kind == "answer":
        return recorded.entry.body.get("conversation") in conversations
    return recorded.entry.kind in ("forecast", "view")


def entry_page(name: str, conversations: Collection[str]) -> str:
    """The page of an entry.

    Args:
        name: of the entry, in full.
        conversations: ids of those that are this person's own.

    Returns:
        HTML that needs nothing but itself.

    Raises:
        UsageError: there is no such entry, or it is not for this person to see, which is not told
            apart.
        StoreError: the entry or the store is damaged.
    """
    nowhere = UsageError(f"there is no entry {one_line(name, longest=LONGEST_NAME)!r} to be seen")
    with open_store(store_location()) as store, store.read() as connection:
        try:
            found, forecasts = entry_with_forecasts(connection, name)
        except UsageError:
            raise nowhere from None
    if found.entry.name.removesuffix(LIVE) != name.removesuffix(LIVE):
        raise nowhere  # the beginning of a name is no name
    if not may_see(found, conversations):
        raise nowhere
    return page_of(found, forecasts)


def page_of(recorded: Recorded, forecasts: Sequence[Recorded]) -> str:
    """An entry and the forecasts that it rests on, as a page.

    Args:
        recorded: the entry.
        forecasts: those an answer rests on.
    """
    entry = recorded.entry
    sections = [_section("What it says", recorded)]
    if entry.kind == "answer":
        sections += _of_an_answer(entry.body)
    sections += [_section(_capital(title_of(each)), each) for each in forecasts]
    return as_html(f"Ledger entry {entry.name}", [Claim(_capital(title_of(recorded)))], sections)


def _section(title: str, recorded: Recorded) -> Section:
    quantiles = [_quantiles(recorded)] if recorded.entry.kind == "forecast" else []
    return Section(title, [f"{label}: {words}" for label, words in facts(recorded)], quantiles)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _of_an_answer(body: Mapping[str, Any]) -> Iterator[Section]:
    reasons = [str(finding["message"]) for finding in body["checks"]["findings"]]
    for title, lines in (
        ("Why the text was rejected", reasons),
        ("What the answer rests on", body.get("receipt", ())),
        ("Notes", body.get("notes", ())),
    ):
        if lines:
            yield Section(title, [str(line) for line in lines])


def _quantiles(recorded: Recorded) -> Table:
    forecast = forecast_of(recorded)
    rows = [(f"{share:.0%}", cents(forecast.quantile(share))) for share in SHARES]
    return Table(f"Quantiles of the close on {forecast.target}", ("quantile", "close"), rows)
