"""The commands of the store: refit, score, ledger, data."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from belief.errors import BeliefError, UsageError
from belief_tools import clock
from belief_tools.terminal import one_line, say, say_error

if TYPE_CHECKING:
    import numpy as np

    from belief.ledger import Recorded
    from belief.refit import Fetch, Progress, Refit
    from belief.store import Store

EXIT_CODES = {"published": 0, "nothing new": 7, "refused": 8}
BROKEN, NOT_FOUND, INTERRUPTED = 1, 1, 130
SHOWN = 20  # entries of the ledger, unless more are asked for

app = typer.Typer(rich_markup_mode=None)
ledger = typer.Typer(
    help="Every forecast and answer, in the order they were made.",
    rich_markup_mode=None,
    invoke_without_command=True,
)
data = typer.Typer(help="Prices and their audit.", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(ledger, name="ledger")
app.add_typer(data, name="data")

Named = Annotated[
    str | None,
    typer.Argument(help="Ticker symbol.  [default: NVDA, or the name of the --prices file]"),
]
OneOf = Annotated[str | None, typer.Option("--symbol", help="Ticker symbol.  [default: all]")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
PricesFile = Annotated[
    Path | None,
    typer.Option(
        "--prices",
        help="CSV with Date, Open, High, Low, Close[, Volume][, Stock Splits] columns, "
        "in place of Yahoo Finance.",
    ),
]
Snapshot = Annotated[
    bool, typer.Option("--snapshot", help="The bundled snapshot, in place of Yahoo Finance.")
]


@app.command()
def refit(
    symbol: Named = None,
    prices: PricesFile = None,
    snapshot: Snapshot = False,
    anew: Annotated[
        bool,
        typer.Option("--anew", help="Fetch the whole history, in place of the prices kept."),
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refit again after each close.")] = False,
    as_json: Json = False,
) -> None:
    """Bring in new sessions, check them, fit, and publish the model that now and ask will use.

    Exit codes: 0 published, 7 nothing new, 8 refused, and the last good model stays in service, 4
    no prices, 9 another refit of the symbol is running.
    """
    from belief_tools import watch as watching
    from belief_tools.new_bars import new_bars

    name, fetch = new_bars(symbol, prices, snapshot=snapshot)
    if watch:
        if prices is not None or snapshot or anew:
            raise UsageError("--watch waits for new sessions at Yahoo; give it no other option")

        def refit_and_score() -> "np.datetime64 | None":
            last = _refit(name, fetch, as_json, anew=False, indent=None).as_of
            for line in _score(name):
                say(line)
            return last

        try:
            watching.watch(refit_and_score)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
    code = EXIT_CODES[_refit(name, fetch, as_json, anew=anew).status]
    if code:
        raise typer.Exit(code)


def _refit(
    symbol: str, fetch: "Fetch", as_json: bool, *, anew: bool, indent: int | None = 2
) -> "Refit":
    """Refit once and print how it ended."""
    from belief.refit import refit as refit_symbol
    from belief_tools import refit_table as shown
    from belief_tools.serving import sessions_behind

    with _store() as store, _progress() as progress:
        done = refit_symbol(symbol, store, fetch, now=clock.now(), anew=anew, progress=progress)
    if as_json:
        _print_json(shown.as_json(symbol, done), indent=indent)
    else:
        shown.print_refit(symbol, done)
    prices = done.audit.prices
    behind = 0 if prices is None else sessions_behind(prices, clock.now())
    if prices is not None and behind:
        say(f"{prices.source} ends on {prices.as_of}; sessions closed since then: {behind}")
    return done


@contextmanager
def _progress() -> "Iterator[Progress]":
    """Show what a refit is at: on a terminal with its share, elsewhere once for each stage."""
    from rich.console import Console

    console, told = Console(stderr=True), ""

    def say_stage(stage: str, _: float) -> None:
        nonlocal told
        if stage != told:
            told = stage
            say(stage)

    if not console.is_terminal:
        yield say_stage
        return
    with console.status("fetching prices") as status:
        yield lambda stage, share: status.update(f"{stage}: {share:.0%}" if share else stage)


@app.command()
def score(symbol: OneOf = None, as_json: Json = False) -> None:
    """Mark the forecasts and answers whose targets have passed; each is marked once."""
    from belief.ledger import entries
    from belief_tools import ledger_table as shown

    told: dict[str, Any] = {}
    failed: list[BeliefError] = []
    with _store() as store:
        for name in _symbols(store, symbol):
            try:
                told[name] = _mark(store, name)
            except BeliefError as error:  # one symbol's damage is no reason to leave the others
                say_error(error)
                failed.append(error)
        marked = {name: marks for name, marks in told.items() if marks is not None}
        if not as_json:
            for name, marks in marked.items():
                shown.print_scores(name, *marks)
            with store.read() as connection:
                everything = entries(connection, symbol=_upper(symbol)) if marked else []
    if as_json:
        counts = {
            name: {"scored": len(scored), "without_close": len(closeless)}
            for name, (scored, closeless) in marked.items()
        }
        _print_json(counts)
    elif marked:
        shown.print_standing(everything)
    elif not failed:
        print("nothing to score: no symbol has prices in the store; run belief refit")
    if failed:
        raise typer.Exit(failed[0].exit_code)


def _mark(store: "Store", symbol: str) -> "tuple[list[Recorded], list[Recorded]] | None":
    """Score what is due of a symbol; None when the store has no prices of it."""
    from belief import store as stored
    from belief.ledger_scores import score_due

    with store.write() as connection:
        prices = stored.load_prices(connection, symbol)
        if prices is None:
            return None
        return score_due(connection, symbol, prices, stored.utc(clock.now()))


def _score(symbol: str) -> "Iterator[str]":
    """Score what is due of a symbol, and say how much that was."""
    with _store() as store:
        marks = _mark(store, symbol)
    if marks is not None and marks[0]:
        yield f"{len(marks[0])} forecasts and answers were scored"


@ledger.callback()
def show_ledger(
    context: typer.Context,
    symbol: OneOf = None,
    last: Annotated[int, typer.Option(min=1, help="How many of the newest entries.")] = SHOWN,
    as_json: Json = False,
) -> None:
    """Every forecast and answer, in the order they were made."""
    if context.invoked_subcommand is not None:
        return
    from belief.ledger import entries
    from belief_tools import ledger_table as shown

    with _store() as store, store.read() as connection:
        found = entries(connection, symbol=_upper(symbol), newest=last)
    if as_json:
        _print_json({"entries": [_plain(each) for each in found]})
    else:
        shown.print_entries(found, _upper(symbol))


@ledger.command("show")
def show_entry(
    name: Annotated[str, typer.Argument(help="The entry's name, or its beginning.")],
    as_json: Json = False,
) -> None:
    """Show one entry whole: question, tool call, result, answer, score."""
    from belief_tools import ledger_search
    from belief_tools import ledger_table as shown

    with _store() as store, store.read() as connection:
        found, resting = ledger_search.entry_with_forecasts(connection, name)
    if as_json:
        _print_json({**_plain(found), "forecasts": [_plain(each) for each in resting]})
    else:
        shown.show(found, resting)


@ledger.command("search")
def search_answers(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="Words that the question or its answer holds, in any case."),
    ] = None,
    symbol: OneOf = None,
    since: Annotated[
        str | None, typer.Option(help="Day of the oldest answer, YYYY-MM-DD, in UTC.")
    ] = None,
    conversation: Annotated[
        str | None, typer.Option(help="Id of one conversation, or its beginning.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find answers by their words, or all of one conversation; exit code 1 if there is none."""
    from belief.sessions import parse_day
    from belief_tools import ledger_search

    with _store() as store, store.read() as connection:
        found = ledger_search.find(
            connection,
            words or (),
            symbol=_upper(symbol),
            since=None if since is None else parse_day(since),
            conversation=conversation,
        )
    if as_json:
        _print_json({"entries": [_plain(each) for each in found]})
    else:
        ledger_search.print_found(found)
    if not found:
        say("no such answer is in the ledger; belief ledger lists its newest entries")
        raise typer.Exit(NOT_FOUND)


