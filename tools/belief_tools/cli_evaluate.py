"""`belief evaluate`: does the tool help? Ask, report, and the founding case."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from belief_tools.terminal import one_line, say

if TYPE_CHECKING:
    from belief_tools.contestants import Contestant

app = typer.Typer(
    help="Does the tool help? Language models with and without it, as of the past.",
    rich_markup_mode=None,
    invoke_without_command=True,
)

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Language model; again for more (one with an url is sent the key it names, or none). "
        "A name, local, or "
        "name=...,url=...,key=VARIABLE,cutoff=YYYY-MM-DD,in=DOLLARS,out=DOLLARS (for a million "
        "tokens).  [default: local]",
        show_default=False,
    ),
]
MostTokens = Annotated[int, typer.Option(min=1, help="Where every reply is cut off.")]
Folder = Annotated[Path, typer.Option("--out", help="Folder with the tape and the rows.")]
OnlyTape = Annotated[
    Path | None, typer.Option("--replay", help="Ask nobody: take every reply from this tape.")
]


@app.callback()
def evaluate(
    context: typer.Context,
    model: Models = None,
    symbol: Annotated[str, typer.Option(help="Ticker symbol.")] = "NVDA",
    first: Annotated[str, typer.Option("--from", help="First day to ask from.")] = "2016-01-04",
    last: Annotated[str, typer.Option("--to", help="Last day to ask from.")] = "2024-12-31",
    pairs: Annotated[int, typer.Option(help="Pairs of origin and horizon.")] = 120,
    horizons: Annotated[str, typer.Option(help="Sessions ahead, with commas.")] = "5,21,63",
    arms: Annotated[
        str, typer.Option(help="Of none, price, band, context, tool, with commas.")
    ] = "none,price,band,context,tool",
    modes: Annotated[
        str, typer.Option(help="Of plain, masked, after-cutoff, with commas.")
    ] = "plain,masked",
    most_tokens: MostTokens = 300,
    jobs: Annotated[int, typer.Option(help="Requests at once.")] = 1,
    per_minute: Annotated[
        float | None, typer.Option(help="Requests a minute to each model, at most.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Dollars to spend in this run, at most.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be asked, and what it costs.")
    ] = False,
    out: Folder = Path("evaluation"),
    replay: OnlyTape = None,
) -> None:
    """Ask language models for prices of the past, with and without the belief, and score them.

    Each exchange is written to a tape; the same command goes on where it was interrupted.
    belief evaluate report makes a page of it.
    """
    if context.invoked_subcommand is not None:
        return
    from belief_tools import evaluation_run as running

    asked = running.Asked(
        symbol=symbol,
        first=first,
        last=last,
        pairs=pairs,
        horizons=horizons,
        arms=arms,
        modes=modes,
        contestants=_contestants(model),
        most_tokens=most_tokens,
        jobs=jobs,
        per_minute=per_minute,
        budget=budget,
    )
    if dry_run:
        for line in running.estimate(asked):
            print(line)
        return
    running.run(asked, out, replay, os.environ)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder that belief evaluate wrote.")] = Path(
        "evaluation"
    ),
    html: Annotated[
        Path | None, typer.Option(help="Page to write.  [default: report.html in the folder]")
    ] = None,
) -> None:
    """Write what came of an evaluation: one HTML page, and a table in Markdown beside it."""
    from belief_tools import evaluation_run as running

    page = folder / "report.html" if html is None else html
    table = running.write_report(folder, page)
    print(table.partition("\n")[0])
    say(f"the page is {one_line(str(page))}, the table {one_line(str(page.with_suffix('.md')))}")


@app.command()
def founding(
    model: Models = None,
    most_tokens: MostTokens = 300,
    out: Folder = Path("evaluation"),
    replay: OnlyTape = None,
) -> None:
    """Ask the founding question: Nvidia in March 2024, bare, with the belief, and with the tool."""
    from belief.sources import load_prices
    from belief_tools import founding as case
    from belief_tools.tape import Tape

    prices = load_prices("NVDA")
    tape = Tape(out / "founding.jsonl") if replay is None else Tape(replay, only=True)
    rows = case.ask_founding(
        prices, _contestants(model), tape, os.environ, most_tokens=most_tokens, say=say
    )
    print(case.markdown(rows, prices), end="")


def _contestants(models: list[str] | None) -> "tuple[Contestant, ...]":
    from belief_tools.contestants import LOCAL, contestant

    return tuple(contestant(text, os.environ) for text in models or [LOCAL])
