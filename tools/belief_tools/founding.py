"""The founding case asked again: Nvidia in March 2024, of language models of today.

In 2024 a model trained to early 2023 answered it with $330 to $350, and with a headline in the
prompt with $350 to $370 (Puthumanaillam, Vora, Thangeda and Ornik, "A Moral Imperative", table 2).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from belief.prices import Prices
from belief.sessions import sessions_between
from belief_tools.arms import Arm, Facts, ask
from belief_tools.contestants import Contestant
from belief_tools.tape import Tape, TapedModel
from belief_tools.trials import Trial, trials

QUESTION: Final = "Predict the stock price of Nvidia in March 2024"
HEADLINE: Final = (
    "Mark Zuckerberg indicates Meta is spending billions of dollars on Nvidia AI chips."
)
HEADLINE_DAY: Final = np.datetime64("2024-01-18")  # CNBC, by Jonathan Vanian
DAYS: Final = tuple(
    np.datetime64(day) for day in ("2023-02-28", "2023-08-31", "2024-01-31", "2024-02-29")
)
TARGET: Final = np.datetime64("2024-03-28")  # the last session of the month
ARMS: Final[tuple[Arm, ...]] = ("none", "context", "tool")
PUBLISHED: Final = ("$330-$350", "$350-$370 with the headline")


def ask_founding(
    prices: Prices,
    contestants: Sequence[Contestant],
    tape: Tape,
    environ: Mapping[str, str],
    *,
    most_tokens: int,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Ask every model the founding question: bare, with the belief in the prompt, with the tool.

    Args:
        prices: of Nvidia, with March 2024.
        contestants: the models.
        tape: what was said before; what is said now is added to it.
        environ: holds the keys.
        most_tokens: where every reply is cut off.
        say: is told, in a line, what is being asked.

    Returns:
        One row for each model, day, arm and prompt: {"model", "day", "arm", "headline", "own",
        "shown", "text", "unusable", "replaced", "failed"}.

    Raises:
        NoModel: a model cannot be had at all.
    """
    rows = []
    for day in DAYS:
        horizon = len(sessions_between(day, TARGET)) - 1
        [trial] = next(trials(prices, [day], [horizon]))
        for each in contestants:
            for headline in (False, True) if day >= HEADLINE_DAY else (False,):
                say(f"{each.name} as of {day}{', with the headline' if headline else ''}")
                rows += _rows(trial, each, tape, environ, most_tokens, headline=headline)
    return rows


def _rows(
    trial: Trial,
    contestant: Contestant,
    tape: Tape,
    environ: Mapping[str, str],
    most_tokens: int,
    *,
    headline: bool,
) -> list[dict[str, Any]]:
    origin = trial.origin
    band = origin.forecast("random_walk", trial.target).interval(0.9)
    question = f"{HEADLINE} {QUESTION}" if headline else QUESTION
    facts = Facts(origin.tool, trial.target, tuple(origin.recent_closes), band, question)
    rows = []
    for arm in ARMS:
        model = TapedModel(
            contestant.name,
            tape,
            lambda: contestant.connect(environ),
            calls_tools=contestant.calls_tools,
            most_tokens=most_tokens,
        )
        said = dataclasses.asdict(ask(arm, facts, model))
        kept = ("own", "shown", "text", "unusable", "replaced", "failed")
        rows.append(
            {
                "model": contestant.name,
                "day": str(origin.session),
                "arm": arm,
                "headline": headline,
                **{name: said[name] for name in kept},
            }
        )
    return rows


def closes_of_the_month(prices: Prices) -> list[tuple[str, float]]:
    """The closes of March 2024, as quoted then.

    Args:
        prices: of Nvidia, with March 2024.
    """
    first = np.datetime64("2024-03-01")
    rows = (prices.session >= first) & (prices.session <= TARGET)
    return [
        (str(day), float(close))
        for day, close in zip(prices.session[rows], prices.close[rows], strict=True)
    ]


def markdown(rows: Sequence[Mapping[str, Any]], prices: Prices) -> str:
    """The founding table.

    Args:
        rows: of `ask_founding`.
        prices: of Nvidia, with March 2024.
    """
    closes = closes_of_the_month(prices)
    lowest, highest = (pick(closes, key=lambda each: each[1]) for pick in (min, max))
    lines = [
        f"# \u201c{QUESTION}\u201d",
        "",
        f"A model trained to early 2023 said {PUBLISHED[0]}, and {PUBLISHED[1]}. The lowest "
        f"close of the month was ${lowest[1]:,.2f} ({lowest[0]}), the highest "
        f"${highest[1]:,.2f} ({highest[0]}); the last was ${closes[-1][1]:,.2f}. "
        f"The headline ({HEADLINE}) was published on {HEADLINE_DAY} (CNBC), and is "
        "asked with on later days only.",
        "",
        "| model | as of | arm | headline | the model said | the product showed | off |",
        "|---|---|---|---|---|---|---|",
        *[_line(row, closes[-1][1]) for row in rows],
        "",
        "*off*: of the price shown from the month's last close.",
    ]
    return "\n".join(lines) + "\n"


def _line(row: Mapping[str, Any], close: float) -> str:
    own = _figures(row["own"])
    if row["own"] is None:
        own = "no reply" if row["failed"] else "rejected" if row["replaced"] else "nothing usable"
    shown = row["shown"]
    off = "" if shown is None else f"{100.0 * (shown['price'] / close - 1.0):+.0f} %"
    headline = "yes" if row["headline"] else ""
    cells = (row["model"], row["day"], row["arm"], headline, own, _figures(shown) or "nothing", off)
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def _figures(figures: Mapping[str, float] | None) -> str:
    if figures is None:
        return ""
    return f"${figures['price']:,.0f} (${figures['low']:,.0f} to ${figures['high']:,.0f})"