@ledger.command("view")
def record_view(
    name: Annotated[str, typer.Argument(help="The forecast's name, or its beginning.")],
    median: Annotated[float, typer.Option(help="Price the close is as likely above as below.")],
    low: Annotated[float, typer.Option(help="Your 5 % point.")],
    high: Annotated[float, typer.Option(help="Your 95 % point.")],
    confidence: Annotated[float, typer.Option(help="Your weight against the belief's.")] = 0.5,
    note: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Record your own view of a forecast's price, to be scored beside it and used by ask --view."""
    from belief.view import View
    from belief_tools import ledger_table as shown
    from belief_tools.my_view import view_forecast

    view = View(median=median, low=low, high=high, confidence=confidence)
    shown.show(*view_forecast(name, view, note, clock.now()))


@ledger.command()
def verify() -> None:
    """Follow every chain of digests, and compute every score again; exit code 1 if one differs."""
    from belief import store as stored
    from belief.ledger import breaks, missing_forecasts
    from belief.ledger_scores import changed_scores, unscored
    from belief.refit import HORIZONS

    failed: list[BeliefError] = []
    with _store() as store:
        symbols = _symbols(store, None)
        with store.read() as connection:
            found = [*breaks(connection), *missing_forecasts(connection, HORIZONS)]
            waiting = 0
            broken = {each.symbol for each in found}
            for name in symbols:
                try:
                    if name not in broken:
                        prices = stored.load_prices(connection, name)
                        found += changed_scores(connection, name, prices)
                        waiting += 0 if prices is None else len(unscored(connection, name, prices))
                except BeliefError as error:
                    say_error(error)
                    failed.append(error)
    for each in found:
        print(f"{each.symbol} entry {each.number}: {one_line(each.reason)}")
    if found or failed:
        raise typer.Exit(BROKEN)
    if waiting:
        say(f"{waiting} entries are due and have no score; belief score marks them")
    print(f"the ledger is whole: {', '.join(symbols) or 'it is empty'}")


@ledger.command()
def export(
    file: Annotated[Path, typer.Argument(help="File to write, .csv or .parquet.")],
    symbol: OneOf = None,
) -> None:
    """Write the entries and their scores to a file, one row each."""
    from belief.ledger import entries
    from belief_tools import ledger_table as shown

    shown.check_export(file)
    with _store() as store, store.read() as connection:
        found = entries(connection, symbol=_upper(symbol))
    shown.export(found, file)
    say(f"{len(found)} entries are in {one_line(str(file))}")


@data.command()
def check(
    symbol: Named = None,
    prices: PricesFile = None,
    snapshot: Snapshot = False,
    as_json: Json = False,
) -> None:
    """Fetch prices and say what is wrong with them; nothing is kept. Exit code 4 when unfit."""
    from belief import store as stored
    from belief.refit import first_day
    from belief_tools import audit_table as shown
    from belief_tools.new_bars import new_bars
    from belief_tools.serving import find_store

    name, fetch = new_bars(symbol, prices, snapshot=snapshot)
    known = None
    store = find_store()
    if store is not None:
        with store, store.read() as connection:
            known = stored.load_prices(connection, name)
    code = shown.run(fetch(first_day(known)), known, as_json=as_json)
    if code:
        raise typer.Exit(code)


@contextmanager
def _store() -> "Iterator[Store]":
    from belief.paths import store_location
    from belief.store import open_store

    with open_store(store_location()) as store:
        yield store


def _symbols(store: "Store", symbol: str | None) -> list[str]:
    """The symbols with a chain, or the one that is asked for."""
    from belief.ledger import symbols

    named = _upper(symbol)
    if named is not None:
        return [named]
    with store.read() as connection:
        return symbols(connection)


def _upper(symbol: str | None) -> str | None:
    from belief_tools.serving import upper_symbol

    return None if symbol is None else upper_symbol(symbol)


def _plain(recorded: Any) -> dict[str, Any]:
    entry = recorded.entry
    days = ("origin", "target")
    return {
        "symbol": recorded.symbol,
        "number": recorded.number,
        **{name: value for name, value in vars(entry).items() if name not in days},
        **{
            name: None if getattr(entry, name) is None else str(getattr(entry, name))
            for name in days
        },
        "score": None if recorded.score is None else dict(recorded.score),
    }


def _print_json(value: dict[str, Any], *, indent: int | None = 2) -> None:
    print(json.dumps(value, indent=indent), flush=True)
