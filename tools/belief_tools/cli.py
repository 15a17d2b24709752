"""The command line: parse, show, exit. What is slow to import is imported by the command itself."""

import io
import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from belief.errors import BeliefError
from belief.freed_memory import keep_freed_memory
from belief_tools import cli_evaluate, cli_mcp, cli_serve, cli_store, clock, settings
from belief_tools.terminal import one_line, printable, say, say_if_any

if TYPE_CHECKING:
    import numpy as np

    from belief_tools.desk import Desk
    from belief_tools.forecast_tool import ForecastTool
    from belief_tools.llm import Endpoint
    from belief_tools.serving import Asked

HORIZONS = (1, 5, 21, 63, 126, 252)


class Model(StrEnum):
    """The models that hold a belief, by name, as `belief.models.BELIEVERS` has them."""

    belief = "belief"
    grid_static = "grid_static"
    grid_2000 = "grid_2000"
    grid_1000 = "grid_1000"
    grid_500 = "grid_500"
    few_state = "few_state"
    few_state_memory = "few_state_memory"
    few_state_static = "few_state_static"
    chain = "chain"


class Consult(StrEnum):
    """How the language model consults the belief."""

    tool = "tool"
    context = "context"
    none = "none"


app = typer.Typer(
    name="belief",
    help="The belief that a language model consults before it says a price.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(cli_store.app)
app.add_typer(cli_mcp.app)
app.add_typer(cli_serve.app)
app.add_typer(cli_evaluate.app, name="evaluate")

AsOf = Annotated[
    str | None,
    typer.Option(
        help="Day whose close is the last thing known, YYYY-MM-DD.  [default: last session]",
        show_default=False,
    ),
]
Symbol = Annotated[
    str | None,
    typer.Option(
        help="Ticker symbol.  [default: NVDA, or the name of the --prices file]", show_default=False
    ),
]
PricesFile = Annotated[
    Path | None,
    typer.Option(help="CSV with Date, Open, High, Low, Close[, Volume][, Stock Splits] columns."),
]
ModelName = Annotated[Model, typer.Option("--model", help="Model that holds the belief.")]
ConsultMode = Annotated[
    Consult,
    typer.Option(
        help="tool: the model calls it; context: the belief is put in the prompt; "
        "none: the bare model, for comparison."
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        help="Draw the forecast, the belief and the transition probabilities over time into this "
        "file (.png, .svg, .pdf, ...)."
    ),
]
StaleOk = Annotated[
    bool, typer.Option("--stale-ok", help="Answer from live prices even if they are old.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command()
def ask(
    question: Annotated[
        str | None,
        typer.Argument(
            help='"What will Nvidia cost at the end of March?"; left out or -, one question a line '
            "from standard input."
        ),
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="File with one question a line, in place of the question.")
    ] = None,
    as_of: AsOf = None,
    symbol: Symbol = None,
    prices: PricesFile = None,
    model: ModelName = Model.belief,
    consult: ConsultMode = Consult.tool,
    view: Annotated[
        bool, typer.Option("--view", help="Take in your view, recorded with belief ledger view.")
    ] = False,
    stale_ok: StaleOk = False,
    as_json: Json = False,
) -> None:
    """Answer a question about a price, with the receipt of what the answer rests on.

    The language model is the one OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL name, or a small
    local one. Exit codes: 0 answered, 5 the language model failed and the belief answered alone,
    6 the model's words failed the checks and were replaced; 1 to 4 are errors. Of several
    questions, that of the first that was not answered.
    """
    from belief_tools.asking import answer_all, questions_of
    from belief_tools.recording import ConversationLog

    asked = questions_of(question, questions)
    desk = _desk(as_of, symbol, prices, model, stale_ok, with_views=view)
    log = ConversationLog(clock.now)
    code = answer_all(asked, desk, _connect, mode=consult.value, log=log, as_json=as_json)
    if code:
        raise typer.Exit(code)


@app.command()
def chat(
    as_of: AsOf = None,
    symbol: Symbol = None,
    prices: PricesFile = None,
    model: ModelName = Model.belief,
    consult: ConsultMode = Consult.tool,
    stale_ok: StaleOk = False,
) -> None:
    """Talk about prices: each answer consults the belief anew and ends with its receipt.

    A follow-up ("and in six months?", "how sure are you?") takes what it leaves out from the
    question before. /help lists the commands. Lines can also come from a pipe.
    """
    from belief_tools.chat import converse
    from belief_tools.recording import ConversationLog

    desk = _desk(as_of, symbol, prices, model, stale_ok)
    converse(desk, _connect, log=ConversationLog(clock.now), mode=consult.value)


@app.command()
def now(
    as_of: AsOf = None,
    symbol: Symbol = None,
    prices: PricesFile = None,
    model: ModelName = Model.belief,
    plot: Plot = None,
    stale_ok: StaleOk = False,
    as_json: Json = False,
) -> None:
    """Show the belief at the last session, and what it says about the price ahead."""
    from belief.models import belief, forecasts
    from belief.sessions import session_after
    from belief_tools.belief_table import print_belief, print_forecasts
    from belief_tools.picture import check_picture, write_picture
    from belief_tools.recording import record_forecasts

    if plot is not None:
        check_picture(plot)
    tool = _tool(as_of, symbol, prices, model, stale_ok)
    held = belief(tool.fitted)
    targets = [session_after(held.as_of, horizon) for horizon in HORIZONS]
    ahead = forecasts(tool.fitted, tool.prices, targets)
    say_if_any(record_forecasts(tool, ahead, clock.now()))
    rows = [
        {
            "target": str(forecast.target),
            "horizon": forecast.horizon,
            "median": forecast.median,
            "interval_50": list(forecast.interval(0.5)),
            "interval_90": list(forecast.interval(0.9)),
            "prob_up": forecast.prob_up,
        }
        for forecast in ahead
    ]
    if plot is not None:
        write_picture(plot, tool)
    if as_json:
        ahead_of = {"scheduled_events": tool.scheduled_events(max(HORIZONS))}
        _print_json({**held.to_dict(), **_about(tool), **ahead_of, "forecasts": rows})
    else:
        print_belief(held, tool)
        print_forecasts(rows)
    if plot is not None:
        say(f"the picture is in {one_line(str(plot))}")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is configured and from where, what is kept, and what the language model can do.

    Exit code 1 when something should be changed.
    """
    from belief_tools import doctor as examining

    lines = examining.examine(_connect, clock.now())
    if as_json:
        _print_json(examining.plain(lines))
    else:
        examining.print_lines(lines)
    if not all(line.well for line in lines):
        raise typer.Exit(1)


@app.command()
def backtest(
    symbol: Symbol = None,
    prices: PricesFile = None,
    first: Annotated[
        str, typer.Option("--from", help="First day to forecast from, YYYY-MM-DD.")
    ] = "2013-01-02",
    last: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Last day to forecast from, YYYY-MM-DD.  [default: last session]",
            show_default=False,
        ),
    ] = None,
    horizons: Annotated[str, typer.Option(help="Sessions ahead, with commas between.")] = ",".join(
        map(str, HORIZONS)
    ),
    model_names: Annotated[
        str | None,
        typer.Option(
            "--models",
            help="Models, with commas between, or all.  "
            "[default: belief,gjr_t,garch_t,random_walk]",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Model to compare with.  [default: garch_t, or a random walk, or the last]",
            show_default=False,
        ),
    ] = None,
    refit_every: Annotated[int, typer.Option(help="Origins from one fit to the next.")] = 21,
    jobs: Annotated[
        int | None,
        typer.Option(help="Processes.  [default: one per core]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Parquet file for the forecasts and scores.  [default: backtest-SYMBOL.parquet]",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the results into this folder, as PNG files.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a tear sheet of the forecasts into this file, one HTML page."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Forecast from each past session, as it was known then, and score the forecasts.

    Every forecast and its scores go to a Parquet file, a summary to standard output. Interrupted,
    the same command goes on from what is finished.
    """
    from belief.backtest import Plan
    from belief_tools import backtest_table as shown
    from belief_tools.serving import stored_or_named

    loaded = stored_or_named(symbol, prices)
    plan = Plan(
        first=_day(first),
        last=None if last is None else _day(last),
        horizons=shown.whole_numbers("--horizons", horizons),
        models=() if model_names is None else shown.names(model_names),
        refit_every=refit_every,
        n_jobs=shown.cores() if jobs is None else jobs,
    )
    path = Path(f"backtest-{loaded.symbol}.parquet") if out is None else out
    about, rows = shown.run(loaded, plan, reference, out=path, plot=plot, html=html)
    if as_json:
        _print_json(shown.as_json(about, rows))
    else:
        shown.print_summary(about, rows)


def main() -> None:
    """Run a command; an error a user can cause is one line on stderr and an exit code."""
    # Nothing here needs threads of BLAS, and one may take the Ctrl-C that `local_model` holds.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    keep_freed_memory()
    _reopen_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        settings.load()
        app()
    except BeliefError as error:
        print(f"belief: {printable(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"belief: cannot write the answer: {error.strerror}", file=sys.stderr)
        sys.exit(1)


def _reopen_closed_streams() -> None:
    """Put the null device where a stream was closed by whoever started this process."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))


def _tool(
    as_of: str | None, symbol: str | None, csv: Path | None, model: Model, stale_ok: bool
) -> "ForecastTool":
    """What answers: prices cut at as_of, and a published, cached or fresh fit of the model."""
    from belief_tools.serving import serve

    return serve(_asked(as_of, symbol, csv, model, stale_ok))


def _desk(
    as_of: str | None,
    symbol: str | None,
    csv: Path | None,
    model: Model,
    stale_ok: bool,
    *,
    with_views: bool = False,
) -> "Desk":
    """What answers questions: of one symbol, or of all that there are prices of."""
    from belief_tools.desk import open_desk

    return open_desk(_asked(as_of, symbol, csv, model, stale_ok, with_views=with_views))


def _asked(
    as_of: str | None,
    symbol: str | None,
    csv: Path | None,
    model: Model,
    stale_ok: bool,
    *,
    with_views: bool = False,
) -> "Asked":
    from belief_tools.serving import Asked

    day = None if as_of is None else _day(as_of)
    return Asked(symbol, csv, day, model.value, stale_ok, clock.now(), with_views)


def _day(text: str) -> "np.datetime64":
    from belief.sessions import parse_day

    return parse_day(text)


def _connect() -> "Endpoint":
    from belief_tools.local_model import usual_endpoint

    return usual_endpoint(os.environ, say=say)


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, indent=2), flush=True)


def _about(tool: "ForecastTool") -> dict[str, Any]:
    """What the belief was formed from."""
    return {
        "last_close": tool.prices.last_close,
        "currency": tool.prices.currency,
        "source": tool.prices.source,
        "converged": tool.fitted.converged,
        "log_likelihood": tool.fitted.log_likelihood,
        "trained_from": str(tool.fitted.trained_from),
        "trained_through": str(tool.fitted.trained_through),
        "fingerprint": tool.fitted.fingerprint,
    }


if __name__ == "__main__":
    main()
